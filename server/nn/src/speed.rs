//! How fast a ResNet-50 is here in each precision, how far that is from `f32`, and which of them
//! to take.

use crate::encoder::{Encoder, Precision};
use crate::network::resnet::{Config, ResNet, random_weights};
use crate::seeded::Stream;
use crate::{Result, load};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// A precision, measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Which.
    pub precision: Precision,
    /// Pictures of 224 x 224 whose embedding is computed in a second, the best of a few passes.
    pub pictures_per_second: f64,
    /// Distance of the embeddings from those in `f32`, as a share of their length.
    pub error: f64,
}

/// An error that nobody minds in answers and searches. bfloat16 has 8 bits: about 0.005.
const BEARABLE: f64 = 0.02;
/// What a shorter precision must gain to be worth its error.
const WORTH: f64 = 1.1;
/// Passes of each precision, in turns; the first warms up.
const PASSES: usize = 4;

/// Pictures at a time in measurements.
#[must_use]
pub const fn batch(device: &Device) -> usize {
    if matches!(device, Device::Cpu) { 4 } else { 32 }
}

/// The precisions that a device has, `f32` first.
#[must_use]
pub fn precisions(device: &Device) -> Vec<Precision> {
    let all = [Precision::F32, Precision::F16, Precision::Bf16];
    all.into_iter().filter(|p| p.check(device).is_ok()).collect()
}

/// Measures a ResNet-50 with seeded weights in every precision of a device.
///
/// # Errors
/// If the device fails.
pub fn measure(device: &Device) -> Result<Vec<Speed>> {
    let build = |precision| {
        let config = Config::resnet50();
        let network = ResNet::with(config, &mut random_weights(&config, load::RANDOM_SEED)?, device, precision)?;
        Ok::<_, crate::Error>((precision, network))
    };
    let networks = precisions(device).into_iter().map(build).collect::<Result<Vec<_>>>()?;
    let input = pictures(batch(device), 224, device)?;
    let mut best = vec![f64::INFINITY; networks.len()];
    let mut embeddings: Vec<Vec<f32>> = vec![Vec::new(); networks.len()];
    for pass in 0..=PASSES {
        for (i, (_, network)) in networks.iter().enumerate() {
            let (seconds, embedding) = timed(network, &input)?;
            embeddings[i] = embedding;
            if pass > 0 {
                best[i] = best[i].min(seconds);
            }
        }
    }
    let n = batch(device) as f64;
    let speeds = networks.iter().zip(best).zip(&embeddings).map(|(((precision, _), seconds), embedding)| Speed {
        precision: *precision,
        pictures_per_second: n / seconds,
        error: distance(embedding, &embeddings[0]),
    });
    Ok(speeds.collect())
}

/// Pictures a second of a network: the best of some passes, after one that warms up.
///
/// # Errors
/// If the device fails.
pub fn rate(network: &dyn Encoder, batch: usize, passes: usize, device: &Device) -> Result<f64> {
    let side = network.preprocessing().width as usize;
    let input = pictures(batch, side, device)?;
    let mut best = f64::INFINITY;
    for pass in 0..=passes.max(1) {
        let (seconds, _) = timed(network, &input)?;
        if pass > 0 {
            best = best.min(seconds);
        }
    }
    Ok(batch as f64 / best)
}

/// The seconds of a pass and its embeddings, all in one row. Reading them waits for the device.
fn timed(network: &dyn Encoder, input: &Tensor) -> Result<(f64, Vec<f32>)> {
    let started = Instant::now();
    let embedding = network.embedding(input)?.flatten_all()?.to_vec1()?;
    Ok((started.elapsed().as_secs_f64().max(1e-9), embedding))
}

/// Noise, `batch x 3 x side x side`.
fn pictures(batch: usize, side: usize, device: &Device) -> Result<Tensor> {
    let mut stream = Stream::new(0, "speed");
    let pixels: Vec<f32> = (0..batch * 3 * side * side).map(|_| stream.normal() as f32).collect();
    Ok(Tensor::from_vec(pixels, (batch, 3, side, side), device)?)
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let length =
        |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
    length(&mut a.iter().zip(b).map(|(a, b)| a - b)) / length(&mut b.iter().copied())
}

/// The fastest precision whose error is bearable; `f32` where none is clearly faster.
#[must_use]
pub fn recommended(speeds: &[Speed]) -> Precision {
    let full = speeds.iter().find(|s| s.precision == Precision::F32).map_or(f64::INFINITY, |s| s.pictures_per_second);
    let worth = speeds.iter().filter(|s| s.error <= BEARABLE && s.pictures_per_second >= WORTH * full);
    let fastest = worth.max_by(|a, b| a.pictures_per_second.total_cmp(&b.pictures_per_second));
    fastest.map_or(Precision::F32, |s| s.precision)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speed(precision: Precision, pictures_per_second: f64, error: f64) -> Speed {
        Speed { precision, pictures_per_second, error }
    }

    #[test]
    fn a_slower_or_a_wrong_precision_is_never_recommended() {
        let full = speed(Precision::F32, 60.0, 0.0);
        let of = |others: &[Speed]| recommended(&[&[full], others].concat());
        assert_eq!(of(&[]), Precision::F32);
        assert_eq!(of(&[speed(Precision::Bf16, 34.0, 0.004)]), Precision::F32, "as on a processor with AMX");
        assert_eq!(of(&[speed(Precision::Bf16, 61.0, 0.004)]), Precision::F32, "no gain");
        assert_eq!(of(&[speed(Precision::Bf16, 99.0, 0.004)]), Precision::Bf16);
        assert_eq!(of(&[speed(Precision::Bf16, 99.0, 0.3)]), Precision::F32, "far off");
        assert_eq!(of(&[speed(Precision::Bf16, 99.0, f64::NAN)]), Precision::F32);
        assert_eq!(of(&[speed(Precision::Bf16, 99.0, 0.004), speed(Precision::F16, 120.0, 0.001)]), Precision::F16);
        assert_eq!(recommended(&[]), Precision::F32);
    }

    #[test]
    fn every_precision_of_this_processor_is_measured() {
        let speeds = measure(&Device::Cpu).expect("measured");
        assert_eq!(speeds.iter().map(|s| s.precision).collect::<Vec<_>>(), precisions(&Device::Cpu));
        assert_eq!(speeds[0].precision, Precision::F32);
        assert_eq!(speeds[0].error, 0.0, "the same network twice");
        for s in speeds {
            assert!(s.pictures_per_second.is_finite() && s.pictures_per_second > 0.0, "{s:?}");
            assert!(s.error.is_finite() && s.error < 0.05, "{s:?}");
        }
    }
}
