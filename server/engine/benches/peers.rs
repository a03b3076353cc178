//! Whole tasks beside PyTorch, ONNX Runtime and Pillow, in turns, on as many threads each.
//!
//! `cargo bench --bench peers`; the peers answer if `VIRBOARD_BENCH_PYTHON` names a Python
//! that has them. Prints tables in Markdown.

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;
use virboard_core::catalog::task::{Metric, OutputKind};
use virboard_core::protocol::Protocol;
use virboard_engine::encode::pictures;
use virboard_engine::encoder::resnet::{Config, ResNet, random_weights};
use virboard_engine::encoder::{Encoder, Precision};
use virboard_engine::evaluate::configuration;
use virboard_engine::head::deeplab::Shape;
use virboard_engine::head::{Architecture, Head, HeadSpec, Label};
use virboard_engine::image::decode;
use virboard_engine::metric::Scoring;
use virboard_engine::pipeline::ahead;
use virboard_engine::preprocess::{Filter, resize};
use virboard_engine::seeded::Stream;
use virboard_engine::train::bank::{Bank, Lesson};
use virboard_engine::train::loss::Loss;
use virboard_engine::train::optimiser::{Kind, Optimiser};
use virboard_engine::train::schedule::Setting;
use virboard_engine::train::truth::Truth;
use virboard_engine::train::{Aim, Member};

type Failure = Box<dyn std::error::Error>;

/// The peers' process.
struct Peers {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    versions: String,
}

