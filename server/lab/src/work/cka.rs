//! Linear centred kernel alignment between the layers of encoders (Kornblith et al. 2019,
//! arXiv 1905.00414): `|Y'X|^2 / (|X'X| |Y'Y|)` with centred columns, 0 to 1.
//!
//! It is computed from the N x N Gram matrices, which need two batches of images at a time
//! whatever the size of a layer: features lie in a temporary file, and the result is that of
//! all images at once.

use crate::pipeline::ahead;
use crate::progress::Progress;
use crate::work::encode::pictures;
use crate::work::{Lab, Record, Work, key};
use crate::{Error, Result, image};
use candle_core::{Device, Tensor};
use memmap2::Mmap;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use virboard_core::analysis::Alignment;
use virboard_nn::load::LoadedEncoder;

/// Two encoders, whose layers are compared on a folder of pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cka {
    /// Keys of the encoders; the same twice to compare one with itself.
    pub encoders: (String, String),
    /// Folder of pictures.
    pub images: PathBuf,
    /// Most pictures, the first by name.
    pub limit: usize,
    /// Side in pixels to which pictures are resized, instead of the encoder's own input.
    pub side: Option<u32>,
}

impl Work for Cka {
    const KIND: &'static str = "cka";

    fn title(&self) -> String {
        format!("layers of {} and {}", self.encoders.0, self.encoders.1)
    }

    /// Finds an [`Alignment`].
    fn run(&self, lab: &Lab, progress: &dyn Progress) -> Result<Record> {
        let mut files = pictures(&self.images)?;
        files.truncate(self.limit.max(2));
        if files.len() < 2 {
            return Err(Error::Unsupported("at least two pictures are needed".to_owned()));
        }
        let registry = &lab.registry;
        let of = |key: &str| layers(&*registry.get(key)?, &files, self.side, registry.device(), progress);
        let (first, second) = &self.encoders;
        let a = of(first)?;
        let b = if first == second { None } else { Some(of(second)?) };
        let b = b.as_ref().unwrap_or(&a);
        for (encoder, layers) in [(first, &a), (second, b)] {
            if let Some(layer) = layers.grams.iter().position(|g| !g.is_sound()) {
                return Err(Error::NotFiniteLayer { encoder: encoder.clone(), layer: layers.names[layer].clone() });
            }
            if let Some(layer) = layers.grams.iter().position(Gram::is_constant) {
                return Err(Error::NothingToAlign {
                    encoder: encoder.clone(),
                    layer: layers.names[layer].clone(),
                    images: files.len(),
                });
            }
        }
        let alignment = Alignment {
            encoders: self.encoders.clone(),
            images: files.len(),
            rows: a.names.clone(),
            columns: b.names.clone(),
            cka: a.grams.iter().map(|x| b.grams.iter().map(|y| x.cka(y)).collect()).collect(),
        };
        Ok(Record { found: key::value(&alignment)?, ..Record::default() })
    }
}

/// Images that are encoded at once.
const BATCH: usize = 8;
/// Bytes of a block of rows of a layer.
const BLOCK: usize = 256 << 20;
/// The layer that is the input itself.
const INPUT: &str = "img";

/// Similarities of N images, centred in both directions.
#[derive(Debug, Clone)]
pub struct Gram {
    n: usize,
    values: Vec<f32>,
    constant: bool,
    sound: bool,
}

/// Similarities that differ by no more than so many roundings are the same.
const ROUNDINGS: f32 = 8.0 * f32::EPSILON;

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |m, v| m.max(v.abs()))
}

impl Gram {
    /// The centred Gram matrix of `rows(from, to)`, which gives some of the `n` rows of
    /// features, `(to - from) x P`.
    pub fn of(n: usize, block: usize, rows: impl Fn(usize, usize) -> Result<Tensor>) -> Result<Self> {
        let mut values = vec![0f32; n * n];
        for i in (0..n).step_by(block) {
            let to_i = (i + block).min(n);
            let left = rows(i, to_i)?;
            for j in (i..n).step_by(block) {
                let to_j = (j + block).min(n);
                let right = if i == j { left.clone() } else { rows(j, to_j)? };
                let product: Vec<Vec<f32>> = left.matmul(&right.t()?)?.to_vec2()?;
                for (r, row) in product.iter().enumerate() {
                    for (c, v) in row.iter().enumerate() {
                        values[(i + r) * n + j + c] = *v;
                        values[(j + c) * n + i + r] = *v;
                    }
                }
            }
        }
        let before = largest(&values);
        let means: Vec<f64> =
            values.par_chunks(n).map(|row| row.iter().map(|v| f64::from(*v)).sum::<f64>() / n as f64).collect();
        let mean = means.iter().sum::<f64>() / n as f64;
        values.par_chunks_mut(n).enumerate().for_each(|(i, row)| {
            for (v, m) in row.iter_mut().zip(&means) {
                *v = (f64::from(*v) - means[i] - m + mean) as f32;
            }
        });
        let constant = largest(&values) <= ROUNDINGS * before;
        let sound = values.iter().all(|v| v.is_finite());
        Ok(Self { n, values, constant: constant && sound, sound })
    }

