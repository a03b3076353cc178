//! Convolutions in bfloat16 with sums in `f32`, on processors that have AVX-512's instructions
//! for it: half the bytes and, where there is no better method, twice the products a second.
//! Rounding to 8 bits moves features by about one part in a hundred; `encoder::resnet` states it.

use super::convolution::Window;
use super::product::{Finish, Plain, Rows};
use super::value::FusedConvolution;
use super::{Maps, Scratch};
use crate::conv::{Activation, Conv, Padding};
use crate::{Error, Result};
use half::bf16;
use rayon::prelude::*;

/// Bytes of a panel's weights that stay in a core's second-level cache while all rows pass.
const PANEL: usize = 384 << 10;
/// Values of a vector of sums.
const LANES: usize = 16;

/// Whether this processor can.
#[must_use]
pub fn supported() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx512f")
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

/// Weights are rounded to bfloat16, the bias keeps its precision. There is no form of it without
/// the instructions, for a depthwise convolution, TensorFlow's padding or ReLU6.
impl FusedConvolution for Convolution {
    type Value = bf16;

    fn new(conv: &Conv) -> Result<Self> {
        check()?;
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
    assert!(supported(), "weights are packed only where they can be used");
    #[cfg(target_arch = "x86_64")]
    {
        let out = super::Parts::new(out);
        let (row_bytes, weight_bytes) = (2 * weights.taps * weights.depth, 4 * weights.values.len());
        super::product::share_out(count, weights.panels(), row_bytes, weight_bytes, |range, panels| {
            let rectangle = avx512::Rectangle { rows, weights, range, panels, finish, out };
            // SAFETY: the processor has the instructions, and no two tasks have rows and panels in common.
            unsafe { rectangle.run() };
        });
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (rows, finish);
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::super::Parts;
    use super::super::product::TILE;
    use super::{Activation, Finish, LANES, Pairs, Rows, bf16};
    use std::arch::x86_64::{
        __m256bh, __m256i, __m512, __m512bh, __m512i, _mm256_loadu_si256, _mm256_mask_storeu_epi16,
        _mm256_maskz_loadu_epi16, _mm256_storeu_si256, _mm512_add_ps, _mm512_castsi512_ps, _mm512_cvtepu16_epi32,
        _mm512_cvtneps_pbh, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_max_ps, _mm512_set1_epi32, _mm512_setzero_ps,
        _mm512_slli_epi32,
    };
    use std::ops::Range;

    /// Some rows times some panels.
    pub struct Rectangle<'r, R> {
        pub rows: &'r R,
        pub weights: &'r Pairs,
        pub range: Range<usize>,
        pub panels: Range<usize>,
        pub finish: Finish<'r>,
        pub out: Parts<'r, bf16>,
    }

    impl<'a, R: Rows<'a, bf16>> Rectangle<'_, R> {
        /// # Safety
        /// The processor must have the instructions, and no other thread may use these outputs.
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
        pub unsafe fn run(&self) {
            for panel in self.panels.clone() {
                match self.weights.width / LANES {
                    4 => self.panel::<4>(panel),
                    2 => self.panel::<2>(panel),
                    _ => self.panel::<1>(panel),
                }
            }
        }

        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
        #[inline]
        fn panel<const V: usize>(&self, panel: usize) {
            for first in self.range.clone().step_by(TILE) {
                match self.range.end - first {
                    1 => self.tile::<V, 1>(panel, first),
                    2 => self.tile::<V, 2>(panel, first),
                    3 => self.tile::<V, 3>(panel, first),
                    4 => self.tile::<V, 4>(panel, first),
                    5 => self.tile::<V, 5>(panel, first),
                    _ => self.tile::<V, TILE>(panel, first),
                }
            }
        }

        /// M rows from `first` on times one panel.
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
        #[inline]
        fn tile<const V: usize, const M: usize>(&self, panel: usize, first: usize) {
            let Pairs { outputs, taps, depth, width, .. } = *self.weights;
            let (pairs, values) = (depth.div_ceil(2), self.weights.panel(panel));
            let mut sums = [[_mm512_setzero_ps(); V]; M];
            let places: [R::Place; M] = std::array::from_fn(|m| self.rows.place(first + m));
            for tap in 0..taps {
                let values = &values[tap * pairs * width..][..pairs * width];
                let pieces: [&[bf16]; M] = std::array::from_fn(|m| &self.rows.piece(places[m], tap)[..depth]);
                for k in 0..depth / 2 {
                    let mut w = [_mm512_setzero_ps(); V];
                    for (v, w) in w.iter_mut().enumerate() {
                        // SAFETY: there are `pairs x width` pairs.
                        *w = unsafe { _mm512_loadu_ps(values.as_ptr().add(k * width + v * LANES).cast()) };
                    }
                    for m in 0..M {
                        // SAFETY: a piece has `depth` values.
                        let x = unsafe { pieces[m].as_ptr().add(2 * k).cast::<i32>().read_unaligned() };
                        for v in 0..V {
                            sums[m][v] = dot(sums[m][v], x, w[v]);
                        }
                    }
                }
                if depth % 2 == 1 {
                    let last = &values[(pairs - 1) * width..];
                    for m in 0..M {
                        let x = i32::from(pieces[m][depth - 1].to_bits());
                        for v in 0..V {
                            // SAFETY: as above.
                            let w = unsafe { _mm512_loadu_ps(last.as_ptr().add(v * LANES).cast()) };
                            sums[m][v] = dot(sums[m][v], x, w);
                        }
                    }
                }
            }
            let at = panel * width;
            for (m, sums) in sums.into_iter().enumerate() {
                let row = (first + m) * outputs;
                for (v, sums) in sums.into_iter().enumerate() {
                    let o = at + v * LANES;
                    let len = LANES.min(outputs - o);
                    // SAFETY: no other row or panel has these outputs.
                    let out = unsafe { self.out.part(row + o, len) };
                    self.finish(sums, o, out);
                }
            }
        }

        /// Bias, what is there already, ReLU, rounding.
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
        #[inline]
        fn finish(&self, mut sums: __m512, o: usize, out: &mut [bf16]) {
            if let Some(bias) = self.finish.bias {
                let bias = &bias[o..][..LANES];
                // SAFETY: it has as many values.
                sums = _mm512_add_ps(sums, unsafe { _mm512_loadu_ps(bias.as_ptr()) });
            }
            let mask = if out.len() == LANES { u16::MAX } else { (1 << out.len()) - 1 };
            if self.finish.add {
                // SAFETY: the masked values, or all, are in the slice.
                let held: __m256i = unsafe {
                    if mask == u16::MAX {
                        _mm256_loadu_si256(out.as_ptr().cast())
                    } else {
                        _mm256_maskz_loadu_epi16(mask, out.as_ptr().cast())
                    }
                };
                let held: __m512i = _mm512_slli_epi32(_mm512_cvtepu16_epi32(held), 16);
                sums = _mm512_add_ps(sums, _mm512_castsi512_ps(held));
            }
            if self.finish.activation == Activation::Relu {
                sums = _mm512_max_ps(sums, _mm512_setzero_ps());
            }
            let rounded: __m256bh = _mm512_cvtneps_pbh(sums);
            // SAFETY: both are 256 bits; the masked values, or all, are in the slice.
            unsafe {
                let rounded = std::mem::transmute::<__m256bh, __m256i>(rounded);
                if mask == u16::MAX {
                    _mm256_storeu_si256(out.as_mut_ptr().cast(), rounded);
                } else {
                    _mm256_mask_storeu_epi16(out.as_mut_ptr().cast(), mask, rounded);
                }
            }
        }
    }

