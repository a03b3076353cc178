//! Rectified linear units with gradients.

use crate::Result;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor, op};

/// `max(x, 0)`. Where x is 0 no gradient passes, as in PyTorch: behind a dead unit many values are. (Through candle's
/// own it passes there.)
pub fn relu(x: &Tensor) -> Result<Tensor> {
    Ok(x.apply_op1(Relu)?)
}

struct Relu;

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, of_x: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((x.unary_impl::<op::Relu>(of_x)?, of_x.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, of_x: &Layout) -> candle_core::Result<(CudaStorage, Shape)> {
        Ok((x.unary_impl::<op::Relu>(of_x)?, of_x.shape().clone()))
    }

    fn bwd(&self, _x: &Tensor, result: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        // Not a product: an infinite gradient times 0 is none.
        Ok(Some(result.gt(0f64)?.where_cond(gradient, &gradient.zeros_like()?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::values;
    use candle_core::{Device, Var};

    #[test]
    fn no_gradient_passes_where_the_input_is_zero_or_less() {
        let x = Var::new(&[[-2f32, 0.0, -0.0], [3.0, 0.5, -0.5]], &Device::Cpu).expect("a variable");
        let y = relu(&x.t().expect("turned")).expect("computed");
        assert_eq!(values(&y), [0.0, 3.0, 0.0, 0.5, 0.0, 0.0]);
        let factors = Tensor::new(&[[1f32, 2.0], [3.0, 4.0], [5.0, 6.0]], &Device::Cpu).expect("a tensor");
        let gradients = (y * factors).and_then(|y| y.sum_all()?.backward()).expect("computed");
        assert_eq!(values(gradients.get(&x).expect("a gradient")), [0.0, 0.0, 0.0, 2.0, 4.0, 0.0]);
    }
}
