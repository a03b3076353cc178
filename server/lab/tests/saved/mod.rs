//! Writes checkpoints as `torch.save` does, so that tests can make every kind of them.
#![allow(dead_code, reason = "every test file uses its own part")]

use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Tensors by their names.
pub type Tensors = BTreeMap<String, Tensor>;

pub fn checkpoints() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/checkpoints")
}

/// The tensors of the plain checkpoint, a narrow ResNet-50.
pub fn plain() -> Tensors {
    let path = checkpoints().join("plain.safetensors");
    candle_core::safetensors::load(path, &Device::Cpu).expect("loaded").into_iter().collect()
}

/// The same tensors with something before their names.
pub fn under(prefix: &str, tensors: &Tensors) -> Tensors {
    tensors.iter().map(|(name, t)| (format!("{prefix}{name}"), t.clone())).collect()
}

/// The same tensors times a number.
pub fn times(factor: f64, tensors: &Tensors) -> Tensors {
    tensors.iter().map(|(name, t)| (name.clone(), (t * factor).expect("scaled"))).collect()
}

pub fn save_safetensors(tensors: &Tensors, path: &Path) {
    let tensors: std::collections::HashMap<String, Tensor> = tensors.clone().into_iter().collect();
    candle_core::safetensors::save(&tensors, path).expect("saved");
}

/// Text in a pickle.
pub fn text(text: &str) -> Vec<u8> {
    [b"X".to_vec(), (text.len() as u32).to_le_bytes().to_vec(), text.as_bytes().to_vec()].concat()
}

/// A tuple of numbers in a pickle.
pub fn tuple(numbers: &[usize]) -> Vec<u8> {
    let numbers: Vec<u8> = numbers.iter().flat_map(|n| number(*n)).collect();
    [b"(".to_vec(), numbers, b"t".to_vec()].concat()
}

pub fn number(n: usize) -> Vec<u8> {
    [b"J".to_vec(), (n as u32).to_le_bytes().to_vec()].concat()
}

/// A dictionary in a pickle, of pickled values.
pub fn dictionary(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<u8> = entries.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect();
    [b"}(".to_vec(), entries, b"u".to_vec()].concat()
}

/// An object with a state in a pickle.
pub fn object(module: &str, class: &str, state: &[u8]) -> Vec<u8> {
    [format!("c{module}\n{class}\n").into_bytes(), b")\x81".to_vec(), state.to_vec(), b"b".to_vec()].concat()
}

/// Where a tensor lies in which storage.
pub struct View {
    pub class: &'static str,
    pub key: usize,
    pub len: usize,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub stride: Vec<usize>,
}

impl View {
    /// As a pickle has it.
    pub fn pickled(&self) -> Vec<u8> {
        [
            b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
            text("storage"),
            format!("ctorch\n{}\n", self.class).into_bytes(),
            text(&self.key.to_string()),
            text("cpu"),
            number(self.len),
            b"tQ".to_vec(),
            number(self.offset),
            tuple(&self.shape),
            tuple(&self.stride),
            b"\x89ccollections\nOrderedDict\n)RtR".to_vec(),
        ]
        .concat()
    }
}

/// Strides of a tensor in the order of rows.
pub fn rows(shape: &[usize]) -> Vec<usize> {
    let mut stride = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        stride[i - 1] = stride[i] * shape[i];
    }
    stride
}

/// What a file of PyTorch holds.
pub struct File {
    /// Pickled tensors by their names.
    pub tensors: Vec<(String, Vec<u8>)>,
    /// The bytes of each storage.
    pub storages: Vec<Vec<u8>>,
    /// What `byteorder` says; nothing, as before PyTorch 2.1.
    pub order: Option<&'static str>,
}

