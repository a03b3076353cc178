//! Do groups differ? One-way ANOVA and Kruskal and Wallis' test on ranks.

use super::{mean, mean_ranks, squares};
use statrs::distribution::{ChiSquared, ContinuousCDF, FisherSnedecor};

/// A test of groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// F or H.
    pub statistic: f64,
    /// Probability of one at least as large if the groups did not differ.
    pub p: f64,
}

/// One-way analysis of variance (`scipy.stats.f_oneway`). `None` for fewer than two groups,
/// an empty one, no more values than groups, or values that are all equal within groups.
#[must_use]
pub fn anova(groups: &[&[f64]]) -> Option<Comparison> {
    let all = pool(groups)?;
    let (k, n) = (groups.len() as f64, all.len() as f64);
    let within: f64 = groups.iter().map(|g| squares(g)).sum();
    if n <= k || within <= 0.0 {
        return None;
    }
    let statistic = ((squares(&all) - within) / (k - 1.0)) / (within / (n - k));
    let p = FisherSnedecor::new(k - 1.0, n - k).ok()?.sf(statistic.max(0.0));
    Some(Comparison { statistic, p })
}

/// Kruskal and Wallis' test, corrected for ties (`scipy.stats.kruskal`). `None` for fewer than
/// two groups, an empty one, or values that are all equal.
#[must_use]
pub fn kruskal(groups: &[&[f64]]) -> Option<Comparison> {
    let all = pool(groups)?;
    let n = all.len() as f64;
    let ranks = mean_ranks(&all);
    let mut rest = &ranks[..];
    let mut sum = 0.0;
    for group in groups {
        let (own, others) = rest.split_at(group.len());
        sum += own.iter().sum::<f64>().powi(2) / own.len() as f64;
        rest = others;
    }
    let mut sorted = all;
    sorted.sort_by(f64::total_cmp);
    let ties: f64 = sorted.chunk_by(|a, b| a == b).map(|t| (t.len() as f64).powi(3) - t.len() as f64).sum();
    let correction = 1.0 - ties / (n.powi(3) - n);
    if correction <= 0.0 {
        return None;
    }
    let statistic = (12.0 / (n * (n + 1.0)) * sum - 3.0 * (n + 1.0)) / correction;
    let p = ChiSquared::new(groups.len() as f64 - 1.0).ok()?.sf(statistic.max(0.0));
    Some(Comparison { statistic, p })
}

fn pool(groups: &[&[f64]]) -> Option<Vec<f64>> {
    (groups.len() >= 2 && groups.iter().all(|g| mean(g).is_some())).then(|| groups.concat())
}
