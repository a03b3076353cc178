//! Forward passes of frozen networks on the CPU: `N x H x W x C`, `f32`, fused, vectorised for
//! whatever the processor has at run time, and the same bits whatever the batch and the
//! number of threads.

#![allow(clippy::inline_always, reason = "what is compiled for each kind of processor must be inlined to be so")]
#![allow(clippy::needless_range_loop, reason = "loops over registers read better with their numbers")]

pub mod attention;
pub mod bf16;
mod columns;
mod convolution;
mod dense;
mod depthwise;
mod functions;
pub mod gelu;
pub mod layer_norm;
pub mod level;
mod maps;
pub mod normalise;
mod packed;
mod pool;
mod product;
mod spare;
mod step;
pub mod training;
mod value;
mod winograd;

pub use columns::column_sums;
pub use convolution::Convolution;
pub use dense::{Left, Product, dots, outer};
pub use depthwise::Depthwise;
pub(crate) use level::arch;
pub use maps::{Maps, Scratch};
pub use pool::{add_relu, average, average_gradient, max_pool_3x3, max_pool_3x3_gradient, pass_where_positive, pooled};
pub use spare::Spare;
pub use step::{BETA2, EPS, Moments, Rule, norm};
pub use value::{FusedConvolution, Value};

use crate::Result;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, DType, Device, Layout, Storage, Tensor};
use pulp::Simd;
use rayon::prelude::*;
use std::marker::PhantomData;

/// Pixels that are turned from planes into channels at once.
const TURNED: usize = 1 << 12;

/// The first `len` values of a buffer that is kept between calls, which grows when it must.
pub fn grown<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    &mut buffer[..len]
}

/// The values of a contiguous tensor on the CPU.
pub(crate) fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&values[from..to]),
        _ => candle_core::bail!("this takes contiguous f32 tensors"),
    }
}

/// Hands over the values of a tensor in row order, without a copy where they lie so.
pub fn read<T>(x: &Tensor, take: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let x = x.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    Ok(match &*storage {
        Storage::Cpu(storage) if storage.dtype() == DType::F32 => take(values(storage, layout)?),
        _ => take(&x.flatten_all()?.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec1::<f32>()?),
    })
}

/// A slice that several threads write to, each its own parts.
#[derive(Clone, Copy)]
struct Parts<'a, T = f32> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: the only access is `part`, whose caller promises that no two parts overlap.
unsafe impl<T: Send> Send for Parts<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// The values `at .. at + len`.
    ///
    /// # Safety
    /// While the part lives no other part may hold any of its values.
    unsafe fn part(&self, at: usize, len: usize) -> &'a mut [T] {
        assert!(at <= self.len && len <= self.len - at, "a part lies within its slice");
        // SAFETY: it lies within the slice, and the caller promises that it is the only one there.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), len) }
    }
}

/// The values of a slice of at most a vector, zeros behind.
#[inline(always)]
fn load<S: Simd>(simd: S, values: &[f32]) -> S::f32s {
    match S::as_simd_f32s(values) {
        ([whole], []) => *whole,
        _ => simd.partial_load_f32s(values),
    }
}

/// `N x C x P` to `N x P x C`.
pub fn turn(x: &[f32], pixels: usize, channels: usize, out: &mut [f32]) {
    for (image, out) in x.chunks_exact(pixels * channels).zip(out.chunks_exact_mut(pixels * channels)) {
        out.par_chunks_mut(TURNED * channels).enumerate().for_each(|(part, out)| {
            for (p, out) in out.chunks_exact_mut(channels).enumerate() {
                for (c, o) in out.iter_mut().enumerate() {
                    *o = image[c * pixels + part * TURNED + p];
                }
            }
        });
    }
}

/// Values in the order `N x H x W x C` as a tensor `N x C x H x W`.
pub fn planes(values: Vec<f32>, maps: Maps, channels: usize) -> Result<Tensor> {
    let shape = (maps.images, maps.height, maps.width, channels);
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.permute((0, 3, 1, 2))?)
}

/// Writes the first values of a vector.
#[inline(always)]
fn store<S: Simd>(simd: S, to: &mut [f32], vector: S::f32s) {
    if to.len() == S::F32_LANES {
        S::as_mut_simd_f32s(to).0[0] = vector;
    } else {
        simd.partial_store_f32s(to, vector);
    }
}

#[cfg(test)]
mod test_tensors {
    use candle_core::Tensor;

    /// The values of `N x C x H x W` in the order `N x H x W x C`.
    pub fn nhwc(t: &Tensor) -> Vec<f32> {
        t.permute((0, 2, 3, 1)).and_then(|t| t.flatten_all()?.to_vec1()).expect("values")
    }
}
