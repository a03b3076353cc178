//! How long a grid will take and how much it will store, before it begins.

use super::cost::decoder_multiplications;
use super::evaluation::Plan;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;
use virboard_core::catalogue::{task, task::OutputKind};
use virboard_lab::recipe::{HeadKind, recipe};
use virboard_lab::registry::Registry;

/// Seconds and bytes of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Estimate {
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Bytes of cached features.
    pub bytes: u64,
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = (self.seconds / 60.0).ceil() as u64;
        let (hours, minutes) = (minutes / 60, minutes % 60);
        let time = if hours > 0 { format!("{hours} h {minutes} min") } else { format!("{minutes} min") };
        write!(f, "about {time} if nothing is there yet, and {:.1} GB of cached features", self.bytes as f64 / 1e9)
    }
}

/// Pictures of the measurement.
const PICTURES: usize = 4;
/// A head's step forward and back costs about three times its step forward.
const TRAINING: f64 = 3.0;

/// How many pictures a ResNet-50 encodes in a second on the registry’s device and in its precision, measured on a few.
pub fn pictures_per_second(registry: &Registry) -> virboard_lab::Result<f64> {
    const BATCH: usize = 8;
    let network = virboard_nn::load::random("Random", registry.device(), registry.precision())?.network;
    let input = network.preprocessing();
    let pixels = (3 * input.width * input.height) as usize;
    let batch = input.batch(&vec![vec![0.1; pixels]; BATCH], registry.device())?;
    let mut best = f64::INFINITY;
    for _ in 0..4 {
        let started = Instant::now();
        // Reading the result waits for the device.
        let _: Vec<Vec<f32>> = network.embedding(&batch)?.to_vec2()?;
        best = best.min(started.elapsed().as_secs_f64());
    }
    Ok(BATCH as f64 / best)
}

/// Measures each encoder on a few pictures and scales that up by the plan's samples and epochs.
/// Heads are counted by their multiplications at the speed that the encoder reached.
pub fn estimate(registry: &Registry, plan: &Plan) -> virboard_lab::Result<Estimate> {
    let mut per_picture: BTreeMap<&str, f64> = BTreeMap::new();
    let mut total = Estimate::default();
    let mut encoded: Vec<(&str, &str)> = Vec::new();
    for job in &plan.jobs {
        let (Some(task), Some((_, train, test))) =
            (task(&job.task), plan.samples.iter().find(|(key, ..)| *key == job.task).copied())
        else {
            continue;
        };
        let encoder = registry.get(&job.encoder)?;
        let network = &*encoder.network;
        let seconds = if let Some(seconds) = per_picture.get(job.encoder.as_str()) {
            *seconds
        } else {
            let input = network.preprocessing();
            let pixels = (3 * input.width * input.height) as usize;
            let batch = input.batch(&vec![vec![0.1; pixels]; PICTURES], registry.device())?;
            network.features(&batch)?;
            let started = Instant::now();
            let features = network.features(&batch)?;
            // Reading the result waits for the device.
            let _: Vec<Vec<f32>> = features.embedding.to_vec2()?;
            let seconds = started.elapsed().as_secs_f64() / PICTURES as f64;
            per_picture.insert(&job.encoder, seconds);
            seconds
        };
        let protocol = job.configurations.first().map_or_else(Default::default, |c| c.protocol);
        let recipe = recipe(task, protocol);
        let images = task.images as usize;
        let epochs = job.configurations.first().map_or(0, |c| c.epochs) as usize;
        let maps: Vec<(f64, f64)> = network
            .maps()
            .iter()
            .map(|m| ((f64::from(network.preprocessing().width) / m.stride as f64).powi(2), m.channels as f64))
            .collect();
        // Multiplications of the head for one sample.
        let head = match recipe.head {
            HeadKind::Linear | HeadKind::MultiEmbedding => (images * network.embedding_len()) as f64 * 512.0,
            HeadKind::DeepLab => 8e9,
            HeadKind::Pixelwise | HeadKind::Siamese if recipe.slim => 2e8,
            HeadKind::Pixelwise | HeadKind::Siamese => decoder_multiplications(&maps) * images as f64,
        };
        // A ResNet-50 multiplies 4.1e9 times for a picture.
        let speed = 4.1e9 / seconds.max(1e-6);
        let steps = (train * epochs * job.configurations.len()) as f64;
        let training = steps * head * TRAINING / speed;
        let each = if task.kind == OutputKind::Classification {
            network.embedding_len() as f64
        } else {
            maps.iter().map(|(area, channels)| area * channels).sum()
        };
        let views =
            job.configurations.first().and_then(|c| c.views).filter(|_| task.kind != OutputKind::Classification);
        let encoding = if let Some(views) = views {
            // Each view once, and the test samples, which are kept too.
            let passes = (images * (train * epochs.clamp(1, views as usize) + test)) as f64;
            total.bytes += (2.0 * each * passes) as u64;
            passes * seconds
        } else if recipe.cached {
            let fresh = !encoded.contains(&(job.encoder.as_str(), task.dataset));
            encoded.push((job.encoder.as_str(), task.dataset));
            if fresh {
                total.bytes += (2.0 * each * (images * (train + test)) as f64) as u64;
                (images * (train + test)) as f64 * seconds
            } else {
                0.0
            }
        } else {
            // Encoded again for every epoch; tested every second.
            (images * (train + test / 2) * epochs.max(1)) as f64 * seconds
        };
        total.seconds += encoding + training;
    }
    Ok(total)
}
