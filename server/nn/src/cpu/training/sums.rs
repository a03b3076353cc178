//! Sums of products of outputs' gradients and inputs over all pixels: the gradient of weights.

use crate::cpu::{Maps, Parts, arch};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Values of a piece whose products stay in registers at once.
const TILE: usize = 6;
/// Values of a piece that are worked on at once; those of longer pieces are copied side by side,
/// for far apart they would push each other out of the cache.
const COLUMNS: usize = 64;
/// Bytes of inputs and of vectors of gradients that are worked on at once: they stay in the
/// first-level cache.
const NEAR: usize = 24 << 10;
/// Bytes of weights up to which parts of the pixels are summed up on their own.
const SMALL: usize = 256 << 10;
/// Parts of the pixels, on any number of threads.
const PARTS: usize = 8;

/// Where the pieces lie that a kernel's taps read.
pub struct Walk {
    /// Of the output.
    pub to: Maps,
    /// Rows of an input picture, and its values a row.
    pub rows: usize,
    pub row: usize,
    /// Rows and values from one output to the next.
    pub stride: usize,
    pub step: usize,
    pub taps: Vec<Tap>,
}

/// What a tap reads.
pub struct Tap {
    /// Rows below the one that belongs to an output.
    pub down: isize,
    /// Values behind the place that belongs to an output.
    pub right: isize,
    /// Columns of outputs for which that lies in the picture.
    pub columns: Range<usize>,
}

/// Pixels of a block that lie side by side: the first one, where its piece begins, and how many they are.
#[derive(Clone, Copy)]
struct Run {
    pixel: usize,
    at: usize,
    len: usize,
}

impl Walk {
    /// The outputs among `pixels` whose pieces lie in the picture, and where the last of these pieces begins.
    fn runs(&self, tap: &Tap, pixels: &Range<usize>, runs: &mut Vec<Run>) -> Option<usize> {
        runs.clear();
        let (mut first, mut last) = (pixels.start, None);
        while first < pixels.end {
            let (line, column) = (first / self.to.width, first % self.to.width);
            let next = (first - column + self.to.width).min(pixels.end);
            let (image, y) = (line / self.to.height, line % self.to.height);
            // Above the picture the sum wraps to a number beyond its last row.
            let row = (y * self.stride).wrapping_add_signed(tap.down);
            let from = tap.columns.start.max(column);
            let to = tap.columns.end.min(column + next - first);
            if row < self.rows && from < to {
                let at = ((image * self.rows + row) * self.row + from * self.step).wrapping_add_signed(tap.right);
                let run = Run { pixel: first - column + from - pixels.start, at, len: to - from };
                last = last.max(Some(at.saturating_add((run.len - 1) * self.step)));
                match runs.last_mut() {
                    // As where a tap lies in its own pixel.
                    Some(before)
                        if before.pixel + before.len == run.pixel && before.at + before.len * self.step == at =>
                    {
                        before.len += run.len;
                    }
                    _ => runs.push(run),
                }
            }
            first = next;
        }
        last
    }
}

