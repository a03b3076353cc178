//! Layer normalisation (Ba et al. 2016, arXiv 1607.06450), with gradients.

use crate::Result;
use crate::cpu::layer_norm::RowNorm;
use crate::cpu::{read, values};
use crate::path::Path;
use candle_core::{CpuStorage, CustomOp3, D, Layout, Shape, Tensor};

/// Normalisation over the last dimension, C values: `torch.nn.LayerNorm`. (candle's has no gradient.)
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// With C factors and C summands.
    #[must_use]
    pub fn new(weight: Tensor, bias: Tensor, eps: f64) -> Self {
        Self { weight, bias, eps }
    }

    /// Normalises each row of C values.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if Path::of(x) == Path::Own {
            return Ok(x.contiguous()?.apply_op3(&self.weight, &self.bias, Fused { eps: self.eps as f32 })?);
        }
        self.plain(x)
    }

    /// In tensor operations, on any device.
    fn plain(&self, x: &Tensor) -> Result<Tensor> {
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + self.eps)?.sqrt()?;
        let normal = centred.broadcast_div(&deviation)?;
        Ok(normal.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)?)
    }
}

/// In one operation, on the CPU.
struct Fused {
    eps: f32,
}

impl CustomOp3 for Fused {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        of_x: &Layout,
        weight: &CpuStorage,
        of_weight: &Layout,
        bias: &CpuStorage,
        of_bias: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (x, weight, bias) = (values(x, of_x)?, values(weight, of_weight)?, values(bias, of_bias)?);
        if weight.len() != of_x.shape().dims().last().copied().unwrap_or(0) || bias.len() != weight.len() {
            candle_core::bail!("{} weights do not normalise {:?}", weight.len(), of_x.shape());
        }
        let mut out = vec![0f32; x.len()];
        RowNorm { weight, bias, eps: self.eps }.forward(x, &mut out);
        Ok((CpuStorage::F32(out), of_x.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (factors, summands) = (weight.to_vec1::<f32>()?, bias.to_vec1::<f32>()?);
        let norm = RowNorm { weight: &factors, bias: &summands, eps: self.eps };
        let mut out = vec![0f32; x.elem_count()];
        let sums = read(x, |x| read(gradient, |gradient| norm.backward(x, gradient, &mut out)));
        let sums = sums.and_then(|sums| sums).map_err(candle_core::Error::wrap)?;
        let vector = |values: Vec<f32>| Tensor::from_vec(values, bias.shape(), bias.device());
        let of_x = Tensor::from_vec(out, x.shape(), x.device())?;
        Ok((Some(of_x), Some(vector(sums.weight)?), Some(vector(sums.bias)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, assert_near, values};
    use candle_core::Var;

    #[test]
    fn one_operation_equals_plain_ones_with_their_gradients() {
        for (rows, channels) in [(1, 3), (5, 16), (70, 37), (130, 384)] {
            let random = Random::new("layer norm");
            let var = |dims: &[usize]| {
                let values = random.normal(2.0, dims) + 0.7;
                Var::from_tensor(&values.expect("a tensor")).expect("a variable")
            };
            let (x, weight, bias) = (var(&[rows, channels]), var(&[channels]), var(&[channels]));
            let factors = random.normal(1.0, (rows, channels));
            let norm = LayerNorm::new(weight.as_tensor().clone(), bias.as_tensor().clone(), 1e-6);
            let both = [norm.forward(&x), norm.plain(&x)].map(|y| {
                let y = y.expect("computed");
                let loss = (&y * &factors).and_then(|y| y.sum_all()).expect("a number");
                let gradients = loss.backward().expect("gradients");
                let of = |var: &Var| values(gradients.get(var).expect("a gradient"));
                [values(&y), of(&x), of(&weight), of(&bias)]
            });
            for (nth, (ours, wanted)) in both[0].iter().zip(&both[1]).enumerate() {
                assert_near(format!("{rows} x {channels}, {nth}"), ours, wanted, 2e-5);
            }
        }
    }

    #[test]
    fn weights_of_another_width_are_refused() {
        let random = Random::new("layer norm");
        let norm = LayerNorm::new(random.normal(1.0, 5), random.normal(1.0, 5), 1e-6);
        let error = norm.forward(&random.normal(1.0, (2, 4))).expect_err("refused").to_string();
        assert!(error.contains("5 weights"), "{error}");
    }
}
