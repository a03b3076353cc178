//! PyTorch's two file formats: the zip archive (since 1.6) and the legacy stream of pickles.

use super::layout::bad;
use super::pickle::{Node, Pickle, Refusal, Value};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;
use virboard_core::catalogue::encoder::Format;

/// The bytes of storages by their key.
enum Storages<'a> {
    Zip { archive: zip::ZipArchive<std::io::Cursor<&'a [u8]>>, folder: String },
    Legacy(HashMap<String, &'a [u8]>),
}

/// All tensors under their own names, as `f32`.
pub(super) fn all(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let wanted =
        |names: &[String]| Ok(((), names.iter().filter(|n| !n.ends_with("num_batches_tracked")).cloned().collect()));
    Ok(read(path, None, wanted)?.1)
}

/// Reads the tensors that `choose` names, given the names of all; passes on what else it says.
pub(super) fn read<C>(
    path: &Path,
    format: Option<Format>,
    choose: impl FnOnce(&[String]) -> Result<(C, Vec<String>)>,
) -> Result<(C, BTreeMap<String, Tensor>)> {
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    // SAFETY: the file is only read; who changes it while it is loaded gets wrong weights, as with any file.
    let map = unsafe { memmap2::Mmap::map(&file) }.map_err(Error::io(path))?;
    let bytes: &[u8] = &map;
    let (pickle, mut storages) =
        if bytes.starts_with(b"PK\x03\x04") { open_zip(path, bytes)? } else { legacy(path, bytes)? };
    let state = state_dict(&pickle, format).ok_or_else(|| bad(path, "it holds no dictionary of tensors"))?;
    let mut names: Vec<String> = Vec::new();
    let mut tensors: HashMap<String, &Node> = HashMap::new();
    for (key, value) in state {
        if let (Value::Text(name), Some(node @ Node::Tensor { .. })) = (key, pickle.node(value)) {
            names.push(name.to_string());
            tensors.insert(name.to_string(), node);
        }
    }
    let (choice, chosen) = choose(&names)?;
    let mut read = BTreeMap::new();
    for name in chosen {
        let tensor = tensor(&pickle, tensors[&name], &mut storages)
            .map_err(|reason| bad(path, format!("tensor `{name}`: {reason}")))?;
        read.insert(name, tensor);
    }
    Ok((choice, read))
}

fn refused(path: &Path) -> impl Fn(Refusal) -> Error {
    let path = path.to_path_buf();
    move |refusal| match refusal {
        Refusal::Unsafe(name) => Error::UnsafePickle { path: path.clone(), name },
        Refusal::Malformed(reason) => Error::Checkpoint { path: path.clone(), reason },
    }
}

/// Larger pickles than any list of tensor names are not read.
const MAX_PICKLE: u64 = 256 << 20;

fn open_zip<'a>(path: &Path, bytes: &'a [u8]) -> Result<(Pickle, Storages<'a>)> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(|e| bad(path, e))?;
    let name = archive.file_names().flatten().find(|n| n.ends_with("/data.pkl")).map(std::borrow::Cow::into_owned);
    let name = name.ok_or_else(|| bad(path, "the archive has no data.pkl"))?;
    let folder = name.trim_end_matches("data.pkl").to_owned();
    let mut data = Vec::new();
    archive
        .by_name(&name)
        .map_err(|e| bad(path, e))?
        .take(MAX_PICKLE)
        .read_to_end(&mut data)
        .map_err(Error::io(path))?;
    let (pickle, _) = Pickle::parse(&data).map_err(refused(path))?;
    Ok((pickle, Storages::Zip { archive, folder }))
}

/// Magic number, protocol and system information, each a pickle; the object; the list of
/// storage keys; then per key the number of elements (8 bytes) and the raw elements.
fn legacy<'a>(path: &Path, bytes: &'a [u8]) -> Result<(Pickle, Storages<'a>)> {
    let mut at = 0;
    let mut next = || -> Result<Pickle> {
        let (pickle, length) = Pickle::parse(&bytes[at..]).map_err(refused(path))?;
        at += length;
        Ok(pickle)
    };
    for _ in 0..3 {
        next()?;
    }
    let object = next()?;
    let keys = next()?;
    let Some(Node::Sequence(keys)) = keys.node(&keys.root) else { return Err(bad(path, "it has no list of storages")) };
    let sizes: HashMap<&str, (usize, usize)> =
        object.storages().filter_map(|(class, key, len)| Some((key, (len, dtype(class)?.1)))).collect();
    let mut storages = HashMap::new();
    for key in keys {
        let Value::Text(key) = key else { return Err(bad(path, "a storage's key is not text")) };
        let Some((_, width)) = sizes.get(&**key) else { return Err(bad(path, format!("storage {key} has no type"))) };
        let header = bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
        let length = header.and_then(|n| usize::try_from(n).ok()).and_then(|n| n.checked_mul(*width));
        let data = length.and_then(|n| bytes.get(at + 8..(at + 8).checked_add(n)?));
        let data = data.ok_or_else(|| bad(path, format!("it is cut off in storage {key}")))?;
        at += 8 + data.len();
        storages.insert(key.to_string(), data);
    }
    Ok((object, Storages::Legacy(storages)))
}

