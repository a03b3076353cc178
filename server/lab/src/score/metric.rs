//! Metrics. Every sample leaves a [`SampleScore`]; a score under either protocol is computed
//! from those alone, so that it can be computed again without a device.

use serde::{Deserialize, Serialize};
use virboard_core::catalogue::task::Metric;
use virboard_core::protocol::Protocol;
use virboard_core::statistics::{Interval, Resampler};

/// What is kept of a prediction for one test sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SampleScore {
    /// Of one answer per sample.
    Class {
        /// The true class.
        truth: u32,
        /// The most probable classes with their probabilities, at most [`TOP`], best first.
        top: Vec<(u32, f32)>,
    },
    /// Of one class per pixel.
    Pixels {
        /// True class, predicted class, number of pixels; labelled pixels only.
        counts: Vec<(u8, u8, u64)>,
    },
    /// Of numbers per pixel.
    Errors {
        /// Sum of the labelled pixels' errors: absolute ones, or lengths of flow errors.
        sum: f64,
        /// Labelled pixels.
        count: u64,
        /// Those near enough to the truth; only flow has them.
        hits: u64,
    },
}

/// Classes that are kept per sample.
pub const TOP: usize = 5;

/// Positions of the `k` largest values, the largest first; of equal ones the first.
#[must_use]
pub fn largest(values: &[f32], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    let by = |a: &usize, b: &usize| values[*b].total_cmp(&values[*a]).then(a.cmp(b));
    if k > 0 && values.len() > k {
        order.select_nth_unstable_by(k - 1, by);
    }
    order.truncate(k);
    order.sort_unstable_by(by);
    order
}

/// The [`TOP`] most probable classes with their probabilities, best first.
#[must_use]
pub fn top_classes(probabilities: &[f32]) -> Vec<(u32, f32)> {
    largest(probabilities, TOP).into_iter().map(|c| (c as u32, probabilities[c])).collect()
}

/// What a task's metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scoring {
    /// The metric.
    pub metric: Metric,
    /// Whether class 0 (background, void) is left out of the mean over classes.
    pub skip_zero: bool,
    /// Whether pixels whose true class is 0 are not labelled at all (Cityscapes' void).
    pub void_zero: bool,
}

/// The score of a test set. `batch` is the size of test batches, on which some of ViRB's
/// metrics depend.
#[must_use]
pub fn score(samples: &[SampleScore], scoring: Scoring, protocol: Protocol, batch: usize) -> f64 {
    let all: Vec<&SampleScore> = samples.iter().collect();
    score_of(&all, scoring, protocol, batch)
}

/// Rounds of [`interval`].
const ROUNDS: usize = 1000;

/// Where the score lies with a confidence of 95 % if other test samples had been drawn: the
/// bootstrap over samples. `None` for fewer than two samples, or where too few draws have a
/// value. The seed is fixed.
#[must_use]
pub fn interval(samples: &[SampleScore], scoring: Scoring, protocol: Protocol, batch: usize) -> Option<Interval> {
    if samples.len() < 2 {
        return None;
    }
    let mut resampler = Resampler::default();
    let mut drawn = vec![0; samples.len()];
    let values = (0..ROUNDS).map(|_| {
        resampler.draw(samples.len(), &mut drawn);
        let some: Vec<&SampleScore> = drawn.iter().map(|i| &samples[*i]).collect();
        score_of(&some, scoring, protocol, batch)
    });
    let values: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    if values.len() < ROUNDS / 2 { None } else { Interval::of(values) }
}

fn score_of(samples: &[&SampleScore], scoring: Scoring, protocol: Protocol, batch: usize) -> f64 {
    (rules(scoring.metric).score)(samples, scoring, protocol, batch)
}

/// Of an error's length, the truth's length and the protocol.
pub type Near = fn(error: f64, truth: f64, protocol: Protocol) -> bool;

/// What a metric is made of beside its name and direction, which are in the catalogue.
pub struct Rules {
    /// The score of samples, by the size of test batches where ViRB's depends on it.
    score: fn(&[&SampleScore], Scoring, Protocol, usize) -> f64,
    /// Whether it is about class 1 of a mask alone: such a head has one output a pixel, and the
    /// best constant answer is that class everywhere.
    pub one_class: bool,
    /// Whether a pixel whose error has this length counts as right, by the length of the truth;
    /// `None` where pixels are not counted.
    pub near: Option<Near>,
}

/// The table: a row a metric.
#[must_use]
pub const fn rules(metric: Metric) -> Rules {
    const PLAIN: Rules = Rules { score: mean_error, one_class: false, near: None };
    match metric {
        Metric::Top1 => {
            Rules { score: |samples, _, _, _| mean(samples.iter().map(|s| f64::from(u8::from(right(s))))), ..PLAIN }
        }
        Metric::MeanIou => Rules { score: mean_iou, ..PLAIN },
        Metric::Iou => Rules {
            score: |samples, _, _, _| mean(samples.iter().map(|s| overlap(counts(s), 1))),
            one_class: true,
            ..PLAIN
        },
        Metric::L1 | Metric::EndpointError => PLAIN,
        Metric::FlowAccuracy => Rules {
            score: |samples, _, protocol, batch| match protocol {
                Protocol::Standard => share(samples),
                Protocol::Virb => weighted(samples, batch, share),
            },
            near: Some(|error, truth, protocol| match protocol {
                // KITTI 2015: an outlier is off by more than 3 pixels and by more than 5 %.
                Protocol::Standard => error <= 3.0 || error <= 0.05 * truth,
                Protocol::Virb => error <= 0.05,
            }),
            ..PLAIN
        },
    }
}

