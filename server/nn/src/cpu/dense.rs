//! Products of dense matrices whose sums end in a step of an optimiser or in a store. Matrices
//! have their rows one behind the other.

use super::{Moments, Parts, Rule, arch, load, store};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Rows of the result whose sums stay in registers at once.
const TILE: usize = 6;
/// Columns that one vector product works on at once in [`dots`].
const SIDE: usize = 4;
/// Bytes that should stay in a core's second-level cache.
const NEAR: usize = 512 << 10;
/// Inner length up to which one factor's columns stay near while rows change.
const SHORT: usize = 96;

/// `out[n, o] = bias[o] + sum over e of x[n, e] * weight[o, e]`: a linear layer.
pub fn dots(x: &[f32], weight: &[f32], bias: &[f32], inputs: usize, out: &mut [f32]) {
    let (outputs, n) = (bias.len(), x.len() / inputs);
    assert!(x.len() == n * inputs && weight.len() == outputs * inputs && out.len() == n * outputs, "sizes fit");
    let out = Parts::new(out);
    let groups = outputs.div_ceil(SIDE);
    // Rows that stay in a core's second-level cache while all columns pass.
    let near = (NEAR / (4 * inputs) / TILE).max(1) * TILE;
    let blocks = n.div_ceil(near);
    let near = n.div_ceil(blocks.max(1)).next_multiple_of(TILE);
    (0..blocks * groups).into_par_iter().for_each(|task| {
        let (block, group) = (task / groups, task % groups);
        let columns = group * SIDE..((group + 1) * SIDE).min(outputs);
        let rows = block * near..((block + 1) * near).min(n);
        arch().dispatch(Dots { x, weight, bias, inputs, rows, columns, out });
    });
}

struct Dots<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    inputs: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    out: Parts<'a>,
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.columns.len() < SIDE {
            for column in self.columns.clone() {
                self.rows::<S, 1>(simd, column);
            }
        } else {
            self.rows::<S, SIDE>(simd, self.columns.start);
        }
    }
}

impl Dots<'_> {
    #[inline(always)]
    fn rows<S: Simd, const V: usize>(&self, simd: S, column: usize) {
        let mut first = self.rows.start;
        while first + TILE <= self.rows.end {
            self.tile::<S, TILE, V>(simd, first, column);
            first += TILE;
        }
        for row in first..self.rows.end {
            self.tile::<S, 1, V>(simd, row, column);
        }
    }

    /// M rows times V columns.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(&self, simd: S, first: usize, column: usize) {
        let x: [&[f32]; M] = std::array::from_fn(|m| &self.x[(first + m) * self.inputs..][..self.inputs]);
        let w: [&[f32]; V] = std::array::from_fn(|v| &self.weight[(column + v) * self.inputs..][..self.inputs]);
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        let whole = self.inputs / S::F32_LANES;
        let (x_whole, w_whole) = (x.map(|x| S::as_simd_f32s(x).0), w.map(|w| S::as_simd_f32s(w).0));
        for k in 0..whole {
            let near: [S::f32s; V] = std::array::from_fn(|v| w_whole[v][k]);
            for m in 0..M {
                let x = x_whole[m][k];
                for v in 0..V {
                    sums[m][v] = simd.mul_add_f32s(x, near[v], sums[m][v]);
                }
            }
        }
        let at = whole * S::F32_LANES;
        if at < self.inputs {
            let near: [S::f32s; V] = std::array::from_fn(|v| simd.partial_load_f32s(&w[v][at..]));
            for m in 0..M {
                let x = simd.partial_load_f32s(&x[m][at..]);
                for v in 0..V {
                    sums[m][v] = simd.mul_add_f32s(x, near[v], sums[m][v]);
                }
            }
        }
        for m in 0..M {
            // SAFETY: no other rows or columns have these outputs.
            let out = unsafe { self.out.part((first + m) * self.bias.len() + column, V) };
            for v in 0..V {
                out[v] = self.bias[column + v] + simd.reduce_sum_f32s(sums[m][v]);
            }
        }
    }
}

