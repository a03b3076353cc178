//! What this machine computes with.

use crate::cpu::{bf16, level};
use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use serde::Serialize;

/// The processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Processor {
    /// As it calls itself.
    pub name: String,
    /// Threads that compute.
    pub threads: usize,
    /// Instructions that the loops run with: `v4` (AVX-512), `v3` (AVX2) or `scalar`.
    pub instructions: &'static str,
    /// Whether it has bfloat16 (AVX512-BF16).
    pub bf16: bool,
}

/// This machine's processor.
#[must_use]
pub fn processor() -> Processor {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim()));
    Processor {
        name: name.unwrap_or(std::env::consts::ARCH).to_owned(),
        threads: rayon::current_num_threads(),
        instructions: level::current().name(),
        bf16: bf16::supported(),
    }
}

/// A GPU, as its driver tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// Its model.
    pub name: String,
    /// Bytes of its memory.
    pub memory: u64,
    /// Bytes of it that are in use, by whomever.
    pub used: u64,
    /// Its kind, such as `9.0`.
    pub compute_capability: String,
}

/// The driver and its GPUs, in the driver's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gpus {
    /// The driver's version.
    pub driver: String,
    /// The GPUs.
    pub gpus: Vec<Gpu>,
}

/// Asks the driver for its GPUs, whether or not this program was built for them.
///
/// # Errors
/// One sentence, where there is no driver or it does not answer.
pub fn gpus() -> Result<Gpus, String> {
    let ask = || -> Result<Gpus, NvmlError> {
        let nvml = Nvml::init()?;
        let gpu = |index| -> Result<Gpu, NvmlError> {
            let device = nvml.device_by_index(index)?;
            let (memory, kind) = (device.memory_info()?, device.cuda_compute_capability()?);
            let compute_capability = format!("{}.{}", kind.major, kind.minor);
            Ok(Gpu { name: device.name()?, memory: memory.total, used: memory.used, compute_capability })
        };
        let gpus = (0..nvml.device_count()?).map(gpu).collect::<Result<_, _>>()?;
        Ok(Gpus { driver: nvml.sys_driver_version()?, gpus })
    };
    ask().map_err(|error| match error {
        NvmlError::LibloadingError(_) => "no NVIDIA driver was found".to_owned(),
        other => format!("the NVIDIA driver does not answer: {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_has_a_processor_and_says_what_it_knows_of_gpus() {
        let processor = processor();
        assert!(!processor.name.is_empty() && processor.threads > 0, "{processor:?}");
        assert!(level::Level::ALL.iter().any(|l| l.name() == processor.instructions));
        match gpus() {
            Ok(found) => assert!(!found.driver.is_empty(), "{found:?}"),
            Err(why) => assert!(why.contains("driver"), "{why}"),
        }
    }
}
