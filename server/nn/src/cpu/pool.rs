//! Pooling over `N x H x W x C`.

use super::{Maps, arch, load, store};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// The largest of 3 x 3 neighbours at every second pixel, `N x H x W x C` to
/// `N x H' x W' x C`, of values that are not negative, so that zeros around count for nothing.
/// They lie at the bottom and right, and, if `before`, at the top and left.
pub fn max_pool_3x3(x: &[f32], maps: Maps, channels: usize, before: bool, out: &mut [f32]) -> Maps {
    let pad = usize::from(before);
    let size = |n: usize| (n + pad + 1 - 3) / 2 + 1;
    let to = Maps { images: maps.images, height: size(maps.height), width: size(maps.width) };
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
