//! Convolutions of stride 1 that keep the size, forward and backward, of weights that change
//! with every call. Maps are `N x H x W x C`; weights are `O x I x K x K`, PyTorch's layout.

use super::convolution::Window;
use super::packed::Packed;
use super::product::{Finish, product};
use super::winograd::{Scheme, training as winograd};
use super::{Maps, Parts, arch, load, store};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Outputs whose gradients stay in registers at once.
const TILE: usize = 6;
/// Input channels that a task works on.
const COLUMNS: usize = 64;
/// Pixels whose products are summed in one go: their inputs stay in the second-level cache.
const PIXELS: usize = 256;

/// Rows and columns from which on tiles of 4 x 4 outputs pay.
const LARGE: usize = 20;
/// Rows and columns from which on tiles of 2 x 2 outputs pay.
const MEDIUM: usize = 12;

/// Size of a convolution.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Of input and output.
    pub maps: Maps,
    /// Input channels I.
    pub inputs: usize,
    /// Output channels O.
    pub outputs: usize,
    /// Side K of the kernel, odd.
    pub kernel: usize,
    /// Pixels between its taps.
    pub dilation: usize,
}

impl Shape {
    fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// How Winograd's convolution is done, where it pays: the maps of an image must be large
    /// for what their kernels cost to be transformed.
    fn scheme(&self) -> Option<Scheme> {
        let least = self.maps.height.min(self.maps.width);
        match (self.kernel, self.dilation, least) {
            (3, 1, LARGE..) => Some(Scheme::Four),
            (3, 1, MEDIUM..) => Some(Scheme::Two),
            _ => None,
        }
    }

    fn kernel<'a>(&self, weight: &'a [f32]) -> winograd::Kernel<'a> {
        winograd::Kernel { weight, outputs: self.outputs, inputs: self.inputs }
    }

    fn window<'a>(&self, x: &'a [f32], channels: usize, zeros: &'a [f32]) -> Window<'a> {
        Window {
            x,
            zeros,
            from: self.maps,
            to: self.maps,
            channels,
            kernel: self.kernel,
            stride: 1,
            padding: [self.dilation * (self.kernel / 2); 2],
            dilation: self.dilation,
        }
    }
}

/// The output for input `x`.
pub fn convolve(shape: Shape, x: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    if let Some(scheme) = shape.scheme() {
        let finish = Finish { bias: Some(bias), ..Finish::default() };
        return winograd::convolve(scheme, shape.kernel(weight), x, shape.maps, finish, out);
    }
    let packed = Packed::of_kernel(weight, shape.outputs, shape.inputs, shape.taps());
    let mut bias = bias.to_vec();
    bias.resize(packed.padded(), 0.0);
    let zeros = vec![0.0; shape.inputs];
    let finish = Finish { bias: Some(&bias), ..Finish::default() };
    product(&shape.window(x, shape.inputs, &zeros), packed.matrix(0), shape.maps.pixels(), finish, out);
}

/// The gradient of the input for that of the output.
pub fn input_gradient(shape: Shape, gradient: &[f32], weight: &[f32], out: &mut [f32]) {
    if let Some(scheme) = shape.scheme() {
        return winograd::input_gradient(scheme, shape.kernel(weight), gradient, shape.maps, out);
    }
    // A convolution with the kernel turned round and its channels exchanged.
    let packed = Packed::of_turned_kernel(weight, shape.outputs, shape.inputs, shape.taps());
    let zeros = vec![0.0; shape.outputs];
    let window = shape.window(gradient, shape.outputs, &zeros);
    product(&window, packed.matrix(0), shape.maps.pixels(), Finish::default(), out);
}

/// The gradient of the weights for that of the output.
pub fn weight_gradient(shape: Shape, x: &[f32], gradient: &[f32], out: &mut [f32]) {
    let (inputs, outputs, pixels, taps) = (shape.inputs, shape.outputs, shape.maps.pixels(), shape.taps());
    assert_eq!(out.len(), outputs * inputs * taps, "there is room for each weight's gradient");
    if let Some(scheme) = shape.scheme() {
        return winograd::weight_gradient(scheme, x, gradient, shape.maps, out, inputs);
    }
    // The outputs' gradients in the order in which tiles read them: TILE outputs, all pixels.
    let tiles = outputs.div_ceil(TILE);
    let mut left = vec![0f32; tiles * pixels * TILE];
    left.par_chunks_mut(pixels * TILE).enumerate().for_each(|(tile, left)| {
        let some = tile * TILE..((tile + 1) * TILE).min(outputs);
        for (to, row) in left.chunks_exact_mut(TILE).zip(gradient.chunks_exact(outputs)) {
            to[..some.len()].copy_from_slice(&row[some.clone()]);
        }
    });
    let window = shape.window(x, inputs, &[]);
    let to = Parts::new(out);
    let blocks = inputs.div_ceil(COLUMNS);
    let groups = (4 * rayon::current_num_threads()).div_ceil(blocks).min(tiles);
    let group = tiles.div_ceil(groups);
    let groups = tiles.div_ceil(group);
    (0..blocks * groups).into_par_iter().with_max_len(1).for_each_init(Default::default, |buffers, task| {
        let first = task % blocks * COLUMNS;
        let columns = first..(first + COLUMNS).min(inputs);
        let tiles = task / blocks * group..((task / blocks + 1) * group).min(tiles);
        let (near, sums): &mut (Near, Vec<f32>) = buffers;
        sums.resize(tiles.len() * TILE * taps * columns.len(), 0.0);
        for start in (0..pixels).step_by(PIXELS) {
            near.gather(&window, start..(start + PIXELS).min(pixels), taps, &columns);
            let (left, width, tiles) = (&left[..], columns.len(), tiles.clone());
            arch().dispatch(Sums { left, near, pixels, begin: start == 0, taps, width, tiles, out: sums });
        }
        // From outputs x taps x channels to outputs x channels x taps.
        for (o, sums) in (tiles.start * TILE..outputs).zip(sums.chunks_exact(taps * columns.len())) {
            // SAFETY: no other task has these outputs and channels.
            let to = unsafe { to.part((o * inputs + first) * taps, columns.len() * taps) };
            for (i, to) in to.chunks_exact_mut(taps).enumerate() {
                for (tap, to) in to.iter_mut().enumerate() {
                    *to = sums[tap * columns.len() + i];
                }
            }
        }
    });
}

