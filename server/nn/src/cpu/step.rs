//! What optimisers do to a number, given its gradient.

use super::{arch, load, store};
use pulp::{Simd, WithSimd};

/// Share of Adam's second mean that stays (PyTorch's default).
pub const BETA2: f64 = 0.999;
/// What keeps Adam from dividing by zero (PyTorch's default).
pub const EPS: f32 = 1e-8;

/// Adam's two means of gradients, or SGD's buffer (the second stays empty). Zeros before the
/// first step, which makes the first step PyTorch's.
#[derive(Debug, Clone, Default)]
pub struct Moments {
    /// Adam's mean of gradients, or SGD's momentum buffer.
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
    /// `torch.optim.Adam`.
    Adam {
        /// Share of the mean that stays.
        beta: f64,
        /// Learning rate over the first mean's bias correction.
        rate: f32,
        /// One over the root of the second mean's bias correction.
        correction: f32,
    },
    /// `torch.optim.SGD`.
    Sgd {
        /// Share of the buffer that stays.
        momentum: f32,
        /// Learning rate.
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
            Self::Adam { beta, rate, correction } => {
                // Subtracted in double precision, as PyTorch does: 1 - 0.999 has few digits left in single.
                let (fresh, fresh2) = (all((1.0 - beta) as f32), all((1.0 - BETA2) as f32));
                let m = simd.mul_add_f32s(m, all(beta as f32), simd.mul_f32s(g, fresh));
                let v = simd.mul_add_f32s(v, all(BETA2 as f32), simd.mul_f32s(simd.mul_f32s(g, g), fresh2));
                let below = simd.mul_add_f32s(simd.sqrt_f32s(v), all(correction), all(EPS));
                let change = simd.div_f32s(simd.mul_f32s(m, all(rate)), below);
                (simd.sub_f32s(x, change), m, v)
            }
            Self::Sgd { momentum, rate } => {
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
