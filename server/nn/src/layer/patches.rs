//! Cutting maps into patches, so that a convolution whose kernel is its step is one product.

use crate::Result;
use candle_core::Tensor;

/// The patches of `size` rows and columns of `N x H x W x C`, each `C x size x size` values in a
/// row as convolutions' weights have them: `N x H/size x W/size x (C * size * size)`. Rows and
/// columns that fill no patch are left out, as by a convolution without padding.
pub fn patches_nhwc(x: &Tensor, size: usize) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    let (rows, columns) = (h / size, w / size);
    let x = x.narrow(1, 0, rows * size)?.narrow(2, 0, columns * size)?.contiguous()?;
    let cut = x.reshape(&[n, rows, size, columns, size, c][..])?.permute(vec![0, 1, 3, 5, 2, 4])?;
    Ok(cut.contiguous()?.reshape((n, rows, columns, c * size * size))?)
}
