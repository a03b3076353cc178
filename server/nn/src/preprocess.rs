//! From a decoded picture to an encoder's input.

mod blur;
mod piece;

pub use blur::Blur;
pub use piece::{Piece, Resizer};

use crate::Result;
use crate::cpu::arch;
use candle_core::{Device, Tensor};
use image::RgbImage;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Resampling filter, as Pillow defines it (antialiased when shrinking).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Filter {
    /// Pillow's `BILINEAR`.
    Bilinear,
    /// Pillow's `BICUBIC` (a = -0.5).
    Bicubic,
    /// Pillow's `LANCZOS` (three lobes).
    Lanczos,
}

/// How pictures become an encoder's input `3 x H x W`.
///
/// The picture is resized straight to `width` x `height`, without cropping; the aspect
/// is not kept (the paper's protocol). Then `(value * scale - mean) / std` per channel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Input width in pixels.
    pub width: u32,
    /// Input height in pixels.
    pub height: u32,
    /// Resampling filter.
    pub filter: Filter,
    /// Factor on the 8-bit values: 1/255 or 1.
    pub scale: f32,
    /// Mean per channel, in the order of the input's channels.
    pub mean: [f32; 3],
    /// Standard deviation per channel, in the order of the input's channels.
    pub std: [f32; 3],
    /// Channels as blue, green, red.
    pub bgr: bool,
}

impl Preprocessing {
    /// torchvision's and ViRB's: bilinear, [0, 1], ImageNet's mean and deviation.
    pub const IMAGENET: Self = Self {
        width: 224,
        height: 224,
        filter: Filter::Bilinear,
        scale: 1.0 / 255.0,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
        bgr: false,
    };

    /// Resizes to the input's size, in 8 bits, as Pillow does.
    #[must_use]
    pub fn resize(&self, picture: &RgbImage) -> RgbImage {
        resize(picture, self.width, self.height, self.filter)
    }

    /// The input of a picture: `3 x H x W` values in row order.
    #[must_use]
    pub fn input(&self, picture: &RgbImage) -> Vec<f32> {
        self.values(&self.resize(picture))
    }

    /// The values of a picture as it is, `3 x H x W` in row order, H and W being its own.
    #[must_use]
    pub fn values(&self, picture: &RgbImage) -> Vec<f32> {
        let plane = (picture.width() * picture.height()) as usize;
        let mut out = Vec::with_capacity(3 * plane);
        for channel in 0..3 {
            let from = if self.bgr { 2 - channel } else { channel };
            // There are but 256 values.
            let value = |v: usize| (v as f32 * self.scale - self.mean[channel]) / self.std[channel];
            let values: [f32; 256] = std::array::from_fn(value);
            out.extend(picture.as_raw().chunks_exact(3).map(|pixel| values[usize::from(pixel[from])]));
        }
        out
    }

    /// An input of zeros, `3 x H x W` values.
    #[must_use]
    pub fn blank(&self) -> Vec<f32> {
        vec![0.0; 3 * (self.height * self.width) as usize]
    }

    /// A batch of inputs, `N x 3 x H x W`.
    pub fn batch(&self, inputs: &[Vec<f32>], device: &Device) -> Result<Tensor> {
        let shape = (inputs.len(), 3, self.height as usize, self.width as usize);
        Ok(Tensor::from_vec(inputs.concat(), shape, &Device::Cpu)?.to_device(device)?)
    }
}

/// Resizes in 8 bits exactly as Pillow 13's `Image.resize` does: a horizontal and a vertical
/// pass with 22-bit fixed-point weights, rounded to 8 bits in between (`Resample.c`). The
/// vertical pass comes first where it removes more than twice as many rows as the other one
/// columns (before Pillow 13 only in very tall pictures, a difference of one level).
///
/// Own code because the outputs of quantisation-trained encoders move visibly with the
/// rounding differences of other implementations.
#[must_use]
pub fn resize(picture: &RgbImage, width: u32, height: u32, filter: Filter) -> RgbImage {
    if vertical_first(picture.dimensions(), (width, height)) {
        return columns(&rows(picture, height, filter), width, filter);
    }
    rows(&columns(picture, width, filter), height, filter)
}

/// Whether the vertical pass comes first.
fn vertical_first(from: (u32, u32), to: (u32, u32)) -> bool {
    from.1 > to.1 && i64::from(from.1 - to.1) > 2 * (i64::from(from.0) - i64::from(to.0))
}

/// The horizontal pass over one row of pixels.
fn across(row: &[u8], taps: &[Tap], out: &mut [u8]) {
    for (pixel, tap) in out.chunks_exact_mut(3).zip(taps) {
        let mut sum = [ROUNDING; 3];
        for (weight, source) in tap.weights.iter().zip(row[3 * tap.first..].chunks_exact(3)) {
            for (s, v) in sum.iter_mut().zip(source) {
                *s += weight * i32::from(*v);
            }
        }
        for (p, s) in pixel.iter_mut().zip(sum) {
            *p = (s >> BITS).clamp(0, 255) as u8;
        }
    }
}

