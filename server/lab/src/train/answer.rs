//! From raw outputs to what is kept of each sample.

use super::truth::Truth;
use crate::data::UNLABELLED;
use crate::score::metric::{Confusion, SampleScore, rules, top_classes};
use crate::{Error, Result};
use candle_core::{D, DType, Tensor};
use virboard_core::catalogue::task::Metric;
use virboard_core::protocol::Protocol;

/// Scores the samples of a batch. `out` is `N x classes` or `N x H x W x outputs`; `scale`
/// brings values to the task's unit.
pub fn score_batch(
    out: &Tensor,
    truth: &Truth,
    scale: f32,
    metric: Metric,
    protocol: Protocol,
) -> Result<Vec<SampleScore>> {
    let n = out.dim(0)?;
    match truth {
        Truth::Classes(classes) => {
            let rows: Vec<Vec<f32>> = candle_nn::ops::softmax(out, D::Minus1)?.to_vec2()?;
            Ok(rows
                .iter()
                .zip(classes)
                .map(|(row, truth)| SampleScore::Class { truth: *truth, top: top_classes(row) })
                .collect())
        }
        Truth::Mask(mask) => {
            let predicted: Vec<u32> = if out.dim(D::Minus1)? == 1 {
                // A rounded sigmoid; PyTorch rounds 0.5 to 0.
                out.flatten_all()?.gt(0f32)?.to_dtype(DType::U32)?.to_vec1()?
            } else {
                out.argmax(D::Minus1)?.flatten_all()?.to_dtype(DType::U32)?.to_vec1()?
            };
            let each = mask.len() / n.max(1);
            Ok(mask
                .chunks(each.max(1))
                .zip(predicted.chunks(each.max(1)))
                .map(|(truth, predicted)| pixels(truth, predicted.iter().map(|p| *p as u8)))
                .collect())
        }
        Truth::Values(values) => {
            let channels = out.dim(D::Minus1)?;
            let predicted: Vec<f32> = out.flatten_all()?.to_vec1()?;
            if predicted.len() != values.len() {
                return Err(Error::Unfit(format!(
                    "the head gives {} numbers where the truth has {}",
                    predicted.len(),
                    values.len()
                )));
            }
            let each = values.len() / n.max(1);
            Ok(values
                .chunks(each.max(1))
                .zip(predicted.chunks(each.max(1)))
                .map(|(t, p)| numbers(t, |i| p[i] * scale, channels, metric, protocol))
                .collect())
        }
    }
}

/// Counts the labelled pixels of one image.
pub(super) fn pixels(truth: &[u8], predicted: impl Iterator<Item = u8>) -> SampleScore {
    let mut confusion = Confusion::default();
    let mut table = vec![0u64; 256 * 256];
    for (t, p) in truth.iter().zip(predicted) {
        table[usize::from(*t) * 256 + usize::from(p)] += 1;
    }
    for (i, n) in table.into_iter().enumerate().filter(|(i, n)| *n > 0 && i / 256 != usize::from(UNLABELLED)) {
        confusion.add((i / 256) as u8, (i % 256) as u8, n);
    }
    SampleScore::Pixels { counts: confusion.into_counts() }
}

/// Errors of the labelled pixels of one image. `predicted` gives the i-th number.
pub(super) fn numbers(
    truth: &[f32],
    predicted: impl Fn(usize) -> f32,
    channels: usize,
    metric: Metric,
    protocol: Protocol,
) -> SampleScore {
    let near = rules(metric).near;
    let (mut sum, mut count, mut hits) = (0f64, 0u64, 0u64);
    for (pixel, truth) in truth.chunks(channels).enumerate() {
        if truth.iter().any(|t| t.is_nan()) {
            continue;
        }
        let length = |v: &dyn Fn(usize) -> f64| (0..channels).map(|c| v(c).powi(2)).sum::<f64>().sqrt();
        let error = length(&|c| f64::from(predicted(pixel * channels + c) - truth[c]));
        sum += error;
        count += 1;
        hits += u64::from(near.is_some_and(|near| near(error, length(&|c| f64::from(truth[c])), protocol)));
    }
    SampleScore::Errors { sum, count, hits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn unlabelled_pixels_count_nowhere() {
        let SampleScore::Pixels { counts } = pixels(&[1, 255, 0, 1], [1, 1, 1, 0].into_iter()) else {
            panic!("pixels")
        };
        assert_eq!(counts, [(0, 1, 1), (1, 0, 1), (1, 1, 1)]);
        let score = numbers(&[1.0, f32::NAN, 2.0], |_| 1.5, 1, Metric::L1, Protocol::Standard);
        assert_eq!(score, SampleScore::Errors { sum: 1.0, count: 2, hits: 0 });
    }

    #[test]
    fn flow_counts_as_right_by_kittis_rule_or_by_virbs() {
        let truth = [100.0, 0.0, 1.0, 0.0];
        let predicted = |i| [104.0, 0.0, 1.04, 0.0][i];
        let standard = numbers(&truth, predicted, 2, Metric::FlowAccuracy, Protocol::Standard);
        assert!(matches!(standard, SampleScore::Errors { count: 2, hits: 2, .. }), "{standard:?}");
        let virb = numbers(&truth, predicted, 2, Metric::FlowAccuracy, Protocol::Virb);
        assert!(matches!(virb, SampleScore::Errors { count: 2, hits: 1, .. }), "{virb:?}");
    }

    #[test]
    fn the_five_most_probable_classes_are_kept_in_order() {
        let logits = Tensor::new(&[[0f32, 3.0, 1.0, 2.0, 5.0, 4.0, -1.0]], &Device::Cpu).expect("a tensor");
        let samples =
            score_batch(&logits, &Truth::Classes(vec![1]), 1.0, Metric::Top1, Protocol::Standard).expect("scored");
        let SampleScore::Class { truth: 1, top } = &samples[0] else { panic!("{samples:?}") };
        assert_eq!(top.iter().map(|t| t.0).collect::<Vec<_>>(), [4, 5, 1, 3, 2]);
    }
}
