//! Which device computes.

use crate::{Error, Result};
pub use candle_core::Device;

/// Opens a device: `auto` (the first GPU if there is one, else the CPU), `cpu` or `cuda:N`.
///
/// # Errors
/// [`Error::Device`] if the name is none of these, if the program was built without
/// CUDA, or if the driver or the GPU is missing. `auto` never fails for these reasons.
/// [`Error::Instructions`] if the environment asks for loops that this processor cannot run.
pub fn open(name: &str) -> Result<Device> {
    crate::cpu::level::check()?;
    let bad = |reason: &str| Error::Device { device: name.to_owned(), reason: reason.to_owned() };
    match name {
        "cpu" => Ok(Device::Cpu),
        "auto" => match cuda(0) {
            Ok(device) => Ok(device),
            Err(reason) => {
                tracing::info!(%reason, "computing on the CPU");
                Ok(Device::Cpu)
            }
        },
        _ => {
            let index = name.strip_prefix("cuda:").and_then(|n| n.parse().ok());
            let index = index.ok_or_else(|| bad("known are auto, cpu and cuda:0, cuda:1, ..."))?;
            cuda(index).map_err(|reason| bad(&reason))
        }
    }
}

/// The device's name as results record it: `cpu` or `cuda`.
#[must_use]
pub fn name(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Metal(_) => "metal",
    }
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> std::result::Result<Device, String> {
    // Built to load the driver's library at run time, candle panics where there is none.
    match std::panic::catch_unwind(|| Device::new_cuda(index)) {
        Ok(opened) => opened.map_err(|e| e.to_string()),
        Err(_) => Err("no NVIDIA driver was found".to_owned()),
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda(_index: usize) -> std::result::Result<Device, String> {
    Err("this program was built without CUDA; build it with `--features cuda`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_always_opens_and_nonsense_is_named() {
        assert!(open("auto").is_ok());
        let message = open("gpu").expect_err("there is no device called gpu").to_string();
        assert!(message.contains("gpu") && message.contains("cuda:0"), "{message}");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn cuda_without_cuda_says_how_to_get_it() {
        let message = open("cuda:0").expect_err("built without CUDA").to_string();
        assert!(message.contains("--features cuda"), "{message}");
    }
}
