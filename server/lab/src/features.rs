//! Features of a data set, encoded once, kept in half precision and memory-mapped.
//!
//! A cache file is a safetensors file named after the SHA-256 of everything that decides
//! its contents: encoder, pictures, preprocessing, split and kind of features. It appears
//! complete or not at all, with its description beside it (`.json`). Maps are stored
//! `N x H x W x C`, as heads read them.

use crate::data::{Dataset, Split};
use crate::pipeline::ahead;
use crate::progress::Progress;
use crate::{Error, Result};
use candle_core::{D, DType, Device, Tensor};
use half::f16;
use memmap2::Mmap;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use virboard_nn::encoder::Features;
use virboard_nn::files::{self, sha256, write_atomically};
use virboard_nn::load::LoadedEncoder;

/// Which features a head needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `N x E`.
    Embedding,
    /// All maps.
    Maps,
}

/// Pictures that are encoded at once.
const BATCH: usize = 8;
/// Changes with the layout of the files, and with what is done to pictures before encoding.
const VERSION: u32 = 4;

/// The folder of cached features and how large it may grow.
#[derive(Debug, Clone)]
pub struct Cache {
    /// The folder.
    pub folder: PathBuf,
    /// Most bytes that it may hold; the least recently used files leave first.
    pub limit: u64,
}

/// What is encoded.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The encoder.
    pub encoder: &'a LoadedEncoder,
    /// Key of the task, for listings.
    pub task: &'a str,
    /// The data set.
    pub dataset: &'a dyn Dataset,
    /// Its split.
    pub split: Split,
    /// Which features.
    pub kind: Kind,
    /// The encoder's device.
    pub device: &'a Device,
}

/// What stands beside a cache file: where it comes from, and how to tell that it is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Key of the encoder.
    pub encoder: String,
    /// Key of the task that first asked for it.
    pub task: String,
    /// `train` or `test`.
    pub split: String,
    /// `embedding` or `maps`.
    pub kind: String,
    /// Samples.
    pub samples: usize,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// A file of the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was last used, seconds since 1970.
    pub used_at: u64,
    /// Where it comes from; nothing for a file whose description is gone.
    pub description: Option<Description>,
}

impl Cache {
    /// All files, the most recently used first.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let Ok(folder) = std::fs::read_dir(&self.folder) else { return Ok(Vec::new()) };
        let mut entries: Vec<Entry> = folder
            .flatten()
            .filter(|e| e.path().extension().is_some_and(|e| e == "safetensors"))
            .filter_map(|e| {
                let metadata = e.metadata().ok()?;
                let used = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
                let description = std::fs::read(e.path().with_extension("json")).ok();
                Some(Entry {
                    path: e.path(),
                    bytes: metadata.len(),
                    used_at: used.as_secs(),
                    description: description.and_then(|d| serde_json::from_slice(&d).ok()),
                })
            })
            .collect();
        entries.sort_by_key(|e| std::cmp::Reverse((e.used_at, e.path.clone())));
        Ok(entries)
    }

    /// Removes the least recently used files until at most `bytes` are left; gives what was
    /// removed. A process that reads one of them keeps it until it ends.
    pub fn prune(&self, bytes: u64) -> Result<Vec<Entry>> {
        let mut left = bytes;
        let mut removed = Vec::new();
        for entry in self.entries()? {
            if entry.bytes <= left {
                left -= entry.bytes;
                continue;
            }
            left = 0;
            std::fs::remove_file(&entry.path).map_err(Error::io(&entry.path))?;
            for ending in ["json", "lock"] {
                let _ = std::fs::remove_file(entry.path.with_extension(ending));
            }
            removed.push(entry);
        }
        Ok(removed)
    }

    /// Opens the cached features, or encodes them first. Of two processes that ask for the
    /// same, one encodes and the other waits for it.
    pub fn open_or_encode(&self, request: Request<'_>, progress: &dyn Progress) -> Result<FeatureSet> {
        let Request { encoder, dataset, split, kind, .. } = request;
        let preprocessing = serde_json::to_string(encoder.network.preprocessing())
            .map_err(|e| Error::Unsupported(format!("preprocessing cannot be named: {e}")))?;
        let precision = if encoder.precision.is_default() { "" } else { encoder.precision.name() };
        let identity = format!(
            "{VERSION}/{}{precision}/{}/{preprocessing}/{}/{kind:?}",
            encoder.provenance.sha256,
            dataset.pictures_sha256(),
            split.name()
        );
        let path = self.folder.join(format!("{}.safetensors", &sha256(identity.as_bytes())[..32]));
        std::fs::create_dir_all(&self.folder).map_err(Error::io(&self.folder))?;
        let _lock = files::lock(&path.with_extension("lock"))?;
        if path.is_file() {
            match Self::open(&path) {
                Ok(set) if set.len == dataset.len(split) => return Ok(set),
                _ => {
                    tracing::warn!(path = %path.display(), "the cached features are damaged; they are encoded again");
                    std::fs::remove_file(&path).map_err(Error::io(&path))?;
                }
            }
        }
        let shapes = shapes(request);
        let bytes: u64 = shapes.iter().map(|s| 2 * (dataset.len(split) * s.iter().product::<usize>()) as u64).sum();
        if bytes > self.limit {
            return Err(Error::CacheLimit { bytes, limit: self.limit, folder: self.folder.clone() });
        }
        self.prune(self.limit - bytes)?;
        encode(&path, request, &shapes, progress)?;
        let description = Description {
            encoder: encoder.key.clone(),
            task: request.task.to_owned(),
            split: split.name().to_owned(),
            kind: format!("{kind:?}").to_lowercase(),
            samples: dataset.len(split),
            sha256: files::sha256_file(&path)?,
        };
        let json = serde_json::to_vec(&description).map_err(|e| Error::Unsupported(e.to_string()))?;
        let beside = path.with_extension("json");
        write_atomically(&beside, |file| file.write_all(&json).map_err(Error::io(&beside)))?;
        FeatureSet::open(&path)
    }

    /// Opens a file that is whole by its description, and marks it as used.
    fn open(path: &Path) -> Result<FeatureSet> {
        let beside = path.with_extension("json");
        let json = std::fs::read(&beside).map_err(Error::io(&beside))?;
        let bad = |reason: &str| Error::Unusable {
            path: path.to_path_buf(),
            what: "feature cache",
            reason: reason.to_owned(),
        };
        let description: Description = serde_json::from_slice(&json).map_err(|_| bad("its description is damaged"))?;
        if files::sha256_file(path)? != description.sha256 {
            return Err(bad("its contents have changed"));
        }
        if let Ok(file) = std::fs::File::options().append(true).open(path) {
            let _ = file.set_modified(std::time::SystemTime::now());
        }
        FeatureSet::open(path)
    }
}

