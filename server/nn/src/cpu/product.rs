//! Matrix products with packed weights, the inner loop of every convolution here. A row of
//! the left matrix is made of pieces (taps) that lie anywhere in the input, so that no
//! neighbourhood is ever copied.

use super::Parts;
use super::arch;
use super::packed::Weights;
use crate::conv::Activation;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Rows whose sums stay in registers at once: with 4 vectors a row 24 of AVX-512's 32
/// registers, with 2 vectors 12 of AVX2's 16.
pub(super) const TILE: usize = 6;
/// Bytes of a block's rows that should stay in a core's second-level cache beside weights.
const NEAR: usize = 256 << 10;
/// Bytes of a panel's weights that are worked on at once.
const CHUNK: usize = 384 << 10;
/// Bytes of weights, or of all rows, from which on they do not stay in a core's second-level cache.
const LARGE: usize = 512 << 10;

/// The left matrix.
pub trait Rows<'a, T: 'a = f32>: Sync {
    /// Where a row's pieces lie.
    type Place: Copy;
    /// The place of the row with this number.
    fn place(&self, row: usize) -> Self::Place;
    /// The place of the row behind the one whose place is given, which has the number `row`.
    #[inline(always)]
    fn next(&self, _place: Self::Place, row: usize) -> Self::Place {
        self.place(row)
    }
    /// A piece of a row: as many values as the weights' depth.
    fn piece(&self, place: Self::Place, tap: usize) -> &'a [T];
    /// Whether this piece is nothing but zeros that lie outside of the picture.
    #[inline(always)]
    fn outside(&self, _piece: &[T]) -> bool {
        false
    }
}

/// Rows that follow one another, of one piece each.
pub struct Plain<'a, T = f32> {
    /// `rows x depth` values.
    pub values: &'a [T],
    /// Values a row.
    pub depth: usize,
}

impl<'a, T: Sync> Rows<'a, T> for Plain<'a, T> {
    type Place = usize;

    #[inline(always)]
    fn place(&self, row: usize) -> usize {
        row * self.depth
    }

    #[inline(always)]
    fn piece(&self, place: usize, _: usize) -> &'a [T] {
        &self.values[place..][..self.depth]
    }
}

/// What becomes of the sums before they are stored.
#[derive(Debug, Clone, Copy, Default)]
pub struct Finish<'a> {
    /// Added to every row: O values, and zeros up to [`Packed::padded`].
    pub bias: Option<&'a [f32]>,
    /// Whether the sums are added to what the output holds.
    pub add: bool,
    /// What becomes of the sums at last.
    pub activation: Activation,
}

/// `out[row, o] = finish(sum over taps and k of rows[row][tap][k] * weights[o, tap, k])` for
/// `count` rows, on all threads.
pub fn product<'a, R: Rows<'a>>(rows: &R, weights: Weights<'_>, count: usize, finish: Finish<'_>, out: &mut [f32]) {
    assert_eq!(out.len(), count * weights.outputs, "there is room for each output");
    let out = Parts::new(out);
    // Neighbourhoods have most of their pixels in common.
    let row_bytes = 4 * weights.taps.min(2) * weights.depth;
    share_out(count, weights.panels(), row_bytes, 4 * weights.values.len(), |range, panels| {
        // SAFETY: no two tasks have rows and panels in common.
        unsafe { rectangle(rows, weights, range, panels, finish, out) };
    });
}