/// A few channels of the neighbours of some pixels: those neighbours that lie in the picture.
#[derive(Default)]
struct Near {
    /// Taps, pixels, channels.
    values: Vec<f32>,
    /// Whose neighbours they are, tap after tap.
    pixels: Vec<u32>,
    /// Where each tap's pixels end.
    ends: Vec<usize>,
}

impl Near {
    fn gather(&mut self, window: &Window<'_>, some: Range<usize>, taps: usize, columns: &Range<usize>) {
        self.values.clear();
        self.pixels.clear();
        self.ends.clear();
        for tap in 0..taps {
            for pixel in some.clone() {
                if let Some(neighbour) = window.neighbour(pixel, tap) {
                    self.values.extend_from_slice(&neighbour[columns.clone()]);
                    self.pixels.push(pixel as u32);
                }
            }
            self.ends.push(self.pixels.len());
        }
    }

    /// The pixels of a tap, and their neighbours' values of `width` channels each.
    #[inline(always)]
    fn of(&self, tap: usize, width: usize) -> (&[u32], &[f32]) {
        let range = if tap == 0 { 0 } else { self.ends[tap - 1] }..self.ends[tap];
        (&self.pixels[range.clone()], &self.values[range.start * width..range.end * width])
    }
}

/// Sums of products over some pixels, for some outputs and a few input channels.
struct Sums<'a> {
    left: &'a [f32],
    near: &'a Near,
    pixels: usize,
    /// Whether they are the first pixels.
    begin: bool,
    taps: usize,
    width: usize,
    tiles: Range<usize>,
    /// Outputs, taps, channels.
    out: &'a mut [f32],
}

impl WithSimd for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for tile in self.tiles.clone() {
            for tap in 0..self.taps {
                let mut column = 0;
                if S::REGISTER_COUNT >= 32 {
                    while column + 4 * S::F32_LANES <= self.width {
                        self.tile::<S, 4>(simd, tile, tap, column, S::F32_LANES);
                        column += 4 * S::F32_LANES;
                    }
                }
                while column + 2 * S::F32_LANES <= self.width {
                    self.tile::<S, 2>(simd, tile, tap, column, S::F32_LANES);
                    column += 2 * S::F32_LANES;
                }
                while column < self.width {
                    let len = (self.width - column).min(S::F32_LANES);
                    self.tile::<S, 1>(simd, tile, tap, column, len);
                    column += len;
                }
            }
        }
    }
}

impl Sums<'_> {
    #[inline(always)]
    fn tile<S: Simd, const V: usize>(&mut self, simd: S, tile: usize, tap: usize, column: usize, len: usize) {
        let mut sums = [[simd.splat_f32s(0.0); V]; TILE];
        let (pixels, right) = self.near.of(tap, self.width);
        let left = &self.left[tile * self.pixels * TILE..][..self.pixels * TILE];
        for (pixel, right) in pixels.iter().zip(right.chunks_exact(self.width)) {
            let left = &left[*pixel as usize * TILE..][..TILE];
            let right = &right[column..][..(V - 1) * S::F32_LANES + len];
            let near: [S::f32s; V] = std::array::from_fn(|v| load(simd, &right[v * S::F32_LANES..][..len]));
            for m in 0..TILE {
                let g = simd.splat_f32s(left[m]);
                for v in 0..V {
                    sums[m][v] = simd.mul_add_f32s(g, near[v], sums[m][v]);
                }
            }
        }
        for m in 0..TILE {
            let row = ((tile - self.tiles.start) * TILE + m) * self.taps + tap;
            for v in 0..V {
                let to = &mut self.out[row * self.width + column + v * S::F32_LANES..][..len];
                let held = if self.begin { simd.splat_f32s(0.0) } else { load(simd, to) };
                store(simd, to, simd.add_f32s(held, sums[m][v]));
            }
        }
    }
}
