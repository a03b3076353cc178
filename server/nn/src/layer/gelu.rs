//! GELU by the error function, with a gradient.

use crate::Result;
use crate::cpu::{self, read, values};
use crate::path::Path;
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};

/// `torch.nn.GELU()` of each value.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    if Path::of(x) == Path::Own { Ok(x.contiguous()?.apply_op1(Fused)?) } else { Ok(x.gelu_erf()?) }
}

/// In one operation, on the CPU, where candle's takes longer than the product before it.
struct Fused;

impl CustomOp1 for Fused {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = values(x, layout)?;
        let mut out = vec![0f32; x.len()];
        cpu::gelu::gelu(x, &mut out);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let mut out = vec![0f32; x.elem_count()];
        let taken = read(x, |x| read(gradient, |gradient| cpu::gelu::gelu_gradient(x, gradient, &mut out)));
        taken.and_then(|taken| taken).map_err(candle_core::Error::wrap)?;
        Ok(Some(Tensor::from_vec(out, x.shape(), x.device())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, assert_within, values};
    use candle_core::Var;

    #[test]
    fn one_operation_equals_candles_with_its_gradient() {
        let x = Var::from_tensor(&Random::new("gelu").normal(3.0, 70_003)).expect("a variable");
        let factors = Random::new("factors").normal(1.0, 70_003);
        let both = [gelu(&x), x.gelu_erf().map_err(Into::into)].map(|y| {
            let y = y.expect("computed");
            let loss = (&y * &factors).and_then(|y| y.sum_all()).expect("a number");
            let gradients = loss.backward().expect("gradients");
            [values(&y), values(gradients.get(&x).expect("a gradient"))]
        });
        for (ours, wanted) in both[0].iter().zip(&both[1]) {
            assert_within("GELU", ours, wanted, 5e-6);
        }
    }
}
