//! Features of a data set, encoded once, kept in half precision and memory-mapped.
//!
//! A cache file is a safetensors file named after the SHA-256 of everything that decides
//! its contents: encoder, pictures, preprocessing, split and kind of features. It appears
//! complete or not at all. Maps are stored `N x H x W x C`, as the pixel-wise head reads them.

use crate::dataset::{Dataset, Split};
use crate::encoder::LoadedEncoder;
use crate::files::{sha256, write_atomically};
use crate::progress::Progress;
use crate::{Error, Result};
use candle_core::{D, DType, Device, Tensor};
use half::f16;
use memmap2::Mmap;
use rayon::prelude::*;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

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
/// Changes with the layout of the files.
const VERSION: u32 = 1;

/// The features of one split.
pub struct FeatureSet {
    map: Mmap,
    /// Offset of the first byte, and shape without N, of each tensor.
    tensors: Vec<(usize, Vec<usize>)>,
    /// Samples.
    pub len: usize,
}

impl FeatureSet {
    /// Opens the cached features, or encodes them first.
    pub fn open_or_encode(
        folder: &Path,
        encoder: &LoadedEncoder,
        dataset: &dyn Dataset,
        split: Split,
        kind: Kind,
        device: &Device,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let preprocessing = serde_json::to_string(encoder.network.preprocessing())
            .map_err(|e| Error::Unsupported(format!("preprocessing cannot be named: {e}")))?;
        let identity = format!(
            "{VERSION}/{}/{}/{preprocessing}/{}/{kind:?}",
            encoder.provenance.sha256,
            dataset.pictures_sha256(),
            split.name()
        );
        let path = folder.join(format!("{}.safetensors", &sha256(identity.as_bytes())[..32]));
        if path.is_file() {
            match Self::open(&path) {
                Ok(set) if set.len == dataset.len(split) => return Ok(set),
                _ => {
                    tracing::warn!(path = %path.display(), "the cached features are damaged; they are encoded again");
                    std::fs::remove_file(&path).map_err(Error::io(&path))?;
                }
            }
        }
        encode(&path, encoder, dataset, split, kind, device, progress)?;
        Self::open(&path)
    }

    fn open(path: &PathBuf) -> Result<Self> {
        let bad = |reason: String| Error::Checkpoint { path: path.clone(), reason };
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
                    for (v, b) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                        *v = f16::from_le_bytes([b[0], b[1]]).to_f32();
                    }
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

fn encode(
    path: &Path,
    encoder: &LoadedEncoder,
    dataset: &dyn Dataset,
    split: Split,
    kind: Kind,
    device: &Device,
    progress: &dyn Progress,
) -> Result<()> {
    let network = &*encoder.network;
    let input = network.preprocessing();
    let n = dataset.len(split);
    let shapes: Vec<Vec<usize>> = match kind {
        Kind::Embedding => vec![vec![network.embedding_len()]],
        Kind::Maps => network
            .maps()
            .iter()
            .map(|m| vec![input.height as usize / m.stride, input.width as usize / m.stride, m.channels])
            .collect(),
    };
    progress.begin(&format!("encoding {} {} pictures with {}", n, split.name(), encoder.key), n as u64);
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
        for first in (0..n).step_by(BATCH) {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            let last = (first + BATCH).min(n);
            let inputs: Vec<Vec<f32>> = (first..last)
                .into_par_iter()
                .map(|i| Ok(input.input(&dataset.sample(split, i)?.picture)))
                .collect::<Result<_>>()?;
            let features = network.features(&input.batch(&inputs, device)?)?;
            let tensors = match kind {
                Kind::Embedding => vec![features.embedding],
                Kind::Maps => features.maps.iter().map(|m| Ok(m.permute((0, 2, 3, 1))?)).collect::<Result<Vec<_>>>()?,
            };
            for ((tensor, shape), start) in tensors.iter().zip(&shapes).zip(&starts) {
                let each = shape.iter().product::<usize>();
                let values: Vec<f32> = tensor.contiguous()?.flatten_all()?.to_vec1()?;
                // Half precision ends at 65504; no trained encoder gets there.
                let bytes: Vec<u8> =
                    values.iter().flat_map(|v| f16::from_f32(v.clamp(-65504.0, 65504.0)).to_le_bytes()).collect();
                write(file, data + start + 2 * each * first, &bytes).map_err(Error::io(path))?;
            }
            progress.advance(last as u64);
        }
        Ok(())
    })
}
