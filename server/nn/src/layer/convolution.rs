//! Convolutions with gradients.

#[cfg(feature = "cudnn")]
mod cudnn;
mod operation;

use crate::device::Problem;
use crate::path::{Path, is_rounding, rounded};
use crate::taps::{Geometry, each_tap};
use crate::{Error, Result};
use candle_core::{Tensor, Var};
#[cfg(feature = "cudnn")]
use operation::Frozen;
use operation::{Biased, Convolve, Of};
use std::sync::Once;

/// Most values of the matrix of neighbourhoods that are made at once (512 MB); larger maps
/// are convolved in bands of rows.
const MOST: usize = 128 << 20;

/// A convolution with kernel K and stride 1 that keeps the size; see [`convolve_nhwc`]. Taps lie
/// `dilation` pixels apart.
pub fn conv_nhwc(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, dilation: usize) -> Result<Tensor> {
    convolve_nhwc(x, weight, bias, Geometry::same(weight.dim(2)?, dilation))
}

/// A convolution. On the CPU and by cuDNN it is one operation with forward and backward passes of its
/// own; elsewhere it is written with plain tensor operations, so that its gradient is two matrix
/// products on every device. (The gradient of candle's own fails for maps that are not square.)
///
/// `x` is `N x H x W x I`, `weight` is `O x I x K x K` (PyTorch's layout), `bias` is `O`;
/// the output is `N x H' x W' x O`.
pub fn convolve_nhwc(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, geometry: Geometry) -> Result<Tensor> {
    if let (Path::Own, Some(bias), false) = (Path::of(x), bias, is_rounding()) {
        return Ok(x.contiguous()?.apply_op3(weight, bias, Biased(Convolve { geometry }))?);
    }
    let y = rounded([x, weight], |x, weight| match Path::of(x) {
        Path::Own => Ok(x.contiguous()?.apply_op2(weight, Convolve { geometry })?),
        Path::Cudnn => match x.contiguous()?.apply_op2(weight, Convolve { geometry }) {
            Ok(y) => Ok(y),
            Err(error) => otherwise(error.into(), || plain(x, weight, geometry)),
        },
        Path::Plain => plain(x, weight, geometry),
    })?;
    Ok(match bias {
        Some(bias) => y.broadcast_add(bias)?,
        None => y,
    })
}

/// A convolution by cuDNN without a gradient, or by candle where cuDNN refuses it: `x` is `N x I x H x W`, `weight` is
/// `O x I x K x K`, and the output is `N x O x H' x W'`, all of one type.
#[cfg(feature = "cudnn")]
pub(super) fn frozen_nchw(x: &Tensor, weight: &Tensor, geometry: Geometry) -> Result<Tensor> {
    let x = x.contiguous()?;
    x.apply_op2_no_bwd(weight, &Frozen { geometry }).or_else(|error| {
        otherwise(error.into(), || Ok(x.conv2d(weight, geometry.padding, geometry.stride, geometry.dilation, 1)?))
    })
}

/// Computes what cuDNN refuses in another way, and says so once. A lack of memory is no refusal: the other way needs more.
fn otherwise(error: Error, way: impl FnOnce() -> Result<Tensor>) -> Result<Tensor> {
    static ONCE: Once = Once::new();
    if Problem::is_out_of_memory(&error) {
        return Err(error);
    }
    ONCE.call_once(|| tracing::warn!(%error, "computing this, and what else is refused, by slower operations"));
    way()
}

/// The gradient of one of x and weight by tensor operations, for that of the output.
fn plain_gradient([x, weight]: [&Tensor; 2], gradient: &Tensor, geometry: Geometry, of: Of) -> Result<Tensor> {
    let (x, weight) = (Var::from_tensor(&x.detach())?, Var::from_tensor(&weight.detach())?);
    let mut gradients = (plain(&x, &weight, geometry)? * gradient)?.sum_all()?.backward()?;
    let found = gradients.remove(match of {
        Of::Input => &x,
        Of::Weight => &weight,
    });
    found.ok_or_else(|| candle_core::Error::Msg("a convolution has no gradient".to_owned()).into())
}

