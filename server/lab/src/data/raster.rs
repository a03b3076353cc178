//! Reading truths that are pictures of labels or of numbers.

use super::Target;
use crate::image::{ImageError, MAX_PIXELS};
use crate::{Error, Result};
use image::{DynamicImage, GrayImage, ImageReader, Rgb, RgbImage};
use std::path::Path;
use tiff::decoder::{Decoder, DecodingResult};
use virboard_nn::preprocess::{Filter, resize, resize_numbers};

/// ViRB's size of pixel-wise truths.
const VIRB: u32 = 224;

/// Decodes a picture of labels or numbers without changing its values.
pub fn decode(path: &Path) -> Result<DynamicImage> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let mut reader = ImageReader::new(std::io::Cursor::new(bytes));
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(16 * MAX_PIXELS);
    reader.limits(limits);
    let reader = reader.with_guessed_format().map_err(Error::io(path))?;
    reader.decode().map_err(|e| damaged(path, &e))
}

fn damaged(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::Damaged { path: path.to_path_buf(), reason: why.to_string() }
}

/// An 8-bit picture of class numbers.
pub fn classes(path: &Path) -> Result<GrayImage> {
    match decode(path)? {
        DynamicImage::ImageLuma8(grey) => Ok(grey),
        other => Err(damaged(path, &format!("class numbers should be 8-bit grey, this is {:?}", other.color()))),
    }
}

/// The same, where only some numbers are known: `wanted` says which.
pub fn classes_of(path: &Path, known: impl Fn(u8) -> bool, wanted: &str) -> Result<GrayImage> {
    let picture = classes(path)?;
    match picture.as_raw().iter().find(|v| !known(**v)) {
        Some(other) => Err(Error::Truth {
            path: path.to_path_buf(),
            reason: format!(
                "it holds {other}, and {wanted}; unpack the data set again, or leave such samples out with --skip-broken"
            ),
        }),
        None => Ok(picture),
    }
}

/// The numbers of a mask: grey values, or places in a palette, never colours. A JPEG is refused, which changes numbers.
pub fn indices(path: &Path) -> Result<GrayImage> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    if bytes.starts_with(&[0xFF, 0xD8]) {
        let reason = "it is a JPEG, which changes numbers; save masks as PNG".to_owned();
        return Err(Error::Truth { path: path.to_path_buf(), reason });
    }
    if !bytes.starts_with(b"\x89PNG") {
        return classes(path);
    }
    let mut decoder = png::Decoder::new(std::io::Cursor::new(&bytes));
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(|e| damaged(path, &e))?;
    let (width, height) = reader.info().size();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(damaged(path, &format!("{width} x {height} pixels are too many")));
    }
    let (colour, depth) = reader.output_color_type();
    if !matches!(colour, png::ColorType::Grayscale | png::ColorType::Indexed) || depth == png::BitDepth::Sixteen {
        let reason = format!(
            "masks are 8-bit grey or have a palette, and this is {colour:?} of {} bits; save the numbers of the classes, not their colours",
            depth as u8
        );
        return Err(Error::Truth { path: path.to_path_buf(), reason });
    }
    let size = reader.output_buffer_size().ok_or_else(|| damaged(path, &"it is too large"))?;
    let mut rows = vec![0; size];
    let frame = reader.next_frame(&mut rows).map_err(|e| damaged(path, &e))?;
    let bits = depth as usize;
    let numbers = rows.chunks(frame.line_size.max(1)).take(height as usize).flat_map(|row| {
        let number = move |x: usize| {
            let at = x * bits;
            (row[at / 8] >> (8 - bits - at % 8)) & (0xFF >> (8 - bits))
        };
        (0..width as usize).map(number)
    });
    GrayImage::from_raw(width, height, numbers.collect()).ok_or_else(|| damaged(path, &"it has too few pixels"))
}

/// Pillow's `convert("L")`: the grey value of a picture of any kind.
pub fn grey(path: &Path) -> Result<GrayImage> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let rgb = crate::image::decode_stored(&bytes).map_err(|e: ImageError| damaged(path, &e))?;
    let luma = |p: &Rgb<u8>| {
        let [r, g, b] = p.0.map(u32::from);
        image::Luma([((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8])
    };
    Ok(GrayImage::from_fn(rgb.width(), rgb.height(), |x, y| luma(rgb.get_pixel(x, y))))
}

/// A mask from class numbers, each changed by `class`.
pub fn mask(picture: &GrayImage, class: impl Fn(u8) -> u8) -> Target {
    Target::Mask {
        width: picture.width(),
        height: picture.height(),
        classes: picture.as_raw().iter().map(|v| class(*v)).collect(),
    }
}

/// One number per pixel.
pub fn numbers(width: u32, height: u32, values: Vec<f32>) -> Target {
    Target::Values { width, height, channels: 1, values }
}

/// A 16-bit grey picture as numbers.
pub fn sixteen_bit(path: &Path) -> Result<Target> {
    match decode(path)? {
        DynamicImage::ImageLuma16(p) => {
            Ok(numbers(p.width(), p.height(), p.as_raw().iter().map(|v| f32::from(*v)).collect()))
        }
        DynamicImage::ImageLuma8(p) => {
            Ok(numbers(p.width(), p.height(), p.as_raw().iter().map(|v| f32::from(*v)).collect()))
        }
        other => Err(damaged(path, &format!("a depth map should be grey, this is {:?}", other.color()))),
    }
}

/// A TIFF of numbers, one a pixel.
pub fn tiff(path: &Path) -> Result<Target> {
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    let bad = |e: tiff::TiffError| damaged(path, &e);
    let mut decoder = Decoder::new(std::io::BufReader::new(file)).map_err(bad)?;
    let (width, height) = decoder.dimensions().map_err(bad)?;
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(damaged(path, &format!("{width} x {height} pixels are too many")));
    }
    let values: Vec<f32> = match decoder.read_image().map_err(bad)? {
        DecodingResult::F32(v) => v,
        DecodingResult::F64(v) => v.into_iter().map(|v| v as f32).collect(),
        DecodingResult::U16(v) => v.into_iter().map(f32::from).collect(),
        DecodingResult::U8(v) => v.into_iter().map(f32::from).collect(),
        _ => return Err(damaged(path, &"its numbers are of an unusual kind")),
    };
    if values.len() != (width * height) as usize {
        return Err(damaged(path, &"it has not one number a pixel"));
    }
    Ok(numbers(width, height, values))
}

/// ViRB's way to 224 x 224: Pillow's bicubic filter even on class numbers, in 8 bits for
/// masks and in floating point for numbers.
pub fn virb_bicubic(target: Target) -> Target {
    match target {
        Target::Mask { width, height, classes } => {
            let picture = RgbImage::from_fn(width, height, |x, y| Rgb([classes[(y * width + x) as usize]; 3]));
            let small = resize(&picture, VIRB, VIRB, Filter::Bicubic);
            Target::Mask { width: VIRB, height: VIRB, classes: small.pixels().map(|p| p.0[0]).collect() }
        }
        Target::Values { width, height, channels: 1, values } => {
            numbers(VIRB, VIRB, resize_numbers(&values, (width, height), (VIRB, VIRB), Filter::Bicubic))
        }
        other => other,
    }
}
