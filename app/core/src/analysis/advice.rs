//! Which one should I use? Weights a task in, an encoder and its margin out. Light enough for
//! the browser to answer while a slider moves.

use super::Matrix;
use crate::catalog::encoder::Encoder;
use crate::statistics::Resampler;

/// Resampled sets of tasks.
const ROUNDS: usize = 400;

/// An encoder under the reader's weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The encoder.
    pub encoder: &'static Encoder,
    /// Weighted mean of its standardised scores.
    pub score: f64,
    /// Share of resampled sets of tasks in which it comes first.
    pub wins: f64,
    /// The task that speaks most for it: its weighted, standardised score and its column.
    pub strongest: Option<(f64, usize)>,
    /// The task that speaks most against it.
    pub weakest: Option<(f64, usize)>,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Advice {
    /// Encoders with a score on every task that counts, the best first.
    pub candidates: Vec<Candidate>,
    /// Columns that count.
    pub tasks: Vec<usize>,
    /// Allowed encoders that lack a score on one of them.
    pub incomplete: usize,
    /// Tasks with a weight on which no allowed encoder has a score; they cannot count.
    pub unmeasured: usize,
}

/// Ranks the encoders that pass under `weights`, one a task, none below 0.
#[must_use]
pub fn advise(matrix: &Matrix, weights: &[f64], pass: impl Fn(&Encoder) -> bool) -> Advice {
    let allowed: Vec<usize> = (0..matrix.encoders.len()).filter(|e| pass(matrix.encoders[*e])).collect();
    let wanted: Vec<usize> = (0..matrix.tasks.len()).filter(|t| weights.get(*t).is_some_and(|w| *w > 0.0)).collect();
    let (tasks, none): (Vec<usize>, Vec<usize>) =
        wanted.into_iter().partition(|t| allowed.iter().any(|e| matrix.standardised(*e, *t).is_some()));
    let complete: Vec<(usize, Vec<f64>)> = allowed
        .iter()
        .filter_map(|e| Some((*e, tasks.iter().map(|t| matrix.standardised(*e, *t)).collect::<Option<Vec<f64>>>()?)))
        .collect();
    let some = allowed.iter().filter(|e| (0..matrix.tasks.len()).any(|t| matrix.score(**e, t).is_some())).count();
    let incomplete = some - complete.len().min(some);
    if tasks.is_empty() || complete.is_empty() {
        return Advice { incomplete, unmeasured: none.len(), ..Advice::default() };
    }
    let weighted = |scores: &[f64], some: &[usize]| {
        let total: f64 = some.iter().map(|i| weights[tasks[*i]]).sum();
        some.iter().map(|i| weights[tasks[*i]] * scores[*i]).sum::<f64>() / total
    };
    let all: Vec<usize> = (0..tasks.len()).collect();
    let mut wins = vec![0usize; complete.len()];
    let mut resampler = Resampler::default();
    let mut drawn = all.clone();
    for _ in 0..ROUNDS {
        resampler.draw(tasks.len(), &mut drawn);
        let scores = complete.iter().map(|(_, s)| weighted(s, &drawn)).enumerate();
        if let Some((first, _)) = scores.max_by(|a, b| a.1.total_cmp(&b.1)) {
            wins[first] += 1;
        }
    }
    let mut candidates: Vec<Candidate> = complete
        .iter()
        .zip(wins)
        .map(|((e, scores), wins)| {
            let parts = || all.iter().map(|i| (weights[tasks[*i]] * scores[*i], tasks[*i]));
            Candidate {
                encoder: matrix.encoders[*e],
                score: weighted(scores, &all),
                wins: wins as f64 / ROUNDS as f64,
                strongest: parts().max_by(|a, b| a.0.total_cmp(&b.0)),
                weakest: parts().min_by(|a, b| a.0.total_cmp(&b.0)),
            }
        })
        .collect();
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    Advice { candidates, tasks, incomplete, unmeasured: none.len() }
}
