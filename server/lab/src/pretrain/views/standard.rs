//! From 8 bits to the values that a network reads.

use image::RgbImage;
use virboard_nn::preprocess::Preprocessing;

/// The standardised value of each of the 256 values of the three channels.
#[derive(Debug, Clone)]
pub struct Standard {
    tables: Box<[[f32; 256]; 3]>,
    /// Which channel of a picture each channel of the input is.
    order: [usize; 3],
}

impl Standard {
    /// As the preprocessing has it; its size and filter do not matter.
    #[must_use]
    pub fn new(input: &Preprocessing) -> Self {
        let value = |c: usize, v: usize| (v as f32 * input.scale - input.mean[c]) / input.std[c];
        let tables = Box::new(std::array::from_fn(|c| std::array::from_fn(|v| value(c, v))));
        Self { tables, order: if input.bgr { [2, 1, 0] } else { [0, 1, 2] } }
    }

    /// Writes a picture as `H x W x 3` values, mirrored or not.
    pub fn write(&self, picture: &RgbImage, flip: bool, out: &mut [f32]) {
        let length = 3 * picture.width() as usize;
        for (row, out) in picture.as_raw().chunks_exact(length).zip(out.chunks_exact_mut(length)) {
            if flip {
                self.pixels(row.chunks_exact(3).rev(), out);
            } else {
                self.pixels(row.chunks_exact(3), out);
            }
        }
    }

    fn pixels<'a>(&self, row: impl Iterator<Item = &'a [u8]>, out: &mut [f32]) {
        for (pixel, out) in row.zip(out.chunks_exact_mut(3)) {
            for (c, out) in out.iter_mut().enumerate() {
                *out = self.tables[c][usize::from(pixel[self.order[c]])];
            }
        }
    }
}
