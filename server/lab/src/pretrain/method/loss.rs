//! Losses of the methods, in operations that have gradients on every device. Rows are pictures.

use crate::Result;
use candle_core::{D, Tensor};

/// Rows of length 1 (`torch.nn.functional.normalize`): `N x D`.
pub fn normalised(rows: &Tensor) -> Result<Tensor> {
    // PyTorch divides by the length, but by no less than 1e-12.
    let length = rows.sqr()?.sum_keepdim(1)?.maximum(1e-24)?.sqrt()?;
    Ok(rows.broadcast_div(&length)?)
}

/// The logarithm of the softmax of each row, `N x K`. The largest number of a row is taken off
/// first, so that nothing overflows; it cancels out and gets no gradient.
pub fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    Ok(shifted.broadcast_sub(&sum)?)
}

/// The mean cross-entropy of `N x K` logits where `right` has the column of each row
/// (`torch.nn.CrossEntropyLoss`).
pub fn cross_entropy(logits: &Tensor, right: &[u32]) -> Result<Tensor> {
    let right = Tensor::new(right, logits.device())?.unsqueeze(1)?;
    Ok(log_softmax(logits)?.gather(&right, 1)?.mean_all()?.neg()?)
}

/// The mean cross-entropy of logarithms of probabilities with wanted probabilities, both
/// `N x K`.
pub fn soft_cross_entropy(log_probability: &Tensor, wanted: &Tensor) -> Result<Tensor> {
    Ok((log_probability * wanted)?.sum(1)?.mean_all()?.neg()?)
}

/// `ln(1 + exp(x))` of every number, without overflow.
pub fn softplus(x: &Tensor) -> Result<Tensor> {
    Ok((x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?)?)
}

/// The normalised temperature-scaled cross-entropy of SimCLR (Chen et al. 2020, arXiv 2002.05709,
/// equation 1) over `2N x D` rows of length 1, of which row i and row N + i are of one picture.
/// Each row is to be told from all others; the mean over the 2N rows.
pub fn nt_xent(rows: &Tensor, temperature: f64) -> Result<Tensor> {
    let count = rows.dim(0)?;
    let itself: Vec<f32> = (0..count * count).map(|i| if i / count == i % count { -1e9 } else { 0.0 }).collect();
    let itself = Tensor::from_vec(itself, (count, count), rows.device())?;
    let logits = ((rows.matmul(&rows.t()?)? / temperature)? + itself)?;
    let other: Vec<u32> = (0..count).map(|i| ((i + count / 2) % count) as u32).collect();
    cross_entropy(&logits, &other)
}

/// What is wrong with a temperature, what cosines are divided by.
#[must_use]
pub fn mistaken_temperature(temperature: f64) -> Option<String> {
    let sound = temperature.is_finite() && temperature > 0.0;
    (!sound).then(|| format!("`temperature` is {temperature}; give a number above 0, such as 0.1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use virboard_nn::testing::{Random, assert_near, values};

    fn dot(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    #[test]
    fn nt_xent_is_what_a_plain_loop_gives() {
        let (pictures, temperature) = (3, 0.2);
        let rows = normalised(&Random::new("nt-xent").normal(1.0, (2 * pictures, 5))).expect("computed");
        let ours = nt_xent(&rows, temperature).expect("computed");
        let plain: Vec<Vec<f32>> = rows.to_vec2().expect("rows");
        let mut sum = 0.0;
        for i in 0..2 * pictures {
            let score = |j: usize| (dot(&plain[i], &plain[j]) / temperature).exp();
            let all: f64 = (0..2 * pictures).filter(|j| *j != i).map(score).sum();
            sum -= (score((i + pictures) % (2 * pictures)) / all).ln();
        }
        assert_near("NT-Xent", &values(&ours), &[sum / (2 * pictures) as f64], 1e-6);
    }

    #[test]
    fn large_logits_neither_overflow_nor_lose_their_gradient() {
        let x = Var::new(&[[8e4f32, 0.0, -8e4], [3.0, 3.0, 3.0]], &Device::Cpu).expect("a variable");
        let loss = cross_entropy(x.as_tensor(), &[2, 1]).expect("computed");
        assert_near("loss", &values(&loss), &[f64::midpoint(16e4, 3f64.ln())], 1e-6);
        let gradients = loss.backward().expect("gradients");
        let of_x = gradients.get(&x).expect("a gradient");
        let third = 1.0 / 6.0;
        assert_near("gradient", &values(of_x), &[0.5, 0.0, -0.5, third, third - 0.5, third], 1e-6);
    }

    #[test]
    fn softplus_is_right_on_both_sides() {
        let x = Tensor::new(&[-200f32, -1.0, 0.0, 1.0, 200.0], &Device::Cpu).expect("numbers");
        let e = std::f64::consts::E;
        let wanted = [0.0, (1.0 + 1.0 / e).ln(), 2f64.ln(), (1.0 + e).ln(), 200.0];
        assert_near("softplus", &values(&softplus(&x).expect("computed")), &wanted, 1e-7);
    }

    #[test]
    fn a_row_of_zeros_stays_and_has_a_finite_gradient() {
        let x = Var::new(&[[0f32, 0.0], [3.0, 4.0]], &Device::Cpu).expect("a variable");
        let rows = normalised(x.as_tensor()).expect("computed");
        assert_near("rows", &values(&rows), &[0.0, 0.0, 0.6, 0.8], 1e-6);
        let gradients = rows.sum_all().and_then(|s| s.backward()).expect("gradients");
        let of_x = values(gradients.get(&x).expect("a gradient"));
        assert!(of_x.iter().all(|g| g.is_finite()), "{of_x:?}");
        // The sum's gradient across (0.6, 0.8) is (1, 1) less its part along the row.
        assert_near("gradient", &of_x[2..], &[(1.0 - 0.6 * 1.4) / 5.0, (1.0 - 0.8 * 1.4) / 5.0], 1e-5);
    }
}