    /// Whether all features are numbers.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.sound
    }

    /// Whether the features of all images are the same, so that nothing can be aligned with them.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.constant
    }

    fn inner(&self, other: &Self) -> f64 {
        let rows = self.values.par_chunks(self.n).zip(other.values.par_chunks(self.n));
        let sums: Vec<f64> =
            rows.map(|(a, b)| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()).collect();
        sums.iter().sum()
    }

    /// The alignment with another layer of the same images; no number if either is constant.
    #[must_use]
    pub fn cka(&self, other: &Self) -> f64 {
        self.inner(other) / (self.inner(self) * other.inner(other)).sqrt()
    }
}

/// The layers of an encoder on some images.
pub struct Layers {
    /// `img`, the maps and `embedding`.
    pub names: Vec<String>,
    /// A Gram matrix each.
    pub grams: Vec<Gram>,
}

/// Encodes `files` and gives the Gram matrix of every layer. Images are resized to `side`
/// squared (ViRB: 112), or to the encoder's own input size.
pub fn layers(
    encoder: &LoadedEncoder,
    files: &[PathBuf],
    side: Option<u32>,
    device: &Device,
    progress: &dyn Progress,
) -> Result<Layers> {
    let input = *encoder.network.preprocessing();
    let input =
        side.map_or(input, |side| virboard_nn::preprocess::Preprocessing { width: side, height: side, ..input });
    let names: Vec<String> = std::iter::once(INPUT.to_owned())
        .chain(encoder.network.maps().iter().map(|m| m.name.clone()))
        .chain(["embedding".to_owned()])
        .collect();
    let mut stores = Vec::with_capacity(names.len());
    for _ in &names {
        stores.push(Store::new()?);
    }
    progress.begin(&format!("encoding with {}", encoder.key), files.len() as u64);
    let prepare = |chunk: &[PathBuf]| -> Result<Vec<Vec<f32>>> {
        chunk
            .par_iter()
            .map(|file| {
                let bytes = std::fs::read(file).map_err(Error::io(file))?;
                let picture = image::decode_stored(&bytes)
                    .map_err(|e| Error::Damaged { path: file.clone(), reason: e.to_string() })?;
                Ok(input.input(&picture))
            })
            .collect()
    };
    let mut done = 0;
    ahead(files.chunks(BATCH), prepare, |values| {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        let batch = input.batch(&values, device)?;
        let features = encoder.network.features(&batch)?;
        let all = std::iter::once(&batch).chain(&features.maps).chain([&features.embedding]);
        for (store, tensor) in stores.iter_mut().zip(all) {
            store.add(tensor)?;
        }
        done += values.len();
        progress.advance(done as u64);
        Ok(())
    })?;
    progress.begin(&format!("comparing images by {}'s layers", encoder.key), stores.len() as u64);
    let mut grams = Vec::with_capacity(stores.len());
    for (i, store) in stores.into_iter().enumerate() {
        grams.push(store.gram(files.len(), device)?);
        progress.advance(i as u64 + 1);
    }
    Ok(Layers { names, grams })
}

/// The features of a layer in a file that nobody else sees.
struct Store {
    file: std::fs::File,
    width: usize,
}

impl Store {
    fn new() -> Result<Self> {
        let file = tempfile::tempfile().map_err(Error::io(std::env::temp_dir()))?;
        Ok(Self { file, width: 0 })
    }

    fn add(&mut self, rows: &Tensor) -> Result<()> {
        let flat = rows.flatten_from(1)?.to_device(&Device::Cpu)?;
        self.width = flat.dim(1)?;
        let values: Vec<f32> = flat.flatten_all()?.to_vec1()?;
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.file.write_all(&bytes).map_err(Error::io(Path::new("temporary features")))
    }

    fn gram(self, n: usize, device: &Device) -> Result<Gram> {
        // SAFETY: the file has no name; only this process can change it, and it does not.
        let map = unsafe { Mmap::map(&self.file) }.map_err(Error::io(Path::new("temporary features")))?;
        let width = self.width;
        let block = (BLOCK / (4 * width.max(1))).clamp(1, n.max(1));
        Gram::of(n, block, |from, to| {
            let bytes = &map[4 * width * from..4 * width * to];
            let values: Vec<f32> =
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            Ok(Tensor::from_vec(values, (to - from, width), &Device::Cpu)?.to_device(device)?)
        })
    }
}
