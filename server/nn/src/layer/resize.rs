//! Changing the size of maps, with gradients.

use crate::Result;
use candle_core::{DType, Tensor};

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
    let (n, h, w, c) = x.dims4()?;
    if (h, w) == (height, width) {
        return Ok(x.clone());
    }
    let x = x.contiguous()?;
    let rows = interpolation(h, height, corners, &x)?.broadcast_as((n, height, h))?.contiguous()?;
    let x = rows.matmul(&x.reshape((n, h, w * c))?)?.reshape((n * height, w, c))?;
    let columns = interpolation(w, width, corners, &x)?.broadcast_as((n * height, width, w))?.contiguous()?;
    Ok(columns.matmul(&x)?.reshape((n, height, width, c))?)
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

fn interpolation(from: usize, to: usize, corners: Corners, like: &Tensor) -> Result<Tensor> {
    let mut matrix = vec![0f32; to * from];
    for t in 0..to {
        let (low, high, weight) = match corners {
            Corners::Areas => bilinear_tap(t, from, to),
            Corners::Aligned if to == 1 => (0, 0, 0.0),
            Corners::Aligned => split(t as f64 * (from - 1) as f64 / (to - 1) as f64, from),
        };
        matrix[t * from + low] += 1.0 - weight;
        matrix[t * from + high] += weight;
    }
    Ok(Tensor::from_vec(matrix, (1, to, from), like.device())?.to_dtype(DType::F32)?)
}
