//! Convolutions of each channel on its own, with bias and activation in one pass.

use super::product::activated;
use super::{Maps, arch, load, store};
use crate::conv::{Activation, Conv, Padding};
use crate::{Error, Result};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Most taps of a kernel: 7 x 7.
const TAPS: usize = 49;

/// A frozen depthwise convolution.
#[derive(Debug)]
pub struct Depthwise {
    /// `taps x C`.
    weight: Vec<f32>,
    bias: Vec<f32>,
    kernel: usize,
    stride: usize,
    padding: Padding,
    activation: Activation,
}

impl Depthwise {
    /// Lays out the weights of `conv`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it is not depthwise, or its kernel is larger than 7 x 7.
    pub fn new(conv: &Conv) -> Result<Self> {
        let (channels, one, kernel, _) = conv.weight.dims4()?;
        if !conv.depthwise || one != 1 || kernel * kernel > TAPS {
            return Err(Error::Unsupported("this convolution is not depthwise, or too large".to_owned()));
        }
        let weight: Vec<f32> = conv.weight.flatten_all()?.to_vec1()?;
        let taps = kernel * kernel;
        Ok(Self {
            weight: (0..taps * channels).map(|i| weight[i % channels * taps + i / channels]).collect(),
            bias: conv.bias.flatten_all()?.to_vec1()?,
            kernel,
            stride: conv.stride,
            padding: conv.padding,
            activation: conv.activation,
        })
    }

    /// Size of the output for an input of size `maps`.
    #[must_use]
    pub fn output(&self, maps: Maps) -> Maps {
        maps.under(self.kernel, self.stride, self.padding).0
    }

    /// Convolves `x`, `N x H x W x C`, into `out`, `N x H' x W' x C`, on all threads.
    pub fn run(&self, x: &[f32], maps: Maps, out: &mut [f32]) {
        let ((to, before), channels) = (maps.under(self.kernel, self.stride, self.padding), self.bias.len());
        assert_eq!(out.len(), to.pixels() * channels, "there is room for each output");
        out.par_chunks_mut(to.width * channels).enumerate().for_each(|(line, out)| {
            let (image, row) = (line / to.height, line % to.height * self.stride);
            arch().dispatch(Line { conv: self, x, maps, before, image, row, out });
        });
    }
}

/// A line of the output.
struct Line<'a> {
    conv: &'a Depthwise,
    x: &'a [f32],
    maps: Maps,
    before: [usize; 2],
    image: usize,
    /// The uppermost row of the kernel, counted from the padding.
    row: usize,
    out: &'a mut [f32],
}

impl WithSimd for Line<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Depthwise { weight, bias, kernel, stride, activation, .. } = self.conv;
        let (channels, kernel) = (bias.len(), *kernel);
        let inside = |at: usize, before: usize, size: usize| at.checked_sub(before).filter(|at| *at < size);
        // The pixels under the kernel, with its weights; there are none outside of the picture.
        let mut near: [(&[f32], &[f32]); TAPS] = [(&[], &[]); TAPS];
        for (column, out) in self.out.chunks_exact_mut(channels).enumerate() {
            let mut count = 0;
            for dy in 0..kernel {
                let Some(y) = inside(self.row + dy, self.before[0], self.maps.height) else { continue };
                for dx in 0..kernel {
                    let Some(x) = inside(column * stride + dx, self.before[1], self.maps.width) else { continue };
                    let pixel = (self.image * self.maps.height + y) * self.maps.width + x;
                    let tap = dy * kernel + dx;
                    near[count] = (&self.x[pixel * channels..][..channels], &weight[tap * channels..][..channels]);
                    count += 1;
                }
            }
            for c in (0..channels).step_by(S::F32_LANES) {
                let len = (channels - c).min(S::F32_LANES);
                let mut sum = load(simd, &bias[c..][..len]);
                for (pixel, weight) in &near[..count] {
                    sum = simd.mul_add_f32s(load(simd, &pixel[c..][..len]), load(simd, &weight[c..][..len]), sum);
                }
                store(simd, &mut out[c..][..len], activated(simd, *activation, sum));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::test_tensors::nhwc;
    use crate::testing::{Random, assert_within};

    #[test]
    fn all_sizes_equal_candles_convolution() {
        let random = Random::new("depthwise");
        let random = |deviation: f32, shape: &[usize]| random.normal(deviation, shape);
        for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1)] {
            for [n, h, w, c] in [[1, 1, 1, 1], [2, 9, 7, 17], [1, 14, 15, 96], [3, 8, 6, 40]] {
                for padding in [Padding::Same, Padding::Symmetric(kernel / 2)] {
                    let conv = Conv {
                        weight: random(1.0, &[c, 1, kernel, kernel]),
                        bias: random(1.0, &[1, c, 1, 1]),
                        stride,
                        padding,
                        depthwise: true,
                        activation: Activation::Relu6,
                    };
                    let x = random(1.0, &[n, c, h, w]);
                    let wanted = nhwc(&conv.forward(&x).expect("candle's own"));
                    let ours = Depthwise::new(&conv).expect("laid out");
                    let maps = Maps { images: n, height: h, width: w };
                    let mut out = vec![f32::NAN; ours.output(maps).pixels() * c];
                    ours.run(&nhwc(&x), maps, &mut out);
                    assert_within(format!("{kernel} {stride} {n} {h} {w} {c}"), &out, &wanted, 1e-5);
                }
            }
        }
    }
}
