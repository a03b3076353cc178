//! Layer normalisation, forward and backward. Rows are C values, one row behind the other.

use super::{arch, load, store};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Rows that a task works on. What a task sums up is the same on any number of threads.
const ROWS: usize = 64;

/// Weight, bias and epsilon of a normalisation of C values.
#[derive(Debug, Clone, Copy)]
pub struct RowNorm<'a> {
    /// C factors.
    pub weight: &'a [f32],
    /// C summands.
    pub bias: &'a [f32],
    /// Added to the variance.
    pub eps: f32,
}

/// Gradients of weight and bias, C numbers each.
#[derive(Debug, Clone)]
pub struct OfRowNorm {
    /// Of the weight.
    pub weight: Vec<f32>,
    /// Of the bias.
    pub bias: Vec<f32>,
}

impl RowNorm<'_> {
    /// Normalises the rows of `x` into `out`.
    pub fn forward(self, x: &[f32], out: &mut [f32]) {
        assert_eq!(x.len(), out.len(), "there is room for each value");
        let values = ROWS * self.weight.len();
        out.par_chunks_mut(values).zip(x.par_chunks(values)).for_each(|(out, x)| {
            arch().dispatch(Forward { norm: self, x, out });
        });
    }

    /// The gradient of `x` for that of the output, and those of weight and bias.
    pub fn backward(self, x: &[f32], gradient: &[f32], out: &mut [f32]) -> OfRowNorm {
        assert!(x.len() == gradient.len() && x.len() == out.len(), "there is a gradient of each value");
        let channels = self.weight.len();
        let values = ROWS * channels;
        let parts = out.par_chunks_mut(values).zip(x.par_chunks(values)).zip(gradient.par_chunks(values));
        let sums: Vec<OfRowNorm> = parts
            .map(|((out, x), g)| {
                let mut sums = OfRowNorm { weight: vec![0.0; channels], bias: vec![0.0; channels] };
                arch().dispatch(Backward { norm: self, x, g, out, sums: &mut sums });
                sums
            })
            .collect();
        let total = |of: fn(&OfRowNorm) -> &Vec<f32>| {
            (0..channels).map(|c| sums.iter().map(|s| f64::from(of(s)[c])).sum::<f64>() as f32).collect()
        };
        OfRowNorm { weight: total(|s| &s.weight), bias: total(|s| &s.bias) }
    }
}

/// Mean and inverse deviation of a row.
#[inline(always)]
fn moments<S: Simd>(simd: S, x: &[f32], eps: f32) -> [f32; 2] {
    let share = 1.0 / x.len() as f32;
    let mut sum = simd.splat_f32s(0.0);
    for x in x.chunks(S::F32_LANES) {
        sum = simd.add_f32s(sum, load(simd, x));
    }
    let mean = simd.reduce_sum_f32s(sum) * share;
    let middle = simd.splat_f32s(mean);
    let mut squares = simd.splat_f32s(0.0);
    let whole = x.len() / S::F32_LANES * S::F32_LANES;
    for x in x[..whole].chunks_exact(S::F32_LANES) {
        let apart = simd.sub_f32s(load(simd, x), middle);
        squares = simd.mul_add_f32s(apart, apart, squares);
    }
    // Zeros behind a short vector have a distance from the mean too.
    let rest: f32 = x[whole..].iter().map(|x| (x - mean) * (x - mean)).sum();
    let variance = (simd.reduce_sum_f32s(squares) + rest) * share;
    [mean, 1.0 / (variance + eps).sqrt()]
}

struct Forward<'a> {
    norm: RowNorm<'a>,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let channels = self.norm.weight.len();
        for (x, out) in self.x.chunks_exact(channels).zip(self.out.chunks_exact_mut(channels)) {
            let [mean, inverse] = moments(simd, x, self.norm.eps).map(|v| simd.splat_f32s(v));
            for at in (0..channels).step_by(S::F32_LANES) {
                let some = at..(at + S::F32_LANES).min(channels);
                let part = |values: &[f32]| load(simd, &values[some.clone()]);
                let normal = simd.mul_f32s(simd.sub_f32s(part(x), mean), inverse);
                let y = simd.mul_add_f32s(normal, part(self.norm.weight), part(self.norm.bias));
                store(simd, &mut out[some], y);
            }
        }
    }
}

struct Backward<'a> {
    norm: RowNorm<'a>,
    x: &'a [f32],
    g: &'a [f32],
    out: &'a mut [f32],
    sums: &'a mut OfRowNorm,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let channels = self.norm.weight.len();
        let share = 1.0 / channels as f32;
        let rows = self.x.chunks_exact(channels).zip(self.g.chunks_exact(channels));
        for ((x, g), out) in rows.zip(self.out.chunks_exact_mut(channels)) {
            let [mean, inverse] = moments(simd, x, self.norm.eps).map(|v| simd.splat_f32s(v));
            let (mut sum, mut product) = (simd.splat_f32s(0.0), simd.splat_f32s(0.0));
            for at in (0..channels).step_by(S::F32_LANES) {
                let some = at..(at + S::F32_LANES).min(channels);
                let part = |values: &[f32]| load(simd, &values[some.clone()]);
                let normal = simd.mul_f32s(simd.sub_f32s(part(x), mean), inverse);
                let (g, weight) = (part(g), part(self.norm.weight));
                let of_weight = simd.mul_add_f32s(g, normal, part(&self.sums.weight));
                store(simd, &mut self.sums.weight[some.clone()], of_weight);
                let of_bias = simd.add_f32s(g, part(&self.sums.bias));
                store(simd, &mut self.sums.bias[some], of_bias);
                let weighted = simd.mul_f32s(g, weight);
                sum = simd.add_f32s(sum, weighted);
                product = simd.mul_add_f32s(weighted, normal, product);
            }
            let offset = simd.splat_f32s(simd.reduce_sum_f32s(sum) * share);
            let slope = simd.splat_f32s(simd.reduce_sum_f32s(product) * share);
            for at in (0..channels).step_by(S::F32_LANES) {
                let some = at..(at + S::F32_LANES).min(channels);
                let part = |values: &[f32]| load(simd, &values[some.clone()]);
                let normal = simd.mul_f32s(simd.sub_f32s(part(x), mean), inverse);
                let weighted = simd.mul_f32s(part(g), part(self.norm.weight));
                let taken = simd.mul_add_f32s(slope, normal, offset);
                store(simd, &mut out[some], simd.mul_f32s(simd.sub_f32s(weighted, taken), inverse));
            }
        }
    }
}
