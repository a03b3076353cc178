//! Functions of vectors of numbers.

use pulp::Simd;

/// Below it `exp` is 0 in single precision, nearly.
const LOWEST: f32 = -87.0;
/// Above it `exp` is more than single precision holds, nearly.
const HIGHEST: f32 = 88.0;
/// Added to a number, it leaves the nearest integer in the last bits: 1.5 * 2^23.
const ROUND: f32 = 12_582_912.0;
/// The logarithm of 2 in two parts, the first of which has few digits.
const LN2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// Cephes' polynomial for `(exp(r) - 1 - r) / r^2`, the highest power first.
const EXP: [f32; 6] = [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

/// From here on `erf` is 1 in single precision.
const ERF_LIMIT: f32 = 3.832_507;
/// Eigen's rational approximation `x P(x^2) / Q(x^2)` of `erf`, the highest power first.
const ERF_ABOVE: [f32; 5] =
    [2.290_506_6e-4, 3.408_291e-3, 5.095_569_4e-2, 0.185_208_33, std::f32::consts::FRAC_2_SQRT_PI];
const ERF_BELOW: [f32; 7] =
    [-1.179_160_3e-7, 2.354_796_7e-5, 1.017_962_5e-3, 1.407_047e-2, 0.110_985_05, 0.497_469_25, 1.0];

/// `e^x` within two units of the last place; outside of -87 to 88 that of the nearer end.
#[inline(always)]
pub fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let all = |value: f32| simd.splat_f32s(value);
    let x = simd.min_f32s(simd.max_f32s(x, all(LOWEST)), all(HIGHEST));
    let shifted = simd.mul_add_f32s(x, all(std::f32::consts::LOG2_E), all(ROUND));
    let n = simd.sub_f32s(shifted, all(ROUND));
    let r = simd.mul_add_f32s(n, all(-LN2[0]), x);
    let r = simd.mul_add_f32s(n, all(-LN2[1]), r);
    let rest = simd.mul_add_f32s(polynomial(simd, &EXP, r), simd.mul_f32s(r, r), r);
    // 2^n, whose exponent is n more than that of 1.
    let bits = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    let power = simd.transmute_f32s_u32s(simd.add_u32s(bits, simd.splat_u32s(1f32.to_bits())));
    simd.mul_f32s(simd.add_f32s(rest, all(1.0)), power)
}

/// The error function, within 5e-7.
#[inline(always)]
pub fn erf<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let all = |value: f32| simd.splat_f32s(value);
    let x = simd.min_f32s(simd.max_f32s(x, all(-ERF_LIMIT)), all(ERF_LIMIT));
    let square = simd.mul_f32s(x, x);
    let above = simd.mul_f32s(x, polynomial(simd, &ERF_ABOVE, square));
    simd.div_f32s(above, polynomial(simd, &ERF_BELOW, square))
}

#[inline(always)]
fn polynomial<S: Simd>(simd: S, factors: &[f32], x: S::f32s) -> S::f32s {
    let mut sum = simd.splat_f32s(factors[0]);
    for factor in &factors[1..] {
        sum = simd.mul_add_f32s(sum, x, simd.splat_f32s(*factor));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{arch, load, store};
    use crate::testing::difference;
    use pulp::WithSimd;

    struct Both<'a> {
        x: &'a [f32],
        exp: &'a mut [f32],
        erf: &'a mut [f32],
    }

    impl WithSimd for Both<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for at in (0..self.x.len()).step_by(S::F32_LANES) {
                let some = at..(at + S::F32_LANES).min(self.x.len());
                let x = load(simd, &self.x[some.clone()]);
                store(simd, &mut self.exp[some.clone()], exp(simd, x));
                store(simd, &mut self.erf[some], erf(simd, x));
            }
        }
    }

    #[test]
    fn exponentials_and_error_functions_are_near_to_double_precision() {
        let x: Vec<f32> = (-86_000..=20_000).map(|i| i as f32 / 1000.0).collect();
        let (mut exp, mut erf) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        arch().dispatch(Both { x: &x, exp: &mut exp, erf: &mut erf });
        let shares: Vec<f64> = exp.iter().zip(&x).map(|(y, x)| f64::from(*y) / f64::from(*x).exp()).collect();
        let error = difference("exp", &shares, &vec![1.0; x.len()]);
        assert!(error < 3e-7, "exp is {error:e} apart");
        // The series of erf, of which 60 terms are plenty between -3 and 3.
        let series = |x: f64| {
            let mut term = x;
            let mut sum = x;
            for n in 1..60 {
                term *= -x * x / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            sum * std::f64::consts::FRAC_2_SQRT_PI
        };
        let near: Vec<(f64, f64)> = x
            .iter()
            .zip(&erf)
            .filter(|(x, _)| x.abs() <= 3.0)
            .map(|(x, y)| (f64::from(*y), series(f64::from(*x))))
            .collect();
        let (ours, wanted): (Vec<f64>, Vec<f64>) = near.into_iter().unzip();
        assert!(difference("erf", &ours, &wanted) < 5e-7);
        for (x, y) in x.iter().zip(&erf).filter(|(x, _)| x.abs() > 4.0) {
            assert!((y - x.signum()).abs() < 5e-7, "erf({x}) is {y}");
        }
    }
}
