//! Sums over rows: the gradient of a bias.

use super::{arch, load, store};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Rows that a task works on. What a task sums up is the same on any number of threads.
const ROWS: usize = 64;

/// The sum of each column of rows of `width` values.
#[must_use]
pub fn column_sums(x: &[f32], width: usize) -> Vec<f32> {
    let parts: Vec<Vec<f32>> = x
        .par_chunks(ROWS * width)
        .map(|x| {
            let mut sums = vec![0f32; width];
            arch().dispatch(Columns { x, sums: &mut sums });
            sums
        })
        .collect();
    (0..width).map(|c| parts.iter().map(|p| f64::from(p[c])).sum::<f64>() as f32).collect()
}

struct Columns<'a> {
    x: &'a [f32],
    sums: &'a mut [f32],
}

impl WithSimd for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for row in self.x.chunks_exact(self.sums.len()) {
            for (sums, row) in self.sums.chunks_mut(S::F32_LANES).zip(row.chunks(S::F32_LANES)) {
                let sum = simd.add_f32s(load(simd, sums), load(simd, row));
                store(simd, sums, sum);
            }
        }
    }
}
