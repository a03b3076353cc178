//! Pictures as they are tested: nothing is random.

use super::standard::Standard;
use crate::pretrain::pictures::shorter_side;
use image::{RgbImage, imageops};
use virboard_nn::preprocess::{Filter, Preprocessing, resize};

/// How a picture becomes a square.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Resized straight to the square, as ViRB does.
    Squash,
    /// Resized until its shorter side has so many pixels (at least those of the square), then the square in its middle:
    /// torchvision's `Resize` and `CenterCrop`.
    Centre {
        /// Pixels of the shorter side.
        shorter: u32,
    },
}

/// A picture as a square, standardised: `side x side x 3` values.
#[must_use]
pub fn plain(picture: &RgbImage, side: u32, fit: Fit, input: &Preprocessing) -> Vec<f32> {
    let square = square(picture, side, fit);
    let mut values = vec![0.0; 3 * (side * side) as usize];
    Standard::new(input).write(&square, false, &mut values);
    values
}

/// The square in 8 bits.
#[must_use]
pub fn square(picture: &RgbImage, side: u32, fit: Fit) -> RgbImage {
    match fit {
        Fit::Squash => resize(picture, side, side, Filter::Bilinear),
        Fit::Centre { shorter } => {
            let (width, height) = shorter_side(picture.dimensions(), shorter.max(side));
            let resized = resize(picture, width, height, Filter::Bilinear);
            let from = |length: u32| (f64::from(length - side) / 2.0).round_ties_even() as u32;
            imageops::crop_imm(&resized, from(width), from(height), side, side).to_image()
        }
    }
}