/// `sum over pixels of gradient[pixel, o] * piece[tap][k]` for all outputs, taps and the
/// values k of a piece, which `place` gives their places in `out`.
pub fn weight_sums(
    walk: &Walk,
    x: &[f32],
    gradient: &[f32],
    [outputs, depth]: [usize; 2],
    out: &mut [f32],
    place: impl Fn(usize, usize, usize) -> usize + Sync,
) {
    let (pixels, taps) = (walk.to.pixels(), walk.taps.len());
    let small = 4 * outputs * taps * depth <= SMALL;
    let part = if small { pixels.div_ceil(PARTS).max(1) } else { pixels };
    let parts = pixels.div_ceil(part);
    // Of many weights, a task sums up those of one tap and some columns.
    let (at_once, columns) = if small { (taps, depth) } else { (1, COLUMNS) };
    let blocks = depth.div_ceil(columns);
    let tasks = parts * taps.div_ceil(at_once) * blocks;
    let sums: Vec<Vec<f32>> = (0..tasks)
        .into_par_iter()
        .with_max_len(1)
        .map(|task| {
            let (rest, block) = (task / blocks, task % blocks);
            let (part_of, tap) = (rest % parts, rest / parts * at_once);
            arch().dispatch(Sums {
                walk,
                x,
                gradient,
                outputs,
                depth,
                pixels: part_of * part..((part_of + 1) * part).min(pixels),
                taps: tap..(tap + at_once).min(taps),
                columns: block * columns..((block + 1) * columns).min(depth),
            })
        })
        .collect();
    let to = Parts::new(out);
    (0..taps * depth).into_par_iter().with_min_len(32).for_each(|weight| {
        let (tap, k) = (weight / depth, weight % depth);
        let (group, block) = (tap / at_once, k / columns);
        let width = columns.min(depth - block * columns);
        let padded = sums[0].len() / (at_once * columns.min(depth));
        let at = ((tap - group * at_once) * width + k - block * columns) * padded;
        for o in 0..outputs {
            let of = |part: usize| sums[(group * parts + part) * blocks + block][at + o];
            let sum = (1..parts).fold(of(0), |sum, part| sum + of(part));
            // SAFETY: no other task has this tap and value.
            unsafe { to.part(place(o, tap, k), 1)[0] = sum };
        }
    });
}

/// Sums of products over some pixels, for all outputs, some taps and some values of pieces:
/// taps, values, outputs with zeros up to a whole vector.
struct Sums<'a> {
    walk: &'a Walk,
    x: &'a [f32],
    gradient: &'a [f32],
    outputs: usize,
    depth: usize,
    pixels: Range<usize>,
    taps: Range<usize>,
    columns: Range<usize>,
}

impl WithSimd for Sums<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
        let vectors = self.outputs.div_ceil(S::F32_LANES);
        let padded = vectors * S::F32_LANES;
        let width = self.columns.len();
        let at_once = padded.min(if S::REGISTER_COUNT >= 32 { 4 } else { 3 } * S::F32_LANES);
        let size = (NEAR / (4 * (at_once + width.min(COLUMNS)))).clamp(32, 512);
        let mut sums = vec![0f32; self.taps.len() * width * padded];
        let mut right = vec![simd.splat_f32s(0.0); vectors * size];
        let (mut runs, mut near, mut inner) = (Vec::new(), Vec::new(), Vec::new());
        for first in self.pixels.clone().step_by(size) {
            let pixels = first..(first + size).min(self.pixels.end);
            self.pack(simd, &pixels, size, &mut right);
            for (nth, tap) in self.taps.clone().enumerate() {
                let Some(last) = self.walk.runs(&self.walk.taps[tap], &pixels, &mut runs) else { continue };
                let end = last.checked_add(self.depth);
                assert!(end.is_some_and(|end| end <= self.x.len()), "pieces lie in the input");
                for k in self.columns.clone().step_by(COLUMNS) {
                    let some = k..(k + COLUMNS).min(self.columns.end);
                    let at = (nth * width + k - self.columns.start) * padded;
                    let out = &mut sums[at..][..some.len() * padded];
                    let mut block = Block { right: &right, size, vectors, count: some.len(), out };
                    if self.depth <= COLUMNS {
                        block.run(simd, &runs, &self.x[some.start..], self.walk.step);
                    } else {
                        near.clear();
                        inner.clear();
                        for run in &runs {
                            let at = near.len();
                            for nth in 0..run.len {
                                let piece = run.at + nth * self.walk.step;
                                near.extend_from_slice(&self.x[piece..][some.clone()]);
                            }
                            inner.push(Run { at, ..*run });
                        }
                        block.run(simd, &inner, &near, some.len());
                    }
                }
            }
        }
        sums
    }
}

