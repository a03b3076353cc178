//! Statistics of small samples. Formulas are our own where they are a line or two;
//! distributions come from `statrs`. Every result is checked against scipy to 1e-9
//! (`tests/statistics.rs`). What a sample is too small or too uniform for is `None`.

mod bootstrap;
mod correlation;
mod density;
mod groups;
mod line;
mod permutation;
mod rank;
mod sign;

pub use bootstrap::{Interval, Resampler};
pub use correlation::{Correlation, pearson, spearman};
pub use density::{Density, density};
pub use groups::{Comparison, anova, kruskal};
pub use line::{Line, line};
pub use permutation::{MANY, permuted, permuted_groups};
pub use rank::{mean_ranks, places};
pub use sign::{SignTest, sign_test};

/// Arithmetic mean; `None` of nothing.
#[must_use]
pub fn mean(x: &[f64]) -> Option<f64> {
    (!x.is_empty()).then(|| x.iter().sum::<f64>() / x.len() as f64)
}

/// Sum of squared distances from the mean.
pub(crate) fn squares(x: &[f64]) -> f64 {
    let m = mean(x).unwrap_or_default();
    x.iter().map(|v| (v - m) * (v - m)).sum()
}

/// Standard deviation of a population (`numpy.std`), as ViRB's charts use it.
#[must_use]
pub fn population_deviation(x: &[f64]) -> Option<f64> {
    (!x.is_empty()).then(|| (squares(x) / x.len() as f64).sqrt())
}

/// Standard deviation of a sample (`numpy.std` with `ddof=1`); `None` of fewer than two values.
#[must_use]
pub fn sample_deviation(x: &[f64]) -> Option<f64> {
    (x.len() > 1).then(|| (squares(x) / (x.len() - 1) as f64).sqrt())
}

/// The value below which a share `q`, 0 to 1, of the sample lies, interpolated linearly
/// (`numpy.quantile`).
#[must_use]
pub fn quantile(x: &[f64], q: f64) -> Option<f64> {
    let mut sorted = x.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile_sorted(&sorted, q)
}

/// As [`quantile`], of a sorted sample.
pub(crate) fn quantile_sorted(sorted: &[f64], q: f64) -> Option<f64> {
    let at = q.clamp(0.0, 1.0) * (sorted.len().checked_sub(1)?) as f64;
    let (low, share) = (at.floor() as usize, at.fract());
    let high = (low + 1).min(sorted.len() - 1);
    Some(sorted[low] + (sorted[high] - sorted[low]) * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_their_ranks_mean() {
        assert_eq!(mean_ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        assert!(mean_ranks(&[]).is_empty());
    }

    #[test]
    fn nothing_has_no_mean() {
        assert_eq!((mean(&[]), population_deviation(&[]), quantile(&[], 0.5)), (None, None, None));
        assert_eq!(quantile(&[4.0], 0.3), Some(4.0));
        assert_eq!((sample_deviation(&[4.0]), sample_deviation(&[1.0, 2.0, 3.0])), (None, Some(1.0)));
    }
}
