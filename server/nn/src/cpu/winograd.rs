//! 3x3 convolutions of stride 1 with fewer multiplications: Winograd's minimal filtering
//! F(4x4, 3x3) and F(2x2, 3x3) (Lavin and Gray, CVPR 2016, arXiv 1509.09308).
//!
//! Input tiles are transformed, multiplied with the transformed weights in one matrix product
//! a position of the tile, and transformed back.

pub mod training;

use super::packed::{NARROW, Packed};
use super::product::{Finish, Plain, activated, rectangle};
use super::{Maps, Parts, Scratch, arch, grown, load, store};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Side of the largest tile of inputs.
const MOST: usize = 6;

/// How many outputs are computed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// 2 x 2 outputs from 4 x 4 inputs.
    Two,
    /// 4 x 4 outputs from 6 x 6 inputs.
    Four,
}

impl Scheme {
    /// Side of a tile of outputs.
    const fn outputs(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// Side of a tile of inputs.
    const fn inputs(self) -> usize {
        self.outputs() + 2
    }

    /// Positions of a tile of inputs.
    const fn positions(self) -> usize {
        self.inputs() * self.inputs()
    }

    /// The paper's G, which transforms a column of the kernel.
    const fn kernel(self) -> &'static [[f64; 3]] {
        match self {
            Self::Two => &[[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]],
            Self::Four => &[
                [0.25, 0.0, 0.0],
                [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
                [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
                [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
                [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
                [0.0, 0.0, 1.0],
            ],
        }
    }

    /// The paper's B^T times a column of inputs.
    #[inline(always)]
    fn forward<S: Simd>(self, simd: S, d: [S::f32s; MOST]) -> [S::f32s; MOST] {
        let add = |a, b| simd.add_f32s(a, b);
        let sub = |a, b| simd.sub_f32s(a, b);
        let fma = |factor: f32, a, b| simd.mul_add_f32s(simd.splat_f32s(factor), a, b);
        match self {
            Self::Two => [sub(d[0], d[2]), add(d[1], d[2]), sub(d[2], d[1]), sub(d[1], d[3]), d[4], d[5]],
            Self::Four => {
                let even = fma(-4.0, d[2], d[4]);
                let odd = fma(-4.0, d[1], d[3]);
                let (far, near) = (sub(d[4], d[2]), sub(d[3], d[1]));
                [
                    fma(4.0, d[0], fma(-5.0, d[2], d[4])),
                    add(even, odd),
                    sub(even, odd),
                    fma(2.0, near, far),
                    fma(-2.0, near, far),
                    fma(4.0, d[1], fma(-5.0, d[3], d[5])),
                ]
            }
        }
    }

    /// The paper's A^T times a column of products.
    #[inline(always)]
    fn backward<S: Simd>(self, simd: S, m: [S::f32s; MOST]) -> [S::f32s; 4] {
        let add = |a, b| simd.add_f32s(a, b);
        let sub = |a, b| simd.sub_f32s(a, b);
        let fma = |factor: f32, a, b| simd.mul_add_f32s(simd.splat_f32s(factor), a, b);
        match self {
            Self::Two => [add(add(m[0], m[1]), m[2]), sub(sub(m[1], m[2]), m[3]), m[4], m[5]],
            Self::Four => {
                let (even, odd) = (add(m[1], m[2]), sub(m[1], m[2]));
                let (far, wide) = (add(m[3], m[4]), sub(m[3], m[4]));
                [add(add(m[0], even), far), fma(2.0, wide, odd), fma(4.0, far, even), add(fma(8.0, wide, odd), m[5])]
            }
        }
    }

    #[inline(always)]
    fn column<S: Simd>(self, simd: S, what: Transform, d: [S::f32s; MOST]) -> [S::f32s; MOST] {
        match what {
            Transform::Inputs => self.forward(simd, d),
            Transform::Gradients => self.spread(simd, d),
        }
    }

    /// The paper's A times a column of gradients of outputs: the adjoint of [`Self::backward`].
    #[inline(always)]
    fn spread<S: Simd>(self, simd: S, d: [S::f32s; MOST]) -> [S::f32s; MOST] {
        let add = |a, b| simd.add_f32s(a, b);
        let sub = |a, b| simd.sub_f32s(a, b);
        let fma = |factor: f32, a, b| simd.mul_add_f32s(simd.splat_f32s(factor), a, b);
        match self {
            Self::Two => [d[0], add(d[0], d[1]), sub(d[0], d[1]), simd.neg_f32s(d[1]), d[4], d[5]],
            Self::Four => {
                let (even, odd) = (add(d[0], d[2]), add(d[1], d[3]));
                let (far, wide) = (fma(4.0, d[2], d[0]), fma(8.0, d[3], simd.add_f32s(d[1], d[1])));
                [d[0], add(even, odd), sub(even, odd), add(far, wide), sub(far, wide), d[3]]
            }
        }
    }
}

/// Transformed weights.
#[derive(Debug)]
pub struct Winograd {
    scheme: Scheme,
    channels: usize,
    outputs: usize,
    /// One matrix a position of the tile.
    positions: Packed,
}

impl Winograd {
    /// Transforms `weight(output, channel, tap)`.
    pub fn new(
        scheme: Scheme,
        outputs: usize,
        channels: usize,
        weight: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        let (side, g) = (scheme.inputs(), scheme.kernel());
        let positions = Packed::new(scheme.positions(), outputs, 1, channels, NARROW, |p, o, _, c| {
            let (row, column) = (g[p / side], g[p % side]);
            let term = |tap: usize| row[tap / 3] * column[tap % 3] * f64::from(weight(o, c, tap));
            (0..9).map(term).sum::<f64>() as f32
        });
        Self { scheme, channels, outputs, positions }
    }
}

/// Where a tile of outputs lies.
#[derive(Debug, Clone, Copy)]
struct Tiles {
    maps: Maps,
    side: usize,
    down: usize,
    across: usize,
}

impl Tiles {
    fn new(maps: Maps, side: usize) -> Self {
        Self { maps, side, down: maps.height.div_ceil(side), across: maps.width.div_ceil(side) }
    }

    const fn count(&self) -> usize {
        self.maps.images * self.down * self.across
    }

    /// Image, row and column of a tile's first output.
    const fn at(&self, tile: usize) -> (usize, usize, usize) {
        let (line, column) = (tile / self.across, tile % self.across);
        (line / self.down, line % self.down * self.side, column * self.side)
    }
}

/// Convolves `x`, `N x H x W x I`, with zeros around, into `out`, `N x H x W x O`.
pub fn run(weights: &Winograd, x: &[f32], maps: Maps, finish: Finish<'_>, out: &mut [f32], scratch: &mut Scratch) {
    let scheme = weights.scheme;
    let tiles = Tiles::new(maps, scheme.outputs());
    let (count, channels, positions) = (tiles.count(), weights.channels, scheme.positions());
    let outputs = weights.outputs;
    let transformed = grown(&mut scratch.transformed, positions * count * channels);
    let products = grown(&mut scratch.products, positions * count * outputs);

    let zeros = grown(&mut scratch.zeros, channels);
    transform(scheme, Transform::Inputs, x, zeros, tiles, transformed);

    let threads = rayon::current_num_threads();
    let transformed: &[f32] = transformed;
    let to = Parts::new(products);
    let panels = weights.positions.matrix(0).panels();
    let groups = if positions * panels > 64 * threads { 1 } else { panels };
    let group = panels.div_ceil(groups);
    (0..positions * groups).into_par_iter().with_max_len(1).for_each(|task| {
        let (position, at) = (task / groups, task % groups * group);
        let rows = Plain { values: &transformed[position * count * channels..][..count * channels], depth: channels };
        // SAFETY: positions and panels of tasks differ, and so do the values that they write.
        unsafe {
            let to = Parts::new(to.part(position * count * outputs, count * outputs));
            let panels = at..(at + group).min(panels);
            rectangle(&rows, weights.positions.matrix(position), 0..count, panels, Finish::default(), to);
        }
    });

    let products: &[f32] = products;
    let to = Parts::new(out);
    in_blocks(count, |range| {
        arch().dispatch(Backward { scheme, products, tiles, outputs, range, finish, to });
    });
}

/// Runs blocks of `count` tiles on all threads.
fn in_blocks(count: usize, run: impl Fn(Range<usize>) + Sync) {
    let few = count.div_ceil(4 * rayon::current_num_threads()).clamp(1, 16);
    (0..count.div_ceil(few)).into_par_iter().for_each(|block| run(block * few..((block + 1) * few).min(count)));
}

/// What is spread over the positions of a tile.
#[derive(Debug, Clone, Copy)]
enum Transform {
    /// Inputs, with those around.
    Inputs,
    /// Gradients of outputs.
    Gradients,
}

impl Transform {
    /// Rows and columns of a tile before its first output.
    const fn before(self) -> usize {
        match self {
            Self::Inputs => 1,
            Self::Gradients => 0,
        }
    }
}

/// Transforms all tiles of `x`, `N x H x W x C`, to `positions x tiles x C`, with C zeros around.
fn transform(scheme: Scheme, what: Transform, x: &[f32], zeros: &[f32], tiles: Tiles, out: &mut [f32]) {
    let (to, channels) = (Parts::new(out), zeros.len());
    in_blocks(tiles.count(), |range| {
        arch().dispatch(Forward { scheme, what, x, zeros, tiles, channels, range, to });
    });
}

struct Forward<'a> {
    scheme: Scheme,
    what: Transform,
    x: &'a [f32],
    zeros: &'a [f32],
    tiles: Tiles,
    channels: usize,
    range: Range<usize>,
    to: Parts<'a>,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (self.scheme, self.what) {
            (Scheme::Two, Transform::Inputs) => self.tiles::<S, 4, 4>(simd, Scheme::Two, Transform::Inputs),
            (Scheme::Four, Transform::Inputs) => self.tiles::<S, 6, 6>(simd, Scheme::Four, Transform::Inputs),
            (Scheme::Two, Transform::Gradients) => self.tiles::<S, 4, 2>(simd, Scheme::Two, Transform::Gradients),
            (Scheme::Four, Transform::Gradients) => self.tiles::<S, 6, 4>(simd, Scheme::Four, Transform::Gradients),
        }
    }
}

impl Forward<'_> {
    /// Windows of W x W pixels to A x A positions.
    #[inline(always)]
    fn tiles<S: Simd, const A: usize, const W: usize>(&self, simd: S, scheme: Scheme, what: Transform) {
        let maps = self.tiles.maps;
        let zero = simd.splat_f32s(0.0);
        for tile in self.range.clone() {
            let (image, y, x) = self.tiles.at(tile);
            let pixels: [[&[f32]; W]; W] = std::array::from_fn(|i| {
                std::array::from_fn(|j| {
                    let (y, x) = ((y + i).wrapping_sub(what.before()), (x + j).wrapping_sub(what.before()));
                    if y < maps.height && x < maps.width {
                        &self.x[((image * maps.height + y) * maps.width + x) * self.channels..][..self.channels]
                    } else {
                        self.zeros
                    }
                })
            });
            for c in (0..self.channels).step_by(S::F32_LANES) {
                let len = (self.channels - c).min(S::F32_LANES);
                let mut half = [[zero; MOST]; A];
                for j in 0..W {
                    let mut values = [zero; MOST];
                    for i in 0..W {
                        values[i] = load(simd, &pixels[i][j][c..][..len]);
                    }
                    let values = scheme.column(simd, what, values);
                    for i in 0..A {
                        half[i][j] = values[i];
                    }
                }
                for (i, row) in half.into_iter().enumerate() {
                    let row = scheme.column(simd, what, row);
                    for j in 0..A {
                        let at = ((i * A + j) * self.tiles.count() + tile) * self.channels + c;
                        // SAFETY: no other tile has these values.
                        store(simd, unsafe { self.to.part(at, len) }, row[j]);
                    }
                }
            }
        }
    }
}

