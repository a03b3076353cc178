//! Pearson's and Spearman's correlation.

use super::{mean, mean_ranks, squares};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A correlation of pairs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correlation {
    /// -1 to 1.
    pub r: f64,
    /// Probability of one at least as strong, either way, if there were none.
    pub p: f64,
    /// Number of pairs.
    pub n: usize,
}

/// Pearson's correlation (`scipy.stats.pearsonr`). `None` for fewer than three pairs or if
/// either side is constant.
#[must_use]
pub fn pearson(x: &[f64], y: &[f64]) -> Option<Correlation> {
    let n = x.len().min(y.len());
    let (x, y) = (&x[..n], &y[..n]);
    let (sx, sy) = (squares(x), squares(y));
    if n < 3 || sx <= 0.0 || sy <= 0.0 {
        return None;
    }
    let (mx, my) = (mean(x)?, mean(y)?);
    let r = x.iter().zip(y).map(|(a, b)| (a - mx) * (b - my)).sum::<f64>() / (sx * sy).sqrt();
    let r = r.clamp(-1.0, 1.0);
    Some(Correlation { r, p: two_sided(r, n)?, n })
}

/// Spearman's rank correlation (`scipy.stats.spearmanr`), with the same limits.
#[must_use]
pub fn spearman(x: &[f64], y: &[f64]) -> Option<Correlation> {
    let n = x.len().min(y.len());
    pearson(&mean_ranks(&x[..n]), &mean_ranks(&y[..n]))
}

/// From the t distribution of n - 2 degrees of freedom.
fn two_sided(r: f64, n: usize) -> Option<f64> {
    let freedom = (n - 2) as f64;
    let t = r.abs() * (freedom / (1.0 - r * r)).sqrt();
    if t.is_infinite() {
        return Some(0.0);
    }
    Some((2.0 * StudentsT::new(0.0, 1.0, freedom).ok()?.sf(t)).min(1.0))
}
