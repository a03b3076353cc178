//! Every architecture beside PyTorch's, with the same weights.

use crate::Failure;
use crate::peer::Peers;
use candle_core::{Device, Tensor};
use std::path::Path;
use std::time::Instant;
use virboard_core::catalogue::architecture::Architecture;
use virboard_nn::encoder::Precision;
use virboard_nn::load::load;

/// Embeddings of one picture and of eight. The peers write the weights.
pub fn architectures(peers: &mut Option<Peers>, folder: &Path, rounds: usize) -> Result<(), Failure> {
    let Some(peers) = peers else { return Ok(()) };
    println!("| architecture | batch | Virboard, images/s | PyTorch eager | times as fast |\n|---|---|---|---|---|");
    for architecture in Architecture::all() {
        let key = architecture.key();
        if peers.time(&format!("weights {key}"))?.is_none() {
            continue;
        }
        let path = folder.join(format!("{key}.safetensors"));
        let encoder = load(key, architecture, &path, None, &Device::Cpu, Precision::F32)?;
        std::fs::remove_file(path)?;
        for n in [1, 8] {
            let x = Tensor::randn(0f32, 1.0, (n, 3, 224, 224), &Device::Cpu)?;
            let (mut own, mut other) = (Vec::new(), Vec::new());
            for _ in 0..=rounds {
                let start = Instant::now();
                encoder.network.embedding(&x)?;
                own.push(start.elapsed().as_secs_f64());
                other.extend(peers.time(&format!("architecture {key} {n}"))?);
            }
            // The first pass of each warms up.
            let rate = |times: &mut Vec<f64>| {
                times.remove(0);
                times.sort_by(f64::total_cmp);
                n as f64 / times[times.len() / 2]
            };
            let (own, other) = (rate(&mut own), rate(&mut other));
            println!("| {architecture} | {n} | {own:.1} | {other:.1} | {:.2} |", own / other);
        }
    }
    println!();
    Ok(())
}