/// One row of the vertical pass over rows that begin `stride` bytes after each other; `sums` has a place for each byte
/// of `out`.
fn down(source: &[u8], stride: usize, tap: &Tap, sums: &mut [i32], out: &mut [u8]) {
    // Compiled for each kind of processor: the oldest multiply no vectors of integers.
    arch().dispatch(|| {
        sums.fill(ROUNDING);
        for (weight, row) in tap.weights.iter().zip(source[stride * tap.first..].chunks(stride)) {
            for (s, v) in sums.iter_mut().zip(row) {
                *s += weight * i32::from(*v);
            }
        }
        for (p, s) in out.iter_mut().zip(&*sums) {
            *p = (s >> BITS).clamp(0, 255) as u8;
        }
    });
}

/// The horizontal pass.
fn columns(picture: &RgbImage, width: u32, filter: Filter) -> RgbImage {
    let (w, h) = picture.dimensions();
    if w == width {
        return picture.clone();
    }
    let taps = taps(w as usize, width as usize, filter);
    let mut out = RgbImage::new(width, h);
    let rows = picture.as_raw().par_chunks(3 * w as usize);
    out.par_chunks_mut(3 * width as usize).zip(rows).for_each(|(out, row)| across(row, &taps, out));
    out
}

/// The vertical pass.
fn rows(picture: &RgbImage, height: u32, filter: Filter) -> RgbImage {
    let (w, h) = picture.dimensions();
    if h == height {
        return picture.clone();
    }
    let taps = taps(h as usize, height as usize, filter);
    let mut out = RgbImage::new(w, height);
    let stride = 3 * w as usize;
    let source = picture.as_raw();
    out.par_chunks_mut(stride).zip(&taps).for_each(|(out, tap)| {
        down(source, stride, tap, &mut vec![0; stride], out);
    });
    out
}

/// Pillow's `Image.resize` of a picture of 32-bit numbers (mode `F`), horizontally first.
#[must_use]
pub fn resize_numbers(values: &[f32], from: (u32, u32), to: (u32, u32), filter: Filter) -> Vec<f32> {
    let (w, h) = (from.0 as usize, from.1 as usize);
    let (to_w, to_h) = (to.0 as usize, to.1 as usize);
    let unit = 1.0 / f64::from(1u32 << BITS);
    let columns = taps(w, to_w, filter);
    let mut narrow = vec![0f32; to_w * h];
    narrow.par_chunks_mut(to_w).zip(values.par_chunks(w)).for_each(|(out, row)| {
        for (v, tap) in out.iter_mut().zip(&columns) {
            let sum: f64 =
                tap.weights.iter().zip(&row[tap.first..]).map(|(k, v)| f64::from(*k) * unit * f64::from(*v)).sum();
            *v = sum as f32;
        }
    });
    let rows = taps(h, to_h, filter);
    let mut out = vec![0f32; to_w * to_h];
    out.par_chunks_mut(to_w).zip(&rows).for_each(|(out, tap)| {
        for (x, v) in out.iter_mut().enumerate() {
            let sum: f64 = tap
                .weights
                .iter()
                .enumerate()
                .map(|(i, k)| f64::from(*k) * unit * f64::from(narrow[(tap.first + i) * to_w + x]))
                .sum();
            *v = sum as f32;
        }
    });
    out
}

/// Fixed-point bits of a weight; a sum of 255 times weights that add up to 1 fits 31 bits.
const BITS: u32 = 22;
const ROUNDING: i32 = 1 << (BITS - 1);

/// The source positions that make one target position.
struct Tap {
    first: usize,
    weights: Vec<i32>,
}

fn taps(from: usize, to: usize, filter: Filter) -> Vec<Tap> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let support = stretch * filter.reach();
    (0..to)
        .map(|target| {
            let center = (target as f64 + 0.5) * scale;
            let first = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(from);
            let raw: Vec<f64> = (first..end).map(|x| filter.at((x as f64 - center + 0.5) * (1.0 / stretch))).collect();
            let total: f64 = raw.iter().sum();
            let fixed = |w: f64| {
                let scaled = w / total * f64::from(1u32 << BITS);
                (if w < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
            };
            Tap { first, weights: raw.into_iter().map(fixed).collect() }
        })
        .collect()
}

impl Filter {
    /// How far from its middle it weighs anything, in pixels of the smaller picture.
    const fn reach(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Self::Bilinear => (1.0 - x).max(0.0),
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            Self::Lanczos if x < 3.0 => sinc(x) * sinc(x / 3.0),
            Self::Bicubic | Self::Lanczos => 0.0,
        }
    }
}

/// `sin(pi x) / (pi x)`.
fn sinc(x: f64) -> f64 {
    let x = x * std::f64::consts::PI;
    if x == 0.0 { 1.0 } else { x.sin() / x }
}
