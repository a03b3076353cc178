//! Resampling with a fixed seed: the same data give the same interval everywhere.

use super::quantile_sorted;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

/// Above so many standard deviations are 2.5 % of a normal distribution.
const NORMAL: f64 = 1.959_963_984_540_054;

/// Where a quantity lies with a confidence of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Below are 2.5 % of the resampled values.
    pub low: f64,
    /// Above are 2.5 %.
    pub high: f64,
}

impl Interval {
    /// Of resampled values; `None` of none.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        Some(Self { low: quantile_sorted(&values, 0.025)?, high: quantile_sorted(&values, 0.975)? })
    }

    /// That of a normal distribution around a value with a standard error.
    #[must_use]
    pub fn around(value: f64, standard_error: f64) -> Self {
        let half = NORMAL * standard_error;
        Self { low: value - half, high: value + half }
    }

    /// The standard error of a normal distribution with this interval.
    #[must_use]
    pub fn standard_error(&self) -> f64 {
        (self.high - self.low) / (2.0 * NORMAL)
    }

    /// Whether zero lies outside.
    #[must_use]
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// Draws samples with replacement (`xorshift64*`).
#[derive(Debug, Clone)]
pub struct Resampler(u64);

impl Default for Resampler {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Resampler {
    /// 32 random bits.
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    /// A number below `n`.
    fn below(&mut self, n: usize) -> usize {
        ((self.bits() * n as u64) >> 32) as usize
    }

    /// A number of the standard normal distribution.
    pub fn normal(&mut self) -> f64 {
        Normal::standard().inverse_cdf((self.bits() as f64 + 0.5) / 4_294_967_296.0)
    }

    /// Puts values into a random order (Fisher and Yates).
    pub(super) fn shuffle(&mut self, values: &mut [f64]) {
        for i in (1..values.len()).rev() {
            let j = self.below(i + 1);
            values.swap(i, j);
        }
    }

    /// As many numbers below `n` as there are places.
    pub fn draw(&mut self, n: usize, places: &mut [usize]) {
        for p in places {
            *p = self.below(n);
        }
    }

    /// The interval of the mean of a sample. `None` for fewer than two values.
    pub fn mean(&mut self, x: &[f64], rounds: usize) -> Option<Interval> {
        if x.len() < 2 {
            return None;
        }
        let n = x.len() as f64;
        let mut one = || (0..x.len()).map(|_| x[self.below(x.len())]).sum::<f64>() / n;
        Interval::of((0..rounds).map(|_| one()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_covers_the_mean_and_shrinks_with_the_sample() {
        let width = |n: usize| {
            let x: Vec<f64> = (0..n).map(|i| (i % 10) as f64).collect();
            let i = Resampler::default().mean(&x, 1000).expect("an interval");
            assert!(i.low < 4.5 && 4.5 < i.high, "{i:?}");
            i.high - i.low
        };
        assert!(width(1000) < 0.2 * width(10));
        assert_eq!(Resampler::default().mean(&[1.0], 10), None);
    }

    #[test]
    fn normal_numbers_have_the_interval_of_their_deviation() {
        let mut resampler = Resampler::default();
        let i = Interval::of((0..20_000).map(|_| 2.0 * resampler.normal()).collect()).expect("an interval");
        assert!((i.standard_error() - 2.0).abs() < 0.05 && (i.low + i.high).abs() < 0.1, "{i:?}");
    }

    #[test]
    fn draws_are_even() {
        let mut counts = [0usize; 7];
        let mut places = vec![0; 70_000];
        Resampler::default().draw(7, &mut places);
        for p in places {
            counts[p] += 1;
        }
        assert!(counts.iter().all(|c| (9_500..10_500).contains(c)), "{counts:?}");
    }
}