/// In tensor operations, on any device.
fn plain(x: &Tensor, weight: &Tensor, geometry: Geometry) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    let (o, _, k, _) = weight.dims4()?;
    let matrix = weight.permute((2, 3, 1, 0))?.reshape((k * k * c, o))?;
    let product =
        |patches: &Tensor, rows: usize| -> Result<Tensor> { Ok(patches.matmul(&matrix)?.reshape((n, rows, w, o))?) };
    if geometry != Geometry::same(k, geometry.dilation) {
        let (patches, rows, columns) = strided_patches(x, k, geometry)?;
        return Ok(patches.matmul(&matrix)?.reshape((n, rows, columns, o))?);
    }
    let dilation = geometry.dilation;
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

/// `N x H x W x C` to `(N * H' * W') x (K * K * C)`, and H' and W'.
fn strided_patches(x: &Tensor, k: usize, geometry: Geometry) -> Result<(Tensor, usize, usize)> {
    let mut taps = Vec::with_capacity(k * k);
    each_tap(x, k, geometry, |tap| {
        taps.push(tap);
        Ok(())
    })?;
    let patches = Tensor::cat(&taps, 3)?;
    let (n, rows, columns, width) = patches.dims4()?;
    Ok((patches.reshape((n * rows * columns, width))?, rows, columns))
}

