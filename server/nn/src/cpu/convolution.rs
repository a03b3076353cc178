//! A convolution with bias, an optional addition and ReLU in one pass.

use super::maps::{Maps, Scratch};
use super::packed::{NARROW, Packed};
use super::product::{Finish, Plain, Rows, product};
use super::value::FusedConvolution;
use super::winograd::{self, Scheme, Winograd};
use crate::conv::{Activation, Conv, Padding};
use crate::{Error, Result};
use rayon::prelude::*;

/// Input channels up to which 3x3 kernels work on 4 x 4 outputs at once (36 products instead of
/// 144); above, reading their transformed weights (4 times the size) costs what they save, and
/// 2 x 2 outputs (16 products instead of 36) remain.
const LARGE_TILES: usize = 128;

#[derive(Debug)]
enum Method {
    Direct(Packed),
    /// The kernel's rows are pieces: for few channels, whose pixels lie side by side.
    Strips(Packed),
    Winograd(Winograd),
}

/// A frozen convolution, its weights packed for the CPU.
#[derive(Debug)]
pub struct Convolution {
    method: Method,
    bias: Vec<f32>,
    outputs: usize,
    channels: usize,
    kernel: usize,
    stride: usize,
    padding: Padding,
    activation: Activation,
}

/// Channels up to which a pixel's are too few to be a piece of their own.
pub(super) const FEW: usize = 4;

impl FusedConvolution for Convolution {
    type Value = f32;

    fn new(conv: &Conv) -> Result<Self> {
        let (outputs, channels, kernel, _) = conv.weight.dims4()?;
        if conv.depthwise {
            return Err(Error::Unsupported("a depthwise convolution is another kind".to_owned()));
        }
        let weight: Vec<f32> = conv.weight.flatten_all()?.to_vec1()?;
        let area = kernel * kernel;
        let value = |o: usize, c: usize, tap: usize| weight[(o * channels + c) * area + tap];
        let method = if kernel > 3 || (kernel > 1 && channels <= FEW) {
            let depth = kernel * channels;
            Method::Strips(Packed::new(1, outputs, kernel, depth, NARROW, |_, o, row, k| {
                value(o, k % channels, row * kernel + k / channels)
            }))
        } else if kernel == 3 && conv.stride == 1 && conv.padding.of(16, 3, 1) == (1, 16) {
            let scheme = if channels <= LARGE_TILES { Scheme::Four } else { Scheme::Two };
            Method::Winograd(Winograd::new(scheme, outputs, channels, value))
        } else {
            Method::Direct(Packed::of_kernel(&weight, outputs, channels, area))
        };
        let mut bias: Vec<f32> = conv.bias.flatten_all()?.to_vec1()?;
        if let Method::Direct(packed) | Method::Strips(packed) = &method {
            bias.resize(packed.padded(), 0.0);
        }
        Ok(Self {
            method,
            bias,
            outputs,
            channels,
            kernel,
            stride: conv.stride,
            padding: conv.padding,
            activation: conv.activation,
        })
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn output(&self, maps: Maps) -> Maps {
        maps.under(self.kernel, self.stride, self.padding).0
    }

    fn run(&self, x: &[f32], maps: Maps, out: &mut [f32], scratch: &mut Scratch) {
        let finish = Finish { bias: Some(&self.bias), add: false, activation: self.activation };
        self.finish(x, maps, finish, out, scratch);
    }

    fn add(&self, x: &[f32], maps: Maps, activation: Activation, out: &mut [f32], scratch: &mut Scratch) {
        self.finish(x, maps, Finish { bias: Some(&self.bias), add: true, activation }, out, scratch);
    }
}

impl Convolution {
    fn finish(&self, x: &[f32], maps: Maps, finish: Finish<'_>, out: &mut [f32], scratch: &mut Scratch) {
        let (to, before) = maps.under(self.kernel, self.stride, self.padding);
        match &self.method {
            Method::Direct(packed) if self.kernel == 1 && self.stride == 1 => {
                product(&Plain { values: x, depth: self.channels }, packed.matrix(0), to.pixels(), finish, out);
            }
            Method::Direct(packed) => {
                let zeros: &[f32] = super::grown(&mut scratch.zeros, self.channels);
                let window = Window {
                    x,
                    zeros,
                    from: maps,
                    to,
                    channels: self.channels,
                    kernel: self.kernel,
                    stride: self.stride,
                    padding: before,
                    dilation: 1,
                };
                product(&window, packed.matrix(0), to.pixels(), finish, out);
            }
            Method::Strips(packed) => {
                // As many rows and columns as the last kernel reaches.
                let [rows, columns] = [to.height, to.width].map(|n| (n - 1) * self.stride + self.kernel);
                let size = Maps { images: maps.images, height: rows, width: columns };
                let padded = padded(x, maps, self.channels, before, size, &mut scratch.transformed);
                let strips = Strips {
                    x: padded,
                    to,
                    row: columns * self.channels,
                    rows,
                    step: self.stride * self.channels,
                    stride: self.stride,
                    depth: self.kernel * self.channels,
                };
                product(&strips, packed.matrix(0), to.pixels(), finish, out);
            }
            Method::Winograd(weights) => winograd::run(weights, x, maps, finish, out, scratch),
        }
    }
}

/// The K x K neighbourhoods of pixels, a piece a neighbour; zeros outside of the picture.
#[derive(Clone, Copy)]
pub(super) struct Window<'a, T = f32> {
    pub x: &'a [T],
    pub zeros: &'a [T],
    pub from: Maps,
    pub to: Maps,
    pub channels: usize,
    pub kernel: usize,
    pub stride: usize,
    /// Zeros above and at the left.
    pub padding: [usize; 2],
    pub dilation: usize,
}

