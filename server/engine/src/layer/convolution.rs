//! Convolutions that keep the size, with gradients.

use crate::Result;
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use rayon::prelude::*;

/// Most values of the matrix of neighbourhoods that are made at once (512 MB); larger maps
/// are convolved in bands of rows.
const MOST: usize = 128 << 20;

/// A convolution with kernel K and stride 1 that keeps the size, written with plain
/// tensor operations, so that its gradient is two matrix products on every device.
///
/// `x` is `N x H x W x I`, `weight` is `O x I x K x K` (PyTorch's layout), `bias` is `O`;
/// the output is `N x H x W x O`. Taps lie `dilation` pixels apart.
pub fn conv_nhwc(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, dilation: usize) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    let (o, _, k, _) = weight.dims4()?;
    let matrix = weight.permute((2, 3, 1, 0))?.reshape((k * k * c, o))?;
    let product = |patches: &Tensor, rows: usize| -> Result<Tensor> {
        let y = patches.matmul(&matrix)?;
        let y = match bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        };
        Ok(y.reshape((n, rows, w, o))?)
    };
    if k == 1 {
        return product(&x.reshape((n * h * w, c))?, h);
    }
    let (reach, row) = (dilation * (k / 2), n * w * k * k * c);
    let band = (MOST / row).max(1);
    if band >= h {
        return product(&patches(x, k, dilation)?, h);
    }
    let mut bands = Vec::new();
    for first in (0..h).step_by(band) {
        let last = (first + band).min(h);
        let (from, to) = (first.saturating_sub(reach), (last + reach).min(h));
        let rows = x.narrow(1, from, to - from)?.contiguous()?;
        let y = product(&patches(&rows, k, dilation)?, to - from)?;
        bands.push(y.narrow(1, first - from, last - first)?);
    }
    Ok(Tensor::cat(&bands, 1)?)
}

/// `N x H x W x C` to `(N * H * W) x (K * K * C)`.
fn patches(x: &Tensor, k: usize, dilation: usize) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    let shape = (n * h * w, k * k * c);
    if x.device().is_cpu() {
        return Ok(x.contiguous()?.apply_op1(Patches { kernel: k, dilation })?.reshape(shape)?);
    }
    let p = dilation * (k / 2);
    let padded = x.pad_with_zeros(1, p, p)?.pad_with_zeros(2, p, p)?;
    let mut taps = Vec::with_capacity(k * k);
    for dy in 0..k {
        for dx in 0..k {
            taps.push(padded.narrow(1, dy * dilation, h)?.narrow(2, dx * dilation, w)?);
        }
    }
    Ok(Tensor::cat(&taps, 3)?.reshape(shape)?)
}

/// The K x K neighbourhood of every pixel, zeros outside: `N x H x W x C` to
/// `N x H x W x K*K*C`, with its gradient. One pass over memory instead of K*K slices.
struct Patches {
    kernel: usize,
    dilation: usize,
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
        let (k, d) = (self.kernel, self.dilation);
        let p = d * (k / 2);
        let x = Self::values(storage, layout)?;
        let width = k * k * c;
        let mut out = vec![0f32; n * h * w * width];
        out.par_chunks_mut(w * width).enumerate().for_each(|(row, out)| {
            let (image, y) = (row / h, row % h);
            for dy in 0..k {
                let Some(sy) = (y + dy * d).checked_sub(p).filter(|sy| *sy < h) else { continue };
                let source = &x[(image * h + sy) * w * c..][..w * c];
                for dx in 0..k {
                    for ox in p.saturating_sub(dx * d)..(w + p).saturating_sub(dx * d).min(w) {
                        let from = &source[(ox + dx * d - p) * c..][..c];
                        out[ox * width + (dy * k + dx) * c..][..c].copy_from_slice(from);
                    }
                }
            }
        });
        Ok((CpuStorage::F32(out), (n, h, w, width).into()))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let channels = x.dim(3)?;
        let op = Gather { kernel: self.kernel, dilation: self.dilation, channels };
        Ok(Some(gradient.contiguous()?.apply_op1_no_bwd(&op)?))
    }
}

/// The transpose of [`Patches`]: every pixel collects its value from all neighbourhoods.
struct Gather {
    kernel: usize,
    dilation: usize,
    channels: usize,
}

impl CustomOp1 for Gather {
    fn name(&self) -> &'static str {
        "gather-patches"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (n, h, w, width) = layout.shape().dims4()?;
        let (k, d, c) = (self.kernel, self.dilation, self.channels);
        let p = d * (k / 2);
        let g = Patches::values(storage, layout)?;
        let mut out = vec![0f32; n * h * w * c];
        out.par_chunks_mut(w * c).enumerate().for_each(|(row, out)| {
            let (image, y) = (row / h, row % h);
            for dy in 0..k {
                let Some(gy) = (y + p).checked_sub(dy * d).filter(|gy| *gy < h) else { continue };
                let source = &g[(image * h + gy) * w * width..][..w * width];
                for dx in 0..k {
                    for ox in (dx * d).saturating_sub(p)..(w + dx * d).saturating_sub(p).min(w) {
                        let from = &source[(ox + p - dx * d) * width + (dy * k + dx) * c..][..c];
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

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn nhwc_convolution_equals_candles() {
        let x = Tensor::randn(0f32, 1.0, (2, 5, 7, 6), &Device::Cpu).expect("a tensor");
        let bias = Tensor::randn(0f32, 1.0, 4, &Device::Cpu).expect("a tensor");
        for (k, dilation) in [(1, 1), (3, 1), (3, 2), (3, 6), (3, 12)] {
            let weight = Tensor::randn(0f32, 1.0, (4, 5, k, k), &Device::Cpu).expect("a tensor");
            let wanted = x
                .conv2d(&weight, dilation * (k / 2), 1, dilation, 1)
                .and_then(|y| y.broadcast_add(&bias.reshape((1, 4, 1, 1))?))
                .expect("candle's own");
            let nhwc = x.permute((0, 2, 3, 1)).and_then(|x| x.contiguous()).expect("a tensor");
            let got = conv_nhwc(&nhwc, &weight, Some(&bias), dilation)
                .expect("ours")
                .permute((0, 3, 1, 2))
                .expect("a tensor");
            let error = (wanted - got).and_then(|d| d.abs()?.max_all()?.to_scalar::<f32>()).expect("a number");
            assert!(error < 1e-5, "k {k}, dilation {dilation}: {error}");
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
        let ours = gradient(conv_nhwc(x.as_tensor(), &weight, Some(&bias), 2).expect("ours"));
        // A change of one value moves the loss as the gradient says.
        let loss = |x: &Tensor| {
            let y = conv_nhwc(x, &weight, Some(&bias), 2).expect("ours");
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
