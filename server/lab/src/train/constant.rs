//! What the best constant answer reaches: the yardstick below which nothing was learned.

use super::answer::{numbers, pixels};
use super::source::Source;
use super::truth::Truth;
use crate::Result;
use crate::data::UNLABELLED;
use crate::score::metric::{SampleScore, Scoring, rules};
use virboard_core::catalogue::task::Metric;
use virboard_core::protocol::Protocol;

/// The same answer for every sample or pixel.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// A class.
    Class(u32),
    /// A class per pixel.
    Pixel(u8),
    /// A number per channel.
    Values(Vec<f32>),
}

/// Training samples that the constant is taken from; more do not move a median.
const MOST: usize = 1000;

impl Constant {
    /// The constant that is best on the training set: its most frequent class, the class of
    /// most pixels (for the overlap with one class: that class), or the median per channel.
    pub fn best(train: &dyn Source, indices: &[usize], channels: usize, scoring: Scoring) -> Result<Option<Self>> {
        let step = indices.len().div_ceil(MOST).max(1);
        let some: Vec<usize> = indices.iter().copied().step_by(step).collect();
        if some.is_empty() {
            return Ok(None);
        }
        if !train.varies() {
            return Ok(Some(Self::of(&train.truth(&some)?, channels, scoring)));
        }
        let mut all: Option<Truth> = None;
        for index in some.iter().take(200) {
            let truth = train.truth(&[*index])?;
            all = Some(match (all, truth) {
                (Some(Truth::Mask(mut a)), Truth::Mask(b)) => {
                    a.extend(b.iter().step_by(16));
                    Truth::Mask(a)
                }
                (Some(Truth::Values(mut a)), Truth::Values(b)) => {
                    a.extend(b.chunks(channels).step_by(16).flatten());
                    Truth::Values(a)
                }
                (_, truth) => truth,
            });
        }
        Ok(all.map(|truth| Self::of(&truth, channels, scoring)))
    }

    fn of(truth: &Truth, channels: usize, scoring: Scoring) -> Self {
        match truth {
            Truth::Classes(classes) => Self::Class(most_frequent(classes.iter().copied())),
            Truth::Mask(_) if rules(scoring.metric).one_class => Self::Pixel(1),
            Truth::Mask(mask) => {
                let counted = |c: &u8| *c != UNLABELLED && !(scoring.skip_zero && *c == 0);
                Self::Pixel(most_frequent(mask.iter().copied().filter(counted).map(u32::from)) as u8)
            }
            Truth::Values(values) => Self::Values(
                (0..channels)
                    .map(|c| {
                        let mut all: Vec<f32> =
                            values.iter().skip(c).step_by(channels).copied().filter(|v| !v.is_nan()).collect();
                        let middle = all.len() / 2;
                        if all.is_empty() { 0.0 } else { *all.select_nth_unstable_by(middle, f32::total_cmp).1 }
                    })
                    .collect(),
            ),
        }
    }

    /// How the constant scores on a batch of `n` samples.
    #[must_use]
    pub fn score(&self, truth: &Truth, n: usize, metric: Metric, protocol: Protocol) -> Vec<SampleScore> {
        match (self, truth) {
            (Self::Class(class), Truth::Classes(classes)) => {
                classes.iter().map(|t| SampleScore::Class { truth: *t, top: vec![(*class, 1.0)] }).collect()
            }
            (Self::Pixel(class), Truth::Mask(mask)) => {
                mask.chunks((mask.len() / n).max(1)).map(|t| pixels(t, std::iter::repeat(*class))).collect()
            }
            (Self::Values(answer), Truth::Values(values)) => values
                .chunks((values.len() / n).max(1))
                .map(|t| numbers(t, |i| answer[i % answer.len()], answer.len(), metric, protocol))
                .collect(),
            _ => Vec::new(),
        }
    }
}

fn most_frequent(classes: impl Iterator<Item = u32>) -> u32 {
    let mut counts = std::collections::BTreeMap::new();
    for class in classes {
        *counts.entry(class).or_insert(0u64) += 1;
    }
    counts.into_iter().max_by_key(|(class, n)| (*n, std::cmp::Reverse(*class))).map_or(0, |(class, _)| class)
}