/// Name and width of PyTorch's storages of a type.
fn storage(dtype: DType) -> (&'static str, usize) {
    match dtype {
        DType::F64 => ("DoubleStorage", 8),
        DType::F16 => ("HalfStorage", 2),
        DType::BF16 => ("BFloat16Storage", 2),
        DType::I64 => ("LongStorage", 8),
        DType::U8 => ("ByteStorage", 1),
        _ => ("FloatStorage", 4),
    }
}

/// The bytes of a tensor, least significant first.
pub fn bytes(tensor: &Tensor) -> Vec<u8> {
    let flat = tensor.flatten_all().expect("flat");
    match tensor.dtype() {
        DType::F64 => flat.to_vec1::<f64>().expect("f64").iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::F16 => flat.to_vec1::<half::f16>().expect("f16").iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::BF16 => flat.to_vec1::<half::bf16>().expect("bf16").iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::I64 => flat.to_vec1::<i64>().expect("i64").iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::U8 => flat.to_vec1::<u8>().expect("u8"),
        _ => flat.to_vec1::<f32>().expect("f32").iter().flat_map(|v| v.to_le_bytes()).collect(),
    }
}

impl File {
    /// A storage for each tensor.
    pub fn of(tensors: &Tensors) -> Self {
        let mut file = Self { tensors: Vec::new(), storages: Vec::new(), order: Some("little") };
        for (key, (name, tensor)) in tensors.iter().enumerate() {
            let (class, _) = storage(tensor.dtype());
            let (shape, len) = (tensor.dims().to_vec(), tensor.elem_count());
            let stride = rows(&shape);
            file.tensors.push((name.clone(), View { class, key, len, offset: 0, shape, stride }.pickled()));
            file.storages.push(bytes(tensor));
        }
        file
    }

    /// The same as a big-endian machine writes it.
    pub fn big_endian(tensors: &Tensors) -> Self {
        let mut file = Self { order: Some("big"), ..Self::of(tensors) };
        for (bytes, tensor) in file.storages.iter_mut().zip(tensors.values()) {
            bytes.chunks_exact_mut(storage(tensor.dtype()).1).for_each(<[u8]>::reverse);
        }
        file
    }

    /// The dictionary of tensors as a pickle has it.
    pub fn dictionary(&self) -> Vec<u8> {
        let entries: Vec<(&str, Vec<u8>)> = self.tensors.iter().map(|(n, v)| (n.as_str(), v.clone())).collect();
        dictionary(&entries)
    }

    /// Writes an archive whose pickle holds `content`.
    pub fn save(&self, content: &[u8], path: &Path) {
        std::fs::write(path, self.archive(&[b"\x80\x02".to_vec(), content.to_vec(), b".".to_vec()].concat()))
            .expect("written");
    }

    /// The same in the legacy format: magic number, protocol, system, the object, keys, and each storage behind its length.
    pub fn legacy(&self, content: &[u8], width: usize) -> Vec<u8> {
        let keys: Vec<u8> = (0..self.storages.len()).flat_map(|key| text(&key.to_string())).collect();
        let mut bytes =
            b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
        bytes.extend([b"\x80\x02".to_vec(), content.to_vec(), b".\x80\x02](".to_vec(), keys, b"e.".to_vec()].concat());
        for storage in &self.storages {
            bytes.extend(((storage.len() / width) as u64).to_le_bytes());
            bytes.extend(storage);
        }
        bytes
    }

    /// The archive with this pickle.
    pub fn archive(&self, pickle: &[u8]) -> Vec<u8> {
        let mut parts = vec![("a/data.pkl".to_owned(), pickle.to_vec())];
        parts.extend(self.order.map(|order| ("a/byteorder".to_owned(), order.as_bytes().to_vec())));
        parts.extend(self.storages.iter().enumerate().map(|(i, bytes)| (format!("a/data/{i}"), bytes.clone())));
        archive(&parts)
    }
}

/// A zip archive.
pub fn archive(parts: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in parts {
        zip.start_file(name.as_str(), options).expect("begun");
        zip.write_all(bytes).expect("written");
    }
    zip.finish().expect("finished").into_inner()
}
