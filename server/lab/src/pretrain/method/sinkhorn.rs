//! Assignments that use all prototypes alike (Cuturi 2013; as in SwAV, Caron et al. 2020, arXiv
//! 2006.09882, section 3.1 and their program).

use crate::Result;
use candle_core::{DType, Tensor};

/// Shares out `B` rows of scores over `K` prototypes: `B x K` in, probabilities `B x K` out, which
/// have no gradient. Each row sums to 1; the more `iterations`, the closer each prototype comes
/// to its share `B / K`. A small `epsilon` makes the shares sharp.
///
/// Computed in logarithms and in double precision: exponentials of scores overflow in half
/// precision at the published epsilon, and in single precision at a smaller one.
pub fn sinkhorn(scores: &Tensor, epsilon: f64, iterations: usize) -> Result<Tensor> {
    let mut log = (scores.detach().to_dtype(DType::F64)? / epsilon)?;
    // The shares 1 / K and 1 / B of the published form cancel out, since rows come last.
    for _ in 0..iterations {
        log = log.broadcast_sub(&log_sum(&log, 0)?)?;
        log = log.broadcast_sub(&log_sum(&log, 1)?)?;
    }
    if iterations == 0 {
        log = log.broadcast_sub(&log_sum(&log, 1)?)?;
    }
    Ok(log.exp()?.to_dtype(scores.dtype())?)
}

/// The logarithm of the sum of exponentials along a dimension, which stays with length 1.
fn log_sum(log: &Tensor, dim: usize) -> Result<Tensor> {
    let largest = log.max_keepdim(dim)?;
    Ok((log.broadcast_sub(&largest)?.exp()?.sum_keepdim(dim)?.log()? + largest)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use virboard_nn::testing::{Random, assert_near, assert_within, difference, values};

    fn sums(shares: &Tensor, dim: usize) -> Vec<f32> {
        values(&shares.sum(dim).expect("sums"))
    }

    #[test]
    fn two_by_two_by_hand() {
        // exp(scores) = [[4, 1], [1, 1]]: columns to 1 give [[4/5, 1/2], [1/5, 1/2]], rows to 1
        // [[8/13, 5/13], [2/7, 5/7]].
        let scores = Tensor::new(&[[4f32.ln(), 0.0], [0.0, 0.0]], &Device::Cpu).expect("scores");
        let shares = sinkhorn(&scores, 1.0, 1).expect("computed");
        assert_near("shares", &values(&shares), &[8.0 / 13.0, 5.0 / 13.0, 2.0 / 7.0, 5.0 / 7.0], 1e-6);
        assert_near("half", &values(&sinkhorn(&scores, 0.5, 0).expect("computed"))[..1], &[16.0 / 17.0], 1e-6);
    }

    #[test]
    fn rows_are_one_and_prototypes_are_used_alike() {
        let scores = (Random::new("sinkhorn").normal(0.4, (24, 6))).clamp(-1.0, 1.0).expect("cosines");
        let shares = sinkhorn(&scores, 0.05, 3).expect("computed");
        assert_within("rows", &sums(&shares, 1), &[1f32; 24], 1e-6);
        let spread = |shares: &Tensor| difference("columns", &sums(shares, 0), &[4f32; 6]);
        let softmax = sinkhorn(&scores, 0.05, 0).expect("computed");
        assert!(spread(&shares) < spread(&softmax), "{} {}", spread(&shares), spread(&softmax));
        let many = sinkhorn(&scores, 0.5, 200).expect("computed");
        assert_within("columns", &sums(&many, 0), &[4f32; 6], 1e-3);
        assert_within("rows", &sums(&many, 1), &[1f32; 24], 1e-6);
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let scores = (Random::new("large").normal(1.0, (16, 4)) * 3e4).expect("scores");
        let shares = sinkhorn(&scores, 0.05, 3).expect("computed");
        assert_within("rows", &sums(&shares, 1), &[1f32; 16], 1e-6);
        assert!(!shares.track_op(), "codes have no gradient");
    }
}