impl Peers {
    fn start(folder: &Path) -> Result<Option<Self>, Failure> {
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

/// Something of ours to be timed, and its name.
type Ours<'a> = (&'a str, &'a mut dyn FnMut() -> Result<(), Failure>);

/// Runs ours and the peers in turns, and prints a row each: `amount` things took so long. The
/// first of ours is what the others are compared with.
fn compare(
    peers: &mut Option<Peers>,
    title: &str,
    unit: &str,
    amount: f64,
    rounds: usize,
    requests: &[(&str, String)],
    ours: &mut [Ours<'_>],
) -> Result<(), Failure> {
    let mut all: Vec<(&str, Times)> = ours.iter().map(|(name, _)| (*name, Times::default())).collect();
    all.extend(requests.iter().map(|(name, _)| (*name, Times::default())));
    for round in 0..=rounds {
        for (i, (_, times)) in all.iter_mut().enumerate() {
            // Whoever ran before may still spin.
            std::thread::sleep(std::time::Duration::from_millis(100));
            let seconds = if let Some((_, run)) = ours.get_mut(i) {
                let start = Instant::now();
                run()?;
                Some(start.elapsed().as_secs_f64())
            } else {
                peers.as_mut().map(|p| p.time(&requests[i - ours.len()].1)).transpose()?.flatten()
            };
            // The first round warms up.
            times.0.extend(seconds.filter(|_| round > 0));
        }
    }
    println!("| {title} | {unit} | spread | times as fast |\n|---|---|---|---|");
    let own = all[0].1.median();
    for (name, times) in &mut all {
        if times.0.is_empty() {
            println!("| {name} | not installed | | |");
        } else {
            let median = times.median();
            let (rate, spread) = (amount / median, 100.0 * times.spread());
            println!("| {name} | {rate:.1} | ± {spread:.0} % | {:.2} |", own / median);
        }
    }
    println!();
    Ok(())
}

fn encoders(peers: &mut Option<Peers>, rounds: usize) -> Result<(), Failure> {
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
    let x = Tensor::randn(0f32, 1.0, (4, 3, 224, 224), &Device::Cpu)?;
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
const PASS: &str = "VIRBOARD_BENCH_PASS";

/// Peak memory of a process that loads ResNet-50 and makes one pass, above its start.
fn memory(peers: &mut Option<Peers>) -> Result<(), Failure> {
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
fn pass(n: usize) -> Result<(), Failure> {
    let bytes = |field: &str| -> Result<f64, Failure> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find(|l| l.starts_with(field)).ok_or("the system tells no memory")?;
        Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse::<f64>()? / 1024.0)
    };
    let start = bytes("VmRSS")?;
    let config = Config::resnet50();
    let network = ResNet::new(config, &mut random_weights(&config, 0)?, &Device::Cpu)?;
    network.embedding(&Tensor::zeros((n, 3, 224, 224), candle_core::DType::F32, &Device::Cpu)?)?;
    println!("{:.1}", bytes("VmHWM")? - start);
    Ok(())
}

/// An epoch of linear heads: rows of 2048 to 100 classes, several learning rates at once.
fn linear(peers: &mut Option<Peers>, rounds: usize) -> Result<(), Failure> {
    let (rows, classes) = (20_000, 100);
    let x = Tensor::randn(0f32, 1.0, (rows, 2048), &Device::Cpu)?;
    let values: Vec<f32> = x.flatten_all()?.to_vec1()?;
    let labels: Vec<u32> = (0..rows).map(|i| (i * 7919 % classes) as u32).collect();
    let aim = Aim {
        loss: Loss::CrossEntropy { first: 1.0 },
        scoring: Scoring { metric: Metric::Top1, skip_zero: false, void_zero: false },
        drop_last: false,
    };
    for (heads, size) in [(1, 32), (16, 32), (1, 1024)] {
        let members = (0..heads).map(|i| member(i, classes)).collect::<Result<Vec<_>, _>>()?;
        let mut bank = Bank::of(&members, aim)?.ok_or("the heads are trained in closed form")?;
        let settings: Vec<Setting> =
            (0..heads).map(|i| Setting { learning_rate: 1e-4 * (i + 1) as f64, momentum: None }).collect();
        let order = Stream::new(0, "order").permutation(rows);
        let requests: Vec<(&str, String)> = if heads == 1 {
            [("PyTorch, Adam", "torch"), ("PyTorch, fused Adam", "torch-fused")]
                .map(|(name, key)| (name, format!("linear {key} {rows} {size}")))
                .into()
        } else {
            Vec::new()
        };
        let title = format!("{heads} linear heads, an epoch of {rows} x 2048 to {classes}, batch {size}");
        compare(
            peers,
            &title,
            "epochs/s",
            1.0,
            rounds,
            &requests,
            &mut [("Virboard", &mut || {
                let lesson = |chosen: &[usize]| -> Result<Lesson, Failure> {
                    let batch = chosen.iter().map(|i| &values[i * 2048..][..2048]).collect::<Vec<_>>().concat();
                    let classes = chosen.iter().map(|i| labels[*i]).collect();
                    Ok(Lesson {
                        inputs: Tensor::from_vec(batch, (chosen.len(), 2048), &Device::Cpu)?,
                        classes,
                        settings: settings.clone(),
                    })
                };
                for some in order.chunks(bank.lessons(size) * size) {
                    bank.steps(&some.chunks(size).map(lesson).collect::<Result<Vec<_>, _>>()?)?;
                }
                Ok(())
            })],
        )?;
    }
    Ok(())
}

/// An epoch of the pixel-wise head on ResNet-50's maps of 224 x 224, one output a pixel.
fn pixelwise(peers: &mut Option<Peers>, rounds: usize) -> Result<(), Failure> {
    let (images, size) = (64, 8);
    let channels = vec![64, 256, 512, 1024, 2048];
    let map = |(i, c): (usize, &usize)| Tensor::randn(0f32, 1.0, (images, 112 >> i, 112 >> i, *c), &Device::Cpu);
    let maps: Vec<Tensor> = channels.iter().enumerate().map(map).collect::<Result<_, _>>()?;
    let architecture = Architecture::Pixelwise { channels, slim: None };
    let head = Head::new(spec(OutputKind::Depth, architecture, 0, 1), &Device::Cpu)?;
    let mut optimiser = Optimiser::new(Kind::Adam, head.parameters().trainable().clone());
    let truth = Truth::Values(vec![0.5; size * 224 * 224]);
    let title = format!("pixel-wise head, an epoch of {images} images of 224 x 224, batch {size}");
    let requests = [("PyTorch, fused Adam", format!("pixelwise torch {images} {size}"))];
    compare(
        peers,
        &title,
        "images/s",
        images as f64,
        rounds,
        &requests,
        &mut [("Virboard", &mut || {
            for at in (0..images).step_by(size) {
                let batch: Vec<Tensor> = maps.iter().map(|m| m.narrow(0, at, size)).collect::<Result<_, _>>()?;
                let loss = Loss::L1.of(&head.run(&batch, (224, 224), true)?, &truth, 1.0)?;
                let setting = Setting { learning_rate: 1e-4, momentum: None };
                optimiser.step(&loss.backward()?, &setting)?;
            }
            Ok(())
        })],
    )
}

/// An epoch of the DeepLabv3+-like head on ResNet-50's maps of 224 x 224, 19 classes.
fn deeplab(peers: &mut Option<Peers>, rounds: usize) -> Result<(), Failure> {
    let (images, size, classes) = (8, 4, 19);
    let architecture = Architecture::DeepLab(Shape::virb(256, 1024, Some((512, 2048)), false));
    let head = Head::new(spec(OutputKind::Segmentation, architecture, 0, classes), &Device::Cpu)?;
    let mut optimiser = Optimiser::new(Kind::Adam, head.parameters().trainable().clone());
    let map = |side, channels| Tensor::randn(0f32, 1.0, (size, side, side, channels), &Device::Cpu);
    let none = || Tensor::zeros((size, 1, 1, 1), candle_core::DType::F32, &Device::Cpu);
    let maps = [none()?, map(56, 256)?, none()?, map(14, 1024)?, none()?];
    let truth = Truth::Mask((0..size * 224 * 224).map(|i| (i * 7919 % classes) as u8).collect());
    let title = format!("DeepLab head, an epoch of {images} images of 224 x 224, batch {size}");
    let requests = [("PyTorch, fused Adam", format!("deeplab torch {images} {size}"))];
    compare(
        peers,
        &title,
        "images/s",
        images as f64,
        rounds,
        &requests,
        &mut [("Virboard", &mut || {
            for _ in (0..images).step_by(size) {
                let loss = Loss::CrossEntropy { first: 1.0 }.of(&head.run(&maps, (224, 224), true)?, &truth, 1.0)?;
                let setting = Setting { learning_rate: 1e-4, momentum: None };
                optimiser.step(&loss.backward()?, &setting)?;
            }
            Ok(())
        })],
    )
}

/// JPEGs of 500 x 375 to inputs, and to embeddings, and the encoder alone.
fn photos(peers: &mut Option<Peers>, folder: &Path, rounds: usize) -> Result<(), Failure> {
    const COUNT: usize = 1000;
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/photos");
    let mut sources = Vec::new();
    for class in ["animal", "fish", "household", "monument", "renewable energy", "tool"] {
        sources.extend(pictures(&own.join(class))?);
    }
    let photos = folder.join("photos");
    std::fs::create_dir_all(&photos)?;
    let mut files = Vec::new();
    for i in 0..COUNT {
        let picture = decode(&std::fs::read(&sources[i % sources.len()])?)?;
        let picture = resize(&picture, 500, 375, Filter::Bicubic);
        let file = photos.join(format!("{i:04}.jpg"));
        picture.save(&file)?;
        files.push(file);
    }
    let config = Config::resnet50();
    let network = ResNet::new(config, &mut random_weights(&config, 0)?, &Device::Cpu)?;
    let input = *network.preprocessing();
    let one = |file: &PathBuf| -> virboard_engine::Result<Vec<f32>> {
        let bytes = std::fs::read(file).map_err(virboard_engine::Error::io(file))?;
        Ok(input.input(&decode(&bytes)?))
    };
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let requests = [("Pillow, numpy", format!("photos pillow {COUNT}"))];
    let title = "JPEG of 500 x 375 to an input of 224 x 224, one thread";
    compare(
        peers,
        title,
        "images/s",
        COUNT as f64,
        rounds,
        &requests,
        &mut [("Virboard", &mut || Ok(one_thread.install(|| files.iter().try_for_each(|f| one(f).map(drop)))?))],
    )?;
    let batches: Vec<Tensor> =
        (0..COUNT / 8).map(|_| Tensor::randn(0f32, 1.0, (8, 3, 224, 224), &Device::Cpu)).collect::<Result<_, _>>()?;
    let title = "ResNet-50 alone, batch 8";
    compare(
        &mut None,
        title,
        "images/s",
        COUNT as f64,
        rounds,
        &[],
        &mut [("Virboard", &mut || Ok(batches.iter().try_for_each(|b| network.embedding(b).map(drop))?))],
    )?;
    let title = "JPEGs decoded, resized and encoded, batch 8";
    compare(
        &mut None,
        title,
        "images/s",
        COUNT as f64,
        rounds,
        &[],
        &mut [("Virboard", &mut || {
            let prepare = |chunk: &[PathBuf]| chunk.par_iter().map(one).collect::<virboard_engine::Result<Vec<_>>>();
            Ok(ahead(files.chunks(8), prepare, |inputs| {
                network.embedding(&input.batch(&inputs, &Device::Cpu)?).map(drop)
            })?)
        })],
    )
}

fn spec(kind: OutputKind, architecture: Architecture, seed: usize, outputs: usize) -> HeadSpec {
    let label = |i: usize| Label { name: i.to_string(), colour: String::new() };
    HeadSpec {
        task: "Any".to_owned(),
        encoder: "Any".to_owned(),
        encoder_sha256: String::new(),
        kind,
        architecture,
        labels: (0..outputs).map(label).collect(),
        unit: String::new(),
        scale: 1.0,
        seed: seed as u64,
        images: 1,
        channels: Some(outputs),
        reference: None,
    }
}

/// A linear head that has not been trained.
fn member(seed: usize, classes: usize) -> Result<Member, Failure> {
    let spec = spec(OutputKind::Classification, Architecture::Linear { input: 2048 }, seed, classes);
    let task = virboard_core::catalog::task("CIFAR-100").ok_or("the task is in the catalogue")?;
    let configuration = configuration(task, seed as u64, Protocol::Standard)?;
    Ok(Member::new(configuration, Head::new(spec, &Device::Cpu)?))
}

fn main() -> Result<(), Failure> {
    virboard_engine::memory::keep_freed();
    if let Ok(n) = std::env::var(PASS) {
        return pass(n.parse()?);
    }
    let folder = tempfile::tempdir()?;
    let mut peers = Peers::start(folder.path())?;
    println!("{} threads. {}\n", rayon::current_num_threads(), peers.as_ref().map_or("No peers.", |p| &p.versions));
    let only = std::env::args().nth(1).filter(|a| !a.starts_with('-'));
    let rounds = std::env::var("VIRBOARD_BENCH_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(15);
    let wanted = |name: &str| only.as_deref().is_none_or(|o| name.contains(o));
    if wanted("encoder") {
        encoders(&mut peers, rounds)?;
    }
    if wanted("memory") {
        memory(&mut peers)?;
    }
    if wanted("linear") {
        linear(&mut peers, rounds)?;
    }
    if wanted("pixelwise") {
        pixelwise(&mut peers, rounds.min(3))?;
    }
    if wanted("deeplab") {
        deeplab(&mut peers, rounds.min(3))?;
    }
    if wanted("photos") {
        photos(&mut peers, folder.path(), rounds.min(7))?;
    }
    Ok(())
}
