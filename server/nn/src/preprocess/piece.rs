//! Resizing a piece of a picture, again and again in the same memory.

use super::{Filter, across, down, taps, vertical_first};
use image::RgbImage;

/// A rectangle of a picture, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Columns left of it.
    pub x: u32,
    /// Rows above it.
    pub y: u32,
    /// Its columns, at least 1.
    pub width: u32,
    /// Its rows, at least 1.
    pub height: u32,
}

impl Piece {
    /// All of a picture.
    #[must_use]
    pub fn whole(picture: &RgbImage) -> Self {
        Self { x: 0, y: 0, width: picture.width(), height: picture.height() }
    }
}

/// What both passes work on: rows of bytes with a distance between their beginnings.
#[derive(Clone, Copy)]
struct Rows<'a> {
    bytes: &'a [u8],
    stride: usize,
    width: usize,
    height: usize,
}

/// The memory of [`Resizer::resize`]. One for each thread that prepares pictures.
#[derive(Debug, Default)]
pub struct Resizer {
    between: Vec<u8>,
    sums: Vec<i32>,
}

impl Resizer {
    /// Writes a piece of a picture over all of `out`, resized to its size. The same bits as cutting the piece out and
    /// [`super::resize`]. Works on the calling thread alone.
    ///
    /// # Panics
    /// If the piece is empty or not within the picture.
    pub fn resize(&mut self, picture: &RgbImage, piece: Piece, filter: Filter, out: &mut RgbImage) {
        let inside =
            |from: u32, length: u32, of: u32| length > 0 && u64::from(from) + u64::from(length) <= u64::from(of);
        let there = inside(piece.x, piece.width, picture.width()) && inside(piece.y, piece.height, picture.height());
        assert!(there, "{piece:?} lies within {:?}", picture.dimensions());
        let stride = 3 * picture.width() as usize;
        let (width, height) = (piece.width as usize, piece.height as usize);
        let bytes = &picture.as_raw()[piece.y as usize * stride + 3 * piece.x as usize..];
        let source = Rows { bytes, stride, width, height };
        let (to_width, to_height) = (out.width() as usize, out.height() as usize);
        let mut between = std::mem::take(&mut self.between);
        if vertical_first((piece.width, piece.height), out.dimensions()) {
            between.resize(3 * width * to_height, 0);
            self.rows(source, to_height, filter, &mut between);
            let lower = Rows { bytes: &between, stride: 3 * width, width, height: to_height };
            columns(lower, to_width, filter, out);
        } else {
            between.resize(3 * to_width * height, 0);
            columns(source, to_width, filter, &mut between);
            let narrow = Rows { bytes: &between, stride: 3 * to_width, width: to_width, height };
            self.rows(narrow, to_height, filter, out);
        }
        self.between = between;
    }

    /// The vertical pass.
    fn rows(&mut self, from: Rows<'_>, height: usize, filter: Filter, out: &mut [u8]) {
        if from.height == height {
            return copy(from, out);
        }
        let taps = taps(from.height, height, filter);
        let length = 3 * from.width;
        self.sums.resize(length, 0);
        for (out, tap) in out.chunks_exact_mut(length).zip(&taps) {
            down(from.bytes, from.stride, tap, &mut self.sums, out);
        }
    }
}

/// The horizontal pass.
fn columns(from: Rows<'_>, width: usize, filter: Filter, out: &mut [u8]) {
    if from.width == width {
        return copy(from, out);
    }
    let taps = taps(from.width, width, filter);
    for (out, row) in out.chunks_exact_mut(3 * width).zip(from.bytes.chunks(from.stride)) {
        across(row, &taps, out);
    }
}

fn copy(from: Rows<'_>, out: &mut [u8]) {
    let length = 3 * from.width;
    for (out, row) in out.chunks_exact_mut(length).zip(from.bytes.chunks(from.stride)) {
        out.copy_from_slice(&row[..length]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::resize;
    use crate::seeded::Stream;

    #[test]
    fn a_piece_is_resized_as_a_picture_of_its_own_is() {
        let mut random = Stream::new(0, "pieces");
        let picture = RgbImage::from_fn(61, 83, |_, _| image::Rgb([0; 3].map(|_: u8| random.below(256) as u8)));
        let mut resizer = Resizer::default();
        let pieces = [(0, 0, 61, 83), (7, 3, 20, 70), (60, 82, 1, 1), (5, 9, 24, 24), (0, 30, 61, 24), (2, 0, 16, 83)];
        for (x, y, width, height) in pieces {
            for size in [[24, 24], [48, 40], [61, 20], [1, 1]] {
                for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos] {
                    let mut out = RgbImage::new(size[0], size[1]);
                    resizer.resize(&picture, Piece { x, y, width, height }, filter, &mut out);
                    let cut = image::imageops::crop_imm(&picture, x, y, width, height).to_image();
                    let wanted = resize(&cut, size[0], size[1], filter);
                    assert_eq!(wanted.as_raw(), out.as_raw(), "{x} {y} {width} {height} to {size:?} {filter:?}");
                }
            }
        }
    }
}
