//! Pictures that are drawn for a test: noise, no two alike.

use image::{ImageFormat, RgbImage};
use std::io::Cursor;
use std::path::Path;
use virboard_nn::seeded::Stream;

/// A picture of noise.
pub fn noise(seed: u64, width: u32, height: u32) -> RgbImage {
    let mut draw = Stream::new(seed, "noise");
    RgbImage::from_fn(width, height, |_, _| image::Rgb([0; 3].map(|_: u8| draw.below(256) as u8)))
}

/// The bytes of a picture in a format.
pub fn encoded(picture: impl Into<image::DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    picture.into().write_to(&mut out, format).expect("encoded");
    out.into_inner()
}

/// Writes a file and the folders above it.
pub fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    std::fs::write(path, bytes).expect("written");
}
