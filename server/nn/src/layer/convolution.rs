//! Convolutions that keep the size, with gradients.

use crate::Result;
use crate::cpu::{Maps, training, values};
use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor};

/// Most values of the matrix of neighbourhoods that are made at once (512 MB); larger maps
/// are convolved in bands of rows.
const MOST: usize = 128 << 20;

/// A convolution with kernel K and stride 1 that keeps the size. On the CPU it has forward and
/// backward passes of its own; elsewhere it is written with plain tensor operations, so that
/// its gradient is two matrix products on every device.
///
/// `x` is `N x H x W x I`, `weight` is `O x I x K x K` (PyTorch's layout), `bias` is `O`;
/// the output is `N x H x W x O`. Taps lie `dilation` pixels apart.
pub fn conv_nhwc(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, dilation: usize) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    let (o, _, k, _) = weight.dims4()?;
    if x.device().is_cpu() {
        let bias = match bias {
            Some(bias) => bias.clone(),
            None => Tensor::zeros(o, x.dtype(), x.device())?,
        };
        return Ok(x.contiguous()?.apply_op3(weight, &bias, Convolve { dilation })?);
    }
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

/// The convolution on the CPU, which never makes the matrix of neighbourhoods: input, weight
/// and bias to output.
struct Convolve {
    dilation: usize,
}

impl Convolve {
    fn shape(&self, x: &Shape, weight: &Shape) -> candle_core::Result<training::Shape> {
        let ((images, height, width, inputs), (outputs, _, kernel, _)) = (x.dims4()?, weight.dims4()?);
        let maps = Maps { images, height, width };
        Ok(training::Shape { maps, inputs, outputs, kernel, dilation: self.dilation })
    }
}

impl CustomOp3 for Convolve {
    fn name(&self) -> &'static str {
        "convolve"
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
        let shape = self.shape(of_x.shape(), of_weight.shape())?;
        let mut out = vec![0f32; shape.maps.pixels() * shape.outputs];
        let (x, weight, bias) = (values(x, of_x)?, values(weight, of_weight)?, values(bias, of_bias)?);
        training::convolve(shape, x, weight, bias, &mut out);
        let Maps { images, height, width } = shape.maps;
        Ok((CpuStorage::F32(out), (images, height, width, shape.outputs).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let backward = |what| Backward { dilation: self.dilation, what };
        // What nobody asks for is not computed: the first map comes from a frozen network.
        let input = x.track_op().then(|| gradient.apply_op3_no_bwd(x, weight, &backward(Of::Input))).transpose()?;
        let weights =
            weight.track_op().then(|| gradient.apply_op3_no_bwd(x, weight, &backward(Of::Weight))).transpose()?;
        let bias = bias.track_op().then(|| gradient.flatten_to(2)?.sum(0)).transpose()?;
        Ok((input, weights, bias))
    }
}

/// Which gradient.
enum Of {
    Input,
    Weight,
}

/// A gradient of [`Convolve`]: that of its output, its input and its weight to that of one of
/// the latter.
struct Backward {
    dilation: usize,
    what: Of,
}

impl CustomOp3 for Backward {
    fn name(&self) -> &'static str {
        "convolve-backward"
    }

    fn cpu_fwd(
        &self,
        gradient: &CpuStorage,
        of_gradient: &Layout,
        x: &CpuStorage,
        of_x: &Layout,
        weight: &CpuStorage,
        of_weight: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let shape = Convolve { dilation: self.dilation }.shape(of_x.shape(), of_weight.shape())?;
        let (gradient, x, weight) = (values(gradient, of_gradient)?, values(x, of_x)?, values(weight, of_weight)?);
        Ok(match self.what {
            Of::Input => {
                let mut out = vec![0f32; x.len()];
                training::input_gradient(shape, gradient, weight, &mut out);
                (CpuStorage::F32(out), of_x.shape().clone())
            }
            Of::Weight => {
                let mut out = vec![0f32; weight.len()];
                training::weight_gradient(shape, x, gradient, &mut out);
                (CpuStorage::F32(out), of_weight.shape().clone())
            }
        })
    }
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
}
