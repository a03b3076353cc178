//! ResNet-50: speed, error of bfloat16, memory.

use crate::Failure;
use crate::peer::{Ours, Peers, compare, megabytes};
use candle_core::{Device, Tensor};
use std::process::Command;
use virboard_nn::encoder::{Encoder, Precision};
use virboard_nn::network::resnet::{Config, ResNet, random_weights};
use virboard_nn::testing::Random;

/// Embeddings of random weights, in `f32` and bfloat16.
pub fn encoders(peers: &mut Option<Peers>, rounds: usize) -> Result<(), Failure> {
    let config = Config::resnet50();
    let network = ResNet::new(config, &mut random_weights(&config, 0)?, &Device::Cpu)?;
    let brief = match ResNet::with(config, &mut random_weights(&config, 0)?, &Device::Cpu, Precision::Bf16) {
        Ok(network) => Some(network),
        Err(error) => {
            eprintln!("{error}");
            None
        }
    };
    // As many passes a turn as take a while, so that the caches are each program's own.
    for (n, times) in [(1, 24), (8, 4), (32, 1)] {
        let x = Random::new("pictures").normal(1.0, (n, 3, 224, 224));
        let requests: Vec<(&str, String)> = [
            ("ONNX Runtime", "onnxruntime"),
            ("PyTorch eager", "torch"),
            ("PyTorch eager, channels last", "torch-channels-last"),
            ("PyTorch traced, optimised", "torch-traced"),
        ]
        .map(|(name, key)| (name, format!("encoder {key} {n} {times}")))
        .into();
        let title = format!("ResNet-50, 224 x 224, batch {n}");
        let run = |network: &ResNet| -> Result<(), Failure> {
            for _ in 0..times {
                network.embedding(&x)?;
            }
            Ok(())
        };
        let mut exact = || run(&network);
        let mut rounded = || brief.as_ref().map_or(Ok(()), run);
        let mut ours: Vec<Ours<'_>> = vec![("Virboard", &mut exact)];
        if brief.is_some() {
            ours.push(("Virboard, bfloat16", &mut rounded));
        }
        compare(peers, &title, "images/s", (n * times) as f64, rounds, &requests, &mut ours)?;
    }
    if let Some(brief) = brief {
        errors(&network, &brief)?;
    }
    Ok(())
}

/// How far bfloat16 moves what the network gives.
fn errors(exact: &ResNet, rounded: &ResNet) -> Result<(), Failure> {
    let x = Random::new("errors").normal(1.0, (4, 3, 224, 224));
    let (wanted, ours) = (exact.features(&x)?, rounded.features(&x)?);
    let names = exact.maps().iter().map(|m| m.name.as_str()).chain(["embedding"]);
    println!("| ResNet-50 in bfloat16 | error, as a share of the length |\n|---|---|");
    let all = wanted.maps.iter().chain([&wanted.embedding]).zip(ours.maps.iter().chain([&ours.embedding]));
    for (name, (wanted, ours)) in names.zip(all) {
        let length = |t: &Tensor| -> Result<f32, Failure> { Ok(t.sqr()?.sum_all()?.to_scalar::<f32>()?.sqrt()) };
        println!("| {name} | {:.4} |", length(&(wanted - ours)?)? / length(wanted)?);
    }
    println!();
    Ok(())
}

/// Names the batch whose pass a process of its own makes, to see its memory alone.
pub const PASS: &str = "VIRBOARD_BENCH_PASS";

/// Peak memory of a process that loads ResNet-50 and makes one pass, above its start.
pub fn memory(peers: &mut Option<Peers>) -> Result<(), Failure> {
    println!("| peak memory of ResNet-50, MB | batch 1 | batch 8 | batch 32 |\n|---|---|---|---|");
    let batches = [1, 8, 32];
    let mut own = Vec::new();
    for n in batches {
        let output = Command::new(std::env::current_exe()?).env(PASS, n.to_string()).output()?;
        own.push(String::from_utf8_lossy(&output.stdout).trim().parse::<f64>()?);
    }
    let row = |name: &str, values: &[f64]| {
        let values: Vec<String> = values.iter().map(|v| format!("{v:.0}")).collect();
        println!("| {name} | {} |", values.join(" | "));
    };
    row("Virboard", &own);
    if let Some(peers) = peers {
        // Exports the model that the measured process loads.
        let ready = peers.time("encoder onnxruntime 1 1")?;
        let mut other = Vec::new();
        for n in batches.into_iter().filter(|_| ready.is_some()) {
            other.extend(peers.time(&format!("memory onnxruntime {n}"))?);
        }
        row("ONNX Runtime", &other);
    }
    println!();
    Ok(())
}

/// Makes ResNet-50 and one pass, and prints the peak of memory since the start.
pub fn pass(n: usize) -> Result<(), Failure> {
    let start = megabytes("VmRSS")?;
    let config = Config::resnet50();
    let network = ResNet::new(config, &mut random_weights(&config, 0)?, &Device::Cpu)?;
    network.embedding(&Tensor::zeros((n, 3, 224, 224), candle_core::DType::F32, &Device::Cpu)?)?;
    println!("{:.1}", megabytes("VmHWM")? - start);
    Ok(())
}
