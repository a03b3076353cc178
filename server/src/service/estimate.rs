//! How long a grid will take and how much it will store, before it begins.

use super::cost::{Amount, Cost, Outputs, Rates};
use super::plan::Plan;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;
use virboard_lab::registry::Registry;
use virboard_nn::encoder::Encoder;

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

/// How many pictures a ResNet-50 encodes in a second on the registry’s device and in its precision, measured on a few.
pub fn pictures_per_second(registry: &Registry) -> virboard_lab::Result<f64> {
    let network = virboard_nn::load::random("Random", registry.device(), registry.precision())?.network;
    Ok(virboard_nn::speed::rate(&*network, 8, 3, registry.device())?)
}

/// Measures each encoder on a few pictures and scales that up by the plan's samples and epochs.
/// Heads are counted by their operations at the speed that the encoder reached.
pub fn estimate(registry: &Registry, plan: &Plan) -> virboard_lab::Result<Estimate> {
    let mut measured: BTreeMap<&str, (Outputs, Rates)> = BTreeMap::new();
    let mut total = Estimate::default();
    let catalogue = registry.catalogue();
    let mut encoded: Vec<(&str, &str)> = Vec::new();
    for work in &plan.work {
        let (Some(task), Some(&(_, train, test)), Some(first)) = (
            catalogue.task(&work.task),
            plan.samples.iter().find(|(key, ..)| *key == work.task),
            work.configurations.first(),
        ) else {
            continue;
        };
        if !measured.contains_key(work.encoder.as_str()) {
            let encoder = registry.get(&work.encoder)?;
            measured.insert(&work.encoder, measure(&*encoder.network, registry)?);
        }
        let Some((outputs, rates)) = measured.get(work.encoder.as_str()) else { continue };
        let amount = Amount {
            train: train as f64,
            test: test as f64,
            epochs: f64::from(first.epochs),
            heads: work.configurations.len() as f64,
            views: first.views.map(f64::from),
            fine_tuned: first.fine_tuning.is_some(),
        };
        let mut cost = Cost::of(task, first.protocol, outputs, &amount);
        // Whatever else is asked of the same features finds them in the cache.
        if cost.bytes > 0.0 && amount.views.is_none() {
            let features = (work.encoder.as_str(), task.dataset.as_str());
            if encoded.contains(&features) {
                cost = Cost { passes: 0.0, bytes: 0.0, ..cost };
            } else {
                encoded.push(features);
            }
        }
        total.bytes += cost.bytes as u64;
        total.seconds += rates.seconds(&cost);
    }
    Ok(total)
}

/// What a network puts out, and how fast.
fn measure(network: &dyn Encoder, registry: &Registry) -> virboard_lab::Result<(Outputs, Rates)> {
    let input = network.preprocessing();
    let pixels = (3 * input.width * input.height) as usize;
    let batch = input.batch(&vec![vec![0.1; pixels]; PICTURES], registry.device())?;
    network.features(&batch)?;
    let started = Instant::now();
    let features = network.features(&batch)?;
    // Reading the result waits for the device.
    let _: Vec<Vec<f32>> = features.embedding.to_vec2()?;
    let seconds = started.elapsed().as_secs_f64().max(1e-6);
    Ok((Outputs::of(network), Rates::cpu(PICTURES as f64 / seconds)))
}
