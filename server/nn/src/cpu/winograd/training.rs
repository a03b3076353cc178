//! Winograd's convolutions of weights that change with every call, forward and backward.
//!
//! The gradient of the weights is the adjoint of the forward pass: gradients of the output are
//! spread over the positions of a tile, multiplied with the transformed inputs in one product a
//! position, and gathered into the nine taps.

use super::{MOST, Scheme, Tiles, Transform, Winograd};
use crate::cpu::arch;
use crate::cpu::packed::Packed;
use crate::cpu::product::Finish;
use crate::cpu::{Left, Maps, Parts, Product, Scratch, grown, load, outer, store};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Taps of a kernel.
const TAPS: usize = 9;
/// Input channels whose kernels a task transforms, or outputs of a turned one.
const PART: usize = 32;
/// Bytes of transformed maps that are worked on at once.
const MOST_BYTES: usize = 8 << 20;

/// A kernel, `O x I x 3 x 3`.
#[derive(Debug, Clone, Copy)]
pub struct Kernel<'a> {
    /// Its values.
    pub weight: &'a [f32],
    /// Output channels O.
    pub outputs: usize,
    /// Input channels I.
    pub inputs: usize,
}

/// The output for input `x`, `N x H x W x I`.
pub fn convolve(scheme: Scheme, kernel: Kernel<'_>, x: &[f32], maps: Maps, finish: Finish<'_>, out: &mut [f32]) {
    let Kernel { outputs, inputs, .. } = kernel;
    let weights = transformed(scheme, kernel, outputs, inputs, false);
    in_groups(&weights, x, maps, finish, out);
}

/// The gradient of the input for that of the output.
pub fn input_gradient(
    scheme: Scheme,
    kernel: Kernel<'_>,
    gradient: &[f32],
    maps: Maps,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let Kernel { outputs, inputs, .. } = kernel;
    let weights = transformed(scheme, kernel, inputs, outputs, true);
    in_groups(&weights, gradient, maps, finish, out);
}

fn in_groups(weights: &Winograd, x: &[f32], maps: Maps, finish: Finish<'_>, out: &mut [f32]) {
    let mut scratch = Scratch::default();
    let (inputs, outputs) = (weights.channels, weights.outputs);
    for images in groups(weights.scheme, maps, inputs + outputs) {
        let part = Maps { images: images.len(), ..maps };
        let pixels = maps.height * maps.width;
        let x = &x[images.start * pixels * inputs..images.end * pixels * inputs];
        let out = &mut out[images.start * pixels * outputs..images.end * pixels * outputs];
        super::run(weights, x, part, finish, out, &mut scratch);
    }
}

/// Images whose transformed maps of so many channels do not take too much memory.
fn groups(scheme: Scheme, maps: Maps, channels: usize) -> impl Iterator<Item = Range<usize>> {
    let tiles = Tiles::new(Maps { images: 1, ..maps }, scheme.outputs()).count();
    let most = (MOST_BYTES / (4 * scheme.positions() * tiles * channels)).max(1);
    let size = maps.images.div_ceil(maps.images.div_ceil(most).max(1)).max(1);
    (0..maps.images).step_by(size).map(move |first| first..(first + size).min(maps.images))
}

/// Transforms a kernel of `outputs x inputs`; a turned one has its channels exchanged and its
/// taps in reverse.
fn transformed(scheme: Scheme, kernel: Kernel<'_>, outputs: usize, inputs: usize, turned: bool) -> Winograd {
    let positions = Packed::with(scheme.positions(), outputs, inputs, |values, width| {
        let panels = outputs.div_ceil(width);
        let parts = inputs.div_ceil(PART);
        let size = panels * width * inputs;
        let to = Parts::new(values);
        (0..panels * parts).into_par_iter().for_each(|task| {
            let (panel, part) = (task / parts, task % parts);
            let some = panel * width..((panel + 1) * width).min(outputs);
            let depths = part * PART..((part + 1) * PART).min(inputs);
            arch().dispatch(Turn { scheme, kernel, turned, some, depths, width, inputs, size, to });
        });
    });
    Winograd { scheme, channels: inputs, outputs, positions }
}

/// Kernels of a panel's outputs and some depths to their positions.
struct Turn<'a> {
    scheme: Scheme,
    kernel: Kernel<'a>,
    turned: bool,
    some: Range<usize>,
    depths: Range<usize>,
    width: usize,
    inputs: usize,
    /// Values of a position.
    size: usize,
    to: Parts<'a>,
}

