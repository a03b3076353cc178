//! Convolutions for frozen networks (bias and BatchNorm folded in) and for training.

use crate::Result;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, D, DType, Layout, Shape, Tensor};
use rayon::prelude::*;

/// Activation behind a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// None.
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
        let size = x.dim(dim)?;
        let total = ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size);
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
        let (CpuStorage::F32(input), CpuStorage::F32(weight)) = (input, weight) else {
            candle_core::bail!("depthwise convolution takes f32");
        };
        let (n, c, h, w) = input_layout.shape().dims4()?;
        let k = weight_layout.shape().dims4()?.2;
        let (Some((from, to)), Some((wfrom, wto))) =
            (input_layout.contiguous_offsets(), weight_layout.contiguous_offsets())
        else {
            candle_core::bail!("depthwise convolution takes contiguous tensors");
        };
        let (input, weight) = (&input[from..to], &weight[wfrom..wto]);
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
                    for oy in 0..oh {
                        let Some(y) = (oy * s + ky).checked_sub(p).filter(|y| *y < h) else { continue };
                        let row = &input[y * w..][..w];
                        let out = &mut out[oy * ow..][..ow];
                        if s == 1 {
                            let shift = first + kx - p;
                            let n = last.saturating_sub(first);
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

/// A convolution with kernel K and stride 1 that keeps the size, written with plain
/// tensor operations, so that its gradient is two matrix products on every device.
///
/// `x` is `N x H x W x I`, `weight` is `O x I x K x K` (PyTorch's layout), `bias` is `O`;
/// the output is `N x H x W x O`.
pub fn conv_nhwc(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    let (o, _, k, _) = weight.dims4()?;
    let patches = if k == 1 {
        x.reshape((n * h * w, c))?
    } else if x.device().is_cpu() {
        x.contiguous()?.apply_op1(Patches { kernel: k })?.reshape((n * h * w, k * k * c))?
    } else {
        let p = k / 2;
        let padded = x.pad_with_zeros(1, p, p)?.pad_with_zeros(2, p, p)?;
        let mut taps = Vec::with_capacity(k * k);
        for dy in 0..k {
            for dx in 0..k {
                taps.push(padded.narrow(1, dy, h)?.narrow(2, dx, w)?);
            }
        }
        Tensor::cat(&taps, 3)?.reshape((n * h * w, k * k * c))?
    };
    let matrix = weight.permute((2, 3, 1, 0))?.reshape((k * k * c, o))?;
    Ok(patches.matmul(&matrix)?.broadcast_add(bias)?.reshape((n, h, w, o))?)
}

/// The K x K neighbourhood of every pixel, zeros outside: `N x H x W x C` to
/// `N x H x W x K*K*C`, with its gradient. One pass over memory instead of K*K slices.
struct Patches {
    kernel: usize,
}

impl Patches {
    fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
        match (storage, layout.contiguous_offsets()) {
            (CpuStorage::F32(values), Some((from, to))) => Ok(&values[from..to]),
            _ => candle_core::bail!("patches are taken of contiguous f32 tensors"),
        }
    }
}

impl CustomOp1 for Patches {
    fn name(&self) -> &'static str {
        "patches"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let (k, p) = (self.kernel, self.kernel / 2);
        let x = Self::values(storage, layout)?;
        let width = k * k * c;
        let mut out = vec![0f32; n * h * w * width];
        out.par_chunks_mut(w * width).enumerate().for_each(|(row, out)| {
            let (image, y) = (row / h, row % h);
            for dy in 0..k {
                let Some(sy) = (y + dy).checked_sub(p).filter(|sy| *sy < h) else { continue };
                let source = &x[(image * h + sy) * w * c..][..w * c];
                for dx in 0..k {
                    for ox in p.saturating_sub(dx)..(w + p - dx).min(w) {
                        let from = &source[(ox + dx - p) * c..][..c];
                        out[ox * width + (dy * k + dx) * c..][..c].copy_from_slice(from);
                    }
                }
            }
        });
        Ok((CpuStorage::F32(out), (n, h, w, width).into()))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let channels = x.dim(3)?;
        let op = Gather { kernel: self.kernel, channels };
        Ok(Some(gradient.contiguous()?.apply_op1_no_bwd(&op)?))
    }
}

/// The transpose of [`Patches`]: every pixel collects its value from all neighbourhoods.
struct Gather {
    kernel: usize,
    channels: usize,
}

impl CustomOp1 for Gather {
    fn name(&self) -> &'static str {
        "gather-patches"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (n, h, w, width) = layout.shape().dims4()?;
        let (k, p, c) = (self.kernel, self.kernel / 2, self.channels);
        let g = Patches::values(storage, layout)?;
        let mut out = vec![0f32; n * h * w * c];
        out.par_chunks_mut(w * c).enumerate().for_each(|(row, out)| {
            let (image, y) = (row / h, row % h);
            for dy in 0..k {
                let Some(gy) = (y + p).checked_sub(dy).filter(|gy| *gy < h) else { continue };
                let source = &g[(image * h + gy) * w * width..][..w * width];
                for dx in 0..k {
                    for ox in dx.saturating_sub(p)..(w + dx).saturating_sub(p).min(w) {
                        let from = &source[(ox + p - dx) * width + (dy * k + dx) * c..][..c];
                        for (o, f) in out[ox * c..][..c].iter_mut().zip(from) {
                            *o += f;
                        }
                    }
                }
            }
        });
        Ok((CpuStorage::F32(out), (n, h, w, c).into()))
    }
}

