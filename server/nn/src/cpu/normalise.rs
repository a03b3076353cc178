//! Batch normalisation, optionally with ReLU behind it, forward and backward in as few passes
//! over memory as there are. Maps are `pixels x C` values.

use super::{arch, load, store};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Pixels that a task works on. What a task sums up is the same on any number of threads.
const PIXELS: usize = 64;

/// What becomes of each channel: `(x - mean) * scale + shift`, C numbers each.
#[derive(Debug, Clone)]
pub struct Normal {
    /// Subtracted.
    pub mean: Vec<f32>,
    /// Multiplied with: weight / deviation.
    pub scale: Vec<f32>,
    /// Added.
    pub shift: Vec<f32>,
    /// Whether what lies below zero becomes zero at last.
    pub relu: bool,
}

/// Sums over all pixels, C numbers each.
#[derive(Debug, Clone)]
pub struct Sums {
    /// Of the gradients that pass the ReLU.
    pub gradient: Vec<f32>,
    /// Of the same, each times `x - mean`.
    pub product: Vec<f32>,
}

/// Mean and biased variance of each channel.
pub fn moments(x: &[f32], channels: usize) -> (Vec<f32>, Vec<f32>) {
    let parts: Vec<[Vec<f32>; 2]> = x
        .par_chunks(PIXELS * channels)
        .map(|x| {
            let mut sums = [vec![0.0; channels], vec![0.0; channels]];
            let [mean, squares] = &mut sums;
            arch().dispatch(Spread { x, mean, squares });
            sums
        })
        .collect();
    // Chan's rule for the moments of two samples together.
    let (mut mean, mut squares) = (vec![0f64; channels], vec![0f64; channels]);
    let mut count = 0.0;
    for (part, [of_mean, of_squares]) in parts.iter().enumerate() {
        let n = (x.len() / channels - part * PIXELS).min(PIXELS) as f64;
        let total = count + n;
        for c in 0..channels {
            let apart = f64::from(of_mean[c]) - mean[c];
            mean[c] += apart * n / total;
            squares[c] += f64::from(of_squares[c]) + apart * apart * count * n / total;
        }
        count = total;
    }
    let narrow = |values: Vec<f64>, by: f64| values.into_iter().map(|v| (v / by) as f32).collect();
    (narrow(mean, 1.0), narrow(squares, count))
}

/// Mean and sum of squared distances from it, of some pixels.
struct Spread<'a> {
    x: &'a [f32],
    mean: &'a mut [f32],
    squares: &'a mut [f32],
}

impl WithSimd for Spread<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let channels = self.mean.len();
        let share = simd.splat_f32s(channels as f32 / self.x.len() as f32);
        for (c, len) in vectors::<S>(channels) {
            let mut sum = simd.splat_f32s(0.0);
            for x in self.x.chunks_exact(channels) {
                sum = simd.add_f32s(sum, load(simd, &x[c..][..len]));
            }
            let mean = simd.mul_f32s(sum, share);
            store(simd, &mut self.mean[c..][..len], mean);
            let mut squares = simd.splat_f32s(0.0);
            for x in self.x.chunks_exact(channels) {
                let apart = simd.sub_f32s(load(simd, &x[c..][..len]), mean);
                squares = simd.mul_add_f32s(apart, apart, squares);
            }
            store(simd, &mut self.squares[c..][..len], squares);
        }
    }
}

/// First channels of the vectors that C make, and how many channels each has.
fn vectors<S: Simd>(channels: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..channels).step_by(S::F32_LANES).map(move |c| (c, (channels - c).min(S::F32_LANES)))
}

impl Normal {
    /// Normalises `x` into `out`.
    pub fn forward(&self, x: &[f32], out: &mut [f32]) {
        assert_eq!(x.len(), out.len(), "there is room for each value");
        let values = PIXELS * self.mean.len();
        out.par_chunks_mut(values).zip(x.par_chunks(values)).for_each(|(out, x)| {
            arch().dispatch(Forward { normal: self, x, out });
        });
    }

    /// The sums that the gradients are made of.
    pub fn sums(&self, x: &[f32], gradient: &[f32]) -> Sums {
        let channels = self.mean.len();
        assert_eq!(x.len(), gradient.len(), "there is a gradient of each value");
        let parts: Vec<Sums> = x
            .par_chunks(PIXELS * channels)
            .zip(gradient.par_chunks(PIXELS * channels))
            .map(|(x, g)| {
                let mut sums = Sums { gradient: vec![0.0; channels], product: vec![0.0; channels] };
                arch().dispatch(Gather { normal: self, x, g, sums: &mut sums });
                sums
            })
            .collect();
        let total = |of: fn(&Sums) -> &Vec<f32>| {
            (0..channels).map(|c| parts.iter().map(|p| f64::from(of(p)[c])).sum::<f64>() as f32).collect()
        };
        Sums { gradient: total(|s| &s.gradient), product: total(|s| &s.product) }
    }

