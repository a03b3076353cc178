//! The parts of the engine, one by one: `cargo bench --bench parts`. Whole tasks beside their
//! peers are in `peers`.

use candle_core::Device;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;
use virboard_core::catalogue::architecture::Architecture;
use virboard_core::catalogue::task::Metric;
use virboard_core::protocol::Protocol;
use virboard_lab::image::decode;
use virboard_lab::score::metric::{SampleScore, Scoring, interval, score};
use virboard_nn::encoder::Precision;
use virboard_nn::load::{LoadedEncoder, load, random};
use virboard_nn::preprocess::{Filter, resize};
use virboard_nn::testing::Random;

/// What a benchmark is made of is there: it ships, or is made here.
trait There<T> {
    fn there(self) -> T;
}

impl<T, E: std::fmt::Display> There<T> for Result<T, E> {
    fn there(self) -> T {
        self.unwrap_or_else(|error| panic!("the benchmark cannot begin: {error}"))
    }
}

fn samples() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples")
}

fn pictures(c: &mut Criterion) {
    let folder = samples().join("photos/animal");
    let first = std::fs::read_dir(folder).there().flatten().map(|e| e.path()).min();
    let bytes = std::fs::read(first.unwrap_or_default()).there();
    let picture = decode(&bytes).there();
    let mut group = c.benchmark_group("picture");
    group.throughput(Throughput::Elements(1));
    let (width, height) = picture.dimensions();
    group.bench_function(format!("JPEG of {width} x {height}, decoded"), |b| b.iter(|| decode(black_box(&bytes))));
    for filter in [Filter::Bilinear, Filter::Bicubic] {
        let name = format!("resized to 224 x 224, {filter:?}").to_lowercase();
        group.bench_function(name, |b| b.iter(|| resize(black_box(&picture), 224, 224, filter)));
    }
    group.finish();
}

fn encoders(c: &mut Criterion) {
    let shipped = |key: &str, architecture| -> LoadedEncoder {
        let file = samples().join(format!("encoders/{key}.safetensors"));
        load(key, architecture, &file, None, &Device::Cpu, Precision::F32).there()
    };
    let mut all = vec![
        ("ResNet-50", random("Random", &Device::Cpu, Precision::F32).there()),
        ("ResNet-50, half width", shipped("OpenNsfw", Architecture::of("open_nsfw"))),
        ("EfficientNet-Lite0", shipped("EfficientNetLite0", Architecture::of("efficientnet_lite0"))),
    ];
    if let Ok(brief) = random("Random", &Device::Cpu, Precision::Bf16) {
        all.insert(1, ("ResNet-50, bfloat16", brief));
    }
    let mut group = c.benchmark_group("encoder");
    for (name, encoder) in &all {
        let network = &*encoder.network;
        let input = network.preprocessing();
        let (width, height) = (input.width as usize, input.height as usize);
        for (n, maps) in [(1, false), (8, false), (8, true)] {
            let x = Random::new("pictures").normal(1.0, (n, 3, height, width));
            group.throughput(Throughput::Elements(n as u64));
            let name = format!("{name}, batch {n}{}", if maps { ", with maps" } else { "" });
            group.bench_function(name, |b| b.iter(|| network.features_with(black_box(&x), maps).there()));
        }
    }
    group.finish();
}

fn metrics(c: &mut Criterion) {
    let scoring = |metric| Scoring { metric, skip_zero: true, void_zero: false };
    let classes: Vec<SampleScore> =
        (0..10_000u32).map(|i| SampleScore::Class { truth: i % 100, top: vec![(i * 7 % 100, 1.0)] }).collect();
    let pixels = |i: u64| SampleScore::Pixels {
        counts: (0..19u8).flat_map(|c| [(c, c, 900 + i % 7), (c, (c + 1) % 19, i % 90)]).collect(),
    };
    let pixels: Vec<SampleScore> = (0..500).map(pixels).collect();
    let mut group = c.benchmark_group("metric");
    let one = Protocol::Standard;
    for (name, samples, metric) in [
        ("top-1 of 10,000 samples", &classes, Metric::Top1),
        ("mIoU of 500 pictures, 19 classes", &pixels, Metric::MeanIou),
    ] {
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |b| b.iter(|| score(black_box(samples), scoring(metric), one, 32)));
        group.sample_size(10);
        let name = format!("interval of {name}");
        group.bench_function(name, |b| b.iter(|| interval(black_box(samples), scoring(metric), one, 32)));
    }
    group.finish();
}

criterion_group! {
    name = parts;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    targets = pictures, encoders, metrics
}
criterion_main!(parts);