/// `N x H x W x C` to `(N * H * W) x (K * K * C)`.
fn patches(x: &Tensor, k: usize, dilation: usize) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    let p = dilation * (k / 2);
    let padded = x.pad_with_zeros(1, p, p)?.pad_with_zeros(2, p, p)?;
    let mut taps = Vec::with_capacity(k * k);
    for dy in 0..k {
        for dx in 0..k {
            taps.push(padded.narrow(1, dy * dilation, h)?.narrow(2, dx * dilation, w)?);
        }
    }
    Ok(Tensor::cat(&taps, 3)?.reshape((n * h * w, k * k * c))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, assert_near, assert_within, values};
    use candle_core::Var;

    #[test]
    fn nhwc_convolution_equals_candles() {
        let random = Random::new("convolutions of channels last");
        let (x, bias) = (random.normal(1.0, (2, 5, 7, 6)), random.normal(1.0, 4));
        for (k, dilation) in [(1, 1), (3, 1), (3, 2), (3, 6), (3, 12)] {
            let weight = random.normal(1.0, (4, 5, k, k));
            let wanted = x
                .conv2d(&weight, dilation * (k / 2), 1, dilation, 1)
                .and_then(|y| y.broadcast_add(&bias.reshape((1, 4, 1, 1))?))
                .expect("candle's own");
            let nhwc = x.permute((0, 2, 3, 1)).and_then(|x| x.contiguous()).expect("a tensor");
            let got = conv_nhwc(&nhwc, &weight, Some(&bias), dilation)
                .expect("ours")
                .permute((0, 3, 1, 2))
                .expect("a tensor");
            assert_eq!(got.dims(), wanted.dims());
            assert_within(format!("k {k}, dilation {dilation}"), &values(&got), &values(&wanted), 2e-5);
        }
    }

    #[test]
    fn the_gradients_are_those_of_plain_tensor_operations() {
        let cases = [
            ((2, 5, 4, 3), 2, 3, 2),
            ((1, 9, 7, 70), 13, 3, 1),
            ((3, 30, 11, 5), 64, 3, 3),
            ((2, 7, 8, 40), 6, 3, 12),
            ((2, 13, 12, 9), 20, 3, 1),
            ((3, 23, 30, 21), 37, 3, 1),
            ((2, 28, 28, 64), 32, 3, 1),
            ((2, 22, 21, 64), 72, 3, 1),
            ((1, 21, 20, 128), 130, 3, 1),
            ((4, 12, 16, 24), 24, 3, 1),
            ((2, 5, 6, 130), 260, 3, 1),
            ((2, 6, 5, 33), 18, 1, 1),
        ];
        for (shape, outputs, k, dilation) in cases {
            let (n, h, w, i) = shape;
            let random = Random::new("gradients of convolutions");
            let var = |dims: &[usize]| Var::from_tensor(&random.normal(1.0, dims)).expect("a variable");
            let (x, weight, bias) = (var(&[n, h, w, i]), var(&[outputs, i, k, k]), var(&[outputs]));
            let factors = random.normal(1.0, (n, h, w, outputs));
            let gradients = |y: Tensor| {
                let loss = (y * &factors).and_then(|y| y.sum_all()).expect("a number");
                loss.backward().expect("computed")
            };
            let ours = gradients(conv_nhwc(&x, &weight, Some(&bias), dilation).expect("ours"));
            let plain = || -> Result<Tensor> {
                let matrix = weight.permute((2, 3, 1, 0))?.reshape((k * k * i, outputs))?;
                let y = patches(&x, k, dilation)?.matmul(&matrix)?.broadcast_add(&bias)?;
                Ok(y.reshape((n, h, w, outputs))?)
            };
            let wanted = gradients(plain().expect("computed"));
            for var in [&x, &weight, &bias] {
                let (ours, wanted) = (ours.get(var).expect("a gradient"), wanted.get(var).expect("a gradient"));
                assert_eq!(ours.dims(), wanted.dims());
                assert_near(format!("{shape:?} {outputs} {k} {dilation}"), &values(ours), &values(wanted), 1e-5);
            }
        }
    }
    #[test]
    fn strided_convolutions_and_their_gradients_are_those_of_plain_operations() {
        let cases = [
            ((2, 9, 12, 5), 7, 3, 2, 1),
            ((2, 8, 7, 6), 4, 1, 2, 0),
            ((3, 16, 15, 3), 10, 7, 2, 3),
            ((1, 11, 11, 70), 66, 3, 2, 1),
            ((2, 10, 9, 4), 3, 5, 3, 2),
            ((2, 9, 9, 8), 8, 3, 1, 0),
            ((2, 6, 6, 2), 5, 3, 1, 1),
        ];
        for (shape, outputs, k, stride, padding) in cases {
            let (n, h, w, i) = shape;
            let geometry = Geometry { stride, padding, dilation: 1 };
            let random = Random::new("strided convolutions");
            let var = |dims: &[usize]| Var::from_tensor(&random.normal(1.0, dims)).expect("a variable");
            let (x, weight) = (var(&[n, h, w, i]), var(&[outputs, i, k, k]));
            let y = convolve_nhwc(&x, &weight, None, geometry).expect("ours");
            let plain = |var: &Var| -> Result<Tensor> {
                let (patches, rows, columns) = strided_patches(var, k, geometry)?;
                let matrix = weight.permute((2, 3, 1, 0))?.reshape((k * k * i, outputs))?;
                Ok(patches.matmul(&matrix)?.reshape((n, rows, columns, outputs))?)
            };
            let wanted = plain(&x).expect("computed");
            let planes = x.permute((0, 3, 1, 2)).and_then(|x| x.contiguous()).expect("a tensor");
            let candles = planes.conv2d(&weight, padding, stride, 1, 1).and_then(|y| y.permute((0, 2, 3, 1)));
            assert_near("candle's forward pass", &values(&wanted), &values(&candles.expect("computed")), 2e-5);
            assert_eq!(y.dims(), wanted.dims());
            let what = format!("{shape:?} {outputs} {k} {stride} {padding}");
            assert_near(&what, &values(&y), &values(&wanted), 2e-5);
            let factors = random.normal(1.0, y.dims());
            let gradients = |y: &Tensor| {
                let loss = (y * &factors).and_then(|y| y.sum_all()).expect("a number");
                loss.backward().expect("computed")
            };
            let (ours, theirs) = (gradients(&y), gradients(&wanted));
            for (of, var) in [(Of::Input, &x), (Of::Weight, &weight)] {
                let plain = plain_gradient([&x, &weight], &factors, geometry, of).expect("computed");
                assert_near(&what, &values(&plain), &values(ours.get(var).expect("a gradient")), 2e-5);
            }
            for var in [&x, &weight] {
                let (ours, wanted) = (ours.get(var).expect("a gradient"), theirs.get(var).expect("a gradient"));
                assert_eq!(ours.dims(), wanted.dims());
                assert_near(&what, &values(ours), &values(wanted), 2e-5);
            }
        }
    }

    #[test]
    fn a_kernel_larger_than_its_map_is_refused() {
        let random = Random::new("small maps");
        let (x, weight) = (random.normal(1.0, (1, 2, 2, 3)), random.normal(1.0, (4, 3, 7, 7)));
        let geometry = Geometry { stride: 2, padding: 1, dilation: 1 };
        let said = convolve_nhwc(&x, &weight, None, geometry).expect_err("refused").to_string();
        assert!(said.contains("does not fit maps of 2 x 2"), "{said}");
    }
}
