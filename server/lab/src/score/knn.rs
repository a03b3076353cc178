//! k-nearest-neighbour classification on frozen embeddings, as DINO and DINOv2 evaluate it
//! (arXiv 2104.14294, section 4.1; 2304.07193): cosine similarity, votes weighted with
//! `exp(similarity / 0.07)`. Nothing is trained, so nothing varies with a seed.

use crate::progress::Progress;
use crate::score::metric::{SampleScore, largest, top_classes};
use crate::{Error, Result};
use candle_core::{D, Tensor};
use rayon::prelude::*;

/// The numbers of neighbours that are reported.
pub const NEIGHBOURS: [usize; 4] = [10, 20, 100, 200];
/// Temperature of the votes.
pub const TEMPERATURE: f32 = 0.07;
/// Test samples at a time.
const BATCH: usize = 256;

/// Classifies `test` (`M x E`) by its neighbours in `train` (`N x E`); for each k in `ks` one
/// entry a test sample. k larger than N counts all of them.
pub fn classify(
    train: &Tensor,
    train_classes: &[u32],
    test: &Tensor,
    test_classes: &[u32],
    ks: &[usize],
    progress: &dyn Progress,
) -> Result<Vec<Vec<SampleScore>>> {
    let classes = train_classes.iter().chain(test_classes).max().map_or(0, |c| *c as usize + 1);
    let bank = normalised(train)?.t()?.contiguous()?;
    let test = normalised(test)?;
    let most = ks.iter().copied().max().unwrap_or(0).min(train_classes.len());
    let mut out: Vec<Vec<SampleScore>> = ks.iter().map(|_| Vec::with_capacity(test_classes.len())).collect();
    progress.begin("finding neighbours", test_classes.len() as u64);
    for first in (0..test_classes.len()).step_by(BATCH) {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        let n = BATCH.min(test_classes.len() - first);
        let similarities: Vec<Vec<f32>> = test.narrow(0, first, n)?.matmul(&bank)?.to_vec2()?;
        let scored: Vec<Vec<SampleScore>> = similarities
            .par_iter()
            .zip(&test_classes[first..first + n])
            .map(|(row, truth)| {
                let nearest = largest(row, most);
                ks.iter()
                    .map(|k| SampleScore::Class { truth: *truth, top: vote(row, &nearest, *k, train_classes, classes) })
                    .collect()
            })
            .collect();
        for sample in scored {
            for (k, score) in out.iter_mut().zip(sample) {
                k.push(score);
            }
        }
        progress.advance((first + n) as u64);
    }
    Ok(out)
}

fn normalised(x: &Tensor) -> Result<Tensor> {
    let length = (x.sqr()?.sum_keepdim(D::Minus1)?.sqrt()? + 1e-12)?;
    Ok(x.broadcast_div(&length)?)
}

fn vote(row: &[f32], nearest: &[usize], k: usize, of: &[u32], classes: usize) -> Vec<(u32, f32)> {
    let mut votes = vec![0f32; classes];
    for i in nearest.iter().take(k) {
        votes[of[*i] as usize] += ((row[*i] - 1.0) / TEMPERATURE).exp();
    }
    let total: f32 = votes.iter().sum();
    for v in &mut votes {
        *v /= total.max(f32::MIN_POSITIVE);
    }
    top_classes(&votes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn guess(sample: &SampleScore) -> u32 {
        let SampleScore::Class { top, .. } = sample else { panic!("a class") };
        top[0].0
    }

    #[test]
    fn near_neighbours_outvote_many_far_ones() {
        let train = Tensor::new(&[[1f32, 0.0], [0.0, 1.0], [0.05, 1.0], [-0.05, 1.0]], &Device::Cpu).expect("a tensor");
        let test = Tensor::new(&[[10f32, 1.0], [0.0, 3.0]], &Device::Cpu).expect("a tensor");
        let scores = classify(&train, &[0, 1, 1, 1], &test, &[0, 1], &[1, 200], &()).expect("classified");
        assert_eq!(scores[0].iter().map(guess).collect::<Vec<_>>(), [0, 1]);
        // Three votes of exp(-0.9 / 0.07) do not weigh against one of nearly 1.
        assert_eq!(scores[1].iter().map(guess).collect::<Vec<_>>(), [0, 1]);
    }
}