/// Runs the product of `count` rows, each of which brings `row_bytes` into the cache, and `panels` panels of weights of
/// `weight_bytes` in all in rectangles, on all threads.
pub(super) fn share_out(
    count: usize,
    panels: usize,
    row_bytes: usize,
    weight_bytes: usize,
    run: impl Fn(Range<usize>, Range<usize>) + Sync,
) {
    let wanted = 4 * rayon::current_num_threads();
    let near = (NEAR / row_bytes / TILE).max(1) * TILE;
    // Many weights are read once, each by one thread, if all rows stay near meanwhile; otherwise the rows are shared out.
    let large = weight_bytes > LARGE && count * row_bytes <= LARGE;
    let groups = if large { panels.min(wanted) } else { 1 };
    let fair = count.div_ceil(wanted.div_ceil(groups)).next_multiple_of(TILE).max(4 * TILE);
    let height = if large { fair } else { near.min(fair) };
    let across = count.div_ceil(height);
    let groups = groups.max(wanted.div_ceil(across).min(panels));
    let group = panels.div_ceil(groups);
    let groups = panels.div_ceil(group);
    (0..across * groups).into_par_iter().with_max_len(1).for_each(|task| {
        let (block, at) = (task / groups, task % groups * group);
        let range = block * height..((block + 1) * height).min(count);
        run(range, at..(at + group).min(panels));
    });
}

/// The rows `range` and the panels `panels` of [`product`], on this thread.
///
/// # Safety
/// No other thread may use these values of `out` meanwhile.
pub unsafe fn rectangle<'a, R: Rows<'a>>(
    rows: &R,
    weights: Weights<'_>,
    range: Range<usize>,
    panels: Range<usize>,
    finish: Finish<'_>,
    out: Parts<'_>,
) {
    arch().dispatch(Rectangle { rows, weights, range, panels, finish, out });
}

/// Which weights of a panel.
struct Chunk {
    taps: Range<usize>,
    depths: Range<usize>,
}

struct Rectangle<'r, R> {
    rows: &'r R,
    weights: Weights<'r>,
    range: Range<usize>,
    panels: Range<usize>,
    finish: Finish<'r>,
    out: Parts<'r>,
}

impl<'a, R: Rows<'a>> WithSimd for Rectangle<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.weights.width / S::F32_LANES {
            4 => self.run::<S, 4>(simd),
            3 => self.run::<S, 3>(simd),
            2 => self.run::<S, 2>(simd),
            _ => self.run::<S, 1>(simd),
        }
    }
}

