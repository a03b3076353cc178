//! Numbers that several analyses and the checks of claims share: which encoders can be compared,
//! and how much a change of one thing brings.

use super::Matrix;
use crate::catalogue::encoder::{Encoder, Method, Pretraining};
use crate::statistics::mean;

/// An encoder that the paper's comparisons of methods and data sets use: 200 epochs at full size.
pub fn comparable(e: &Encoder) -> bool {
    matches!(e.method, Method::SwAv | Method::MoCoV2) && e.epochs == Some(200) && full_size(&e.pretraining)
}

/// Whether it is the whole of a data set.
const fn full_size(p: &Pretraining) -> bool {
    matches!(
        p,
        Pretraining::ImageNet
            | Pretraining::Places
            | Pretraining::Kinetics
            | Pretraining::Taskonomy
            | Pretraining::Combination
    )
}

/// The best other encoder, and how much better it is, as a share of Supervised's score.
pub fn best_against_supervised(matrix: &Matrix) -> Vec<(usize, usize, f64)> {
    let trained = |e: &Encoder| !matches!(e.method, Method::Supervised | Method::Random);
    let one = |t: usize| {
        let best = matrix.best(t, trained)?;
        Some((t, best, matrix.relative(best, t)?))
    };
    (0..matrix.tasks.len()).filter_map(one).collect()
}

/// MoCo v2 minus SwAV on a task, as a share of SwAV's, over the data sets that both have.
pub fn method_change(matrix: &Matrix, task: usize) -> Option<f64> {
    let of = |method: Method, p: &Pretraining| {
        let row = matrix.encoders.iter().position(|e| e.method == method && e.pretraining == *p && comparable(e))?;
        matrix.good(row, task)
    };
    let both: Vec<(f64, f64)> =
        matrix.data().iter().filter_map(|p| Some((of(Method::MoCoV2, p)?, of(Method::SwAv, p)?))).collect();
    let (moco, swav): (Vec<f64>, Vec<f64>) = both.into_iter().unzip();
    let (moco, swav) = (mean(&moco)?, mean(&swav)?);
    (swav != 0.0).then_some((moco - swav) / swav.abs())
}

/// Tasks and the training data with images like theirs.
pub const SIMILAR: [(&str, Pretraining); 4] = [
    ("CalTech-101", Pretraining::ImageNet),
    ("KineticsActionPrediction", Pretraining::Kinetics),
    ("SUN397", Pretraining::Places),
    ("TaskonomyDepth", Pretraining::Taskonomy),
];

/// Relative changes from balanced to unbalanced on each task, mean of both methods, and the
/// standardised scores of both sides.
pub fn changes(
    matrix: &Matrix,
    balanced: &Pretraining,
    unbalanced: &Pretraining,
) -> (Vec<(usize, f64)>, Vec<f64>, Vec<f64>) {
    let of = |p: &Pretraining, method: &Method| {
        matrix.encoders.iter().position(|e| e.pretraining == *p && e.method == *method && e.epochs == Some(200))
    };
    let pairs: Vec<(usize, usize)> = [Method::SwAv, Method::MoCoV2]
        .into_iter()
        .filter_map(|m| Some((of(balanced, &m)?, of(unbalanced, &m)?)))
        .collect();
    let (mut all, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
    for t in 0..matrix.tasks.len() {
        let both: Vec<(f64, f64)> =
            pairs.iter().filter_map(|(a, b)| Some((matrix.good(*a, t)?, matrix.good(*b, t)?))).collect();
        for (a, b) in &pairs {
            if let (Some(x), Some(y)) = (matrix.standardised(*a, t), matrix.standardised(*b, t)) {
                before.push(x);
                after.push(y);
            }
        }
        let (a, b): (Vec<f64>, Vec<f64>) = both.into_iter().unzip();
        if let (Some(a), Some(b)) = (mean(&a), mean(&b)) {
            all.push((t, (b - a) / a.abs().max(f64::MIN_POSITIVE)));
        }
    }
    (all, before, after)
}