/// The dictionary that holds the tensors.
fn state_dict(pickle: &Pickle, format: Option<Format>) -> Option<&[(Value, Value)]> {
    let trunk = || {
        ["classy_state_dict", "base_model", "model", "trunk"]
            .iter()
            .try_fold(&pickle.root, |value, key| pickle.get(value, key))
    };
    let nested = || ["state_dict", "model_state_dict", "model"].iter().find_map(|key| pickle.get(&pickle.root, key));
    let is_dict = |v: &&Value| matches!(pickle.node(v), Some(Node::Dict(_)));
    let found = match format {
        Some(Format::Pirl) => trunk(),
        _ => trunk().or_else(nested).filter(is_dict).or(Some(&pickle.root)),
    }?;
    match pickle.node(found)? {
        Node::Dict(entries) => Some(entries),
        _ => None,
    }
}

/// Element type and bytes an element of a storage class.
fn dtype(class: &str) -> Option<(DType, usize)> {
    Some(match class.strip_prefix("torch.")? {
        "FloatStorage" => (DType::F32, 4),
        "DoubleStorage" => (DType::F64, 8),
        "HalfStorage" => (DType::F16, 2),
        "BFloat16Storage" => (DType::BF16, 2),
        "LongStorage" => (DType::I64, 8),
        "IntStorage" => (DType::U32, 4),
        "ByteStorage" | "CharStorage" | "BoolStorage" => (DType::U8, 1),
        "ShortStorage" => (DType::I16, 2),
        _ => return None,
    })
}

/// Elements of the largest tensor that is read.
const MAX_ELEMENTS: usize = 1 << 30;

fn tensor(pickle: &Pickle, node: &Node, storages: &mut Storages<'_>) -> std::result::Result<Tensor, String> {
    let Node::Tensor { storage, offset, shape, stride } = node else { return Err("is no tensor".to_owned()) };
    let Some(Node::Storage { class, key, len }) = pickle.storage(*storage) else {
        return Err("has no storage".to_owned());
    };
    let (dtype, width) = dtype(class).ok_or_else(|| format!("has the unknown type {class}"))?;
    let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).filter(|n| *n <= MAX_ELEMENTS);
    let count = count.ok_or("is too large")?;
    let last =
        shape.iter().zip(stride).try_fold(*offset, |at, (d, s)| at.checked_add(d.saturating_sub(1).checked_mul(*s)?));
    if count > 0 && last.is_none_or(|last| last >= *len) {
        return Err("reaches beyond its storage".to_owned());
    }
    let owned;
    let bytes: &[u8] = match storages {
        Storages::Legacy(all) => all.get(&**key).ok_or("its storage is missing")?,
        Storages::Zip { archive, folder } => {
            let entry = archive.by_name(&format!("{folder}data/{key}")).map_err(|e| e.to_string())?;
            let mut data = Vec::new();
            let limit = (*len as u64).saturating_mul(width as u64);
            entry.take(limit).read_to_end(&mut data).map_err(|e| e.to_string())?;
            owned = data;
            &owned
        }
    };
    if len.checked_mul(width).is_none_or(|n| bytes.len() < n) {
        return Err("its storage is cut off".to_owned());
    }
    let mut gathered = Vec::with_capacity(count * width);
    let mut index = vec![0usize; shape.len()];
    for _ in 0..count {
        let element = offset + index.iter().zip(stride).map(|(i, s)| i * s).sum::<usize>();
        gathered.extend_from_slice(&bytes[element * width..][..width]);
        for (i, d) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < *d {
                break;
            }
            *i = 0;
        }
    }
    Tensor::from_raw_buffer(&gathered, dtype, shape, &Device::Cpu)
        .and_then(|t| t.to_dtype(DType::F32))
        .map_err(|e| e.to_string())
}