impl<'a, R: Rows<'a>> Rectangle<'_, R> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(&self, simd: S) {
        let (taps, depth) = (self.weights.taps, self.weights.depth);
        // Weights that stay in the second-level cache while all rows pass.
        let most = (CHUNK / (4 * self.weights.width)).max(1);
        let taps_at_once = (most / depth).clamp(1, taps);
        let depth_at_once = depth.div_ceil(depth.div_ceil(most));
        for panel in self.panels.clone() {
            for tap in (0..taps).step_by(taps_at_once) {
                for k in (0..depth).step_by(depth_at_once) {
                    let taps = tap..(tap + taps_at_once).min(taps);
                    let depths = k..(k + depth_at_once).min(depth);
                    self.chunk::<S, V>(simd, panel, &Chunk { taps, depths });
                }
            }
        }
    }

    /// All rows times a part of a panel.
    #[inline(always)]
    fn chunk<S: Simd, const V: usize>(&self, simd: S, panel: usize, chunk: &Chunk) {
        // As many sums as with 2 vectors.
        let height = if V == 3 { 4 } else { TILE };
        for (nth, first) in self.range.clone().step_by(height).enumerate() {
            match (self.range.end - first).min(height) {
                1 => self.tile::<S, V, 1>(simd, panel, first, nth, chunk),
                2 => self.tile::<S, V, 2>(simd, panel, first, nth, chunk),
                3 => self.tile::<S, V, 3>(simd, panel, first, nth, chunk),
                4 => self.tile::<S, V, 4>(simd, panel, first, nth, chunk),
                5 => self.tile::<S, V, 5>(simd, panel, first, nth, chunk),
                _ => self.tile::<S, V, TILE>(simd, panel, first, nth, chunk),
            }
        }
    }

    /// M rows from `first` on times one panel.
    #[inline(always)]
    fn tile<S: Simd, const V: usize, const M: usize>(
        &self,
        simd: S,
        panel: usize,
        first: usize,
        nth: usize,
        chunk: &Chunk,
    ) {
        let weights = self.weights;
        let begin = chunk.taps.start == 0 && chunk.depths.start == 0;
        let end = chunk.taps.end == weights.taps && chunk.depths.end == weights.depth;
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        if let (Some(bias), true) = (self.finish.bias, begin) {
            let (bias, _) = S::as_simd_f32s(&bias[panel * weights.width..][..weights.width]);
            sums = [std::array::from_fn(|v| bias[v]); M];
        }
        let add = self.finish.add || !begin;
        if add {
            for m in 0..M {
                let row = (first + m) * weights.outputs + panel * weights.width;
                for v in 0..V {
                    prefetch(self.out.start.wrapping_add(row + v * S::F32_LANES));
                }
            }
        }
        let mut places = [self.rows.place(first); M];
        for m in 1..M {
            places[m] = self.rows.next(places[m - 1], first + m);
        }
        let depth = chunk.depths.len();
        for tap in chunk.taps.clone() {
            let pieces: [&[f32]; M] = std::array::from_fn(|m| self.rows.piece(places[m], tap));
            if pieces.iter().all(|piece| self.rows.outside(piece)) {
                continue;
            }
            let pieces = pieces.map(|piece| &piece[chunk.depths.start..][..depth]);
            let at = (tap * weights.depth + chunk.depths.start) * weights.width;
            let values = &weights.panel(panel)[at..][..depth * weights.width];
            let (vectors, _) = S::as_simd_f32s(values);
            // The first tiles fetch the weights behind these, a vector of each k a tile.
            let (mut ahead, step) = if nth < V {
                (values.as_ptr().wrapping_add(values.len() + nth * S::F32_LANES), weights.width)
            } else {
                (values.as_ptr(), 0)
            };
            for (k, vectors) in vectors.chunks_exact(V).enumerate() {
                prefetch(ahead);
                ahead = ahead.wrapping_add(step);
                for m in 0..M {
                    // SAFETY: every piece has `depth` values, and there are `depth` chunks.
                    let x = simd.splat_f32s(unsafe { *pieces[m].get_unchecked(k) });
                    for v in 0..V {
                        sums[m][v] = simd.mul_add_f32s(x, vectors[v], sums[m][v]);
                    }
                }
            }
        }
        let at = panel * weights.width;
        let len = weights.width.min(weights.outputs - at);
        let activation = if end { self.finish.activation } else { Activation::Identity };
        let last = |sums: S::f32s, held: S::f32s| {
            let sums = if add { simd.add_f32s(sums, held) } else { sums };
            activated(simd, activation, sums)
        };
        for (m, sums) in sums.into_iter().enumerate() {
            // SAFETY: no other row or panel has these outputs.
            let out = unsafe { self.out.part((first + m) * weights.outputs + at, len) };
            let (whole, rest) = S::as_mut_simd_f32s(out);
            if whole.len() == V {
                for v in 0..V {
                    whole[v] = last(sums[v], whole[v]);
                }
            } else {
                // The last panel, whose outputs fill one vector at most.
                let sums = last(sums[0], simd.partial_load_f32s(rest));
                simd.partial_store_f32s(rest, sums);
            }
        }
    }
}

/// A vector behind an activation.
#[inline(always)]
pub(super) fn activated<S: Simd>(simd: S, activation: Activation, x: S::f32s) -> S::f32s {
    let positive = || simd.max_f32s(x, simd.splat_f32s(0.0));
    match activation {
        Activation::Identity => x,
        Activation::Relu => positive(),
        Activation::Relu6 => simd.min_f32s(positive(), simd.splat_f32s(6.0)),
    }
}

/// Asks for a line of memory that will be read soon; any address will do.
#[inline(always)]
fn prefetch(at: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing, and SSE is in every x86-64 processor.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
