//! Convolutions in bfloat16 with sums in `f32`, on processors that have AVX-512's instructions
//! for it: half the bytes and, where there is no better method, twice the products a second.
//! Rounding to 8 bits moves features by about one part in a hundred; `encoder::resnet` states it.

use super::convolution::Window;
use super::product::{Finish, Plain, Rows};
use super::value::FusedConvolution;
use super::{Maps, Parts, Scratch};
use crate::conv::{Activation, Conv, Padding};
use crate::{Error, Result};
use half::bf16;
use rayon::prelude::*;
use std::ops::Range;

#[cfg(target_arch = "x86_64")]
mod avx512;
mod plain;

/// Bytes of a panel's weights that stay in a core's second-level cache while all rows pass.
const PANEL: usize = 384 << 10;
/// Values of a vector of sums.
const LANES: usize = 16;

/// Whether this processor can.
#[must_use]
pub fn supported() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        super::level::is_v4()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bf16")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Complains where [`supported`] says no.
///
/// # Errors
/// [`Error::Unsupported`].
pub fn check() -> Result<()> {
    if supported() {
        return Ok(());
    }
    Err(Error::Unsupported("this processor has no bfloat16 (AVX512-BF16); use `--precision f32`".to_owned()))
}

/// A frozen convolution, its weights packed: panels of as many outputs as fit into the
/// registers, within a panel one tap after the other, two inputs of an output side by side.
#[derive(Debug)]
pub struct Convolution {
    weights: Pairs,
    bias: Vec<f32>,
    kernel: usize,
    stride: usize,
    padding: Padding,
    activation: Activation,
    zeros: Vec<bf16>,
}

#[derive(Debug)]
struct Pairs {
    outputs: usize,
    taps: usize,
    /// Values of a piece.
    depth: usize,
    /// Outputs of a panel.
    width: usize,
    values: Vec<[bf16; 2]>,
}

impl Pairs {
    fn new(weight: &[f32], outputs: usize, depth: usize, taps: usize) -> Self {
        let fits = |v: &usize| outputs.is_multiple_of(v * LANES) && 2 * taps * depth * v * LANES <= PANEL;
        let width = LANES * [4, 2].into_iter().find(fits).unwrap_or(1);
        let pairs = depth.div_ceil(2);
        let mut values = vec![[bf16::ZERO; 2]; outputs.div_ceil(width) * taps * pairs * width];
        values.par_chunks_mut(taps * pairs * width).enumerate().for_each(|(panel, values)| {
            for (i, pair) in values.iter_mut().enumerate() {
                let (row, o) = (i / width, panel * width + i % width);
                let (tap, first) = (row / pairs, row % pairs * 2);
                for (k, value) in (first..depth).zip(pair).filter(|_| o < outputs) {
                    *value = bf16::from_f32(weight[(o * depth + k) * taps + tap]);
                }
            }
        });
        Self { outputs, taps, depth, width, values }
    }

    fn panels(&self) -> usize {
        self.outputs.div_ceil(self.width)
    }

    fn panel(&self, panel: usize) -> &[[bf16; 2]] {
        let len = self.taps * self.depth.div_ceil(2) * self.width;
        &self.values[panel * len..][..len]
    }
}

/// Weights are rounded to bfloat16, the bias keeps its precision. There is no form of it for a
/// depthwise convolution, TensorFlow's padding or ReLU6. Without the instructions it computes the
/// same in plain code, which serves the tests alone: it is slower than `f32`, and
/// [`Precision::check`](crate::encoder::Precision::check) refuses it.
impl FusedConvolution for Convolution {
    type Value = bf16;

    fn new(conv: &Conv) -> Result<Self> {
        let (outputs, channels, kernel, _) = conv.weight.dims4()?;
        let (Padding::Symmetric(_), false, Activation::Identity | Activation::Relu) =
            (conv.padding, conv.depthwise, conv.activation)
        else {
            return Err(Error::Unsupported("this convolution has no form in bfloat16".to_owned()));
        };
        let weight: Vec<f32> = conv.weight.flatten_all()?.to_vec1()?;
        let weights = Pairs::new(&weight, outputs, channels, kernel * kernel);
        let mut bias: Vec<f32> = conv.bias.flatten_all()?.to_vec1()?;
        bias.resize(outputs.next_multiple_of(weights.width), 0.0);
        let Conv { stride, padding, activation, .. } = *conv;
        Ok(Self { weights, bias, kernel, stride, padding, activation, zeros: vec![bf16::ZERO; channels] })
    }

    fn outputs(&self) -> usize {
        self.weights.outputs
    }

    fn output(&self, maps: Maps) -> Maps {
        maps.under(self.kernel, self.stride, self.padding).0
    }

    fn run(&self, x: &[bf16], maps: Maps, out: &mut [bf16], _: &mut Scratch) {
        self.finish(x, maps, Finish { bias: Some(&self.bias), add: false, activation: self.activation }, out);
    }

    fn add(&self, x: &[bf16], maps: Maps, activation: Activation, out: &mut [bf16], _: &mut Scratch) {
        self.finish(x, maps, Finish { bias: Some(&self.bias), add: true, activation }, out);
    }
}