/// PyTorch's `pixel_shuffle` by 2 for `N x H x W x 4C`: `N x 2H x 2W x C`.
pub fn pixel_shuffle_nhwc(x: &Tensor) -> Result<Tensor> {
    let (n, h, w, c4) = x.dims4()?;
    let c = c4 / 4;
    Ok(x.reshape(&[n, h, w, c, 2, 2][..])?.permute(vec![0, 1, 4, 2, 5, 3])?.contiguous()?.reshape((
        n,
        2 * h,
        2 * w,
        c,
    ))?)
}

/// Bilinear resize (PyTorch's `align_corners=False`) of `N x H x W x C` by two products
/// with fixed matrices, which have a gradient; candle's own upsampling has none.
pub fn resize_bilinear_nhwc(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    if (h, w) == (height, width) {
        return Ok(x.clone());
    }
    let rows = interpolation(h, height, x)?.broadcast_as((n, height, h))?.contiguous()?;
    let x = rows.matmul(&x.reshape((n, h, w * c))?)?.reshape((n * height, w, c))?;
    let columns = interpolation(w, width, &x)?.broadcast_as((n * height, width, w))?.contiguous()?;
    Ok(columns.matmul(&x)?.reshape((n, height, width, c))?)
}

/// The two source positions of a target row or column and the second one's weight.
#[must_use]
pub fn bilinear_tap(target: usize, from: usize, to: usize) -> (usize, usize, f32) {
    let position = ((target as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
    let low = (position as usize).min(from - 1);
    (low, (low + 1).min(from - 1), (position - low as f64) as f32)
}

fn interpolation(from: usize, to: usize, like: &Tensor) -> Result<Tensor> {
    let mut matrix = vec![0f32; to * from];
    for t in 0..to {
        let (low, high, weight) = bilinear_tap(t, from, to);
        matrix[t * from + low] += 1.0 - weight;
        matrix[t * from + high] += weight;
    }
    Ok(Tensor::from_vec(matrix, (1, to, from), like.device())?.to_dtype(DType::F32)?)
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

    #[test]
    fn nhwc_convolution_equals_candles() {
        let x = Tensor::randn(0f32, 1.0, (2, 5, 7, 6), &Device::Cpu).expect("a tensor");
        let bias = Tensor::randn(0f32, 1.0, 4, &Device::Cpu).expect("a tensor");
        for k in [1, 3] {
            let weight = Tensor::randn(0f32, 1.0, (4, 5, k, k), &Device::Cpu).expect("a tensor");
            let wanted = x
                .conv2d(&weight, k / 2, 1, 1, 1)
                .and_then(|y| y.broadcast_add(&bias.reshape((1, 4, 1, 1))?))
                .expect("candle's own");
            let nhwc = x.permute((0, 2, 3, 1)).and_then(|x| x.contiguous()).expect("a tensor");
            let got = conv_nhwc(&nhwc, &weight, &bias).expect("ours").permute((0, 3, 1, 2)).expect("a tensor");
            let error = (wanted - got).and_then(|d| d.abs()?.max_all()?.to_scalar::<f32>()).expect("a number");
            assert!(error < 1e-5, "k {k}: {error}");
        }
    }

    #[test]
    fn the_gradient_of_patches_is_that_of_slices() {
        let x = candle_core::Var::randn(0f32, 1.0, (2, 5, 4, 3), &Device::Cpu).expect("a tensor");
        let weight = Tensor::randn(0f32, 1.0, (2, 3, 3, 3), &Device::Cpu).expect("a tensor");
        let bias = Tensor::zeros(2, DType::F32, &Device::Cpu).expect("a tensor");
        let gradient = |y: Tensor| {
            let loss = y.sqr().and_then(|y| y.sum_all()).expect("a number");
            loss.backward().expect("computed").get(&x).expect("x has a gradient").clone()
        };
        let ours = gradient(conv_nhwc(x.as_tensor(), &weight, &bias).expect("ours"));
        // A change of one value moves the loss as the gradient says.
        let loss = |x: &Tensor| {
            let y = conv_nhwc(x, &weight, &bias).expect("ours");
            y.to_dtype(DType::F64).and_then(|y| y.sqr()?.sum_all()?.to_scalar::<f64>()).expect("a number")
        };
        let values: Vec<f32> = x.flatten_all().and_then(|t| t.to_vec1()).expect("values");
        let gradients: Vec<f32> = ours.flatten_all().and_then(|t| t.to_vec1()).expect("values");
        for i in [0, 7, 59, 119] {
            let moved = |by: f32| {
                let mut v = values.clone();
                v[i] += by;
                loss(&Tensor::from_vec(v, (2, 5, 4, 3), &Device::Cpu).expect("a tensor"))
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!(
                (slope - f64::from(gradients[i])).abs() < 1e-2 * slope.abs().max(1.0),
                "{i}: {slope} {}",
                gradients[i]
            );
        }
    }
}