/// The features of one split.
pub struct FeatureSet {
    map: Mmap,
    /// Offset of the first byte, and shape without N, of each tensor.
    tensors: Vec<(usize, Vec<usize>)>,
    /// Samples.
    pub len: usize,
}

impl FeatureSet {
    fn open(path: &Path) -> Result<Self> {
        let bad = |reason: String| Error::Unusable { path: path.to_path_buf(), what: "feature cache", reason };
        let file = std::fs::File::open(path).map_err(Error::io(path))?;
        // SAFETY: cache files are never changed once they have their name.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path))?;
        let (header, metadata) = safetensors::SafeTensors::read_metadata(&map).map_err(|e| bad(e.to_string()))?;
        let mut tensors = Vec::new();
        let mut len = 0;
        for i in 0.. {
            let Some(info) = metadata.info(&i.to_string()) else { break };
            let (Some(n), safetensors::Dtype::F16) = (info.shape.first(), info.dtype) else {
                return Err(bad("it is not a feature cache".to_owned()));
            };
            len = *n;
            tensors.push((8 + header + info.data_offsets.0, info.shape[1..].to_vec()));
        }
        // Checks that the data is as long as the header says.
        safetensors::SafeTensors::deserialize(&map).map_err(|e| bad(e.to_string()))?;
        Ok(Self { map, tensors, len })
    }

    /// The tensors of some samples, `f32`: the embedding alone, or all maps, the finest first.
    pub fn batch(&self, indices: &[usize], device: &Device) -> Result<Vec<Tensor>> {
        self.tensors
            .iter()
            .map(|(offset, shape)| {
                let each: usize = shape.iter().product();
                let mut values = vec![0f32; each * indices.len()];
                values.par_chunks_mut(each).zip(indices).for_each(|(out, index)| {
                    let bytes = &self.map[offset + 2 * each * index..][..2 * each];
                    widen(bytes, out);
                });
                let shape: Vec<usize> = std::iter::once(indices.len()).chain(shape.iter().copied()).collect();
                Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_device(device)?)
            })
            .collect()
    }

    /// Mean and standard deviation of each channel over all samples (and pixels), in the
    /// order of [`Self::batch`]. A channel that hardly varies gets a thousandth of the mean
    /// deviation, so that dividing by it is safe.
    pub fn statistics(&self, device: &Device) -> Result<Vec<(Tensor, Tensor)>> {
        let mut sums: Vec<Option<(Tensor, Tensor, usize)>> = self.tensors.iter().map(|_| None).collect();
        let all: Vec<usize> = (0..self.len).collect();
        for chunk in all.chunks(BATCH) {
            for (sum, tensor) in sums.iter_mut().zip(self.batch(chunk, device)?) {
                let channels = tensor.dim(D::Minus1)?;
                let flat = tensor.reshape(((), channels))?.to_dtype(DType::F64)?;
                let (s, q, n) = (flat.sum(0)?, flat.sqr()?.sum(0)?, flat.dim(0)?);
                *sum = Some(match sum.take() {
                    Some((a, b, m)) => ((a + s)?, (b + q)?, m + n),
                    None => (s, q, n),
                });
            }
        }
        sums.into_iter()
            .flatten()
            .map(|(sum, squares, n)| {
                let mean = (sum / n as f64)?;
                let std = ((squares / n as f64)? - mean.sqr()?)?.relu()?.sqrt()?;
                let floor = (std.mean_all()?.to_scalar::<f64>()? * 1e-3).max(1e-6);
                let std = std.maximum(floor)?;
                Ok((mean.to_dtype(DType::F32)?, std.to_dtype(DType::F32)?))
            })
            .collect()
    }
}