fn mean_iou(samples: &[&SampleScore], scoring: Scoring, protocol: Protocol, batch: usize) -> f64 {
    match protocol {
        Protocol::Standard => {
            let mut confusion = Confusion::default();
            for sample in samples {
                for (truth, predicted, n) in counts(sample) {
                    if !(scoring.void_zero && *truth == 0) {
                        confusion.add(*truth, *predicted, *n);
                    }
                }
            }
            confusion.mean_iou(scoring.skip_zero)
        }
        Protocol::Virb => weighted(samples, batch, |part| {
            let all: Vec<_> = part.iter().map(|s| counts(s)).collect();
            let mut classes: Vec<u8> =
                all.iter().copied().flatten().filter(|c| c.2 > 0 && c.0 != 0).map(|c| c.0).collect();
            classes.sort_unstable();
            classes.dedup();
            mean(classes.iter().map(|class| mean(all.iter().map(|c| overlap(c, *class)))))
        }),
    }
}

/// The mean error of all labelled pixels.
fn mean_error(samples: &[&SampleScore], _: Scoring, _: Protocol, _: usize) -> f64 {
    let (sum, count) = samples.iter().map(|s| errors(s)).fold((0.0, 0), |(s, n), e| (s + e.0, n + e.1));
    sum / count.max(1) as f64
}

fn right(sample: &SampleScore) -> bool {
    matches!(sample, SampleScore::Class { truth, top } if top.first().is_some_and(|(c, _)| c == truth))
}

fn counts(sample: &SampleScore) -> &[(u8, u8, u64)] {
    if let SampleScore::Pixels { counts } = sample { counts } else { &[] }
}

fn errors(sample: &SampleScore) -> (f64, u64, u64) {
    if let SampleScore::Errors { sum, count, hits } = sample { (*sum, *count, *hits) } else { (0.0, 0, 0) }
}

fn share(samples: &[&SampleScore]) -> f64 {
    let (hits, count) = samples.iter().map(|s| errors(s)).fold((0, 0), |(h, n), e| (h + e.2, n + e.1));
    hits as f64 / count.max(1) as f64
}

/// ViRB's mean over batches, weighted by their sizes. A batch without a value (no class in
/// it) makes it no number, as NumPy's mean of nothing does.
fn weighted(samples: &[&SampleScore], batch: usize, value: impl Fn(&[&SampleScore]) -> f64) -> f64 {
    let sum: f64 = samples.chunks(batch.max(1)).map(|part| value(part) * part.len() as f64).sum();
    sum / samples.len().max(1) as f64
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0u64), |(s, n), v| (s + v, n + 1));
    sum / n as f64
}

/// Intersection over union of one class in one image, with ViRB's 1e-8 on both: 1 where the
/// class is neither true nor predicted.
fn overlap(counts: &[(u8, u8, u64)], class: u8) -> f64 {
    let (mut hit, mut union) = (0, 0);
    for (truth, predicted, n) in counts {
        hit += if *truth == class && *predicted == class { *n } else { 0 };
        union += if *truth == class || *predicted == class { *n } else { 0 };
    }
    (hit as f64 + 1e-8) / (union as f64 + 1e-8)
}

/// A confusion matrix of pixels: rows are true classes, columns predicted ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confusion {
    counts: std::collections::BTreeMap<(u8, u8), u64>,
}

impl Confusion {
    /// Counts pixels.
    pub fn add(&mut self, truth: u8, predicted: u8, pixels: u64) {
        *self.counts.entry((truth, predicted)).or_default() += pixels;
    }

    /// The pixels counted so far: true class, predicted class, number.
    #[must_use]
    pub fn into_counts(self) -> Vec<(u8, u8, u64)> {
        self.counts.into_iter().map(|((t, p), n)| (t, p, n)).collect()
    }