/// The left factor of [`outer`].
#[derive(Debug, Clone, Copy)]
pub struct Left<'a> {
    /// Its values.
    pub values: &'a [f32],
    /// Values from one row to the next.
    pub row: usize,
    /// Values from one column to the next.
    pub column: usize,
}

/// What becomes of the sums.
pub enum Product<'a> {
    /// They are stored.
    Values(&'a mut [f32]),
    /// They are gradients of these weights, which make a step.
    Step(&'a mut [f32], &'a mut Moments, Rule),
}

/// `sum over k of left[r, k] * right[k, e]` for all `rows` and all `width` columns.
pub fn outer(left: Left<'_>, right: &[f32], rows: usize, inner: usize, width: usize, into: Product<'_>) {
    assert!(right.len() == inner * width, "the right factor has `inner` rows");
    let last = (rows.max(1) - 1) * left.row + (inner.max(1) - 1) * left.column;
    assert!(last < left.values.len(), "the left factor lies within its slice");
    let (values, moments, rule) = match into {
        Product::Values(values) => (values, None, None),
        Product::Step(values, moments, rule) => (values, Some(moments), Some(rule)),
    };
    assert_eq!(values.len(), rows * width, "there is room for the product");
    let mut none = Moments::default();
    let moments = moments.unwrap_or(&mut none);
    let second = !moments.second.is_empty();
    let to = To {
        values: Parts::new(values),
        first: Parts::new(&mut moments.first),
        second: Parts::new(&mut moments.second),
        rule,
        second_is_there: second,
    };
    let tiles = rows.div_ceil(TILE);
    // Columns in parts of whole cache lines; enough tasks for all threads.
    let parts = (8 * rayon::current_num_threads()).div_ceil(tiles).min(width.div_ceil(256)).max(1);
    let part = width.div_ceil(parts).next_multiple_of(64);
    let parts = width.div_ceil(part);
    let by_rows = inner <= SHORT;
    (0..if by_rows { tiles * parts } else { width.div_ceil(64) }).into_par_iter().for_each(|task| {
        let (tiles, columns) = if by_rows {
            let (tile, at) = (task / parts, task % parts * part);
            (tile..tile + 1, at..(at + part).min(width))
        } else {
            (0..tiles, task * 64..((task + 1) * 64).min(width))
        };
        if by_rows {
            arch().dispatch(Outer { left, right, stride: width, skipped: 0, rows, inner, width, tiles, columns, to });
            return;
        }
        // Far apart, the columns of long factors would push each other out of the cache.
        let (skipped, stride) = (columns.start, columns.len());
        let mut near = Vec::with_capacity(inner * stride);
        right.chunks_exact(width).for_each(|row| near.extend_from_slice(&row[columns.clone()]));
        arch().dispatch(Outer { left, right: &near, stride, skipped, rows, inner, width, tiles, columns, to });
    });
}

#[derive(Clone, Copy)]
struct To<'a> {
    values: Parts<'a>,
    first: Parts<'a>,
    second: Parts<'a>,
    rule: Option<Rule>,
    second_is_there: bool,
}

struct Outer<'a> {
    left: Left<'a>,
    right: &'a [f32],
    /// Values from one row of the right factor to the next.
    stride: usize,
    /// Columns that the right factor here lacks at its left.
    skipped: usize,
    rows: usize,
    inner: usize,
    width: usize,
    tiles: Range<usize>,
    columns: Range<usize>,
    to: To<'a>,
}

impl WithSimd for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for tile in self.tiles.clone() {
            let first = tile * TILE;
            match self.rows - first {
                1 => self.line::<S, 1>(simd, first),
                2 => self.line::<S, 2>(simd, first),
                3 => self.line::<S, 3>(simd, first),
                4 => self.line::<S, 4>(simd, first),
                5 => self.line::<S, 5>(simd, first),
                _ => self.line::<S, TILE>(simd, first),
            }
        }
    }
}

