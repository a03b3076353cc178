//! Pillow's `ImageFilter.GaussianBlur` to the bit: three blurs with a box whose sides count in part (`BoxBlur.c`;
//! Gwosdek et al., "Theoretical foundations of Gaussian convolution by extended box filtering", 2011).

use crate::cpu::arch;
use image::RgbImage;

/// Passes of the box.
const PASSES: usize = 3;
/// Fixed-point bits of the weights of the box.
const BITS: u32 = 24;

/// The memory of [`Blur::gaussian`].
#[derive(Debug, Default)]
pub struct Blur {
    turned: Vec<u8>,
    other: Vec<u8>,
    sums: Vec<u32>,
}

/// A box: whole pixels on each side of the middle, and what they and the pixels at its ends weigh.
#[derive(Clone, Copy)]
struct Window {
    radius: usize,
    whole: u32,
    end: u32,
}

impl Window {
    /// The box of which three passes have the deviation `sigma`; none where it is but one pixel.
    fn of(sigma: f32) -> Option<Self> {
        // Numbers are rounded to single precision where Pillow rounds them.
        let variance = sigma * sigma / PASSES as f32;
        let length = (12.0 * f64::from(variance) + 1.0).sqrt() as f32;
        let whole = ((f64::from(length) - 1.0) / 2.0).floor() as f32;
        let part = (2.0 * whole + 1.0) * (whole * (whole + 1.0) - 3.0 * variance);
        let radius = whole + part / (6.0 * (variance - (whole + 1.0) * (whole + 1.0)));
        if radius == 0.0 {
            return None;
        }
        let one = 1u32 << BITS;
        let whole = (one as f32 / (radius * 2.0 + 1.0)) as u32;
        let radius = radius as usize;
        let end = one.saturating_sub((2 * radius as u32 + 1).saturating_mul(whole)) / 2;
        Some(Self { radius, whole, end })
    }
}

impl Blur {
    /// Blurs a picture with a deviation in pixels. Beyond its edges, its outermost pixels go on.
    pub fn gaussian(&mut self, picture: &mut RgbImage, sigma: f64) {
        let Some(window) = Window::of(sigma as f32) else { return };
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let mut turned = std::mem::take(&mut self.turned);
        turned.resize(3 * width * height, 0);
        turn(picture, width, &mut turned);
        self.passes(&mut turned, 3 * height, window);
        turn(&turned, height, picture);
        self.passes(picture, 3 * width, window);
        self.turned = turned;
    }

    /// Three passes down the columns of rows of `length` bytes.
    fn passes(&mut self, picture: &mut [u8], length: usize, window: Window) {
        self.other.resize(picture.len(), 0);
        self.sums.resize(length, 0);
        down(picture, &mut self.other, &mut self.sums, window);
        down(&self.other, picture, &mut self.sums, window);
        down(picture, &mut self.other, &mut self.sums, window);
        picture.copy_from_slice(&self.other);
    }
}

/// One pass; there is a sum for each byte of a row.
fn down(from: &[u8], to: &mut [u8], sums: &mut [u32], Window { radius, whole, end }: Window) {
    let length = sums.len();
    let last = from.len() / length - 1;
    let row = |y: usize| &from[y.min(last) * length..][..length];
    // Compiled for each kind of processor.
    arch().dispatch(|| {
        for (sum, v) in sums.iter_mut().zip(row(0)) {
            *sum = u32::from(*v) * (radius as u32 + 1);
        }
        for y in 1..=radius {
            sums.iter_mut().zip(row(y)).for_each(|(sum, v)| *sum += u32::from(*v));
        }
        for (y, out) in to.chunks_exact_mut(length).enumerate() {
            let (before, after) = (row(y.saturating_sub(radius + 1)), row(y + radius + 1));
            for (((out, sum), before), after) in out.iter_mut().zip(&*sums).zip(before).zip(after) {
                let ends = (u32::from(*before) + u32::from(*after)) * end;
                *out = ((sum * whole + ends + (1 << (BITS - 1))) >> BITS) as u8;
            }
            let leaving = row(y.saturating_sub(radius));
            for ((sum, leaving), entering) in sums.iter_mut().zip(leaving).zip(after) {
                *sum = *sum + u32::from(*entering) - u32::from(*leaving);
            }
        }
    });
}

/// Writes rows of `width` pixels as columns.
fn turn(from: &[u8], width: usize, to: &mut [u8]) {
    let height = from.len() / 3 / width;
    for (y, row) in from.chunks_exact(3 * width).enumerate() {
        for (x, pixel) in row.chunks_exact(3).enumerate() {
            to[3 * (x * height + y)..][..3].copy_from_slice(pixel);
        }
    }
}
