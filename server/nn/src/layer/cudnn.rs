//! What operations by cuDNN have in common.

use candle_core::cuda::CudaDType;
use candle_core::cuda::cudarc::driver::CudaView;
use candle_core::{CudaStorage, Layout, Result};

/// What an operation takes: values, and where among them its tensor lies.
pub(super) type Operand<'a> = (&'a CudaStorage, &'a Layout);

/// The values of a contiguous tensor.
pub(super) fn view<T: CudaDType>((storage, layout): Operand<'_>) -> Result<CudaView<'_, T>> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(storage.as_cuda_slice::<T>()?.slice(from..to)),
        None => candle_core::bail!("this takes contiguous tensors"),
    }
}
