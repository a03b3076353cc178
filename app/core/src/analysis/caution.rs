//! When numbers are too few to say something, and what is said instead.

use crate::statistics::{
    Comparison, Correlation, Line, anova, kruskal, line, pearson, permuted, permuted_groups, spearman,
};

/// Fewer points have no correlation, no line and no band.
pub const POINTS: usize = 8;

/// The correlation of at least [`POINTS`] pairs, of their ranks if `ranks`. Below thirty its
/// probability is that of orders.
pub fn correlation(x: &[f64], y: &[f64], ranks: bool) -> Option<Correlation> {
    if x.len() < POINTS {
        return None;
    }
    if ranks {
        let (x, y) = (crate::statistics::mean_ranks(x), crate::statistics::mean_ranks(y));
        return permuted(spearman(&x, &y), &x, &y);
    }
    permuted(pearson(x, y), x, y)
}

/// The line through at least [`POINTS`] points.
pub fn fitted(x: &[f64], y: &[f64]) -> Option<Line> {
    line(x, y).filter(|_| x.len() >= POINTS)
}

/// Both tests of whether groups with at least [`POINTS`] values differ.
pub fn groups(groups: &[&[f64]]) -> Option<(Comparison, Comparison)> {
    let enough = groups.iter().map(|g| g.len()).sum::<usize>() >= POINTS;
    enough.then_some(())?;
    Some((permuted_groups(anova, groups)?, permuted_groups(kruskal, groups)?))
}

/// The sentence for `few` of `all` things (tasks, pairs) that have too few points; none for none.
pub fn too_few(few: usize, all: usize, things: &str) -> Option<String> {
    let which = if few == all { format!("All {all} {things} have") } else { format!("{few} of {all} {things} have") };
    (few > 0).then(|| {
        format!(
            "{which} scores of fewer than {POINTS} encoders: too few for a correlation, a line or a band, which chance alone would draw. Only points are shown."
        )
    })
}