impl<'a, T: Sync> Window<'a, T> {
    #[inline(always)]
    fn inside(&self, (image, y, x): (usize, usize, usize), tap: usize) -> Option<&'a [T]> {
        let [y, x] = [(y, tap / self.kernel), (x, tap % self.kernel)].map(|(n, t)| n * self.stride + t * self.dilation);
        // Left of the picture the difference wraps to a number beyond its right.
        let (y, x) = (y.wrapping_sub(self.padding[0]), x.wrapping_sub(self.padding[1]));
        let pixel = (image * self.from.height + y) * self.from.width + x;
        (y < self.from.height && x < self.from.width).then(|| &self.x[pixel * self.channels..][..self.channels])
    }
}

impl<'a, T: Sync> Rows<'a, T> for Window<'a, T> {
    /// Image, row and column.
    type Place = (usize, usize, usize);

    #[inline(always)]
    fn place(&self, row: usize) -> Self::Place {
        self.to.place(row)
    }

    #[inline(always)]
    fn next(&self, place: Self::Place, _: usize) -> Self::Place {
        self.to.next(place)
    }

    #[inline(always)]
    fn piece(&self, place: Self::Place, tap: usize) -> &'a [T] {
        self.inside(place, tap).unwrap_or(self.zeros)
    }

    #[inline(always)]
    fn outside(&self, piece: &[T]) -> bool {
        std::ptr::eq(piece.as_ptr(), self.zeros.as_ptr())
    }
}

/// The rows of K x K neighbourhoods, a piece a row of the kernel; the input has its padding.
pub(super) struct Strips<'a> {
    pub x: &'a [f32],
    pub to: Maps,
    /// Values of a padded row.
    pub row: usize,
    /// Padded rows of an image.
    pub rows: usize,
    /// Values from one neighbourhood to the next.
    pub step: usize,
    pub stride: usize,
    pub depth: usize,
}

impl<'a> Rows<'a> for Strips<'a> {
    /// Image, row and column.
    type Place = (usize, usize, usize);

    #[inline(always)]
    fn place(&self, row: usize) -> Self::Place {
        self.to.place(row)
    }

    #[inline(always)]
    fn next(&self, place: Self::Place, _: usize) -> Self::Place {
        self.to.next(place)
    }

    #[inline(always)]
    fn piece(&self, (image, y, x): Self::Place, tap: usize) -> &'a [f32] {
        let row = image * self.rows + y * self.stride + tap;
        &self.x[row * self.row + x * self.step..][..self.depth]
    }
}

