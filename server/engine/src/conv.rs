//! Convolutions of frozen networks, with bias and BatchNorm folded in.

use crate::Result;
use crate::kernel::values;
use candle_core::{CpuStorage, CustomOp2, D, DType, Layout, Shape, Tensor};
use rayon::prelude::*;

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

    /// `N x I x H x W` to `N x O x H' x W'`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let kernel = self.weight.dim(D::Minus1)?;
        let (x, padding) = match self.padding {
            Padding::Symmetric(p) => (x.clone(), p),
            Padding::Same => (pad_same(x, kernel, self.stride)?, 0),
        };
        let y = if self.depthwise && x.device().is_cpu() {
            let op = Depthwise { stride: self.stride, padding };
            x.contiguous()?.apply_op2_no_bwd(&self.weight.contiguous()?, &op)?
        } else {
            let groups = if self.depthwise { self.weight.dim(0)? } else { 1 };
            x.conv2d(&self.weight, padding, self.stride, 1, groups)?
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

/// Depthwise convolution on the CPU; candle's own runs one convolution per channel.
struct Depthwise {
    stride: usize,
    padding: usize,
}

impl CustomOp2 for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        input_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (n, c, h, w) = input_layout.shape().dims4()?;
        let k = weight_layout.shape().dims4()?.2;
        let (input, weight) = (values(input, input_layout)?, values(weight, weight_layout)?);
        let (s, p) = (self.stride, self.padding);
        let (oh, ow) = ((h + 2 * p - k) / s + 1, (w + 2 * p - k) / s + 1);
        let mut out = vec![0f32; n * c * oh * ow];
        out.par_chunks_mut(oh * ow).enumerate().for_each(|(plane, out)| {
            let input = &input[plane * h * w..][..h * w];
            let weight = &weight[(plane % c) * k * k..][..k * k];
            for ky in 0..k {
                for kx in 0..k {
                    let factor = weight[ky * k + kx];
                    // Output columns whose input column ox * s + kx - p exists.
                    let first = p.saturating_sub(kx).div_ceil(s);
                    let last = ((w + p).saturating_sub(kx)).div_ceil(s).min(ow);
                    if first >= last {
                        // In a narrow picture this tap lies outside of it at every column.
                        continue;
                    }
                    for oy in 0..oh {
                        let Some(y) = (oy * s + ky).checked_sub(p).filter(|y| *y < h) else { continue };
                        let row = &input[y * w..][..w];
                        let out = &mut out[oy * ow..][..ow];
                        if s == 1 {
                            let shift = first + kx - p;
                            let n = last - first;
                            for (o, i) in out[first..][..n].iter_mut().zip(&row[shift..][..n]) {
                                *o += factor * i;
                            }
                        } else {
                            for ox in first..last {
                                out[ox] += factor * row[ox * s + kx - p];
                            }
                        }
                    }
                }
            }
        });
        Ok((CpuStorage::F32(out), (n, c, oh, ow).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn depthwise_equals_grouped_convolution() {
        let x = Tensor::randn(0f32, 1.0, (2, 6, 11, 9), &Device::Cpu).expect("a tensor");
        for (k, stride, padding) in [(3, 1, 1), (3, 2, 0), (5, 1, 2), (5, 2, 2), (5, 2, 0)] {
            let weight = Tensor::randn(0f32, 1.0, (6, 1, k, k), &Device::Cpu).expect("a tensor");
            let wanted = x.conv2d(&weight, padding, stride, 1, 6).expect("candle's own");
            let got = x.apply_op2_no_bwd(&weight, &Depthwise { stride, padding }).expect("ours");
            assert_eq!(wanted.dims(), got.dims());
            let error = (wanted - got).and_then(|d| d.abs()?.max_all()?.to_scalar::<f32>()).expect("a number");
            assert!(error < 1e-5, "k {k} stride {stride} padding {padding}: {error}");
        }
    }
}
