//! Whole tasks beside PyTorch, ONNX Runtime and Pillow, in turns, on as many threads each.
//!
//! `cargo bench --bench peers`; the peers answer if `VIRBOARD_BENCH_PYTHON` names a Python
//! that has them. Prints tables in Markdown.

use candle_core::{Device, Tensor};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;
use virboard_engine::encoder::Encoder;
use virboard_engine::encoder::resnet::{Config, ResNet, random_weights};

type Failure = Box<dyn std::error::Error>;

/// The peers' process.
struct Peers {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    versions: String,
}

impl Peers {
    fn start(folder: &std::path::Path) -> Result<Option<Self>, Failure> {
        let Some(python) = std::env::var_os("VIRBOARD_BENCH_PYTHON") else { return Ok(None) };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/bench_peers.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(rayon::current_num_threads().to_string())
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(ask), Some(answers)) = (child.stdin.take(), child.stdout.take()) else { return Ok(None) };
        let mut peers = Self { child, ask, answers: BufReader::new(answers), versions: String::new() };
        peers.versions = peers.line()?;
        Ok(Some(peers))
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.is_empty() { Err("the peers' process has ended".into()) } else { Ok(line.trim().to_owned()) }
    }

    /// Seconds that a peer takes, if it is there.
    fn time(&mut self, request: &str) -> Result<Option<f64>, Failure> {
        writeln!(self.ask, "{request}")?;
        self.ask.flush()?;
        let answer = self.line()?;
        Ok(if answer == "none" { None } else { Some(answer.parse()?) })
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Seconds of several runs.
#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    fn median(&mut self) -> f64 {
        self.0.sort_by(f64::total_cmp);
        self.0[self.0.len() / 2]
    }

    /// Half the distance between the quartiles, as a share of the median.
    fn spread(&mut self) -> f64 {
        let median = self.median();
        (self.0[self.0.len() * 3 / 4] - self.0[self.0.len() / 4]) / 2.0 / median
    }
}

/// Runs ours and the peers in turns, and prints a row each: `amount` things took so long.
fn compare(
    peers: &mut Option<Peers>,
    title: &str,
    unit: &str,
    amount: f64,
    rounds: usize,
    requests: &[(&str, String)],
    ours: &mut dyn FnMut() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut all: Vec<(&str, Times)> = vec![("Virboard", Times::default())];
    all.extend(requests.iter().map(|(name, _)| (*name, Times::default())));
    for round in 0..=rounds {
        for (i, (_, times)) in all.iter_mut().enumerate() {
            // Whoever ran before may still spin.
            std::thread::sleep(std::time::Duration::from_millis(100));
            let seconds = if i == 0 {
                let start = Instant::now();
                ours()?;
                Some(start.elapsed().as_secs_f64())
            } else {
                peers.as_mut().map(|p| p.time(&requests[i - 1].1)).transpose()?.flatten()
            };
            // The first round warms up.
            times.0.extend(seconds.filter(|_| round > 0));
        }
    }
    println!("| {title} | {unit} | spread | ours / theirs |\n|---|---|---|---|");
    let own = all[0].1.median();
    for (name, times) in &mut all {
        if times.0.is_empty() {
            println!("| {name} | not installed | | |");
        } else {
            let median = times.median();
            let (rate, spread) = (amount / median, 100.0 * times.spread());
            println!("| {name} | {rate:.1} | ± {spread:.0} % | {:.2} |", median / own);
        }
    }
    println!();
    Ok(())
}

fn encoders(peers: &mut Option<Peers>, rounds: usize) -> Result<(), Failure> {
    let config = Config::resnet50();
    let network = ResNet::new(config, &mut random_weights(&config, 0)?, &Device::Cpu)?;
    // As many passes a turn as take a while, so that the caches are each program's own.
    for (n, times) in [(1, 24), (8, 4), (32, 1)] {
        let x = Tensor::randn(0f32, 1.0, (n, 3, 224, 224), &Device::Cpu)?;
        let requests: Vec<(&str, String)> = [
            ("ONNX Runtime", "onnxruntime"),
            ("PyTorch eager", "torch"),
            ("PyTorch eager, channels last", "torch-channels-last"),
            ("PyTorch traced, optimised", "torch-traced"),
        ]
        .map(|(name, key)| (name, format!("encoder {key} {n} {times}")))
        .into();
        let title = format!("ResNet-50, 224 x 224, batch {n}");
        compare(peers, &title, "images/s", (n * times) as f64, rounds, &requests, &mut || {
            for _ in 0..times {
                network.embedding(&x)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let mut peers = Peers::start(folder.path())?;
    println!("{} threads. {}\n", rayon::current_num_threads(), peers.as_ref().map_or("No peers.", |p| &p.versions));
    let only = std::env::args().nth(1).filter(|a| !a.starts_with('-'));
    let rounds = std::env::var("VIRBOARD_BENCH_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(15);
    let wanted = |name: &str| only.as_deref().is_none_or(|o| name.contains(o));
    if wanted("encoder") {
        encoders(&mut peers, rounds)?;
    }
    Ok(())
}
