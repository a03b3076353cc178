//! Sums of products of outputs' gradients and inputs over all pixels: the gradient of weights.

use crate::cpu::product::Rows;
use crate::cpu::{Parts, arch, load, store};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Outputs whose gradients stay in registers at once.
const TILE: usize = 6;
/// Values of a piece that a task works on.
const COLUMNS: usize = 64;
/// Pixels whose products are summed in one go: their inputs stay in the second-level cache.
const PIXELS: usize = 256;

/// `sum over pixels of gradient[pixel, o] * rows[pixel][tap][k]` for all outputs, taps and the
/// values k of a piece, which `place` gives their places in `out`.
pub fn weight_sums<'a, R: Rows<'a>>(
    rows: &R,
    gradient: &[f32],
    [outputs, taps, depth]: [usize; 3],
    out: &mut [f32],
    place: impl Fn(usize, usize, usize) -> usize + Sync,
) {
    let pixels = gradient.len() / outputs;
    // The outputs' gradients in the order in which tiles read them: TILE outputs, all pixels.
    let tiles = outputs.div_ceil(TILE);
    let mut left = vec![0f32; tiles * pixels * TILE];
    left.par_chunks_mut(pixels * TILE).enumerate().for_each(|(tile, left)| {
        let some = tile * TILE..((tile + 1) * TILE).min(outputs);
        for (to, row) in left.chunks_exact_mut(TILE).zip(gradient.chunks_exact(outputs)) {
            to[..some.len()].copy_from_slice(&row[some.clone()]);
        }
    });
    let to = Parts::new(out);
    let blocks = depth.div_ceil(COLUMNS);
    let groups = (4 * rayon::current_num_threads()).div_ceil(blocks).min(tiles);
    let group = tiles.div_ceil(groups);
    let groups = tiles.div_ceil(group);
    (0..blocks * groups).into_par_iter().with_max_len(1).for_each_init(Default::default, |buffers, task| {
        let first = task % blocks * COLUMNS;
        let columns = first..(first + COLUMNS).min(depth);
        let tiles = task / blocks * group..((task / blocks + 1) * group).min(tiles);
        let (near, sums): &mut (Near, Vec<f32>) = buffers;
        sums.resize(tiles.len() * TILE * taps * columns.len(), 0.0);
        for start in (0..pixels).step_by(PIXELS) {
            near.gather(rows, start..(start + PIXELS).min(pixels), taps, &columns);
            let (left, width, tiles) = (&left[..], columns.len(), tiles.clone());
            arch().dispatch(Sums { left, near, pixels, begin: start == 0, taps, width, tiles, out: sums });
        }
        for (o, sums) in (tiles.start * TILE..outputs).zip(sums.chunks_exact(taps * columns.len())) {
            for (tap, sums) in sums.chunks_exact(columns.len()).enumerate() {
                for (k, sum) in columns.clone().zip(sums) {
                    // SAFETY: no other task has these outputs and values.
                    unsafe { to.part(place(o, tap, k), 1)[0] = *sum };
                }
            }
        }
    });
}

/// A few values of the pieces of some pixels: of those pieces that lie in the picture.
#[derive(Default)]
struct Near {
    /// Taps, pixels, values.
    values: Vec<f32>,
    /// Whose pieces they are, tap after tap.
    pixels: Vec<u32>,
    /// Where each tap's pixels end.
    ends: Vec<usize>,
}

impl Near {
    fn gather<'a, R: Rows<'a>>(&mut self, rows: &R, some: Range<usize>, taps: usize, columns: &Range<usize>) {
        self.values.clear();
        self.pixels.clear();
        self.ends.clear();
        let places: Vec<R::Place> = some.clone().map(|pixel| rows.place(pixel)).collect();
        for tap in 0..taps {
            for (pixel, place) in some.clone().zip(&places) {
                if !rows.outside(*place, tap) {
                    self.values.extend_from_slice(&rows.piece(*place, tap)[columns.clone()]);
                    self.pixels.push(pixel as u32);
                }
            }
            self.ends.push(self.pixels.len());
        }
    }

    /// The pixels of a tap, and their pieces' values of `width` each.
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
