//! Convolutions of frozen networks, with bias and BatchNorm folded in.

use crate::Result;
use crate::taps::{Geometry, depthwise_nhwc};
use candle_core::{D, DType, Tensor};

/// Activation behind a convolution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Activation {
    /// None.
    #[default]
    Identity,
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
}

impl Activation {
    /// Applies the activation.
    pub fn apply(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Identity => x.clone(),
            Self::Relu => x.relu()?,
            Self::Relu6 => x.clamp(0f32, 6f32)?,
        })
    }
}

/// Rows or columns of zeros before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// The same number on all four sides, as PyTorch's convolutions.
    Symmetric(usize),
    /// TensorFlow's `SAME`: the output has ceil(size / stride) rows and columns; an
    /// odd number of zeros has its extra one at the bottom and right.
    Same,
}

impl Padding {
    /// Zeros before `n` rows or columns, and how many rows or columns a kernel makes of them.
    #[must_use]
    pub const fn of(self, n: usize, kernel: usize, stride: usize) -> (usize, usize) {
        match self {
            Self::Symmetric(p) => (p, (n + 2 * p - kernel) / stride + 1),
            Self::Same => (zeros(n, kernel, stride) / 2, n.div_ceil(stride)),
        }
    }
}

/// Zeros that TensorFlow's `SAME` puts before and after `n` rows or columns.
const fn zeros(n: usize, kernel: usize, stride: usize) -> usize {
    ((n.div_ceil(stride) - 1) * stride + kernel).saturating_sub(n)
}

/// A frozen convolution with bias.
#[derive(Debug, Clone)]
pub struct Conv {
    /// `O x I/groups x K x K`.
    pub weight: Tensor,
    /// `1 x O x 1 x 1`.
    pub bias: Tensor,
    /// Step in both directions.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
    /// Whether each channel is convolved on its own (`groups = O`).
    pub depthwise: bool,
    /// What follows the bias.
    pub activation: Activation,
}

impl Conv {
    /// The same with weights and bias of another type, which the input must have as well.
    ///
    /// # Errors
    /// If the device has no such type.
    pub fn cast(self, dtype: DType) -> Result<Self> {
        Ok(Self { weight: self.weight.to_dtype(dtype)?, bias: self.bias.to_dtype(dtype)?, ..self })
    }

    /// `N x I x H x W` to `N x O x H' x W'`, by candle's operations.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_by(x, |x, geometry| {
            Ok(x.conv2d(&self.weight, geometry.padding, geometry.stride, geometry.dilation, 1)?)
        })
    }

    /// The same, where it is not depthwise, by what convolves with the weight alone.
    pub fn forward_by(&self, x: &Tensor, convolve: impl FnOnce(&Tensor, Geometry) -> Result<Tensor>) -> Result<Tensor> {
        let kernel = self.weight.dim(D::Minus1)?;
        let (x, padding) = match self.padding {
            Padding::Symmetric(p) => (x.clone(), p),
            Padding::Same => (pad_same(x, kernel, self.stride)?, 0),
        };
        let geometry = Geometry { stride: self.stride, padding, dilation: 1 };
        let y = if self.depthwise {
            depthwise_nhwc(&x.permute((0, 2, 3, 1))?, &self.weight, geometry)?.permute((0, 3, 1, 2))?
        } else {
            convolve(&x, geometry)?
        };
        self.activation.apply(&y.broadcast_add(&self.bias)?)
    }
}

fn pad_same(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    let mut x = x.clone();
    for dim in [2, 3] {
        let total = zeros(x.dim(dim)?, kernel, stride);
        x = x.pad_with_zeros(dim, total / 2, total - total / 2)?;
    }
    Ok(x)
}
