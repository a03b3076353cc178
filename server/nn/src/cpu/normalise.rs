//! Batch normalisation, optionally with ReLU behind it, forward and backward in as few passes
//! over memory as there are. Maps are `pixels x C` values.

use super::{arch, load, store};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Values that a task works on, so that they stay in the first-level cache. What a task sums up is the same on
/// any number of threads.
const VALUES: usize = 1 << 12;

/// Pixels that a task works on.
fn pixels(channels: usize) -> usize {
    (VALUES / channels).max(8)
}

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
    let pixels = pixels(channels);
    let parts: Vec<[Vec<f32>; 2]> = x
        .par_chunks(pixels * channels)
        .map(|x| {
            let mut sums = [vec![0.0; channels], vec![0.0; channels]];
            let [mean, squares] = &mut sums;
            arch().dispatch(All(channels, Spread { x, channels, mean, squares }));
            sums
        })
        .collect();
    // Chan's rule for the moments of two samples together.
    let (mut mean, mut squares) = (vec![0f64; channels], vec![0f64; channels]);
    let mut count = 0.0;
    for (part, [of_mean, of_squares]) in parts.iter().enumerate() {
        let n = (x.len() / channels - part * pixels).min(pixels) as f64;
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

impl Normal {
    /// Normalises `x` into `out`; where something is `added`, with ReLU behind the sum.
    pub fn forward(&self, x: &[f32], added: Option<&[f32]>, out: &mut [f32]) {
        let channels = self.mean.len();
        assert!(x.len() == out.len() && added.is_none_or(|a| a.len() == x.len()), "there is room for each value");
        let values = pixels(channels) * channels;
        out.par_chunks_mut(values).zip(x.par_chunks(values)).enumerate().for_each(|(nth, (out, x))| {
            let added = added.map(|added| &added[nth * values..][..x.len()]);
            arch().dispatch(All(channels, Forward { normal: self, x, added, out }));
        });
    }

    /// The sums that the gradients are made of.
    pub fn sums(&self, x: &[f32], gradient: &[f32]) -> Sums {
        let channels = self.mean.len();
        assert_eq!(x.len(), gradient.len(), "there is a gradient of each value");
        let values = pixels(channels) * channels;
        let parts: Vec<Sums> = x
            .par_chunks(values)
            .zip(gradient.par_chunks(values))
            .map(|(x, g)| {
                let mut sums = Sums { gradient: vec![0.0; channels], product: vec![0.0; channels] };
                arch().dispatch(All(channels, Gather { normal: self, x, g, sums: &mut sums }));
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
        let channels = self.mean.len();
        assert!(x.len() == gradient.len() && x.len() == out.len(), "there is a gradient of each value");
        let values = pixels(channels) * channels;
        let parts = out.par_chunks_mut(values).zip(x.par_chunks(values)).zip(gradient.par_chunks(values));
        parts.for_each(|((out, x), g)| {
            arch().dispatch(All(channels, Backward { normal: self, x, g, offset, slope, out }));
        });
    }

    /// Mean, scale and shift of some channels.
    #[inline(always)]
    fn some<S: Simd, const V: usize>(&self, simd: S, c: usize, len: usize) -> [[S::f32s; V]; 3] {
        [some(simd, &self.mean[c..], len), some(simd, &self.scale[c..], len), some(simd, &self.shift[c..], len)]
    }
}

/// What is done with V vectors of channels, of all pixels.
trait Pass {
    /// From channel `c` on; the last vector has `len` values.
    fn run<S: Simd, const V: usize>(&mut self, simd: S, c: usize, len: usize);
}

/// A pass over so many channels.
struct All<P>(usize, P);

impl<P: Pass> WithSimd for All<P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let mut c = 0;
        while c + 2 * S::F32_LANES <= self.0 {
            self.1.run::<S, 2>(simd, c, S::F32_LANES);
            c += 2 * S::F32_LANES;
        }
        if c + S::F32_LANES <= self.0 {
            self.1.run::<S, 1>(simd, c, S::F32_LANES);
            c += S::F32_LANES;
        }
        if c < self.0 {
            self.1.run::<S, 1>(simd, c, self.0 - c);
        }
    }
}

/// V vectors, the last of which has `len` values.
#[inline(always)]
fn some<S: Simd, const V: usize>(simd: S, values: &[f32], len: usize) -> [S::f32s; V] {
    let values = &values[..(V - 1) * S::F32_LANES + len];
    let mut vectors = [simd.splat_f32s(0.0); V];
    for v in 0..V {
        vectors[v] = load(simd, &values[v * S::F32_LANES..][..if v + 1 < V { S::F32_LANES } else { len }]);
    }
    vectors
}

/// Writes V vectors, the last of which has `len` values.
#[inline(always)]
fn keep<S: Simd, const V: usize>(simd: S, to: &mut [f32], len: usize, vectors: [S::f32s; V]) {
    let to = &mut to[..(V - 1) * S::F32_LANES + len];
    for v in 0..V {
        store(simd, &mut to[v * S::F32_LANES..][..if v + 1 < V { S::F32_LANES } else { len }], vectors[v]);
    }
}

/// What is no number stays none, so that a training that diverged is seen to.
#[inline(always)]
fn relu<S: Simd>(simd: S, y: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    simd.select_f32s(simd.less_than_f32s(y, zero), zero, y)
}

/// Mean and sum of squared distances from it, of some pixels.
struct Spread<'a> {
    x: &'a [f32],
    channels: usize,
    mean: &'a mut [f32],
    squares: &'a mut [f32],
}

