//! Scaled dot-product attention (Vaswani et al. 2017, arXiv 1706.03762) of each head of each
//! picture, forward and backward. Of queries, keys and values nothing is copied, and the shares
//! of one head only are ever in memory: backward makes them anew.

use super::functions::exp;
use super::{Parts, arch, grown, load, store};
use gemm::{Parallelism, gemm};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Sizes of an attention.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Tokens T of a picture.
    pub tokens: usize,
    /// Heads.
    pub heads: usize,
    /// Channels of a head.
    pub width: usize,
}

/// Buffers of a task, kept from one head to the next.
#[derive(Default)]
struct Scratch {
    shares: Vec<f32>,
    gradients: Vec<f32>,
    rows: Vec<f32>,
}

/// Rows and columns that lie anywhere in a slice.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// Values from one row to the next.
    row: usize,
    /// Values from one column to the next.
    column: usize,
}

impl<'a> Matrix<'a> {
    fn new(values: &'a [f32], rows: usize, columns: usize, row: usize) -> Self {
        Self { values, rows, columns, row, column: 1 }
    }

    fn turned(self) -> Self {
        Self { rows: self.columns, columns: self.rows, row: self.column, column: self.row, ..self }
    }

    fn is_inside(&self) -> bool {
        let last = self.rows.saturating_sub(1) * self.row + self.columns.saturating_sub(1) * self.column;
        last < self.values.len()
    }
}

/// `out = factor * left * right`, on this thread.
fn product(left: Matrix<'_>, right: Matrix<'_>, factor: f32, out: &mut [f32]) {
    let (rows, inner, columns) = (left.rows, left.columns, right.columns);
    assert!(left.is_inside() && right.is_inside() && right.rows == inner, "the factors fit");
    assert_eq!(out.len(), rows * columns, "there is room for the product");
    // SAFETY: the assertions above say that both factors lie within their slices, and that the
    // product fills its own, which nothing else holds.
    unsafe {
        gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr(),
            1,
            columns as isize,
            false,
            left.values.as_ptr(),
            left.column as isize,
            left.row as isize,
            right.values.as_ptr(),
            right.column as isize,
            right.row as isize,
            0.0,
            factor,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

impl Shape {
    fn channels(&self) -> usize {
        self.heads * self.width
    }

    fn pictures(&self, qkv: &[f32]) -> usize {
        let picture = 3 * self.tokens * self.channels();
        assert!(picture > 0 && qkv.len().is_multiple_of(picture), "queries, keys and values of whole pictures");
        qkv.len() / picture
    }

    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }

    /// Query, key and value of a head, each `T x width`.
    fn parts<'a>(&self, qkv: &'a [f32], head: usize) -> [Matrix<'a>; 3] {
        let (picture, head) = (head / self.heads, head % self.heads);
        let channels = self.channels();
        let first = picture * 3 * self.tokens * channels + head * self.width;
        [0, 1, 2].map(|part| Matrix::new(&qkv[first + part * channels..], self.tokens, self.width, 3 * channels))
    }

    /// How much each token attends to each other, `T x T`.
    fn shares(&self, query: Matrix<'_>, key: Matrix<'_>, out: &mut [f32]) {
        product(query, key.turned(), self.scale(), out);
        arch().dispatch(Softmax { rows: out, width: self.tokens });
    }

    /// What each token gathers: `N x T x 3C`, queries, keys and values, to `N x T x C`.
    pub fn forward(&self, qkv: &[f32], out: &mut [f32]) {
        let (tokens, channels, heads) = (self.tokens, self.channels(), self.pictures(qkv) * self.heads);
        assert_eq!(out.len(), qkv.len() / 3, "there is room for each token");
        let out = Parts::new(out);
        (0..heads).into_par_iter().for_each_init(Scratch::default, |scratch, head| {
            let [query, key, value] = self.parts(qkv, head);
            let shares = grown(&mut scratch.shares, tokens * tokens);
            self.shares(query, key, shares);
            let rows = grown(&mut scratch.rows, tokens * self.width);
            product(Matrix::new(shares, tokens, tokens, tokens), value, 1.0, rows);
            self.put(rows, channels, head, 0, out);
        });
    }

    /// The gradient of queries, keys and values for that of the output.
    pub fn backward(&self, qkv: &[f32], gradient: &[f32], out: &mut [f32]) {
        let (tokens, channels, heads) = (self.tokens, self.channels(), self.pictures(qkv) * self.heads);
        assert!(gradient.len() == qkv.len() / 3 && out.len() == qkv.len(), "there is a gradient of each value");
        let out = Parts::new(out);
        (0..heads).into_par_iter().for_each_init(Scratch::default, |scratch, head| {
            let [query, key, value] = self.parts(qkv, head);
            let first = head / self.heads * tokens * channels + head % self.heads * self.width;
            let gathered = Matrix::new(&gradient[first..], tokens, self.width, channels);
            let shares = grown(&mut scratch.shares, tokens * tokens);
            self.shares(query, key, shares);
            let of_shares = grown(&mut scratch.gradients, tokens * tokens);
            product(gathered, value.turned(), 1.0, of_shares);
            let rows = grown(&mut scratch.rows, tokens * self.width);
            product(Matrix::new(shares, tokens, tokens, tokens).turned(), gathered, 1.0, rows);
            self.put(rows, 3 * channels, head, 2 * channels, out);
            arch().dispatch(OfSoftmax { shares, gradients: &mut *of_shares, width: tokens });
            let of_scores = Matrix::new(of_shares, tokens, tokens, tokens);
            product(of_scores, key, self.scale(), rows);
            self.put(rows, 3 * channels, head, 0, out);
            product(of_scores.turned(), query, self.scale(), rows);
            self.put(rows, 3 * channels, head, channels, out);
        });
    }

    /// Puts the rows of a head to their places in rows of `row` values, `skipped` behind its first.
    fn put(&self, rows: &[f32], row: usize, head: usize, skipped: usize, out: Parts<'_>) {
        let (picture, head) = (head / self.heads, head % self.heads);
        for (token, values) in rows.chunks_exact(self.width).enumerate() {
            let place = (picture * self.tokens + token) * row + skipped + head * self.width;
            // SAFETY: no other head of any picture has these channels, and each is put once at a time.
            unsafe { out.part(place, self.width) }.copy_from_slice(values);
        }
    }
}

