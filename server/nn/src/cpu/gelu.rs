//! GELU, `x/2 (1 + erf(x / sqrt 2))` (Hendrycks and Gimpel 2016, arXiv 1606.08415), and its gradient.

use super::functions::{erf, exp};
use super::{arch, load, store};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

/// Numbers that a task works on.
const PART: usize = 1 << 14;

/// GELU of each number.
pub fn gelu(x: &[f32], out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "there is room for each number");
    out.par_chunks_mut(PART)
        .zip(x.par_chunks(PART))
        .for_each(|(out, x)| arch().dispatch(Numbers { x, gradient: None, out }));
}

/// The gradient of each number for that of its GELU.
pub fn gelu_gradient(x: &[f32], gradient: &[f32], out: &mut [f32]) {
    assert!(x.len() == out.len() && x.len() == gradient.len(), "there is a gradient of each number");
    let parts = out.par_chunks_mut(PART).zip(x.par_chunks(PART)).zip(gradient.par_chunks(PART));
    parts.for_each(|((out, x), g)| arch().dispatch(Numbers { x, gradient: Some(g), out }));
}

/// Some numbers, or their gradients.
struct Numbers<'a> {
    x: &'a [f32],
    gradient: Option<&'a [f32]>,
    out: &'a mut [f32],
}

impl WithSimd for Numbers<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let all = |value: f32| simd.splat_f32s(value);
        for at in (0..self.x.len()).step_by(S::F32_LANES) {
            let some = at..(at + S::F32_LANES).min(self.x.len());
            let x = load(simd, &self.x[some.clone()]);
            // How much of the normal distribution lies below.
            let below = erf(simd, simd.mul_f32s(x, all(FRAC_1_SQRT_2)));
            let below = simd.mul_add_f32s(below, all(0.5), all(0.5));
            let y = match self.gradient {
                None => simd.mul_f32s(x, below),
                Some(gradient) => {
                    let power = simd.mul_f32s(simd.mul_f32s(x, x), all(-0.5));
                    let density = simd.mul_f32s(exp(simd, power), all(0.5 * FRAC_1_SQRT_2 * FRAC_2_SQRT_PI));
                    let slope = simd.mul_add_f32s(x, density, below);
                    simd.mul_f32s(load(simd, &gradient[some.clone()]), slope)
                }
            };
            store(simd, &mut self.out[some], y);
        }
    }
}