impl Pass for Spread<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(&mut self, simd: S, c: usize, len: usize) {
        let share = simd.splat_f32s(self.channels as f32 / self.x.len() as f32);
        let mut sums = [simd.splat_f32s(0.0); V];
        for x in self.x.chunks_exact(self.channels) {
            let x = some::<S, V>(simd, &x[c..], len);
            for v in 0..V {
                sums[v] = simd.add_f32s(sums[v], x[v]);
            }
        }
        let mut mean = sums;
        for mean in &mut mean {
            *mean = simd.mul_f32s(*mean, share);
        }
        keep(simd, &mut self.mean[c..], len, mean);
        let mut squares = [simd.splat_f32s(0.0); V];
        for x in self.x.chunks_exact(self.channels) {
            let x = some::<S, V>(simd, &x[c..], len);
            for v in 0..V {
                let apart = simd.sub_f32s(x[v], mean[v]);
                squares[v] = simd.mul_add_f32s(apart, apart, squares[v]);
            }
        }
        keep(simd, &mut self.squares[c..], len, squares);
    }
}

struct Forward<'a> {
    normal: &'a Normal,
    x: &'a [f32],
    added: Option<&'a [f32]>,
    out: &'a mut [f32],
}

impl Pass for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(&mut self, simd: S, c: usize, len: usize) {
        let channels = self.normal.mean.len();
        let [mean, scale, shift] = self.normal.some::<S, V>(simd, c, len);
        let positive = self.normal.relu || self.added.is_some();
        let rows = self.out.chunks_exact_mut(channels).zip(self.x.chunks_exact(channels));
        // Loops and no closures, which would not be compiled for the vectors' processor.
        for (nth, (out, x)) in rows.enumerate() {
            let mut y = some::<S, V>(simd, &x[c..], len);
            for v in 0..V {
                y[v] = simd.mul_add_f32s(simd.sub_f32s(y[v], mean[v]), scale[v], shift[v]);
            }
            if let Some(added) = self.added {
                let added = some::<S, V>(simd, &added[nth * channels + c..], len);
                for v in 0..V {
                    y[v] = simd.add_f32s(y[v], added[v]);
                }
            }
            if positive {
                for y in &mut y {
                    *y = relu(simd, *y);
                }
            }
            keep(simd, &mut out[c..], len, y);
        }
    }
}

struct Gather<'a> {
    normal: &'a Normal,
    x: &'a [f32],
    g: &'a [f32],
    sums: &'a mut Sums,
}

impl Pass for Gather<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(&mut self, simd: S, c: usize, len: usize) {
        let channels = self.normal.mean.len();
        let [mean, scale, shift] = self.normal.some::<S, V>(simd, c, len);
        let zero = simd.splat_f32s(0.0);
        let (mut sums, mut products) = ([zero; V], [zero; V]);
        for (x, g) in self.x.chunks_exact(channels).zip(self.g.chunks_exact(channels)) {
            let (x, g) = (some::<S, V>(simd, &x[c..], len), some::<S, V>(simd, &g[c..], len));
            for v in 0..V {
                let apart = simd.sub_f32s(x[v], mean[v]);
                let g = passed(simd, self.normal.relu, simd.mul_add_f32s(apart, scale[v], shift[v]), g[v]);
                sums[v] = simd.add_f32s(sums[v], g);
                products[v] = simd.mul_add_f32s(apart, g, products[v]);
            }
        }
        keep(simd, &mut self.sums.gradient[c..], len, sums);
        keep(simd, &mut self.sums.product[c..], len, products);
    }
}

/// The gradient that passes the ReLU, if there is one, before which `y` stands.
#[inline(always)]
fn passed<S: Simd>(simd: S, relu: bool, y: S::f32s, gradient: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    if relu { simd.select_f32s(simd.less_than_f32s(zero, y), gradient, zero) } else { gradient }
}

struct Backward<'a> {
    normal: &'a Normal,
    x: &'a [f32],
    g: &'a [f32],
    offset: &'a [f32],
    slope: &'a [f32],
    out: &'a mut [f32],
}

impl Pass for Backward<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(&mut self, simd: S, c: usize, len: usize) {
        let channels = self.normal.mean.len();
        let [mean, scale, shift] = self.normal.some::<S, V>(simd, c, len);
        let (offset, slope) = (some::<S, V>(simd, &self.offset[c..], len), some::<S, V>(simd, &self.slope[c..], len));
        let inputs = self.x.chunks_exact(channels).zip(self.g.chunks_exact(channels));
        for (out, (x, g)) in self.out.chunks_exact_mut(channels).zip(inputs) {
            let (x, g) = (some::<S, V>(simd, &x[c..], len), some::<S, V>(simd, &g[c..], len));
            let mut values = x;
            for v in 0..V {
                let apart = simd.sub_f32s(x[v], mean[v]);
                let g = passed(simd, self.normal.relu, simd.mul_add_f32s(apart, scale[v], shift[v]), g[v]);
                let taken = simd.mul_add_f32s(slope[v], apart, offset[v]);
                values[v] = simd.mul_add_f32s(scale[v], g, simd.neg_f32s(taken));
            }
            keep(simd, &mut out[c..], len, values);
        }
    }
}