impl Sums<'_> {
    /// The gradients of a block's pixels, vector after vector.
    #[inline(always)]
    fn pack<S: Simd>(&self, simd: S, pixels: &Range<usize>, size: usize, right: &mut [S::f32s]) {
        let rows = self.gradient[pixels.start * self.outputs..pixels.end * self.outputs].chunks_exact(self.outputs);
        for (pixel, row) in rows.enumerate() {
            let (whole, rest) = S::as_simd_f32s(row);
            for (v, vector) in whole.iter().enumerate() {
                right[v * size + pixel] = *vector;
            }
            if !rest.is_empty() {
                right[whole.len() * size + pixel] = simd.partial_load_f32s(rest);
            }
        }
    }
}

/// The products of a block's pieces and gradients.
struct Block<'a, V> {
    /// The gradients, vector after vector.
    right: &'a [V],
    /// Pixels of which there is room for the gradients.
    size: usize,
    vectors: usize,
    /// Values of a piece.
    count: usize,
    /// Values, outputs.
    out: &'a mut [f32],
}

impl<V: Copy> Block<'_, V> {
    #[inline(always)]
    fn run<S: Simd<f32s = V>>(&mut self, simd: S, runs: &[Run], x: &[f32], step: usize) {
        let mut v = 0;
        while v < self.vectors {
            let left = self.vectors - v;
            if left >= 4 && S::REGISTER_COUNT >= 32 {
                self.columns::<S, 4, TILE>(simd, runs, x, step, v);
                v += 4;
            } else if left == 3 {
                self.columns::<S, 3, 3>(simd, runs, x, step, v);
                v += 3;
            } else if left >= 2 {
                self.columns::<S, 2, TILE>(simd, runs, x, step, v);
                v += 2;
            } else {
                self.columns::<S, 1, TILE>(simd, runs, x, step, v);
                v += 1;
            }
        }
    }

    /// All values of the pieces times V vectors of outputs, M values at once.
    #[inline(always)]
    fn columns<S: Simd<f32s = V>, const N: usize, const M: usize>(
        &mut self,
        simd: S,
        runs: &[Run],
        x: &[f32],
        step: usize,
        v: usize,
    ) {
        let mut k = 0;
        while k + M <= self.count {
            self.tile::<S, N, M>(simd, runs, x, step, v, k);
            k += M;
        }
        match self.count - k {
            0 => {}
            1 => self.tile::<S, N, 1>(simd, runs, x, step, v, k),
            2 => self.tile::<S, N, 2>(simd, runs, x, step, v, k),
            3 => self.tile::<S, N, 3>(simd, runs, x, step, v, k),
            4 => self.tile::<S, N, 4>(simd, runs, x, step, v, k),
            _ => self.tile::<S, N, 5>(simd, runs, x, step, v, k),
        }
    }

    #[inline(always)]
    fn tile<S: Simd<f32s = V>, const N: usize, const M: usize>(
        &mut self,
        simd: S,
        runs: &[Run],
        x: &[f32],
        step: usize,
        v: usize,
        k: usize,
    ) {
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        let right = &self.right[v * self.size..][..N * self.size];
        for run in runs {
            // SAFETY: a piece has at least `k + M` values from its place on, those of a run lie `step` apart, and all
            // of them lie in `x`; a pixel of a block is less than its size.
            unsafe {
                let mut x = x.as_ptr().add(run.at + k);
                let mut near = right.as_ptr().add(run.pixel);
                for _ in 0..run.len {
                    let gradients: [S::f32s; N] = std::array::from_fn(|n| *near.add(n * self.size));
                    for m in 0..M {
                        let x = simd.splat_f32s(*x.add(m));
                        for n in 0..N {
                            sums[m][n] = simd.mul_add_f32s(x, gradients[n], sums[m][n]);
                        }
                    }
                    x = x.wrapping_add(step);
                    near = near.wrapping_add(1);
                }
            }
        }
        let padded = self.vectors * S::F32_LANES;
        for (m, sums) in sums.into_iter().enumerate() {
            let to = &mut self.out[(k + m) * padded + v * S::F32_LANES..][..N * S::F32_LANES];
            for (to, sum) in S::as_mut_simd_f32s(to).0.iter_mut().zip(sums) {
                *to = simd.add_f32s(*to, sum);
            }
        }
    }
}