    /// The gradient of `x`: that of the output where it passes the ReLU, times the scale, less
    /// `offset + slope * (x - mean)`, C numbers each, which is what the batch's moments take.
    pub fn backward(&self, x: &[f32], gradient: &[f32], offset: &[f32], slope: &[f32], out: &mut [f32]) {
        assert!(x.len() == gradient.len() && x.len() == out.len(), "there is a gradient of each value");
        let values = PIXELS * self.mean.len();
        let parts = out.par_chunks_mut(values).zip(x.par_chunks(values)).zip(gradient.par_chunks(values));
        parts.for_each(|((out, x), g)| {
            arch().dispatch(Backward { normal: self, x, g, offset, slope, out });
        });
    }

    /// Some channels' distance from their mean, and the output.
    #[inline(always)]
    fn of<S: Simd>(&self, simd: S, x: &[f32], c: usize, len: usize) -> (S::f32s, S::f32s) {
        let part = |values: &[f32]| load(simd, &values[c..][..len]);
        let apart = simd.sub_f32s(part(x), part(&self.mean));
        let y = simd.mul_add_f32s(apart, part(&self.scale), part(&self.shift));
        if !self.relu {
            return (apart, y);
        }
        // What is no number stays none, so that a training that diverged is seen to.
        let zero = simd.splat_f32s(0.0);
        (apart, simd.select_f32s(simd.less_than_f32s(y, zero), zero, y))
    }

    /// Some channels' distance from their mean, and the gradient that passes the ReLU.
    #[inline(always)]
    fn passed<S: Simd>(&self, simd: S, x: &[f32], g: &[f32], c: usize, len: usize) -> (S::f32s, S::f32s) {
        let (apart, y) = self.of(simd, x, c, len);
        let g = load(simd, &g[c..][..len]);
        if !self.relu {
            return (apart, g);
        }
        let zero = simd.splat_f32s(0.0);
        (apart, simd.select_f32s(simd.less_than_f32s(zero, y), g, zero))
    }
}

struct Forward<'a> {
    normal: &'a Normal,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let channels = self.normal.mean.len();
        for (out, x) in self.out.chunks_exact_mut(channels).zip(self.x.chunks_exact(channels)) {
            for (c, len) in vectors::<S>(channels) {
                store(simd, &mut out[c..][..len], self.normal.of(simd, x, c, len).1);
            }
        }
    }
}

struct Gather<'a> {
    normal: &'a Normal,
    x: &'a [f32],
    g: &'a [f32],
    sums: &'a mut Sums,
}

impl WithSimd for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let channels = self.normal.mean.len();
        for (c, len) in vectors::<S>(channels) {
            let (mut sum, mut product) = (simd.splat_f32s(0.0), simd.splat_f32s(0.0));
            for (x, g) in self.x.chunks_exact(channels).zip(self.g.chunks_exact(channels)) {
                let (apart, g) = self.normal.passed(simd, x, g, c, len);
                sum = simd.add_f32s(sum, g);
                product = simd.mul_add_f32s(apart, g, product);
            }
            store(simd, &mut self.sums.gradient[c..][..len], sum);
            store(simd, &mut self.sums.product[c..][..len], product);
        }
    }
}

struct Backward<'a> {
    normal: &'a Normal,
    x: &'a [f32],
    g: &'a [f32],
    offset: &'a [f32],
    slope: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let normal = self.normal;
        let channels = normal.mean.len();
        let inputs = self.x.chunks_exact(channels).zip(self.g.chunks_exact(channels));
        for (out, (x, g)) in self.out.chunks_exact_mut(channels).zip(inputs) {
            for (c, len) in vectors::<S>(channels) {
                let (apart, g) = normal.passed(simd, x, g, c, len);
                let part = |values: &[f32]| load(simd, &values[c..][..len]);
                let taken = simd.mul_add_f32s(part(self.slope), apart, part(self.offset));
                let value = simd.mul_add_f32s(part(&normal.scale), g, simd.neg_f32s(taken));
                store(simd, &mut out[c..][..len], value);
            }
        }
    }
}