    /// Mean over classes of intersection / union over the whole set, 0 to 1. A class that
    /// is neither true nor predicted anywhere does not count.
    #[must_use]
    pub fn mean_iou(&self, skip_zero: bool) -> f64 {
        let mut ious = Vec::new();
        for class in u8::from(skip_zero)..=u8::MAX {
            let (mut hit, mut union) = (0u64, 0u64);
            for ((truth, predicted), n) in &self.counts {
                hit += if *truth == class && *predicted == class { *n } else { 0 };
                union += if *truth == class || *predicted == class { *n } else { 0 };
            }
            if union > 0 {
                ious.push(hit as f64 / union as f64);
            }
        }
        ious.iter().sum::<f64>() / ious.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scoring(metric: Metric, skip_zero: bool) -> Scoring {
        Scoring { metric, skip_zero, void_zero: false }
    }

    fn pixels(counts: &[(u8, u8, u64)]) -> SampleScore {
        SampleScore::Pixels { counts: counts.to_vec() }
    }

    #[test]
    fn accuracy_and_iou_by_hand() {
        let class = |truth, guess| SampleScore::Class { truth, top: vec![(guess, 1.0)] };
        let samples = [class(0, 0), class(1, 0), class(2, 2), class(2, 2)];
        assert!((score(&samples, scoring(Metric::Top1, false), Protocol::Standard, 32) - 0.75).abs() < 1e-12);
        // Class 0: 5 / (6 + 7 - 5); class 1: 2 / (4 + 3 - 2); class 2 occurs nowhere.
        let samples = [pixels(&[(0, 0, 5), (0, 1, 1)]), pixels(&[(1, 0, 2), (1, 1, 2)])];
        let value = score(&samples, scoring(Metric::MeanIou, false), Protocol::Standard, 32);
        assert!((value - f64::midpoint(5.0 / 8.0, 2.0 / 5.0)).abs() < 1e-12);
    }

    #[test]
    fn virbs_mean_iou_depends_on_the_batch_and_the_standard_one_does_not() {
        let samples = [pixels(&[(1, 1, 8), (1, 0, 2)]), pixels(&[(2, 2, 3), (0, 2, 1)])];
        let virb = |batch| score(&samples, scoring(Metric::MeanIou, true), Protocol::Virb, batch);
        let standard = |batch| score(&samples, scoring(Metric::MeanIou, true), Protocol::Standard, batch);
        // One batch: each class also has an image without it, whose overlap is 1e-8 / 1e-8.
        assert!((virb(2) - f64::midpoint(f64::midpoint(0.8, 1.0), f64::midpoint(1.0, 0.75))).abs() < 1e-6);
        assert!((virb(1) - f64::midpoint(0.8, 0.75)).abs() < 1e-6);
        assert_eq!(standard(1), standard(2));
        assert!((standard(2) - f64::midpoint(0.8, 0.75)).abs() < 1e-12);
    }

    #[test]
    fn an_interval_holds_the_score_and_shrinks_with_the_samples() {
        let top1 = scoring(Metric::Top1, false);
        let guess = |i: u32| SampleScore::Class { truth: 0, top: vec![(u32::from(i.is_multiple_of(5)), 1.0)] };
        let of = |n| interval(&(0..n).map(guess).collect::<Vec<_>>(), top1, Protocol::Standard, 32).expect("one");
        let (few, many) = (of(100), of(1000));
        // Normal approximation: 0.8 +- 1.96 * sqrt(0.8 * 0.2 / 1000).
        assert!((many.low - 0.7752).abs() < 0.004 && (many.high - 0.8248).abs() < 0.004, "{many:?}");
        assert!(few.low < many.low && many.high < few.high);
        assert_eq!(interval(&[guess(0)], top1, Protocol::Standard, 32), None);
        // Most draws of two samples in batches of one have a batch without a class.
        let empty = [pixels(&[]), pixels(&[(1, 1, 4)])];
        assert_eq!(interval(&empty, scoring(Metric::MeanIou, true), Protocol::Virb, 1), None);
    }

    #[test]
    fn void_pixels_are_no_part_of_the_standard_score() {
        let samples = [pixels(&[(0, 1, 90), (1, 1, 10)])];
        let with = Scoring { void_zero: true, ..scoring(Metric::MeanIou, true) };
        assert!((score(&samples, with, Protocol::Standard, 1) - 1.0).abs() < 1e-12);
        assert!((score(&samples, with, Protocol::Virb, 1) - 0.1).abs() < 1e-6);
    }

    #[test]
    fn one_class_masks_are_averaged_over_images() {
        let samples = [pixels(&[(1, 1, 1), (0, 0, 99)]), pixels(&[(1, 0, 50), (0, 0, 50)])];
        let value = score(&samples, scoring(Metric::Iou, false), Protocol::Standard, 1);
        assert!((value - 0.5).abs() < 1e-6, "{value}");
    }

    #[test]
    fn errors_average_over_pixels() {
        let error = |sum, count, hits| SampleScore::Errors { sum, count, hits };
        let samples = [error(4.0, 2, 1), error(0.0, 2, 2), error(1.0, 1, 0)];
        assert!((score(&samples, scoring(Metric::L1, false), Protocol::Standard, 2) - 1.0).abs() < 1e-12);
        let flow = scoring(Metric::FlowAccuracy, false);
        assert!((score(&samples, flow, Protocol::Standard, 2) - 0.6).abs() < 1e-12);
        // Batches of two: 3 of 4 and 0 of 1, weighted 2 to 1.
        assert!((score(&samples, flow, Protocol::Virb, 2) - 0.5).abs() < 1e-12);
    }
}
