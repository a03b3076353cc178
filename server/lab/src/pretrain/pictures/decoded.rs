//! Decoded pictures, kept in memory as far as they fit.

use crate::error::PicturesError;
use crate::progress::Progress;
use crate::{Error, Result, image};
use ::image::RgbImage;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use virboard_nn::preprocess::{Filter, resize};

/// Pictures that are decoded between two looks at the memory.
const AT_ONCE: usize = 256;

/// The pictures of a list that are kept, and how the others are decoded.
#[derive(Debug)]
pub struct Decoded {
    side: Option<u32>,
    /// Bytes that may be kept.
    memory: usize,
    kept: Vec<Option<Arc<RgbImage>>>,
}

impl Decoded {
    /// Keeps nothing yet.
    pub fn new(side: Option<u32>, memory: usize) -> Self {
        Self { side, memory, kept: Vec::new() }
    }

    /// Decodes the pictures until the memory is full, or all of them where those that cannot be read are to be skipped:
    /// their numbers are given back, each with what is wrong.
    pub fn fill(
        &mut self,
        paths: &[&Path],
        skip_broken: bool,
        progress: &dyn Progress,
    ) -> Result<BTreeMap<usize, String>> {
        progress.begin("decoding pictures", paths.len() as u64);
        self.kept = vec![None; paths.len()];
        let (mut broken, mut bytes, mut full) = (BTreeMap::new(), 0usize, false);
        for (chunk, paths) in paths.chunks(AT_ONCE).enumerate() {
            if full && !skip_broken {
                break;
            }
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            let decoded: Vec<_> = paths.par_iter().map(|path| decode(path, self.side)).collect();
            for (i, decoded) in (AT_ONCE * chunk..).zip(decoded) {
                match decoded {
                    Ok(picture) => {
                        bytes = bytes.saturating_add(picture.as_raw().len());
                        full |= bytes > self.memory;
                        self.kept[i] = (!full).then(|| Arc::new(picture));
                    }
                    Err(PicturesError::Broken { reason, .. }) if skip_broken => drop(broken.insert(i, reason)),
                    Err(error) => return Err(error.into()),
                }
            }
            progress.advance((AT_ONCE * chunk + paths.len()) as u64);
        }
        Ok(broken)
    }

    /// Takes pictures off the list.
    pub fn leave_out<T>(&mut self, broken: &BTreeMap<usize, T>) {
        let mut number = 0..;
        self.kept.retain(|_| number.next().is_none_or(|i| !broken.contains_key(&i)));
    }

    /// How many pictures are kept.
    pub fn kept(&self) -> usize {
        self.kept.iter().flatten().count()
    }

    /// A picture of the list, whose file lies at `path`.
    pub fn get(&self, number: usize, path: &Path) -> std::result::Result<Arc<RgbImage>, PicturesError> {
        match &self.kept[number] {
            Some(picture) => Ok(picture.clone()),
            None => Ok(Arc::new(decode(path, self.side)?)),
        }
    }
}

fn decode(path: &Path, side: Option<u32>) -> std::result::Result<RgbImage, PicturesError> {
    let broken = |reason: String| PicturesError::Broken { path: path.to_path_buf(), reason };
    let bytes = std::fs::read(path).map_err(|e| broken(format!("{e}.")))?;
    let picture = image::decode_stored(&bytes).map_err(|e| broken(e.to_string()))?;
    Ok(match side.filter(|side| *side < picture.width().min(picture.height())) {
        Some(side) => {
            let (width, height) = shorter_side(picture.dimensions(), side);
            resize(&picture, width, height, Filter::Bilinear)
        }
        None => picture,
    })
}

/// The size of a picture whose shorter side becomes `side`, as torchvision's `Resize` computes it.
pub fn shorter_side((width, height): (u32, u32), side: u32) -> (u32, u32) {
    let longer = |long: u32, short: u32| (u64::from(side) * u64::from(long) / u64::from(short)) as u32;
    if width <= height { (side, longer(height, width)) } else { (longer(width, height), side) }
}