struct Backward<'a> {
    scheme: Scheme,
    products: &'a [f32],
    tiles: Tiles,
    outputs: usize,
    range: Range<usize>,
    finish: Finish<'a>,
    to: Parts<'a>,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.scheme {
            Scheme::Two => self.tiles::<S, 4, 2>(simd, Scheme::Two),
            Scheme::Four => self.tiles::<S, 6, 4>(simd, Scheme::Four),
        }
    }
}

impl Backward<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const A: usize, const B: usize>(&self, simd: S, scheme: Scheme) {
        let maps = self.tiles.maps;
        let zero = simd.splat_f32s(0.0);
        for tile in self.range.clone() {
            let (image, y, x) = self.tiles.at(tile);
            for o in (0..self.outputs).step_by(S::F32_LANES) {
                let len = (self.outputs - o).min(S::F32_LANES);
                let mut half = [[zero; MOST]; B];
                for j in 0..A {
                    let mut column = [zero; MOST];
                    for i in 0..A {
                        let at = ((i * A + j) * self.tiles.count() + tile) * self.outputs + o;
                        column[i] = load(simd, &self.products[at..][..len]);
                    }
                    let column = scheme.backward(simd, column);
                    for i in 0..B {
                        half[i][j] = column[i];
                    }
                }
                let bias = self.finish.bias.map_or(zero, |b| load(simd, &b[o..][..len]));
                for (i, row) in half.into_iter().enumerate().take(maps.height - y) {
                    let row = scheme.backward(simd, row);
                    for j in 0..B.min(maps.width - x) {
                        let at = ((image * maps.height + y + i) * maps.width + x + j) * self.outputs + o;
                        let mut value = simd.add_f32s(row[j], bias);
                        // SAFETY: no other tile has this pixel.
                        let to = unsafe { self.to.part(at, len) };
                        if self.finish.add {
                            value = simd.add_f32s(value, load(simd, to));
                        }
                        store(simd, to, activated(simd, self.finish.activation, value));
                    }
                }
            }
        }
    }
}
