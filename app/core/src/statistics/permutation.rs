//! Probabilities from all orders of a small sample, or from many random ones: no distribution is
//! assumed, of which few values tell nothing.

use super::{Comparison, Correlation, Resampler, mean};

/// From so many values on distributions are close enough.
pub const MANY: usize = 30;

/// Up to so many values all orders are tried.
const ALL_ORDERS: usize = 8;

/// Random orders where there are too many for all.
const ROUNDS: u32 = 9_999;

/// A statistic is as large as another if it is larger or differs in its last digits only.
const SLACK: f64 = 1e-9;

/// The same correlation with its probability from orders of `y`, for fewer than [`MANY`] pairs:
/// the share of orders with one at least as strong, either way
/// (`scipy.stats.permutation_test` of `|r|`).
#[must_use]
pub fn permuted(correlation: Option<Correlation>, x: &[f64], y: &[f64]) -> Option<Correlation> {
    let c = correlation?;
    if c.n >= MANY {
        return Some(c);
    }
    // Of one pair of samples, r and this sum order alike.
    let (x, y) = (centred(x), centred(y));
    let sum = |y: &[f64]| x.iter().zip(y).map(|(a, b)| a * b).sum::<f64>();
    let slack = SLACK * x.iter().zip(&y).map(|(a, b)| (a * b).abs()).sum::<f64>();
    let seen = sum(&y).abs() - slack;
    let p = share(&y, |order| sum(order).abs() >= seen);
    Some(Correlation { p, ..c })
}

fn centred(x: &[f64]) -> Vec<f64> {
    let mean = mean(x).unwrap_or_default();
    x.iter().map(|v| v - mean).collect()
}

/// The same test of groups with its probability from random orders of all values, for fewer than
/// [`MANY`].
#[must_use]
pub fn permuted_groups(test: fn(&[&[f64]]) -> Option<Comparison>, groups: &[&[f64]]) -> Option<Comparison> {
    let c = test(groups)?;
    let all = groups.concat();
    if all.len() >= MANY {
        return Some(c);
    }
    let seen = c.statistic - SLACK * c.statistic.abs();
    let p = share(&all, |order| {
        let mut rest = order;
        let mut shuffled = Vec::with_capacity(groups.len());
        for group in groups {
            let (own, others) = rest.split_at(group.len());
            shuffled.push(own);
            rest = others;
        }
        // Groups that are equal within differ as much as groups can.
        test(&shuffled).is_none_or(|c| c.statistic >= seen)
    });
    Some(Comparison { p, ..c })
}

/// The share of orders that pass: of all of them, or of random ones and the given one.
fn share(values: &[f64], mut passes: impl FnMut(&[f64]) -> bool) -> f64 {
    let mut order = values.to_vec();
    let (mut passed, mut tried) = (0u32, 0u32);
    let mut count = |order: &[f64]| {
        passed += u32::from(passes(order));
        tried += 1;
    };
    if values.len() <= ALL_ORDERS {
        every_order(&mut order, &mut count);
    } else {
        count(values);
        let mut resampler = Resampler::default();
        for _ in 0..ROUNDS {
            resampler.shuffle(&mut order);
            count(&order);
        }
    }
    f64::from(passed) / f64::from(tried)
}

/// Visits all orders (Heap).
fn every_order(values: &mut [f64], visit: &mut impl FnMut(&[f64])) {
    let mut counters = vec![0; values.len()];
    visit(values);
    let mut i = 1;
    while i < values.len() {
        if counters[i] < i {
            values.swap(if i % 2 == 0 { 0 } else { counters[i] }, i);
            visit(values);
            counters[i] += 1;
            i = 1;
        } else {
            counters[i] = 0;
            i += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{anova, pearson};

    #[test]
    fn all_orders_are_visited_once() {
        let mut seen = Vec::new();
        every_order(&mut [1.0, 2.0, 3.0, 4.0], &mut |o| seen.push(o.to_vec()));
        seen.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
        seen.dedup();
        assert_eq!(seen.len(), 24);
    }

    #[test]
    fn a_perfect_correlation_of_few_pairs_is_no_certainty() {
        let x = [1.0, 2.0, 3.0, 4.0];
        // Of 24 orders two are as strong: itself and the reverse.
        let p = permuted(pearson(&x, &x), &x, &x).map(|c| c.p);
        assert_eq!(p, Some(2.0 / 24.0));
        let x: Vec<f64> = (0..20).map(f64::from).collect();
        let c = permuted(pearson(&x, &x), &x, &x).expect("a correlation");
        assert!(c.p > 0.0 && c.p <= 2e-4 && (c.r - 1.0).abs() < 1e-12, "{c:?}");
        let x: Vec<f64> = (0..40).map(|i| f64::from(i % 7)).collect();
        let y: Vec<f64> = (0..40).map(f64::from).collect();
        assert_eq!(permuted(pearson(&x, &y), &x, &y), pearson(&x, &y), "many pairs");
    }

    #[test]
    fn groups_that_cannot_be_told_apart_are_not() {
        let groups: [&[f64]; 2] = [&[1.0, 2.0, 3.0], &[2.0, 1.0, 3.0]];
        assert_eq!(permuted_groups(anova, &groups).map(|c| c.p), Some(1.0));
        let apart: [&[f64]; 2] = [&[1.0, 2.0, 3.0], &[11.0, 12.0, 13.0]];
        // Of 720 orders, 2 x 3! x 3! leave the groups together.
        assert_eq!(permuted_groups(anova, &apart).map(|c| c.p), Some(0.1));
    }
}
