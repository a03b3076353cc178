//! Ranks, by each of the two ways in which equal values can share one.

/// Ranks from 1 for the smallest; equal values share the mean of their ranks
/// (`scipy.stats.rankdata`). What means and correlations of ranks are taken over.
#[must_use]
pub fn mean_ranks(x: &[f64]) -> Vec<f64> {
    let mut ranks = vec![0.0; x.len()];
    for (from, equal) in groups(x, f64::total_cmp) {
        for i in &equal {
            ranks[*i] = from as f64 + (equal.len() + 1) as f64 / 2.0;
        }
    }
    ranks
}

/// Ranks from 1 for the largest; equal values share the best of theirs, and the next one leaves
/// a gap (`scipy.stats.rankdata(-x, "min")`). What a reader sees as a place.
#[must_use]
pub fn places(x: &[f64]) -> Vec<usize> {
    let mut places = vec![0; x.len()];
    for (from, equal) in groups(x, |a, b| b.total_cmp(a)) {
        for i in equal {
            places[i] = from + 1;
        }
    }
    places
}

/// Positions of equal values together, in an order, each group with the number of those before.
fn groups(x: &[f64], by: impl Fn(&f64, &f64) -> std::cmp::Ordering) -> Vec<(usize, Vec<usize>)> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|a, b| by(&x[*a], &x[*b]));
    let equal = order.chunk_by(|a, b| x[*a] == x[*b]);
    let before = |from: &mut usize, group: &[usize]| {
        let here = (*from, group.to_vec());
        *from += group.len();
        Some(here)
    };
    equal.scan(0, before).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_a_rank() {
        let x = [0.5, 0.9, 0.5, 0.1];
        assert_eq!(mean_ranks(&x), [2.5, 4.0, 2.5, 1.0]);
        assert_eq!(places(&x), [2, 1, 2, 4]);
        assert!(mean_ranks(&[]).is_empty() && places(&[]).is_empty());
    }
}
