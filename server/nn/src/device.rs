//! Which device computes.

pub mod libraries;
pub mod machine;
mod problem;

use crate::{Error, Result};
pub use candle_core::Device;
#[cfg(feature = "cuda")]
use candle_core::cuda::cudarc::driver::{DriverError, result, sys};
use candle_core::{DType, Tensor};
pub use problem::Problem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Opens a device: `auto` (the first GPU if there is one, else the CPU), `cpu` or `cuda:N`.
///
/// # Errors
/// [`Error::Device`] if the name is none of these, or with what keeps the GPU from computing
/// (see [`Problem`]). `auto` never fails for these reasons. [`Error::Instructions`] if the
/// environment asks for loops that this processor cannot run.
pub fn open(name: &str) -> Result<Device> {
    crate::cpu::level::check()?;
    let bad = |reason: String| Error::Device { device: name.to_owned(), reason };
    match name {
        "cpu" => Ok(Device::Cpu),
        "auto" => match gpu(0) {
            Ok(device) => Ok(device),
            Err(Problem::NotBuilt) => Ok(Device::Cpu),
            Err(reason) => {
                tracing::info!(%reason, "computing on the CPU");
                Ok(Device::Cpu)
            }
        },
        _ => {
            let index = name.strip_prefix("cuda:").and_then(|n| n.parse().ok());
            let index = index.ok_or_else(|| bad("known are auto, cpu and cuda:0, cuda:1, ...".to_owned()))?;
            gpu(index).map_err(|problem| bad(problem.to_string()))
        }
    }
}

/// The device's name as results record it: `cpu`, or `cuda` with the GPU's model.
#[must_use]
pub fn name(device: &Device) -> String {
    match device {
        Device::Cpu => "cpu".to_owned(),
        Device::Cuda(gpu) => model(gpu).map_or_else(|| "cuda".to_owned(), |model| format!("cuda ({model})")),
        Device::Metal(_) => "metal".to_owned(),
    }
}

#[cfg(feature = "cuda")]
fn model(gpu: &candle_core::CudaDevice) -> Option<String> {
    gpu.cuda_stream().context().name().ok()
}

#[cfg(not(feature = "cuda"))]
fn model(_gpu: &candle_core::CudaDevice) -> Option<String> {
    None
}

/// A GPU that has computed something.
fn gpu(index: usize) -> std::result::Result<Device, Problem> {
    if !cfg!(feature = "cuda") {
        return Err(Problem::NotBuilt);
    }
    libraries::check(libraries::Library::find)?;
    // One stream for all threads: candle's other way gives each thread its own, which wait for nothing of each other.
    tried(|| Device::new_cuda_with_stream(index).inspect(settle))
}

/// Has the GPU work in the order of its one stream without a record for every tensor, and keep freed memory for what
/// comes next, of which a training step asks for gigabytes.
#[cfg(feature = "cuda")]
fn settle(device: &Device) {
    let Device::Cuda(gpu) = device else { return };
    // SAFETY: all work of this program goes to this stream, which the device has made and keeps.
    unsafe { gpu.disable_event_tracking() };
    let mut kept = u64::MAX;
    let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the pool is that of an open device, and the attribute is a number of 64 bits.
    let set =
        unsafe { pool(gpu).and_then(|pool| result::mem_pool::set_attribute(pool, attribute, (&raw mut kept).cast())) };
    if let Err(reason) = set {
        tracing::warn!(%reason, "the GPU gives freed memory back at once, which slows training down");
    }
}

/// Where a device takes its memory from.
#[cfg(feature = "cuda")]
fn pool(gpu: &candle_core::CudaDevice) -> std::result::Result<sys::CUmemoryPool, DriverError> {
    // SAFETY: the device is open.
    unsafe { result::device::get_mem_pool(gpu.cuda_stream().context().cu_device()) }
}

/// Gives memory that a GPU keeps for later back to it.
///
/// # Errors
/// If the device fails.
pub fn give_back(device: &Device) -> Result<()> {
    device.synchronize()?;
    #[cfg(feature = "cuda")]
    if let Device::Cuda(gpu) = device {
        // SAFETY: the pool is that of an open device.
        unsafe { pool(gpu).and_then(|pool| result::mem_pool::trim_to(pool, 0)) }.map_err(candle_core::Error::wrap)?;
    }
    Ok(())
}

#[cfg(not(feature = "cuda"))]
const fn settle(_device: &Device) {}

/// Opens a device and computes on it: what is missing or does not fit shows here, not amid work.
/// cudarc panics where a library is missing, which becomes a [`Problem`] like any other.
fn tried(open: impl FnOnce() -> candle_core::Result<Device>) -> std::result::Result<Device, Problem> {
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let device = open()?;
        let sum = first_sum(&device)?;
        Ok::<_, candle_core::Error>((device, sum))
    }));
    match attempt {
        Ok(Ok((device, SUM))) => Ok(device),
        Ok(Ok((_, sum))) => Err(Problem::Wrong(format!("a sum of {SUM} came out as {sum}"))),
        Ok(Err(error)) => Err(Problem::of(&error.to_string())),
        Err(panic) => Err(Problem::of_panic(&*panic)),
    }
}

/// What [`first_sum`] is: a 3 x 3 window of ones over 8 x 8 pixels sees 22 x 22 of them, for
/// each of 4 x 4 channels; the product doubles it.
const SUM: f32 = 2.0 * 4.0 * 4.0 * 22.0 * 22.0;

/// A convolution, a product of matrices and a sum, all of ones and twos.
fn first_sum(device: &Device) -> candle_core::Result<f32> {
    let ones = |shape: (usize, usize, usize, usize)| Tensor::ones(shape, DType::F32, device);
    let maps = ones((1, 4, 8, 8))?.conv2d(&ones((4, 4, 3, 3))?, 1, 1, 1, 1)?;
    let product = maps.reshape((4, 64))?.matmul(&(Tensor::ones((64, 64), DType::F32, device)? * (2.0 / 64.0))?)?;
    product.sum_all()?.to_scalar()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_always_opens_and_nonsense_is_named() {
        assert!(open("auto").and_then(|device| give_back(&device)).is_ok());
        let message = open("gpu").expect_err("there is no device called gpu").to_string();
        assert!(message.contains("gpu") && message.contains("cuda:0"), "{message}");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn cuda_without_cuda_says_how_to_get_it() {
        let message = open("cuda:0").expect_err("built without CUDA").to_string();
        assert!(message.contains("--features cuda"), "{message}");
    }

    #[test]
    fn whatever_fails_when_a_gpu_opens_is_a_sentence_and_never_a_panic() {
        assert!(tried(|| Ok(Device::Cpu)).is_ok_and(|d| d.is_cpu()), "the CPU sums right");
        let missing = "Unable to dynamically load the \"cudnn\" shared library - searched for [..]";
        assert_eq!(tried(|| panic!("{missing}")).err(), Some(Problem::NoLibrary("cudnn".to_owned())));
        let fails = |message: &'static str| tried(move || Err(candle_core::Error::Msg(message.to_owned()))).err();
        assert_eq!(fails("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")"), Some(Problem::OutOfMemory));
        assert_eq!(fails("DriverError(CUDA_ERROR_NO_BINARY_FOR_GPU, \"\")"), Some(Problem::Architecture));
        assert_eq!(fails("DriverError(CUDA_ERROR_INSUFFICIENT_DRIVER, \"\")"), Some(Problem::OldDriver));
    }
}