impl Outer<'_> {
    #[inline(always)]
    fn line<S: Simd, const M: usize>(&self, simd: S, first: usize) {
        let mut at = self.columns.start;
        if S::REGISTER_COUNT >= 32 {
            while at + 4 * S::F32_LANES <= self.columns.end {
                self.tile::<S, M, 4>(simd, first, at, S::F32_LANES);
                at += 4 * S::F32_LANES;
            }
        }
        while at + 2 * S::F32_LANES <= self.columns.end {
            self.tile::<S, M, 2>(simd, first, at, S::F32_LANES);
            at += 2 * S::F32_LANES;
        }
        while at < self.columns.end {
            let len = (self.columns.end - at).min(S::F32_LANES);
            self.tile::<S, M, 1>(simd, first, at, len);
            at += len;
        }
    }

    /// M rows times V vectors of columns, of which the last (and then only) one may be short.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(&self, simd: S, first: usize, at: usize, len: usize) {
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        for k in 0..self.inner {
            let right = &self.right[k * self.stride + at - self.skipped..][..(V - 1) * S::F32_LANES + len];
            let near: [S::f32s; V] = std::array::from_fn(|v| load(simd, &right[v * S::F32_LANES..][..len]));
            for m in 0..M {
                let place = (first + m) * self.left.row + k * self.left.column;
                // SAFETY: the product's caller has seen that the last place lies within the slice.
                let x = simd.splat_f32s(unsafe { *self.left.values.get_unchecked(place) });
                for v in 0..V {
                    sums[m][v] = simd.mul_add_f32s(x, near[v], sums[m][v]);
                }
            }
        }
        for m in 0..M {
            for v in 0..V {
                let place = (first + m) * self.width + at + v * S::F32_LANES;
                // SAFETY: no other tile has these values.
                unsafe { self.finish(simd, place, len, sums[m][v]) };
            }
        }
    }

    /// # Safety
    /// No other tile may have the values `place .. place + len`.
    #[inline(always)]
    unsafe fn finish<S: Simd>(&self, simd: S, place: usize, len: usize, sum: S::f32s) {
        // SAFETY: the caller says so, for the values as for their moments.
        unsafe {
            let values = self.to.values.part(place, len);
            let Some(rule) = self.to.rule else { return store(simd, values, sum) };
            let first = self.to.first.part(place, len);
            let none: &mut [f32] = &mut [];
            let second = if self.to.second_is_there { self.to.second.part(place, len) } else { none };
            let held = if self.to.second_is_there { load(simd, second) } else { sum };
            let (x, m, v) = rule.step(simd, load(simd, values), load(simd, first), held, sum);
            store(simd, values, x);
            store(simd, first, m);
            if self.to.second_is_there {
                store(simd, second, v);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_near, assert_within};

    fn numbers(seed: usize, len: usize) -> Vec<f32> {
        (0..len).map(|i| (((i * 7919 + seed * 104_729) % 2003) as f32 - 1001.0) / 1000.0).collect()
    }

    #[test]
    fn both_products_equal_plain_loops() {
        for (n, inputs, outputs) in [(1, 1, 1), (7, 37, 5), (32, 300, 10), (130, 64, 13)] {
            let (x, weight, bias) = (numbers(1, n * inputs), numbers(2, outputs * inputs), numbers(3, outputs));
            let mut out = vec![0.0; n * outputs];
            dots(&x, &weight, &bias, inputs, &mut out);
            let wanted = |i: usize| {
                let (row, column) = (&x[i / outputs * inputs..][..inputs], &weight[i % outputs * inputs..][..inputs]);
                bias[i % outputs] + row.iter().zip(column).map(|(a, b)| a * b).sum::<f32>()
            };
            let wanted: Vec<f32> = (0..n * outputs).map(wanted).collect();
            assert_within(format!("{n} {inputs} {outputs}"), &out, &wanted, 1e-4);
            // The gradient of the weights: outputs x inputs.
            let mut gradient = vec![0.0; outputs * inputs];
            let left = Left { values: &out, row: 1, column: outputs };
            outer(left, &x, outputs, n, inputs, Product::Values(&mut gradient));
            let wanted = |i: usize| {
                let (o, e) = (i / inputs, i % inputs);
                (0..n).map(|k| out[k * outputs + o] * x[k * inputs + e]).sum::<f32>()
            };
            let wanted: Vec<f32> = (0..outputs * inputs).map(wanted).collect();
            assert_near(format!("gradient of {n} {inputs} {outputs}"), &gradient, &wanted, 2e-5);
        }
    }
}
