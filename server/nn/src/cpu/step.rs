//! What optimisers do to a number, given its gradient.

use super::{arch, load, store};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Share of Adam's second mean that stays (PyTorch's default).
pub const BETA2: f64 = 0.999;
/// What keeps Adam from dividing by zero (PyTorch's default).
pub const EPS: f32 = 1e-8;

/// Adam's two means of gradients, or SGD's or LARS' buffer (the second stays empty). Zeros before the
/// first step, which makes the first step PyTorch's.
#[derive(Debug, Clone, Default)]
pub struct Moments {
    /// Adam's mean of gradients, or the momentum buffer.
    pub first: Vec<f32>,
    /// Adam's mean of squared gradients.
    pub second: Vec<f32>,
}

impl Moments {
    /// Those of `len` numbers before the first step, with or without second means.
    #[must_use]
    pub fn new(len: usize, second: bool) -> Self {
        Self { first: vec![0.0; len], second: if second { vec![0.0; len] } else { Vec::new() } }
    }
}

/// What a step does to each number; the step's number counts from 1.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// `torch.optim.Adam` and `torch.optim.AdamW`.
    Adam {
        /// Share of the mean that stays.
        beta: f64,
        /// Share of the value that stays: 1 without weight decay.
        keep: f32,
        /// Learning rate over the first mean's bias correction.
        rate: f32,
        /// One over the root of the second mean's bias correction.
        correction: f32,
    },
    /// `torch.optim.SGD`, and LARS, whose `scale` differs from tensor to tensor.
    Sgd {
        /// Share of the buffer that stays.
        momentum: f32,
        /// Share of the value that is added to its gradient: 0 without weight decay.
        decay: f32,
        /// What the gradient is multiplied with before it enters the buffer: 1 but for LARS.
        scale: f32,
        /// What the buffer is multiplied with before it is subtracted: the learning rate.
        rate: f32,
    },
}

impl Rule {
    /// The values `x` and their moments `m` and `v` after a step along the gradient `g`. The
    /// last is only of use to Adam.
    #[inline(always)]
    pub fn step<S: Simd>(self, simd: S, x: S::f32s, m: S::f32s, v: S::f32s, g: S::f32s) -> (S::f32s, S::f32s, S::f32s) {
        let all = |value: f32| simd.splat_f32s(value);
        match self {
            Self::Adam { beta, keep, rate, correction } => {
                // Subtracted in double precision, as PyTorch does: 1 - 0.999 has few digits left in single.
                let (fresh, fresh2) = (all((1.0 - beta) as f32), all((1.0 - BETA2) as f32));
                let m = simd.mul_add_f32s(m, all(beta as f32), simd.mul_f32s(g, fresh));
                let v = simd.mul_add_f32s(v, all(BETA2 as f32), simd.mul_f32s(simd.mul_f32s(g, g), fresh2));
                let below = simd.mul_add_f32s(simd.sqrt_f32s(v), all(correction), all(EPS));
                let change = simd.div_f32s(simd.mul_f32s(m, all(rate)), below);
                (simd.sub_f32s(simd.mul_f32s(x, all(keep)), change), m, v)
            }
            Self::Sgd { momentum, decay, scale, rate } => {
                // Not added where it is 0, so that the sign of a zero stays as it is.
                let g = if decay == 0.0 { g } else { simd.mul_add_f32s(x, all(decay), g) };
                let g = simd.mul_f32s(g, all(scale));
                let m = simd.mul_add_f32s(m, all(momentum), g);
                (simd.sub_f32s(x, simd.mul_f32s(m, all(rate))), m, v)
            }
        }
    }

    /// Moves `values` along `gradient`, on this thread. All slices are of one length, but for
    /// the second means of SGD, which has none.
    pub fn apply(self, values: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &[f32]) {
        assert!(values.len() == gradient.len() && first.len() == gradient.len(), "a moment for each number");
        assert!(second.is_empty() || second.len() == gradient.len(), "a moment for each number");
        arch().dispatch(Apply { rule: self, values, first, second, gradient });
    }
}

struct Apply<'a> {
    rule: Rule,
    values: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    gradient: &'a [f32],
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for at in (0..self.values.len()).step_by(S::F32_LANES) {
            let range = at..(at + S::F32_LANES).min(self.values.len());
            let (x, m) = (&mut self.values[range.clone()], &mut self.first[range.clone()]);
            let g = load(simd, &self.gradient[range.clone()]);
            let v = self.second.get_mut(range);
            let held = v.as_deref().map_or(g, |v| load(simd, v));
            let (new, first, second) = self.rule.step(simd, load(simd, x), load(simd, m), held, g);
            store(simd, x, new);
            store(simd, m, first);
            if let Some(v) = v {
                store(simd, v, second);
            }
        }
    }
}

/// Values whose squares are summed in single precision.
const NEAR: usize = 1 << 12;
/// Values that a thread sums. What it sums up is the same on any number of threads.
const PART: usize = 1 << 15;

/// The Euclidean norm of `values + factor * others`, which are equally many.
#[must_use]
pub fn norm(values: &[f32], factor: f32, others: &[f32]) -> f64 {
    assert_eq!(values.len(), others.len(), "one for each");
    let parts = values.par_chunks(PART).zip(others.par_chunks(PART));
    let sum = |(values, others): (&[f32], &[f32])| -> f64 {
        let near = values.chunks(NEAR).zip(others.chunks(NEAR));
        near.map(|(values, others)| f64::from(arch().dispatch(Squares { values, factor, others }))).sum()
    };
    let sums: Vec<f64> = parts.map(sum).collect();
    sums.iter().sum::<f64>().sqrt()
}

/// The sum of squares of some values.
struct Squares<'a> {
    values: &'a [f32],
    factor: f32,
    others: &'a [f32],
}

impl WithSimd for Squares<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let factor = simd.splat_f32s(self.factor);
        let mut sum = simd.splat_f32s(0.0);
        for (values, others) in self.values.chunks(S::F32_LANES).zip(self.others.chunks(S::F32_LANES)) {
            let value = simd.mul_add_f32s(load(simd, others), factor, load(simd, values));
            sum = simd.mul_add_f32s(value, value, sum);
        }
        simd.reduce_sum_f32s(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_near;

    #[test]
    fn a_norm_is_that_of_plain_sums() {
        for len in [1, 7, 4099, 70_001] {
            let values: Vec<f32> = (0..len).map(|i| (i % 23) as f32 - 10.5).collect();
            let others: Vec<f32> = (0..len).map(|i| (i % 17) as f32 - 4.0).collect();
            for factor in [0.0, 0.25] {
                let square = |(v, o): (&f32, &f32)| f64::from(v + factor * o).powi(2);
                let wanted = values.iter().zip(&others).map(square).sum::<f64>().sqrt();
                assert_near(format!("{len}, {factor}"), &[norm(&values, factor, &others)], &[wanted], 1e-6);
            }
        }
        assert!(norm(&[], 1.0, &[]).abs() < f64::EPSILON, "nothing has no length");
    }
}