/// The bytes of a value in half precision, which ends at 65504; no trained encoder gets there.
pub(crate) fn halved(value: f32) -> [u8; 2] {
    f16::from_f32(value.clamp(-65504.0, 65504.0)).to_le_bytes()
}

/// Values from their bytes in half precision.
pub(crate) fn widen(bytes: &[u8], out: &mut [f32]) {
    for (v, b) in out.iter_mut().zip(bytes.chunks_exact(2)) {
        *v = f16::from_le_bytes([b[0], b[1]]).to_f32();
    }
}

/// Shapes without N: a sample's images lie side by side on channels.
fn shapes(request: Request<'_>) -> Vec<Vec<usize>> {
    let (network, images) = (&*request.encoder.network, request.dataset.images());
    let input = network.preprocessing();
    match request.kind {
        Kind::Embedding => vec![vec![images * network.embedding_len()]],
        Kind::Maps => network
            .maps()
            .iter()
            .map(|m| {
                vec![
                    (input.height as usize).div_ceil(m.stride),
                    (input.width as usize).div_ceil(m.stride),
                    images * m.channels,
                ]
            })
            .collect(),
    }
}

fn encode(path: &Path, request: Request<'_>, shapes: &[Vec<usize>], progress: &dyn Progress) -> Result<()> {
    let Request { encoder, dataset, split, kind, device, .. } = request;
    let network = &*encoder.network;
    let input = network.preprocessing();
    let (n, images) = (dataset.len(split), dataset.images());
    progress.begin(&format!("encoding {} {} samples with {}", n, split.name(), encoder.key), n as u64);
    write_atomically(path, |file| {
        let mut header = serde_json::Map::new();
        let mut starts = Vec::new();
        let mut at = 0usize;
        for (i, shape) in shapes.iter().enumerate() {
            let bytes = 2 * n * shape.iter().product::<usize>();
            let full: Vec<usize> = std::iter::once(n).chain(shape.iter().copied()).collect();
            header.insert(
                i.to_string(),
                serde_json::json!({ "dtype": "F16", "shape": full, "data_offsets": [at, at + bytes] }),
            );
            starts.push(at);
            at += bytes;
        }
        let mut header = serde_json::Value::Object(header).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        let io = Error::io(path);
        let data = 8 + header.len();
        let write = |file: &mut std::fs::File, at: usize, bytes: &[u8]| {
            file.seek(SeekFrom::Start(at as u64)).and_then(|_| file.write_all(bytes))
        };
        file.set_len((data + at) as u64).map_err(io)?;
        write(file, 0, &(header.len() as u64).to_le_bytes()).map_err(Error::io(path))?;
        write(file, 8, &header).map_err(Error::io(path))?;
        let prepare = |first: usize| -> Result<(usize, Vec<Vec<Vec<f32>>>)> {
            let sample = |i| Ok(dataset.sample(split, i)?.pictures.iter().map(|p| input.input(p)).collect());
            Ok((first, (first..(first + BATCH).min(n)).into_par_iter().map(sample).collect::<Result<_>>()?))
        };
        ahead((0..n).step_by(BATCH), prepare, |(first, inputs)| {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            let mut features = Vec::with_capacity(images);
            for image in 0..images {
                let of_image: Vec<Vec<f32>> = inputs.iter().map(|sample| sample[image].clone()).collect();
                features.push(network.features_with(&input.batch(&of_image, device)?, kind == Kind::Maps)?);
            }
            let tensors = match kind {
                Kind::Embedding => vec![Features::embeddings(&features)?],
                Kind::Maps => Features::maps_nhwc(&features)?,
            };
            for ((tensor, shape), start) in tensors.iter().zip(shapes).zip(&starts) {
                let each = shape.iter().product::<usize>();
                let values: Vec<f32> = tensor.contiguous()?.flatten_all()?.to_vec1()?;
                let bytes: Vec<u8> = values.iter().flat_map(|v| halved(*v)).collect();
                write(file, data + start + 2 * each * first, &bytes).map_err(Error::io(path))?;
            }
            progress.advance((first + inputs.len()) as u64);
            Ok(())
        })
    })
}
