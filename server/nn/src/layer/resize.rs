//! Changing the size of maps, with gradients.

use crate::Result;
use candle_core::Tensor;

/// Where the samples of a resized map lie (PyTorch's `align_corners`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corners {
    /// Pixels are areas: `align_corners=False`.
    Areas,
    /// The centres of the corner pixels coincide: `align_corners=True`.
    Aligned,
}

/// PyTorch's `pixel_shuffle` by 2 for `N x H x W x 4C`: `N x 2H x 2W x C`.
pub fn pixel_shuffle_nhwc(x: &Tensor) -> Result<Tensor> {
    let (n, h, w, c4) = x.dims4()?;
    let c = c4 / 4;
    Ok(x.reshape(&[n, h, w, c, 2, 2][..])?.permute(vec![0, 1, 4, 2, 5, 3])?.contiguous()?.reshape((
        n,
        2 * h,
        2 * w,
        c,
    ))?)
}

/// Bilinear resize of `N x H x W x C` by two products with fixed matrices, which have a
/// gradient; candle's own upsampling has none.
pub fn resize_bilinear_nhwc(x: &Tensor, height: usize, width: usize, corners: Corners) -> Result<Tensor> {
    let (_, h, w, _) = x.dims4()?;
    if (h, w) == (height, width) {
        return Ok(x.clone());
    }
    resample_nhwc(x, &interpolation(h, height, corners), &interpolation(w, width, corners))
}

/// Sums of weighted rows or columns: for each of the target's, which of the source's count how much.
pub type Taps = Vec<Vec<(usize, f32)>>;

/// Makes new rows of `N x H x W x C`, and of them new columns.
pub fn resample_nhwc(x: &Tensor, rows: &Taps, columns: &Taps) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    let (height, width) = (rows.len(), columns.len());
    let x = x.contiguous()?;
    let rows = matrix(rows, h, &x)?.broadcast_as((n, height, h))?.contiguous()?;
    let x = rows.matmul(&x.reshape((n, h, w * c))?)?.reshape((n * height, w, c))?;
    let columns = matrix(columns, w, &x)?.broadcast_as((n * height, width, w))?.contiguous()?;
    Ok(columns.matmul(&x)?.reshape((n, height, width, c))?)
}

fn matrix(taps: &Taps, from: usize, like: &Tensor) -> Result<Tensor> {
    let mut matrix = vec![0f32; taps.len() * from];
    for (row, taps) in matrix.chunks_exact_mut(from).zip(taps) {
        for (source, weight) in taps {
            row[*source] += weight;
        }
    }
    Ok(Tensor::from_vec(matrix, (1, taps.len(), from), like.device())?)
}

/// The taps at positions between `from` rows or columns, linear between the nearest two.
#[must_use]
pub fn linear_taps(from: usize, positions: impl Iterator<Item = f64>) -> Taps {
    let tap = |position: f64| {
        let (low, high, weight) = split(position.max(0.0), from);
        vec![(low, 1.0 - weight), (high, weight)]
    };
    positions.map(tap).collect()
}

/// The taps of PyTorch's bicubic interpolation to `to` rows or columns (`align_corners=False`,
/// no antialiasing, a = -0.75).
#[must_use]
pub fn bicubic_taps(from: usize, to: usize) -> Taps {
    const A: f64 = -0.75;
    let weight = |distance: f64| match distance.abs() {
        d if d <= 1.0 => ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0,
        d if d < 2.0 => ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A,
        _ => 0.0,
    };
    let tap = |target: usize| {
        let position = (target as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        let first = position.floor() as isize - 1;
        let source = |at: isize| at.clamp(0, from as isize - 1) as usize;
        (first..first + 4).map(|at| (source(at), weight(position - at as f64) as f32)).collect()
    };
    (0..to).map(tap).collect()
}

/// The two source positions of a target row or column and the second one's weight, for
/// [`Corners::Areas`].
#[must_use]
pub fn bilinear_tap(target: usize, from: usize, to: usize) -> (usize, usize, f32) {
    let position = ((target as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
    split(position, from)
}

fn split(position: f64, from: usize) -> (usize, usize, f32) {
    let low = (position as usize).min(from - 1);
    (low, (low + 1).min(from - 1), (position - low as f64) as f32)
}

fn interpolation(from: usize, to: usize, corners: Corners) -> Taps {
    let tap = |target: usize| {
        let (low, high, weight) = match corners {
            Corners::Areas => bilinear_tap(target, from, to),
            Corners::Aligned if to == 1 => (0, 0, 0.0),
            Corners::Aligned => split(target as f64 * (from - 1) as f64 / (to - 1) as f64, from),
        };
        vec![(low, 1.0 - weight), (high, weight)]
    };
    (0..to).map(tap).collect()
}
