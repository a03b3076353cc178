//! Where a kernel's taps lie on maps, and convolutions of them one after the other.

use crate::Result;
use candle_core::{DType, Tensor};

/// How a kernel moves over a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Pixels from one place to the next.
    pub stride: usize,
    /// Zeros on all four sides.
    pub padding: usize,
    /// Pixels between its taps; 1 unless the stride is 1.
    pub dilation: usize,
}

impl Geometry {
    /// That of a kernel with an odd side that keeps the size.
    #[must_use]
    pub const fn same(kernel: usize, dilation: usize) -> Self {
        Self { stride: 1, padding: dilation * (kernel / 2), dilation }
    }

    /// That of a kernel with an odd side that makes one pixel of so many in both directions.
    #[must_use]
    pub const fn strided(kernel: usize, stride: usize) -> Self {
        Self { stride, padding: kernel / 2, dilation: 1 }
    }

    /// Rows or columns that a kernel makes of `n`; none where it does not fit.
    #[must_use]
    pub const fn outputs(self, n: usize, kernel: usize) -> Option<usize> {
        match (n + 2 * self.padding).checked_sub(self.dilation * (kernel - 1) + 1) {
            Some(free) => Some(free / self.stride + 1),
            None => None,
        }
    }
}

/// A convolution of each channel on its own, in tensor operations on any device. (candle's own computes one channel
/// after the other.)
///
/// `x` is `N x H x W x C`, `weight` is `C x 1 x K x K`; the output is `N x H' x W' x C` in the type of `x`, summed in
/// `f32`.
pub fn depthwise_nhwc(x: &Tensor, weight: &Tensor, geometry: Geometry) -> Result<Tensor> {
    let (channels, _, k, _) = weight.dims4()?;
    let weight = weight.to_dtype(DType::F32)?.reshape((channels, k * k))?;
    let (mut nth, mut sum): (_, Option<Tensor>) = (0, None);
    each_tap(&x.to_dtype(DType::F32)?, k, geometry, |tap| {
        let product = tap.broadcast_mul(&weight.narrow(1, nth, 1)?.flatten_all()?)?;
        sum = Some(match sum.take() {
            Some(sum) => (sum + product)?,
            None => product,
        });
        nth += 1;
        Ok(())
    })?;
    let (_, h, w, _) = x.dims4()?;
    Ok(sum.ok_or_else(|| no_room(k, h, w))?.to_dtype(x.dtype())?)
}

/// Hands over what each of K x K taps sees of `N x H x W x C`, row by row, `N x H' x W' x C` each: the pixels that leave
/// the same rest by the stride lie side by side first, so that every tap is a rectangle of them.
pub(crate) fn each_tap(
    x: &Tensor,
    k: usize,
    geometry: Geometry,
    mut take: impl FnMut(Tensor) -> Result<()>,
) -> Result<()> {
    let (n, h, w, c) = x.dims4()?;
    let Geometry { stride, padding, dilation } = geometry;
    let (Some(rows), Some(columns)) = (geometry.outputs(h, k), geometry.outputs(w, k)) else {
        return Err(no_room(k, h, w).into());
    };
    let reach = dilation * (k - 1);
    // As many blocks of `stride` rows and columns as the last tap of the last output reaches.
    let [high, wide] = [rows, columns].map(|n| n + reach / stride);
    let fit = |x: &Tensor, dim: usize, blocks: usize| -> Result<Tensor> {
        let (have, want) = (x.dim(dim)? + padding, blocks * stride);
        let x = x.pad_with_zeros(dim, padding, want.saturating_sub(have))?;
        Ok(x.narrow(dim, 0, want)?)
    };
    let x = fit(&fit(x, 1, high)?, 2, wide)?.reshape(&[n, high, stride, wide, stride, c][..])?;
    for y in (0..k).map(|tap| tap * dilation) {
        let rows = x.narrow(2, y % stride, 1)?.narrow(1, y / stride, rows)?;
        for x in (0..k).map(|tap| tap * dilation) {
            let tap = rows.narrow(4, x % stride, 1)?.narrow(3, x / stride, columns)?;
            take(tap.contiguous()?.reshape((n, rows.dim(1)?, columns, c))?)?;
        }
    }
    Ok(())
}

/// That a kernel finds no place.
pub(crate) fn no_room(kernel: usize, height: usize, width: usize) -> candle_core::Error {
    candle_core::Error::Msg(format!("a kernel of {kernel} x {kernel} does not fit maps of {height} x {width}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, assert_within, values};

    #[test]
    fn depthwise_convolutions_are_candles_grouped_ones() {
        for (k, stride, padding) in [(3, 1, 1), (3, 2, 1), (5, 1, 2), (5, 2, 0), (7, 1, 3)] {
            let random = Random::new("depthwise convolutions");
            let (x, weight) = (random.normal(1.0, (2, 6, 11, 9)), random.normal(1.0, (6, 1, k, k)));
            let wanted = x.conv2d(&weight, padding, stride, 1, 6).expect("candle's own");
            let nhwc = x.permute((0, 2, 3, 1)).expect("a tensor");
            let y = depthwise_nhwc(&nhwc, &weight, Geometry { stride, padding, dilation: 1 }).expect("ours");
            let y = y.permute((0, 3, 1, 2)).expect("a tensor");
            assert_eq!(y.dims(), wanted.dims());
            assert_within(format!("{k} by {stride}"), &values(&y), &values(&wanted), 2e-5);
        }
    }
}
