//! What an encoder is good and bad at, and which others are like it.

use super::Matrix;
use crate::catalogue::encoder::Encoder;
use crate::catalogue::task::{Category, Task};
use crate::statistics::mean;
use crate::words::counted;
use std::sync::Arc;

/// Mean deviations from which a category counts as a strength or a weakness.
const NOTABLE: f64 = 0.5;
/// Tasks that two encoders must have in common to be compared.
const COMMON: usize = 3;

/// An encoder within a category.
#[derive(Debug, Clone, PartialEq)]
pub struct Strength {
    /// The category.
    pub category: Category,
    /// Mean of its scores there, in standard deviations of each task over all encoders; 0 is
    /// the average encoder.
    pub mean: f64,
    /// Its tasks there.
    pub tasks: usize,
    /// Its place by that mean among the encoders with all of those tasks, and their number.
    pub place: (usize, usize),
}

/// An encoder's scores beside all others'.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Categories in which it has a score.
    pub strengths: Vec<Strength>,
    /// Every score in standard deviations above the average encoder.
    pub tasks: Vec<(Arc<Task>, f64)>,
    /// The encoders whose scores are most like its own: root mean square of the differences in
    /// standard deviations, and over how many common tasks.
    pub nearest: Vec<(Arc<Encoder>, f64, usize)>,
}

/// The profile of an encoder; `None` without a score that can be compared.
#[must_use]
pub fn profile(matrix: &Matrix, encoder: &str) -> Option<Profile> {
    let e = matrix.encoder(encoder)?;
    let own: Vec<(usize, f64)> =
        (0..matrix.tasks.len()).filter_map(|t| Some((t, matrix.standardised(e, t)?))).collect();
    if own.is_empty() {
        return None;
    }
    let strengths = Category::ALL.into_iter().filter_map(|category| {
        let tasks: Vec<usize> = own.iter().map(|o| o.0).filter(|t| matrix.tasks[*t].category == category).collect();
        let of = |e: usize| {
            let scores = tasks.iter().map(|t| matrix.standardised(e, *t)).collect::<Option<Vec<f64>>>()?;
            mean(&scores)
        };
        let mine = of(e)?;
        let all: Vec<f64> = (0..matrix.encoders.len()).filter_map(of).collect();
        let place = 1 + all.iter().filter(|m| **m > mine + 1e-12).count();
        Some(Strength { category, mean: mine, tasks: tasks.len(), place: (place, all.len()) })
    });
    let mut nearest: Vec<(Arc<Encoder>, f64, usize)> = (0..matrix.encoders.len())
        .filter(|o| *o != e)
        .filter_map(|o| {
            let squares: Vec<f64> =
                own.iter().filter_map(|(t, z)| Some((matrix.standardised(o, *t)? - z).powi(2))).collect();
            (squares.len() >= COMMON).then_some(())?;
            Some((matrix.encoders[o].clone(), mean(&squares)?.sqrt(), squares.len()))
        })
        .collect();
    nearest.sort_by(|a, b| a.1.total_cmp(&b.1));
    nearest.truncate(5);
    Some(Profile {
        strengths: strengths.collect(),
        tasks: own.into_iter().map(|(t, z)| (matrix.tasks[t].clone(), z)).collect(),
        nearest,
    })
}

impl Profile {
    /// What it is good and bad at, in sentences.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut out = Vec::new();
        for s in &self.strengths {
            let verdict = match s.mean {
                m if m >= NOTABLE => "Strong",
                m if m <= -NOTABLE => "Weak",
                _ => "Average",
            };
            let (place, of) = s.place;
            out.push(format!(
                "{verdict} on {}: {:+.2} standard deviations over {}, place {place} of {of}.",
                s.category.name().to_lowercase(),
                s.mean,
                counted(s.tasks, "task")
            ));
        }
        let extreme =
            |pick: fn(&f64, &f64) -> bool| self.tasks.iter().reduce(|a, b| if pick(&b.1, &a.1) { b } else { a });
        if let (Some(best), Some(worst)) = (extreme(|a, b| a > b), extreme(|a, b| a < b))
            && best.0.key != worst.0.key
        {
            out.push(format!(
                "Best, beside the others, on {} ({:+.2}); worst on {} ({:+.2}).",
                best.0.name, best.1, worst.0.name, worst.1
            ));
        }
        out
    }
}
