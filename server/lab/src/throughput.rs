//! How many pictures a second a device encodes, by batch and precision and from JPEG files, and
//! trains on.

mod training;

use crate::agreement::{Setting, with_weights};
use crate::pipeline::ahead;
use crate::{Result, image};
use candle_core::Device;
use rayon::prelude::*;
use serde::Serialize;
use std::path::Path;
use std::time::Instant;
use virboard_nn::device::{self, machine};
use virboard_nn::encoder::{Encoder, Precision};
use virboard_nn::speed;

/// Networks that are measured: a ResNet and a vision transformer of about its size.
const NETWORKS: [&str; 2] = ["resnet50", "vit_s16"];
/// Pictures at a time.
const BATCHES: [usize; 5] = [1, 8, 32, 128, 256];
/// The largest batch that is worth waiting for on a CPU.
const CPU_BATCH: usize = 8;
/// JPEG files that are read.
const FILES: usize = 512;
/// The same on a CPU.
const CPU_FILES: usize = 32;

/// One measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The network.
    pub network: String,
    /// What went in: `embeddings`, or `JPEG files`; or `training`.
    pub work: &'static str,
    /// [`Setting::name`].
    pub setting: &'static str,
    /// Pictures at a time.
    pub batch: usize,
    /// Pictures a second; none where it failed.
    pub pictures_per_second: Option<f64>,
    /// Bytes of the first GPU's memory in use afterwards, by whomever; this program keeps what it used at most.
    pub gpu_memory: Option<u64>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// Measures every network in every setting; `done` gets each row as it is there.
///
/// # Errors
/// If the weights' names in `vectors` cannot be read.
pub fn throughput(device: &Device, vectors: &Path, jpeg: &[u8], done: &mut dyn FnMut(Row)) -> Result<()> {
    for key in NETWORKS {
        with_weights(vectors, key, &mut |load| {
            for setting in Setting::of(device) {
                let network = load(device, setting.precision).map(|e| (e.precision == setting.precision).then_some(e));
                // One that the network cannot do, or that failed its first use.
                let Ok(Some(encoder)) = network else {
                    if let Err(error) = network {
                        done(row(key, "embeddings", setting, 0, Err(error)));
                    }
                    continue;
                };
                let largest = if device.is_cpu() { CPU_BATCH } else { usize::MAX };
                for batch in BATCHES.into_iter().filter(|b| *b <= largest) {
                    let passes = if device.is_cpu() { 2 } else { 10 };
                    let rate = device::give_back(device)
                        .and_then(|()| setting.run(|| speed::rate(&*encoder.network, batch, passes, device)));
                    done(row(key, "embeddings", setting, batch, rate.map_err(Into::into)));
                }
                if setting.precision == Precision::F32 && !setting.tf32 || !device.is_cpu() {
                    let rate = setting.run(|| files(&*encoder.network, jpeg, device));
                    done(row(key, "JPEG files", setting, file_batch(device), rate));
                }
            }
            Ok(())
        })?;
    }
    training::training(device, done);
    Ok(())
}

fn row(network: &str, work: &'static str, setting: Setting, batch: usize, rate: Result<f64>) -> Row {
    let gpu_memory = machine::gpus().ok().and_then(|g| g.gpus.first().map(|gpu| gpu.used));
    let (pictures_per_second, failure) = match rate {
        Ok(rate) => (Some(rate), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let network = network.to_owned();
    Row { network, work, setting: setting.name(), batch, pictures_per_second, gpu_memory, failure }
}

const fn file_batch(device: &Device) -> usize {
    if matches!(device, Device::Cpu) { 8 } else { 128 }
}

/// Decodes, resizes and encodes one JPEG file many times, the next batch while one is computed.
fn files(network: &dyn Encoder, jpeg: &[u8], device: &Device) -> Result<f64> {
    let (batch, n) = (file_batch(device), if device.is_cpu() { CPU_FILES } else { FILES });
    let input = network.preprocessing();
    let prepare = |size: usize| -> Result<Vec<Vec<f32>>> {
        (0..size).into_par_iter().map(|_| Ok(input.input(&image::decode(jpeg)?))).collect()
    };
    let started = Instant::now();
    ahead((0..n / batch).map(|_| batch), prepare, |inputs| {
        let _: Vec<f32> = network.embedding(&input.batch(&inputs, device)?)?.flatten_all()?.to_vec1()?;
        Ok(())
    })?;
    Ok((n / batch * batch) as f64 / started.elapsed().as_secs_f64())
}
