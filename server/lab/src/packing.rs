//! Packing the checkpoint of an encoder (see [`packed`](virboard_nn::checkpoint::packed)), and what that costs.

use crate::progress::Progress;
use crate::registry::Registry;
use crate::work::encode::{EMBEDDING, finite, input, pictures};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use virboard_nn::files::refuse_overwriting;
use virboard_nn::load::LoadedEncoder;

/// What packing saved and cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Packing {
    /// Bytes of the checkpoint, with all that lies in it beside the encoder.
    pub bytes_before: u64,
    /// Bytes of the packed file.
    pub bytes_after: u64,
    /// How alike embeddings are before and after.
    pub likeness: Likeness,
}

/// How alike the embeddings of two encoders are, over some pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    /// Number of pictures.
    pub pictures: usize,
    /// Mean cosine similarity, from -1 to 1.
    pub cosine: f64,
    /// The largest length of a difference by the length of the first embedding, 0 if all are the same.
    pub largest_change: f64,
}

/// Packs the checkpoint of an encoder into the file `out` and compares the embeddings of the pictures in the folder
/// `images`, which are read as [`encode`](crate::work::encode::encode) reads them.
///
/// # Errors
/// [`Error::NoWeights`] and whatever is wrong with the encoder or a picture; an output never overwrites what is read
/// for it.
pub fn pack(registry: &Registry, key: &str, out: &Path, images: &Path, progress: &dyn Progress) -> Result<Packing> {
    let before = registry.get(key)?;
    let pictures = pictures(images)?;
    refuse_overwriting(out, pictures.iter().map(PathBuf::as_path))?;
    before.pack(out)?;
    let after = registry.load(&*registry.entry(key)?, out)?;
    let bytes = |path: &Path| Ok::<_, Error>(std::fs::metadata(path).map_err(Error::io(path))?.len());
    Ok(Packing {
        bytes_before: before.file.as_deref().map_or(Ok(0), bytes)?,
        bytes_after: bytes(out)?,
        likeness: likeness(&before, &after, &pictures, registry.device(), progress)?,
    })
}

/// Pictures that are encoded at once.
const BATCH: usize = 8;

/// Compares the embeddings of two encoders that take the same input, of one picture at least.
///
/// # Errors
/// [`Error::ZeroEmbedding`] and [`Error::NotFiniteFeatures`] for embeddings that cannot be compared.
fn likeness(
    before: &LoadedEncoder,
    after: &LoadedEncoder,
    pictures: &[PathBuf],
    device: &Device,
    progress: &dyn Progress,
) -> Result<Likeness> {
    let (mut cosines, mut largest_change) = (0.0, 0f64);
    progress.begin("comparing", pictures.len() as u64);
    for (batch, files) in pictures.chunks(BATCH).enumerate() {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        let inputs: Vec<Vec<f32>> = files.par_iter().map(|file| input(before, file)).collect::<Result<_>>()?;
        let inputs = before.network.preprocessing().batch(&inputs, device)?;
        let [before, after] = [embeddings(before, &inputs, files)?, embeddings(after, &inputs, files)?];
        for (picture, (before, after)) in files.iter().zip(before.iter().zip(&after)) {
            let (cosine, change) =
                compared(before, after).ok_or_else(|| Error::ZeroEmbedding { picture: picture.clone() })?;
            cosines += cosine;
            largest_change = largest_change.max(change);
        }
        progress.advance((batch * BATCH + files.len()) as u64);
    }
    Ok(Likeness { pictures: pictures.len(), cosine: cosines / pictures.len() as f64, largest_change })
}

/// Finite embeddings of a batch, a row for each picture.
fn embeddings(encoder: &LoadedEncoder, inputs: &Tensor, files: &[PathBuf]) -> Result<Vec<Vec<f32>>> {
    let rows = encoder.network.embedding(inputs)?.to_device(&Device::Cpu)?;
    finite(&rows, EMBEDDING, files)?;
    Ok(rows.to_vec2()?)
}

/// Cosine similarity, and the length of the difference by the length of the first; none if one of them is 0 throughout.
fn compared(before: &[f32], after: &[f32]) -> Option<(f64, f64)> {
    let products = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let lengths = [before, after].map(|row| products(row, row).sqrt());
    let difference: Vec<f32> = before.iter().zip(after).map(|(a, b)| b - a).collect();
    let cosine = products(before, after) / (lengths[0] * lengths[1]);
    let change = products(&difference, &difference).sqrt() / lengths[0];
    lengths.iter().all(|length| *length > 0.0).then_some((cosine, change))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embeddings_are_compared_by_direction_and_length() {
        let near = |found: Option<(f64, f64)>, wanted: (f64, f64)| {
            let found = found.expect("compared");
            assert!((found.0 - wanted.0).abs() < 1e-9 && (found.1 - wanted.1).abs() < 1e-9, "{found:?}");
        };
        near(compared(&[3.0, 4.0], &[3.0, 4.0]), (1.0, 0.0));
        near(compared(&[3.0, 4.0], &[6.0, 8.0]), (1.0, 1.0));
        near(compared(&[3.0, 4.0], &[-4.0, 3.0]), (0.0, 50f64.sqrt() / 5.0));
        assert_eq!(compared(&[0.0, 0.0], &[1.0, 0.0]), None);
        assert_eq!(compared(&[1.0, 0.0], &[0.0, 0.0]), None);
    }
}