impl WithSimd for Turn<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (width, count) = (self.width, self.depths.len());
        // Depths, taps, outputs.
        let mut near = vec![0f32; count * TAPS * width];
        for (lane, o) in self.some.clone().enumerate() {
            for (nth, k) in self.depths.clone().enumerate() {
                let at = if self.turned { k * self.kernel.inputs + o } else { o * self.kernel.inputs + k };
                let taps = &self.kernel.weight[at * TAPS..][..TAPS];
                let to = &mut near[nth * TAPS * width + lane..];
                for tap in 0..TAPS {
                    to[tap * width] = taps[if self.turned { TAPS - 1 - tap } else { tap }];
                }
            }
        }
        let (side, g) = (self.scheme.inputs(), self.scheme.kernel());
        let zero = simd.splat_f32s(0.0);
        for (nth, k) in self.depths.clone().enumerate() {
            for lane in (0..width).step_by(S::F32_LANES) {
                let at = |tap: usize| &near[(nth * TAPS + tap) * width + lane..][..S::F32_LANES];
                let mut half = [[zero; 3]; MOST];
                for (row, g) in half.iter_mut().zip(g) {
                    for (column, sum) in row.iter_mut().enumerate() {
                        for (r, g) in g.iter().enumerate() {
                            *sum = simd.mul_add_f32s(simd.splat_f32s(*g as f32), load(simd, at(r * 3 + column)), *sum);
                        }
                    }
                }
                let start = self.some.start * self.inputs + k * width + lane;
                for (i, half) in half.iter().enumerate().take(side) {
                    for (j, g) in g.iter().enumerate() {
                        let mut sum = zero;
                        for (g, half) in g.iter().zip(half) {
                            sum = simd.mul_add_f32s(simd.splat_f32s(*g as f32), *half, sum);
                        }
                        // SAFETY: no other task has this panel and these depths.
                        let to = unsafe { self.to.part((i * side + j) * self.size + start, S::F32_LANES) };
                        store(simd, to, sum);
                    }
                }
            }
        }
    }
}

/// The gradient of the weights, `O x I x 3 x 3`, for input and gradient of the output.
pub fn weight_gradient(scheme: Scheme, x: &[f32], gradient: &[f32], maps: Maps, out: &mut [f32], inputs: usize) {
    let outputs = out.len() / (inputs * TAPS);
    let positions = scheme.positions();
    let (mut spread, mut turned) = (Vec::new(), Vec::new());
    let zeros = vec![0.0; inputs.max(outputs)];
    let mut products = vec![0f32; positions * outputs * inputs];
    for images in groups(scheme, maps, inputs + outputs) {
        let tiles = Tiles::new(Maps { images: images.len(), ..maps }, scheme.outputs());
        let (count, pixels) = (tiles.count(), maps.height * maps.width);
        let x = &x[images.start * pixels * inputs..images.end * pixels * inputs];
        let gradient = &gradient[images.start * pixels * outputs..images.end * pixels * outputs];
        let turned = grown(&mut turned, positions * count * inputs);
        super::transform(scheme, Transform::Inputs, x, &zeros[..inputs], tiles, turned);
        let spread = grown(&mut spread, positions * count * outputs);
        super::transform(scheme, Transform::Gradients, gradient, &zeros[..outputs], tiles, spread);
        for (position, products) in products.chunks_exact_mut(outputs * inputs).enumerate() {
            let left = &spread[position * count * outputs..][..count * outputs];
            let left = Left { values: left, row: 1, column: outputs };
            let right = &turned[position * count * inputs..][..count * inputs];
            outer(left, right, outputs, count, inputs, Product::Values(products));
        }
        let first = images.start == 0;
        let products = &products[..];
        out.par_chunks_mut(inputs * TAPS).enumerate().for_each(|(o, out)| {
            arch().dispatch(Gather { scheme, products, o, inputs, first, out });
        });
    }
}

/// An output's products of all positions to its kernel's gradient.
struct Gather<'a> {
    scheme: Scheme,
    /// Positions, outputs, inputs.
    products: &'a [f32],
    o: usize,
    inputs: usize,
    /// Whether nothing is there yet.
    first: bool,
    out: &'a mut [f32],
}

impl WithSimd for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (side, g) = (self.scheme.inputs(), self.scheme.kernel());
        let size = self.products.len() / self.scheme.positions();
        let zero = simd.splat_f32s(0.0);
        let mut taps = [0f32; TAPS * 16];
        assert!(S::F32_LANES <= 16, "the buffer holds a vector a tap");
        for i in (0..self.inputs).step_by(S::F32_LANES) {
            let len = (self.inputs - i).min(S::F32_LANES);
            let mut half = [[zero; MOST]; 3];
            for row in 0..side {
                for column in 0..side {
                    let at = (row * side + column) * size + self.o * self.inputs + i;
                    let product = load(simd, &self.products[at..][..len]);
                    for (r, half) in half.iter_mut().enumerate() {
                        let g = simd.splat_f32s(g[row][r] as f32);
                        half[column] = simd.mul_add_f32s(g, product, half[column]);
                    }
                }
            }
            for (r, half) in half.iter().enumerate() {
                for c in 0..3 {
                    let mut sum = zero;
                    for (half, g) in half.iter().zip(g) {
                        sum = simd.mul_add_f32s(simd.splat_f32s(g[c] as f32), *half, sum);
                    }
                    store(simd, &mut taps[(r * 3 + c) * 16..][..S::F32_LANES], sum);
                }
            }
            for (lane, out) in self.out[i * TAPS..][..len * TAPS].chunks_exact_mut(TAPS).enumerate() {
                for (tap, out) in out.iter_mut().enumerate() {
                    let value = taps[tap * 16 + lane];
                    *out = if self.first { value } else { *out + value };
                }
            }
        }
    }
}
