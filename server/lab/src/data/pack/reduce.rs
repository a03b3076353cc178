//! Pictures and truths reduced to a small size, to the bit as Pillow does it.

use crate::data::raster;
use crate::error::PackError;
use crate::image::decode_stored;
use crate::{Error, Result};
use image::{GrayImage, ImageFormat, ImageReader, RgbImage};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use virboard_nn::preprocess::{Filter, resize};

/// How pictures are reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reduction {
    /// Pixels that the shorter side has at most.
    pub side: u32,
    /// Whether every picture becomes a square of that side, whatever its shape.
    pub square: bool,
    /// Quality of the JPEGs, 1 to 100.
    pub quality: u8,
}

impl Reduction {
    /// The size of a reduced picture; one that is small enough stays as it is.
    #[must_use]
    pub fn size(&self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.square {
            return (self.side, self.side);
        }
        let factor = (f64::from(self.side) / f64::from(width.min(height))).min(1.0);
        // Python's rounding.
        let scaled = |pixels: u32| ((f64::from(pixels) * factor).round_ties_even() as u32).max(1);
        (scaled(width), scaled(height))
    }

    /// A picture as a JPEG of the reduced size: Pillow's Lanczos filter and its `optimize`. One that was `packed`
    /// before and fits stays byte for byte.
    ///
    /// # Errors
    /// [`Error::Picture`] for a file that cannot be decoded, [`PackError::NotJpeg`] for one that is too long.
    pub fn picture(&self, path: &Path, packed: bool) -> Result<Vec<u8>> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let stored = decode_stored(&bytes).map_err(|source| Error::Picture { path: path.to_path_buf(), source })?;
        let (width, height) = self.size(stored.dimensions());
        if packed && stored.dimensions() == (width, height) && bytes.starts_with(&[0xFF, 0xD8]) {
            return Ok(bytes);
        }
        let small = resize(&stored, width, height, Filter::Lanczos);
        jpeg(&small, self.quality).ok_or_else(|| PackError::NotJpeg { path: path.to_path_buf(), width, height }.into())
    }

    /// A truth of numbers as a PNG of the size that its picture is reduced to: brought to the picture's size first, each
    /// time by the nearest pixel.
    pub fn truth(&self, numbers: &GrayImage, picture: &Path) -> Result<Vec<u8>> {
        let whole = dimensions(picture)?;
        let (width, height) = self.size(whole);
        let full = nearest(numbers.as_raw(), numbers.dimensions(), whole);
        let small = nearest(&full, whole, (width, height));
        let damaged = |reason: String| Error::Damaged { path: picture.to_path_buf(), reason };
        let small = GrayImage::from_raw(width, height, small).ok_or_else(|| damaged("it has no pixels".to_owned()))?;
        let mut out = Cursor::new(Vec::new());
        small.write_to(&mut out, ImageFormat::Png).map_err(|e| damaged(e.to_string()))?;
        Ok(out.into_inner())
    }

    /// A truth that was packed before: byte for byte if it fits its picture, else reduced with the numbers it has.
    pub fn packed_truth(&self, path: &Path, picture: &Path) -> Result<Vec<u8>> {
        if dimensions(path)? == self.size(dimensions(picture)?) {
            return std::fs::read(path).map_err(Error::io(path));
        }
        self.truth(&raster::indices(path)?, picture)
    }
}

/// Numbers in row order at another size, as Pillow's `NEAREST` has them: it adds up its steps, so that what lies right
/// between two pixels depends on the rounding of the sums.
fn nearest(numbers: &[u8], from: (u32, u32), to: (u32, u32)) -> Vec<u8> {
    let places = |from: u32, to: u32| -> Vec<usize> {
        let step = f64::from(from) / f64::from(to);
        let sums = std::iter::successors(Some(step * 0.5), move |at| Some(at + step));
        sums.take(to as usize).map(|at| (at as usize).min(from.saturating_sub(1) as usize)).collect()
    };
    let (columns, rows) = (places(from.0, to.0), places(from.1, to.1));
    let mut out = Vec::with_capacity(columns.len() * rows.len());
    for row in rows {
        let source = &numbers[row * from.0 as usize..];
        out.extend(columns.iter().map(|column| source[*column]));
    }
    out
}

/// Width and height in a picture's header.
fn dimensions(path: &Path) -> Result<(u32, u32)> {
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(Error::io(path))?;
    reader.into_dimensions().map_err(|e| Error::Damaged { path: path.to_path_buf(), reason: e.to_string() })
}

/// The bytes that Pillow's `save("JPEG", quality=quality, optimize=True)` writes: libjpeg without what mozjpeg adds to
/// it. `None` for a picture that no JPEG can hold.
fn jpeg(picture: &RgbImage, quality: u8) -> Option<Vec<u8>> {
    let encode = || -> std::io::Result<Vec<u8>> {
        let mut encoder = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_RGB);
        encoder.set_fastest_defaults();
        encoder.set_size(picture.width() as usize, picture.height() as usize);
        encoder.set_quality(f32::from(quality));
        encoder.set_chroma_sampling_pixel_sizes((2, 2), (2, 2));
        encoder.set_optimize_coding(true);
        let mut encoder = encoder.start_compress(Vec::new())?;
        encoder.write_scanlines(picture.as_raw())?;
        encoder.finish()
    };
    // libjpeg reports faults by unwinding.
    catch_unwind(AssertUnwindSafe(encode)).ok()?.ok()
}