/// `x` with `before` rows and columns of zeros above and at the left of every image, which has
/// the size `to` then: with zeros at the other sides, or without what no kernel reaches.
pub(super) fn padded<'a>(
    x: &[f32],
    maps: Maps,
    channels: usize,
    before: [usize; 2],
    to: Maps,
    buffer: &'a mut Vec<f32>,
) -> &'a [f32] {
    let out = super::grown(buffer, to.pixels() * channels);
    let columns = maps.width.min(to.width - before[1]);
    let (row, padded) = (maps.width * channels, to.width * channels);
    let images = out.par_chunks_mut(to.height * padded).zip(x.par_chunks(maps.height * row));
    images.for_each(|(out, x)| {
        out.fill(0.0);
        let rows = x.chunks_exact(row).zip(out.chunks_exact_mut(padded).skip(before[0]));
        rows.for_each(|(x, out)| {
            out[before[1] * channels..][..columns * channels].copy_from_slice(&x[..columns * channels]);
        });
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::test_tensors::nhwc;
    use crate::testing::{Random, assert_within};

    fn check(random: &Random, kernel: usize, stride: usize, size: [usize; 5], relu: bool, residual: bool) {
        let [n, h, w, i, o] = size;
        let random = |deviation: f32, shape: &[usize]| random.normal(deviation, shape);
        let x = random(1.0, &[n, i, h, w]);
        let activation = if relu { Activation::Relu } else { Activation::Identity };
        let deviation = (1.0 / (i * kernel * kernel) as f32).sqrt();
        let conv = Conv {
            weight: random(deviation, &[o, i, kernel, kernel]),
            bias: random(1.0, &[1, o, 1, 1]),
            stride,
            padding: Padding::Symmetric(kernel / 2),
            depthwise: false,
            activation,
        };
        let mut wanted = conv.forward(&x).expect("candle's own");
        let added = residual.then(|| random(1.0, wanted.dims()));
        if let Some(added) = &added {
            wanted = (wanted + added).and_then(|y| y.relu()).expect("a tensor");
        }
        let fused = Convolution::new(&conv).expect("packed");
        let maps = Maps { images: n, height: h, width: w };
        let mut scratch = Scratch::default();
        let out = if let Some(added) = &added {
            let mut out = nhwc(added);
            fused.add(&nhwc(&x), maps, Activation::Relu, &mut out, &mut scratch);
            out
        } else {
            let mut out = vec![f32::NAN; fused.output(maps).pixels() * o];
            fused.run(&nhwc(&x), maps, &mut out, &mut scratch);
            out
        };
        assert_within(format!("kernel {kernel}, stride {stride}, {size:?}"), &out, &nhwc(&wanted), 5e-5);
    }

    #[test]
    fn all_forms_equal_candles_convolution() {
        let random = Random::new("convolutions");
        // Sizes that fill no tile, no vector and no panel, and those of ResNets.
        for (kernel, stride) in [(1, 1), (1, 2), (3, 1), (3, 2), (7, 2)] {
            for size in [[1, 1, 1, 3, 1], [2, 9, 7, 5, 17], [3, 14, 14, 32, 64], [1, 7, 5, 300, 40], [2, 13, 8, 3, 200]]
            {
                for (relu, residual) in [(false, false), (true, false), (false, true)] {
                    check(&random, kernel, stride, size, relu, residual);
                }
            }
        }
    }

    #[test]
    fn tensorflows_padding_and_relu6_equal_candles_operations() {
        let random = Random::new("TensorFlow's convolutions");
        let random = |deviation: f32, shape: &[usize]| random.normal(deviation, shape);
        for (kernel, stride, i) in [(1, 1, 40), (3, 2, 3), (3, 1, 3), (3, 2, 24), (3, 1, 24)] {
            for [n, h, w, o] in [[1, 1, 1, 5], [2, 9, 8, 17], [1, 16, 15, 32]] {
                let conv = Conv {
                    weight: random((1.0 / (i * kernel * kernel) as f32).sqrt(), &[o, i, kernel, kernel]),
                    bias: random(1.0, &[1, o, 1, 1]),
                    stride,
                    padding: Padding::Same,
                    depthwise: false,
                    activation: Activation::Relu6,
                };
                let x = random(1.0, &[n, i, h, w]);
                let wanted = nhwc(&conv.forward(&x).expect("candle's own"));
                let fused = Convolution::new(&conv).expect("packed");
                let maps = Maps { images: n, height: h, width: w };
                let mut out = vec![f32::NAN; fused.output(maps).pixels() * o];
                fused.run(&nhwc(&x), maps, &mut out, &mut Scratch::default());
                let what = format!("kernel {kernel}, stride {stride}, {i} to {o}, {h} x {w}");
                assert_within(what, &out, &wanted, 5e-5);
            }
        }
    }
}
