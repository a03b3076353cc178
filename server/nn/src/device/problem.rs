//! Why a GPU cannot be used, each with what to do.

use std::any::Any;

/// What keeps a GPU from computing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The program has no code for GPUs.
    #[error("this program was built without CUDA; build it with `--features cuda,cudnn` (docs/gpu.md says how)")]
    NotBuilt,
    /// There is no driver.
    #[error("no NVIDIA driver was found; install it, or compute with `--device cpu`")]
    NoDriver,
    /// The driver is older than what the program was built with.
    #[error("the NVIDIA driver is too old for this program; install a newer one (docs/gpu.md says which)")]
    OldDriver,
    /// The driver shows no GPU.
    #[error("the driver shows no GPU; is CUDA_VISIBLE_DEVICES empty, or the GPU not given to this container?")]
    NoGpu,
    /// There are fewer GPUs.
    #[error("there is no GPU of this number; `virboard doctor` lists those that there are")]
    NoSuchGpu,
    /// One of CUDA's libraries is missing.
    #[error(
        "the library {0} was not found; put its folder on LD_LIBRARY_PATH (`virboard doctor` says what is found where)"
    )]
    NoLibrary(String),
    /// The kernels are for other GPUs.
    #[error(
        "the program has no code for GPUs of this kind; build it with CUDA_COMPUTE_CAP set to this GPU's compute capability, which `virboard doctor` says"
    )]
    Architecture,
    /// Its memory is full.
    #[error("the GPU's memory is full; end what else uses it (`nvidia-smi` lists that), or lower --memory-mb")]
    OutOfMemory,
    /// It computes, but not what it should.
    #[error("the GPU computes wrongly: {0}")]
    Wrong(String),
    /// Anything else, as the system said it.
    #[error("{0}")]
    Other(String),
}

/// What CUDA's libraries say, and what that means.
const SIGNS: [(&str, Problem); 18] = [
    ("OUT_OF_MEMORY", Problem::OutOfMemory),
    ("out of memory", Problem::OutOfMemory),
    ("STATUS_ALLOC_FAILED", Problem::OutOfMemory),
    ("ALLOCATION_FAILED", Problem::OutOfMemory),
    ("NO_DEVICE", Problem::NoGpu),
    ("INVALID_DEVICE", Problem::NoSuchGpu),
    ("STUB_LIBRARY", Problem::NoDriver),
    ("INSUFFICIENT_DRIVER", Problem::OldDriver),
    ("SYSTEM_DRIVER_MISMATCH", Problem::OldDriver),
    ("COMPAT_NOT_SUPPORTED", Problem::OldDriver),
    ("UNSUPPORTED_PTX_VERSION", Problem::OldDriver),
    ("NO_BINARY_FOR_GPU", Problem::Architecture),
    ("NO_KERNEL_IMAGE", Problem::Architecture),
    ("INVALID_PTX", Problem::Architecture),
    ("ARCH_MISMATCH", Problem::Architecture),
    ("INVALID_SOURCE", Problem::Architecture),
    ("libcuda.so", Problem::NoDriver),
    ("\"cuda\" shared library", Problem::NoDriver),
];

impl Problem {
    /// What a message of candle, cudarc or CUDA means.
    #[must_use]
    pub fn of(message: &str) -> Self {
        if let Some((_, problem)) = SIGNS.iter().find(|(sign, _)| message.contains(sign)) {
            return problem.clone();
        }
        // cudarc: Unable to dynamically load the "cudnn" shared library - searched for ...
        let library = message.split_once("dynamically load the \"").and_then(|(_, rest)| rest.split_once('"'));
        match library {
            Some((name, _)) => Self::NoLibrary(name.to_owned()),
            None => Self::Other(message.lines().next().unwrap_or("it failed without a word").to_owned()),
        }
    }

    /// What a panic means.
    #[must_use]
    pub fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Self::of(text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default())
    }

    /// Whether a computation failed for want of the GPU's memory.
    #[must_use]
    pub fn is_out_of_memory(error: &crate::Error) -> bool {
        matches!(error, crate::Error::Candle(e) if Self::of(&e.to_string()) == Self::OutOfMemory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cuda_says_becomes_a_sentence_with_what_to_do() {
        let said = |message: &str| Problem::of(message).to_string();
        for (message, wanted) in [
            ("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")", "memory is full"),
            ("CublasError(CUBLAS_STATUS_ALLOC_FAILED)", "memory is full"),
            ("DriverError(CUDA_ERROR_NO_DEVICE, \"no CUDA-capable device is detected\")", "shows no GPU"),
            ("DriverError(CUDA_ERROR_INVALID_DEVICE, \"invalid device ordinal\")", "no GPU of this number"),
            ("DriverError(CUDA_ERROR_NO_BINARY_FOR_GPU, \"x\") when loading conv", "CUDA_COMPUTE_CAP"),
            ("DriverError(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, \"x\")", "too old"),
            ("Unable to dynamically load the \"cuda\" shared library - searched for", "no NVIDIA driver"),
            ("Unable to dynamically load the \"cudnn\" shared library - searched for", "library cudnn was not found"),
        ] {
            assert!(said(message).contains(wanted), "{message}: {}", said(message));
        }
        assert_eq!(said("odd\nbacktrace"), "odd");
        let panic = std::panic::catch_unwind(|| panic!("the \"curand\" one: dynamically load the \"curand\" shared"));
        let said = Problem::of_panic(&*panic.expect_err("it panics")).to_string();
        assert!(said.contains("LD_LIBRARY_PATH"), "{said}");
    }
}