/// The softmax of rows.
struct Softmax<'a> {
    rows: &'a mut [f32],
    width: usize,
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for row in self.rows.chunks_exact_mut(self.width) {
            let whole = row.len() / S::F32_LANES * S::F32_LANES;
            let mut most = simd.splat_f32s(f32::NEG_INFINITY);
            for x in row[..whole].chunks_exact(S::F32_LANES) {
                most = simd.max_f32s(most, load(simd, x));
            }
            // Zeros behind a short vector are no numbers of the row.
            let most = row[whole..].iter().copied().fold(simd.reduce_max_f32s(most), f32::max);
            let middle = simd.splat_f32s(most);
            let mut sum = simd.splat_f32s(0.0);
            let mut rest = 0.0;
            for x in row.chunks_mut(S::F32_LANES) {
                let y = exp(simd, simd.sub_f32s(load(simd, x), middle));
                store(simd, x, y);
                if x.len() == S::F32_LANES {
                    sum = simd.add_f32s(sum, y);
                } else {
                    rest = x.iter().sum();
                }
            }
            let share = simd.splat_f32s(1.0 / (simd.reduce_sum_f32s(sum) + rest));
            for x in row.chunks_mut(S::F32_LANES) {
                let y = simd.mul_f32s(load(simd, x), share);
                store(simd, x, y);
            }
        }
    }
}

/// The gradients of what the softmax was taken of, in place of those of its rows.
struct OfSoftmax<'a> {
    shares: &'a [f32],
    gradients: &'a mut [f32],
    width: usize,
}

impl WithSimd for OfSoftmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.shares.chunks_exact(self.width).zip(self.gradients.chunks_exact_mut(self.width));
        for (shares, gradients) in rows {
            let mut sum = simd.splat_f32s(0.0);
            for (y, g) in shares.chunks(S::F32_LANES).zip(gradients.chunks(S::F32_LANES)) {
                sum = simd.mul_add_f32s(load(simd, y), load(simd, g), sum);
            }
            let mean = simd.splat_f32s(simd.reduce_sum_f32s(sum));
            for (y, g) in shares.chunks(S::F32_LANES).zip(gradients.chunks_mut(S::F32_LANES)) {
                let of_score = simd.mul_f32s(load(simd, y), simd.sub_f32s(load(simd, g), mean));
                store(simd, g, of_score);
            }
        }
    }
}