    /// Adds the products of a pair of values with 16 pairs.
    #[target_feature(enable = "avx512f,avx512bf16")]
    #[inline]
    fn dot(sums: __m512, x: i32, w: __m512) -> __m512 {
        // SAFETY: vectors of 512 bits each.
        let (x, w) = unsafe {
            (std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(x)), std::mem::transmute::<__m512, __m512bh>(w))
        };
        _mm512_dpbf16_ps(sums, x, w)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::test_tensors::{self, nhwc};
    use candle_core::Tensor;

    fn rounded(t: &Tensor) -> Tensor {
        t.to_dtype(candle_core::DType::BF16).and_then(|t| t.to_dtype(candle_core::DType::F32)).expect("a tensor")
    }

    fn random(deviation: f32, shape: &[usize]) -> Tensor {
        rounded(&test_tensors::random(deviation, shape))
    }

    fn narrow(values: &[f32]) -> Vec<bf16> {
        values.iter().map(|v| bf16::from_f32(*v)).collect()
    }

    /// The largest error as a share of the value, or of 1 for smaller ones.
    fn largest_error(kernel: usize, stride: usize, size: [usize; 5], residual: bool) -> f32 {
        let [n, h, w, i, o] = size;
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
        let wanted = nhwc(&wanted);
        assert_eq!(wanted.len(), out.len());
        let error = |(wanted, got): (&f32, &bf16)| (wanted - got.to_f32()).abs() / wanted.abs().max(1.0);
        wanted.iter().zip(&out).map(error).fold(0.0, |a, b| if b.is_nan() { f32::INFINITY } else { a.max(b) })
    }

    #[test]
    fn all_forms_equal_candles_convolution_but_for_the_last_rounding() {
        if !supported() {
            let message = check().expect_err("it is not there").to_string();
            assert!(message.contains("--precision f32"), "{message}");
            return;
        }
        for (kernel, stride) in [(1, 1), (1, 2), (3, 1), (3, 2)] {
            for size in [[1, 1, 1, 3, 1], [2, 9, 7, 5, 17], [3, 14, 14, 32, 64], [1, 7, 5, 600, 40], [2, 13, 8, 3, 200]]
            {
                for residual in [false, true] {
                    let error = largest_error(kernel, stride, size, residual);
                    // Half of the last of 8 bits.
                    assert!(error < 1.02 / 256.0, "kernel {kernel}, stride {stride}, {size:?}: {error}");
                }
            }
        }
    }
}