impl Convolution {
    fn finish(&self, x: &[bf16], maps: Maps, finish: Finish<'_>, out: &mut [bf16]) {
        let (to, padding) = maps.under(self.kernel, self.stride, self.padding);
        let channels = self.weights.depth;
        if self.kernel == 1 && self.stride == 1 {
            product(&Plain { values: x, depth: channels }, &self.weights, to.pixels(), finish, out);
            return;
        }
        let window = Window {
            x,
            zeros: &self.zeros,
            from: maps,
            to,
            channels,
            kernel: self.kernel,
            stride: self.stride,
            padding,
            dilation: 1,
        };
        product(&window, &self.weights, to.pixels(), finish, out);
    }
}

fn product<'a, R: Rows<'a, bf16>>(rows: &R, weights: &Pairs, count: usize, finish: Finish<'_>, out: &mut [bf16]) {
    assert_eq!(out.len(), count * weights.outputs, "there is room for each output");
    let out = Parts::new(out);
    let instructions = supported();
    let (row_bytes, weight_bytes) = (2 * weights.taps.min(2) * weights.depth, 4 * weights.values.len());
    super::product::share_out(count, weights.panels(), row_bytes, weight_bytes, |range, panels| {
        let rectangle = Rectangle { rows, weights, range, panels, finish, out };
        #[cfg(target_arch = "x86_64")]
        if instructions {
            // SAFETY: the processor has the instructions, and no two tasks have rows and panels in common.
            unsafe { rectangle.run() };
            return;
        }
        debug_assert!(!instructions, "the instructions are those of x86-64");
        // SAFETY: no two tasks have rows and panels in common.
        unsafe { rectangle.run_plain() };
    });
}

/// Some rows times some panels.
struct Rectangle<'r, R> {
    rows: &'r R,
    weights: &'r Pairs,
    range: Range<usize>,
    panels: Range<usize>,
    finish: Finish<'r>,
    out: Parts<'r, bf16>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::test_tensors::nhwc;
    use crate::testing::{Random, difference};
    use candle_core::Tensor;

    fn rounded(t: &Tensor) -> Tensor {
        t.to_dtype(candle_core::DType::BF16).and_then(|t| t.to_dtype(candle_core::DType::F32)).expect("a tensor")
    }

    fn narrow(values: &[f32]) -> Vec<bf16> {
        values.iter().map(|v| bf16::from_f32(*v)).collect()
    }

    /// The largest error as a share of the value, or of 1 for smaller ones.
    fn largest_error(random: &Random, kernel: usize, stride: usize, size: [usize; 5], residual: bool) -> f64 {
        let [n, h, w, i, o] = size;
        let random = |deviation: f32, shape: &[usize]| rounded(&random.normal(deviation, shape));
        let conv = Conv {
            weight: random((1.0 / (i * kernel * kernel) as f32).sqrt(), &[o, i, kernel, kernel]),
            bias: random(1.0, &[1, o, 1, 1]),
            stride,
            padding: Padding::Symmetric(kernel / 2),
            depthwise: false,
            activation: if residual { Activation::Identity } else { Activation::Relu },
        };
        let x = random(1.0, &[n, i, h, w]);
        let wanted = conv.forward(&x).expect("candle's own");
        let held = random(1.0, wanted.dims());
        let wanted = if residual { (wanted + &held).and_then(|y| y.relu()).expect("a tensor") } else { wanted };
        let packed = Convolution::new(&conv).expect("packed");
        let mut out = narrow(&nhwc(&held));
        let (x, maps) = (narrow(&nhwc(&x)), Maps { images: n, height: h, width: w });
        if residual {
            packed.add(&x, maps, Activation::Relu, &mut out, &mut Scratch::default());
        } else {
            packed.run(&x, maps, &mut out, &mut Scratch::default());
        }
        // As a share of the value, or of 1 for smaller ones.
        let wanted = nhwc(&wanted);
        let share = |(got, wanted): (f32, &f32)| got / wanted.abs().max(1.0);
        let ours: Vec<f32> = out.iter().map(|v| v.to_f32()).zip(&wanted).map(share).collect();
        let wanted: Vec<f32> = wanted.iter().map(|w| share((*w, w))).collect();
        difference(format!("kernel {kernel}, stride {stride}, {size:?}"), &ours, &wanted)
    }

    #[test]
    fn all_forms_equal_candles_convolution_but_for_the_last_rounding() {
        if !supported() {
            let message = check().expect_err("it is not there").to_string();
            assert!(message.contains("--precision f32"), "{message}");
        }
        let random = Random::new("bfloat16");
        for (kernel, stride) in [(1, 1), (1, 2), (3, 1), (3, 2)] {
            for size in [[1, 1, 1, 3, 1], [2, 9, 7, 5, 17], [3, 14, 14, 32, 64], [1, 7, 5, 600, 40], [2, 13, 8, 3, 200]]
            {
                for residual in [false, true] {
                    let error = largest_error(&random, kernel, stride, size, residual);
                    // Half of the last of 8 bits.
                    assert!(error < 1.02 / 256.0, "kernel {kernel}, stride {stride}, {size:?}: {error}");
                }
            }
        }
    }
}
