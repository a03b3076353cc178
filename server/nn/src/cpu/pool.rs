//! Pooling over `N x H x W x C`.

use super::{Maps, arch, load, store};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// The size of maps under [`max_pool_3x3`].
pub fn pooled(maps: Maps, before: bool) -> Maps {
    let size = |n: usize| (n + usize::from(before) + 1 - 3) / 2 + 1;
    Maps { images: maps.images, height: size(maps.height), width: size(maps.width) }
}

/// The largest of 3 x 3 neighbours at every second pixel, `N x H x W x C` to
/// `N x H' x W' x C`, of values that are not negative, so that zeros around count for nothing.
/// They lie at the bottom and right, and, if `before`, at the top and left.
pub fn max_pool_3x3(x: &[f32], maps: Maps, channels: usize, before: bool, out: &mut [f32]) -> Maps {
    let (pad, to) = (usize::from(before), pooled(maps, before));
    let lines = out[..to.pixels() * channels].par_chunks_mut(to.width * channels).enumerate();
    lines.for_each(|(line, out)| {
        let (image, first) = (line / to.height, line % to.height * 2);
        arch().dispatch(Line { x, maps, channels, pad, image, first, out });
    });
    to
}

/// A line of [`max_pool_3x3`].
struct Line<'a> {
    x: &'a [f32],
    maps: Maps,
    channels: usize,
    pad: usize,
    image: usize,
    /// The uppermost neighbour, counted from the padding.
    first: usize,
    out: &'a mut [f32],
}

impl WithSimd for Line<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let inside = |at: usize, size: usize| at.checked_sub(self.pad).filter(|at| *at < size);
        for (column, out) in self.out.chunks_exact_mut(self.channels).enumerate() {
            let mut near: [&[f32]; 9] = [&[]; 9];
            let mut count = 0;
            for tap in 0..9 {
                let (y, x) = (self.first + tap / 3, 2 * column + tap % 3);
                if let (Some(y), Some(x)) = (inside(y, self.maps.height), inside(x, self.maps.width)) {
                    let pixel = (self.image * self.maps.height + y) * self.maps.width + x;
                    near[count] = &self.x[pixel * self.channels..][..self.channels];
                    count += 1;
                }
            }
            for c in (0..self.channels).step_by(S::F32_LANES) {
                let len = (self.channels - c).min(S::F32_LANES);
                let mut most = simd.splat_f32s(0.0);
                for pixel in &near[..count] {
                    most = simd.max_f32s(most, load(simd, &pixel[c..][..len]));
                }
                store(simd, &mut out[c..][..len], most);
            }
        }
    }
}

/// The gradient of the input of [`max_pool_3x3`] for input, output and gradient of the output:
/// that of each output goes to the first of its neighbours that equals it.
pub fn max_pool_3x3_gradient(
    [x, y, gradient]: [&[f32]; 3],
    maps: Maps,
    channels: usize,
    before: bool,
    out: &mut [f32],
) {
    let (pad, to) = (usize::from(before), pooled(maps, before));
    let (image, pooled) = (maps.height * maps.width * channels, to.height * to.width * channels);
    let images = out.par_chunks_mut(image).zip(x.par_chunks(image));
    images.zip(y.par_chunks(pooled).zip(gradient.par_chunks(pooled))).for_each(|((out, x), (y, gradient))| {
        out.fill(0.0);
        arch().dispatch(Unpool { x, y, gradient, maps, to, channels, pad, out });
    });
}

/// An image of [`max_pool_3x3_gradient`].
struct Unpool<'a> {
    x: &'a [f32],
    y: &'a [f32],
    gradient: &'a [f32],
    maps: Maps,
    to: Maps,
    channels: usize,
    pad: usize,
    out: &'a mut [f32],
}

impl WithSimd for Unpool<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let zero = simd.splat_f32s(0.0);
        for (pixel, (y, gradient)) in
            self.y.chunks_exact(self.channels).zip(self.gradient.chunks_exact(self.channels)).enumerate()
        {
            let (row, column) = (pixel / self.to.width * 2, pixel % self.to.width * 2);
            for c in (0..self.channels).step_by(S::F32_LANES) {
                let len = (self.channels - c).min(S::F32_LANES);
                let most = load(simd, &y[c..][..len]);
                let mut left = load(simd, &gradient[c..][..len]);
                for tap in 0..9 {
                    let (y, x) = ((row + tap / 3).wrapping_sub(self.pad), (column + tap % 3).wrapping_sub(self.pad));
                    if y < self.maps.height && x < self.maps.width {
                        let at = (y * self.maps.width + x) * self.channels + c;
                        let same = simd.equal_f32s(load(simd, &self.x[at..][..len]), most);
                        let to = &mut self.out[at..][..len];
                        let sum = simd.add_f32s(load(simd, to), simd.select_f32s(same, left, zero));
                        store(simd, to, sum);
                        left = simd.select_f32s(same, zero, left);
                    }
                }
            }
        }
    }
}

/// Values that a thread adds at once.
const PART: usize = 1 << 14;

/// `max(a + b, 0)` in the place of `a`. What is no number stays none.
pub fn add_relu(a: &mut [f32], b: &[f32]) {
    a.par_chunks_mut(PART).zip(b.par_chunks(PART)).for_each(|(a, b)| {
        for (a, b) in a.iter_mut().zip(b) {
            let sum = *a + b;
            *a = if sum < 0.0 { 0.0 } else { sum };
        }
    });
}

/// The gradient of the input of [`average`] for that of its output.
pub fn average_gradient(gradient: &[f32], maps: Maps, channels: usize, out: &mut [f32]) {
    let pixels = maps.height * maps.width;
    out.par_chunks_mut(pixels * channels).zip(gradient.par_chunks(channels)).for_each(|(out, gradient)| {
        for out in out.chunks_exact_mut(channels) {
            out.iter_mut().zip(gradient).for_each(|(o, g)| *o = g / pixels as f32);
        }
    });
}

/// Leaves of `gradient` what stands where `y` is positive, and zeros.
pub fn pass_where_positive(gradient: &mut [f32], y: &[f32]) {
    gradient.par_chunks_mut(PART).zip(y.par_chunks(PART)).for_each(|(g, y)| {
        g.iter_mut().zip(y).for_each(|(g, y)| *g = if *y > 0.0 { *g } else { 0.0 });
    });
}

/// The mean over all pixels of each image: `N x H x W x C` to `N x C`.
pub fn average(x: &[f32], maps: Maps, channels: usize, out: &mut [f32]) {
    let pixels = maps.height * maps.width;
    out.par_chunks_mut(channels).zip(x.par_chunks(pixels * channels)).for_each(|(out, image)| {
        out.fill(0.0);
        for pixel in image.chunks_exact(channels) {
            for (o, v) in out.iter_mut().zip(pixel) {
                *o += v;
            }
        }
        for o in out {
            *o /= pixels as f32;
        }
    });
}
