//! What one needs to know of the machine: what computes, what is here, and how to compute.

use super::Settings;
use super::precision::Measured;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use virboard_lab::data;
use virboard_nn::device::libraries::LIBRARIES;
use virboard_nn::device::machine::{Gpus, Processor, gpus, processor};
use virboard_nn::device::{self, Device};
use virboard_nn::encoder::Precision;
use virboard_nn::speed::{self, Speed};

/// All of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Version of the program.
    pub version: &'static str,
    /// Whether it was built for GPUs: `no`, `cuda` or `cuda and cudnn`.
    pub built_for: &'static str,
    /// What computes without a GPU.
    pub processor: Processor,
    /// The driver and its GPUs.
    pub gpus: Option<Gpus>,
    /// Why there are none.
    pub no_gpus: Option<String>,
    /// CUDA's libraries.
    pub libraries: Vec<Found>,
    /// Folders in which they are looked for before the system's.
    pub library_path: String,
    /// The device that is used.
    pub device: String,
    /// Why it is not the one that was asked for.
    pub device_problem: Option<String>,
    /// What is in the data folder.
    pub data: Data,
    /// Pictures at a time in that measurement.
    pub batch: usize,
    /// Each precision of the device, measured now.
    pub speeds: Vec<Speed>,
    /// The fastest without harm, which is what `--precision auto` takes.
    pub recommended: Precision,
}

/// A library and where it is.
#[derive(Debug, Serialize)]
pub struct Found {
    /// Its name.
    pub name: &'static str,
    /// Whether this program needs it on a GPU.
    pub needed: bool,
    /// Nothing if it was not found.
    pub path: Option<PathBuf>,
    /// Names of files that were looked for.
    pub looked_for: &'static [&'static str],
}

/// The data folder.
#[derive(Debug, Serialize)]
pub struct Data {
    /// Where.
    pub folder: PathBuf,
    /// Bytes that are free there, where that is known.
    pub free: Option<u64>,
    /// Encoders that can run.
    pub encoders: Vec<String>,
    /// Encoders of the catalogue.
    pub encoders_known: usize,
    /// Tasks whose data is here.
    pub tasks: Vec<String>,
    /// Tasks of the catalogue.
    pub tasks_known: usize,
}

/// Looks at everything and measures. Takes seconds.
///
/// # Errors
/// If the device computes nothing, or the CPU where it cannot be opened.
pub fn report(settings: &Settings) -> virboard_lab::Result<Report> {
    let (device, device_problem) = match device::open(&settings.device) {
        Ok(device) => (device, None),
        Err(error) => (Device::Cpu, Some(error.to_string())),
    };
    let found = gpus();
    let measured = Measured::anew(&device, &settings.data)?;
    Ok(Report {
        version: crate::VERSION,
        built_for: match (cfg!(feature = "cuda"), cfg!(feature = "cudnn")) {
            (_, true) => "cuda and cudnn",
            (true, _) => "cuda",
            _ => "no",
        },
        processor: processor(),
        no_gpus: found.as_ref().err().cloned(),
        gpus: found.ok(),
        libraries: LIBRARIES
            .iter()
            .map(|l| Found { name: l.name, needed: l.needed, path: l.find(), looked_for: l.files })
            .collect(),
        library_path: std::env::var("LD_LIBRARY_PATH").unwrap_or_default(),
        device: device::name(&device),
        device_problem,
        data: here(settings, &device)?,
        batch: speed::batch(&device),
        recommended: speed::recommended(&measured.speeds),
        speeds: measured.speeds,
    })
}

/// Bytes that are free on a folder's disk, where that is known.
#[must_use]
pub fn free_space(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail * disk.f_frsize)
}

fn here(settings: &Settings, device: &Device) -> virboard_lab::Result<Data> {
    let registry = settings.registry_on(device.clone())?;
    let (catalogue, places) = (registry.catalogue(), settings.folders().places);
    let usable = |key: &str| data::is_here(key, &places);
    Ok(Data {
        folder: settings.data.clone(),
        free: free_space(&settings.data),
        encoders: catalogue.encoders().iter().map(|e| e.key.clone()).filter(|key| registry.available(key)).collect(),
        encoders_known: catalogue.encoders().len(),
        tasks: catalogue.tasks().iter().map(|t| t.key.clone()).filter(|key| usable(key)).collect(),
        tasks_known: catalogue.tasks().len(),
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gigabytes = |bytes: u64| bytes as f64 / 1e9;
        let p = &self.processor;
        let instructions = match p.instructions {
            "v4" => "AVX-512",
            "v3" => "AVX2",
            other => other,
        };
        let bf16 = if p.bf16 { ", with bfloat16" } else { "" };
        writeln!(f, "Virboard     {}; built for GPUs: {}", self.version, self.built_for)?;
        writeln!(f, "processor    {}, {} threads, {instructions}{bf16}", p.name, p.threads)?;
        match (&self.gpus, &self.no_gpus) {
            (Some(found), _) => {
                writeln!(f, "driver       {}", found.driver)?;
                for (i, gpu) in found.gpus.iter().enumerate() {
                    let (used, all) = (gigabytes(gpu.used), gigabytes(gpu.memory));
                    let kind = &gpu.compute_capability;
                    writeln!(
                        f,
                        "cuda:{i}       {}, {used:.1} of {all:.1} GB in use, compute capability {kind}",
                        gpu.name
                    )?;
                }
            }
            (None, why) => writeln!(f, "GPU          {}", why.as_deref().unwrap_or("none"))?,
        }
        for library in &self.libraries {
            match &library.path {
                Some(path) => writeln!(f, "{:<12} {}", library.name, path.display())?,
                None if library.needed => {
                    writeln!(f, "{:<12} not found: {}", library.name, library.looked_for.join(", "))?;
                }
                None => writeln!(f, "{:<12} not found, and not needed", library.name)?,
            }
        }
        let path = if self.library_path.is_empty() { "is not set" } else { &self.library_path };
        writeln!(f, "looked in    LD_LIBRARY_PATH ({path}), then where the system's linker does")?;
        writeln!(f, "device       {}", self.device)?;
        if let Some(problem) = &self.device_problem {
            writeln!(f, "             {problem}")?;
        }
        let data = &self.data;
        let free = data.free.map_or_else(|| "not there yet".to_owned(), |b| format!("{:.1} GB free", gigabytes(b)));
        writeln!(f, "data         {}, {free}", data.folder.display())?;
        writeln!(
            f,
            "encoders     {} of {} can run: {}",
            data.encoders.len(),
            data.encoders_known,
            data.encoders.join(", ")
        )?;
        writeln!(f, "tasks        data of {} of {}: {}", data.tasks.len(), data.tasks_known, data.tasks.join(", "))?;
        writeln!(f, "\nResNet-50, 224 x 224, embeddings, {} pictures at a time:", self.batch)?;
        writeln!(f, "{:<10} {:>12} {:>14}", "precision", "pictures/s", "error to f32")?;
        for s in &self.speeds {
            writeln!(f, "{:<10} {:>12.1} {:>14.4}", s.precision.name(), s.pictures_per_second, s.error)?;
        }
        let others = self.speeds.len() > 1;
        let why = match self.recommended {
            Precision::F32 if others => "no shorter precision is clearly faster here",
            Precision::F32 => "this device has no other",
            _ => "the fastest whose error is below 0.02; scores are computed in f32 unless you ask",
        };
        write!(f, "\nRecommended: --precision {} ({why}). `--precision auto` takes it.", self.recommended.name())
    }
}
