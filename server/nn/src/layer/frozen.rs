//! Frozen convolutions, by the fastest operations of the device.

use crate::Result;
use crate::conv::Conv;
#[cfg(feature = "cudnn")]
use crate::layer::convolution;
use candle_core::Tensor;

/// `N x I x H x W` to `N x O x H' x W'`. With cuDNN its algorithms are chosen once for each size, and `f32` keeps all its
/// bits unless TF32 is asked for; candle's own chooses with every call, and rounds to TF32 unasked.
pub fn frozen(conv: &Conv, x: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cudnn")]
    if x.device().is_cuda() {
        return conv.forward_by(x, |x, geometry| convolution::frozen_nchw(x, &conv.weight, geometry));
    }
    conv.forward(x)
}
