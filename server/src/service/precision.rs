//! What `--precision auto` stands for: each precision of the device is measured once, and the
//! outcome kept in the data folder.

use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use virboard_nn::device::{self, Device, machine};
use virboard_nn::encoder::Precision;
use virboard_nn::files::write_atomically;
use virboard_nn::speed::{self, Speed};

/// How exactly encoders shall compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// As is fastest here without harm.
    Auto,
    /// So, and not otherwise.
    Exactly(Precision),
}

impl Choice {
    /// The choice of a name.
    ///
    /// # Errors
    /// One sentence that lists the names.
    pub fn of(name: &str) -> Result<Self, String> {
        match name {
            "auto" => Ok(Self::Auto),
            _ => Precision::of(name).map(Self::Exactly).ok_or_else(|| "known are auto, f32, f16 and bf16".to_owned()),
        }
    }

    /// The precision that it stands for on a device.
    ///
    /// # Errors
    /// If a measurement is needed and fails.
    pub fn resolve(self, device: &Device, data: &Path) -> virboard_nn::Result<Precision> {
        match self {
            Self::Exactly(precision) => Ok(precision),
            Self::Auto if speed::precisions(device).len() < 2 => Ok(Precision::F32),
            Self::Auto => {
                let measured = Measured::of(device, data)?;
                let precision = speed::recommended(&measured.speeds);
                tracing::info!(
                    precision = precision.name(),
                    machine = measured.machine,
                    "precision chosen as measured"
                );
                Ok(precision)
            }
        }
    }
}

/// The speeds of one machine's device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Device, processor, instructions and threads: what they depend on.
    pub machine: String,
    /// Version of the program that measured.
    pub version: String,
    /// Each precision.
    pub speeds: Vec<Speed>,
}

impl Measured {
    /// What is known of this machine's device, measured now if nothing is.
    ///
    /// # Errors
    /// If the device fails.
    pub fn of(device: &Device, data: &Path) -> virboard_nn::Result<Self> {
        let machine = machine_of(device);
        let kept = std::fs::read(path(data)).ok().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        match kept {
            Some(kept) if kept.machine == machine && kept.version == crate::VERSION => Ok(kept),
            _ => Self::anew(device, data),
        }
    }

    /// Measures, and keeps it if the data folder can be written.
    ///
    /// # Errors
    /// If the device fails.
    pub fn anew(device: &Device, data: &Path) -> virboard_nn::Result<Self> {
        let speeds = speed::measure(device)?;
        let measured = Self { machine: machine_of(device), version: crate::VERSION.to_owned(), speeds };
        if data.is_dir()
            && let Err(error) = measured.keep(&path(data))
        {
            tracing::warn!(%error, "the measured speeds were not kept");
        }
        Ok(measured)
    }

    fn keep(&self, path: &Path) -> virboard_nn::Result<()> {
        write_atomically(path, |file| {
            let json = serde_json::to_vec_pretty(self).map_err(std::io::Error::from);
            json.and_then(|json| file.write_all(&json)).map_err(virboard_nn::Error::io(path))
        })
    }
}

fn path(data: &Path) -> PathBuf {
    data.join("measured.json")
}

fn machine_of(device: &Device) -> String {
    let p = machine::processor();
    format!("{}; {}, {}, {} threads", device::name(device), p.name, p.instructions, p.threads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_a_name_and_auto_follows_what_was_measured_here() {
        assert_eq!(Choice::of("bf16"), Ok(Choice::Exactly(Precision::Bf16)));
        assert!(Choice::of("half").is_err_and(|said| said.contains("auto, f32, f16 and bf16")));
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path();
        let measured = Measured::anew(&Device::Cpu, data).expect("measured");
        assert_eq!(Measured::of(&Device::Cpu, data).expect("kept"), measured, "not measured again");
        let precision = Choice::Auto.resolve(&Device::Cpu, data).expect("resolved");
        assert_eq!(precision, speed::recommended(&measured.speeds));
        assert_eq!(Choice::Exactly(Precision::F16).resolve(&Device::Cpu, data).expect("as asked"), Precision::F16);
        // What another machine measured, or nobody can read, is measured anew.
        for other in [
            serde_json::json!({ "machine": "other", "version": crate::VERSION, "speeds": [] }).to_string(),
            "{".to_owned(),
        ] {
            std::fs::write(path(data), other).expect("written");
            let anew = Measured::of(&Device::Cpu, data).expect("measured");
            assert_eq!((anew.machine, anew.speeds.len()), (measured.machine.clone(), measured.speeds.len()));
        }
    }
}
