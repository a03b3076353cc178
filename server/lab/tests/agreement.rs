//! Heads, losses, optimisers, schedules, augmentation, probes and CKA against PyTorch,
//! torchvision, Pillow and scikit-learn. The vectors were made by
//! `scripts/make_training_vectors.py`; the table that this prints stands in `docs/AGREEMENT.md`.

use candle_core::{Device, Tensor};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;
use virboard_core::catalogue::task::OutputKind;
use virboard_core::protocol::Protocol;
use virboard_lab::head::{Architecture, Head, HeadSpec};
use virboard_lab::train::loss::Loss;
use virboard_lab::train::truth::Truth;
use virboard_nn::network::deeplab::{DeepLab, Shape};
use virboard_nn::optimiser::{Kind, Optimiser};
use virboard_nn::schedule::{Position, Schedule, Setting};
use virboard_nn::seeded::Stream;

type Vectors = HashMap<String, Tensor>;

fn vectors(name: &str) -> Vectors {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    candle_core::safetensors::load(path, &Device::Cpu).expect("the vectors are in the repository")
}

fn seeded(name: &str, shape: &[usize]) -> Tensor {
    let mut stream = Stream::new(0, name);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| (stream.uniform() * 4.0 - 2.0) as f32).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor")
}

fn uniform(name: &str, n: usize) -> Vec<f64> {
    let mut stream = Stream::new(0, name);
    (0..n).map(|_| stream.uniform()).collect()
}

fn classes(name: &str, n: usize, k: usize) -> Vec<usize> {
    uniform(name, n).iter().map(|u| (u * k as f64) as usize).collect()
}

fn nhwc(t: &Tensor) -> Tensor {
    t.permute((0, 2, 3, 1)).and_then(|t| t.contiguous()).expect("permuted")
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().and_then(|t| t.to_vec1()).expect("f32")
}

/// Largest difference at the sampled positions, relative to the vector's largest value.
fn error(got: &Tensor, vectors: &Vectors, name: &str) -> f64 {
    let wanted = values(vectors.get(name).unwrap_or_else(|| panic!("there is a vector {name}")));
    let scale = values(&vectors[&format!("{name}.scale")])[0];
    let shape: Vec<i64> = vectors[&format!("{name}.shape")].to_vec1().expect("i64");
    assert_eq!(got.dims().iter().map(|d| *d as i64).collect::<Vec<_>>(), shape, "{name}");
    let got = values(got);
    let step = (got.len() - 1) as f64 / (wanted.len().max(2) - 1) as f64;
    let at = |i: usize| got[(i as f64 * step) as usize];
    let worst = wanted.iter().enumerate().map(|(i, w)| (at(i) - w).abs()).fold(0f32, f32::max);
    f64::from(worst / scale.max(1e-12))
}

fn spec(kind: OutputKind, architecture: Architecture, outputs: usize) -> HeadSpec {
    HeadSpec {
        task: "Test".into(),
        encoder: "Test".into(),
        encoder_sha256: String::new(),
        kind,
        architecture,
        labels: Vec::new(),
        unit: String::new(),
        scale: 1.0,
        seed: 0,
        images: 1,
        channels: Some(outputs),
        reference: None,
    }
}

/// Rows of the table, which tests fill at the same time.
static TABLE: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn row(what: &str, against: &str, error: f64, most: f64) {
    assert!(error < most, "{what} differs from {against} by {error:e}, more than {most:e}");
    let line = format!("| {what} | {against} | {error:.1e} | {most:.0e} |");
    println!("{line}");
    TABLE.lock().expect("not poisoned").push(what.to_owned());
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/AGREEMENT.md");
    let document = std::fs::read_to_string(document).expect("docs/AGREEMENT.md is there");
    assert!(document.contains(&format!("| {what} |")), "docs/AGREEMENT.md has no row `{what}`");
}

/// Trains 20 steps of each optimiser and compares everything on the way.
fn check_head(
    name: &str,
    title: &str,
    make: &dyn Fn() -> Head,
    inputs: &[Tensor],
    size: (usize, usize),
    loss: Loss,
    truth: &Truth,
) {
    let v = vectors("training.safetensors");
    for (kind, label, lr) in [(Kind::Adam, "adam", 1e-3), (Kind::Sgd { momentum: 0.9 }, "sgd", 1e-2)] {
        let head = make();
        let mut optimiser = Optimiser::new(kind, head.parameters().trainable().clone());
        let wanted: Vec<f64> = v[&format!("{name}.{label}.losses")].to_vec1().expect("f64");
        let mut worst = 0f64;
        let (mut first_output, mut gradients) = (0f64, 0f64);
        for (step, wanted) in wanted.iter().enumerate() {
            let out = head.run(inputs, size, true).expect("computed");
            let value = loss.of(&out, truth, 1.0).expect("computed");
            let number = f64::from(value.to_scalar::<f32>().expect("a number"));
            worst = worst.max((number - wanted).abs() / wanted.abs().max(1e-6));
            if step + 1 == 21 {
                break;
            }
            let grads = value.backward().expect("computed");
            if step == 0 && label == "adam" {
                let planes = if out.rank() == 4 {
                    out.permute((0, 3, 1, 2)).expect("permuted").contiguous().expect("copied")
                } else {
                    out.clone()
                };
                first_output = error(&planes, &v, &format!("{name}.output"));
                for (part, var) in head.parameters().trainable() {
                    let key = format!("{name}.gradient.{part}");
                    // A bias before a batch normalisation has no effect: its gradient is noise.
                    let scale = v.get(&format!("{key}.scale")).map(|s| values(s)[0]);
                    if let Some(scale) = scale.filter(|s| *s > 1e-6) {
                        let gradient = grads.get(var).expect("it has a gradient");
                        let e = error(gradient, &v, &key);
                        assert!(e < 1e-4, "gradient of {part} in {name}: {e:e} of {scale:e}");
                        gradients = gradients.max(e);
                    }
                }
            }
            optimiser.step(&grads, &Setting { learning_rate: lr, momentum: None }).expect("stepped");
        }
        if label == "adam" {
            row(&format!("{title}: output"), "PyTorch", first_output, 1e-4);
            row(&format!("{title}: gradients"), "PyTorch", gradients, 1e-4);
        }
        let mut weights = 0f64;
        for (part, var) in head.parameters().trainable() {
            if let Some(vector) = v.get(&format!("{name}.{label}.{part}")) {
                let _ = vector;
                weights = weights.max(error(var, &v, &format!("{name}.{label}.{part}")));
            }
        }
        if let Some(running) = v.get(&format!("{name}.{label}.running")) {
            let wanted: Vec<f64> = running.to_vec1().expect("f64");
            let (mut sum, mut squares) = (0f64, 0f64);
            for (part, var) in head.parameters().all().filter(|(k, _)| k.contains(".running_")) {
                for v in values(var) {
                    assert!(v.is_finite(), "{part}");
                    sum += f64::from(v);
                    squares += f64::from(v) * f64::from(v);
                }
            }
            let e = ((sum - wanted[0]) / wanted[0]).abs().max(((squares - wanted[1]) / wanted[1]).abs());
            row(&format!("{title}: running statistics after 20 steps of {label}"), "PyTorch", e, 1e-4);
        }
        row(&format!("{title}: losses over 20 steps of {label}"), "PyTorch", worst, 1e-4);
        row(&format!("{title}: weights after 20 steps of {label}"), "PyTorch", weights, 1e-4);
        // Biases before batch normalisations have no effect in training, so that Adam moves them
        // by its noise; in tests the running means do not follow them in time.
        if label == "adam" && name.starts_with("deeplab") {
            continue;
        }
        let tested = head.run(inputs, size, false).expect("computed");
        let tested = if tested.rank() == 4 {
            tested.permute((0, 3, 1, 2)).expect("permuted").contiguous().expect("copied")
        } else {
            tested
        };
        row(
            &format!("{title}: test output after {label}"),
            "PyTorch",
            error(&tested, &v, &format!("{name}.{label}.tested")),
            1e-4,
        );
    }
}

#[test]
fn linear_and_multi_embedding_heads() {
    let truth = Truth::Classes(classes("classes", 8, 5).iter().map(|c| *c as u32).collect());
    let loss = Loss::CrossEntropy { first: 1.0 };
    let linear = || {
        Head::new(spec(OutputKind::Classification, Architecture::Linear { input: 32 }, 5), &Device::Cpu).expect("built")
    };
    check_head("linear", "Linear, cross-entropy", &linear, &[seeded("embedding", &[8, 32])], (1, 1), loss, &truth);
    for k in [2, 6] {
        let architecture = Architecture::MultiEmbedding { input: k * 16, hidden: 12 };
        let multi =
            || Head::new(spec(OutputKind::Classification, architecture.clone(), 5), &Device::Cpu).expect("built");
        let inputs = [seeded(&format!("embeddings{k}"), &[8, k * 16])];
        check_head(
            &format!("multi{k}"),
            &format!("Multi-embedding of {k}, cross-entropy"),
            &multi,
            &inputs,
            (1, 1),
            loss,
            &truth,
        );
    }
}

const CHANNELS: [usize; 5] = [6, 8, 10, 12, 16];
const SIZES: [(usize, usize); 5] = [(24, 20), (12, 10), (6, 5), (3, 3), (2, 2)];

fn maps(prefix: &str, images: usize) -> Vec<Tensor> {
    let each = CHANNELS.iter().zip(SIZES).enumerate();
    each.map(|(i, (c, (h, w)))| nhwc(&seeded(&format!("{prefix}{i}"), &[2, images * c, h, w]))).collect()
}

#[test]
fn pixelwise_and_siamese_heads() {
    let n = 2 * 48 * 40;
    let plain = Architecture::Pixelwise { channels: CHANNELS.to_vec(), slim: None };
    let head = || Head::new(spec(OutputKind::Depth, plain.clone(), 1), &Device::Cpu).expect("built");
    let mask = Truth::Mask(classes("mask", n, 2).iter().map(|c| *c as u8).collect());
    check_head(
        "pixelwise.bce",
        "Pixel-wise, BCE with logits",
        &head,
        &maps("map", 1),
        (48, 40),
        Loss::BinaryCrossEntropy,
        &mask,
    );
    let depth = Truth::Values(uniform("depth", n).iter().map(|u| *u as f32).collect());
    check_head("pixelwise.l1", "Pixel-wise, L1", &head, &maps("map", 1), (48, 40), Loss::L1, &depth);
    let fused =
        Architecture::Pixelwise { channels: CHANNELS.iter().map(|c| 2 * c).collect(), slim: Some(CHANNELS.to_vec()) };
    let siamese = || Head::new(spec(OutputKind::Depth, fused.clone(), 1), &Device::Cpu).expect("built");
    let flow = uniform("flow", n).iter().map(|u| *u as f32).map(|u| if u < 0.4 { f32::NAN } else { u }).collect();
    check_head(
        "siamese",
        "Siamese, L1 over labelled pixels",
        &siamese,
        &maps("pair", 2),
        (48, 40),
        Loss::L1,
        &Truth::Values(flow),
    );
}

fn deeplab(quirks: bool) -> Head {
    let shape = Shape { low: 6, high: 10, block4: Some((4, 16)), width: 8, reduced: 5, momentum: 3e-4, quirks };
    let head = Head::new(spec(OutputKind::Segmentation, Architecture::DeepLab(shape), 5), &Device::Cpu).expect("built");
    for (name, var) in head.parameters().all().filter(|(k, _)| k.starts_with("block4") && k.contains("running")) {
        let shift = if name.ends_with("mean") { -0.5 } else { 0.5 };
        let numbers: Vec<f32> =
            uniform(&format!("block4.{}", &name[7..]), var.elem_count()).iter().map(|u| *u as f32 + shift).collect();
        var.set(&Tensor::from_vec(numbers, var.dims(), &Device::Cpu).expect("a tensor")).expect("set");
    }
    head
}

#[test]
fn deeplab_heads_under_both_protocols() {
    let low = nhwc(&seeded("low", &[3, 6, 13, 11]));
    let high = nhwc(&seeded("high", &[3, 10, 7, 6]));
    let unused = Tensor::zeros(1, candle_core::DType::F32, &Device::Cpu).expect("a tensor");
    let inputs = [unused.clone(), low, unused.clone(), high, unused];
    let truth = Truth::Mask(classes("labels", 3 * 50 * 42, 5).iter().map(|c| *c as u8).collect());
    check_head(
        "deeplab",
        "DeepLabv3+, cross-entropy",
        &|| deeplab(false),
        &inputs,
        (50, 42),
        Loss::CrossEntropy { first: 1.0 },
        &truth,
    );
    check_head(
        "deeplab.virb",
        "DeepLabv3+ (virb), weighted cross-entropy",
        &|| deeplab(true),
        &inputs,
        (50, 42),
        Loss::CrossEntropy { first: 0.1 },
        &truth,
    );
    // The slips make a difference: other epsilons, and a reducer that stays in training mode.
    let out = |quirks, training| {
        deeplab(quirks)
            .run(&inputs, (50, 42), training)
            .and_then(|t| Ok(t.flatten_all()?.to_vec1::<f32>()?))
            .expect("computed")
    };
    assert_ne!(out(false, true), out(true, true));
    assert_ne!(out(false, false), out(true, false));
}

#[test]
fn a_folded_encoders_last_block_is_taken_up_by_a_deeplab_head() {
    let shape = Shape { low: 6, high: 10, block4: Some((4, 16)), width: 8, reduced: 5, momentum: 0.1, quirks: false };
    let head = DeepLab::new(shape, 3, 0, &Device::Cpu).expect("built");
    let error = head.copy_block4(&std::collections::BTreeMap::new()).expect_err("nothing to copy");
    assert!(error.to_string().contains("layer4.0.conv1.weight"), "{error}");
}

#[test]
fn schedules_are_stepped_and_virbs_are_not() {
    let v = vectors("schedules.safetensors");
    for (name, title, schedule) in [
        ("step", "StepLR", Schedule::StepLr { step_size: 3, gamma: 0.1 }),
        ("cycle", "OneCycleLR (rate and momentum)", Schedule::OneCycle),
        ("poly", "Poly", Schedule::Poly { exponent: 0.9 }),
    ] {
        let wanted: Vec<Vec<f64>> = v[name].to_vec2().expect("f64");
        let mut worst = 0f64;
        for (i, w) in wanted.iter().enumerate() {
            let at = Position { epoch: i as u32 / 7, epochs: 10, step: i as u64, steps: 70 };
            let got = schedule.setting(0.01, at, Protocol::Standard);
            worst = worst.max((got.learning_rate - w[0]).abs() / 0.01);
            worst = worst.max((got.momentum.unwrap_or(0.0) - w[1]).abs());
            let virb = schedule.setting(0.01, at, Protocol::Virb);
            assert!((virb.learning_rate - wanted[0][0]).abs() < 1e-12, "{name} stays where it begins");
        }
        row(&format!("Schedule {title}"), "PyTorch", worst, 1e-6);
    }
}

#[test]
fn colours_are_changed_as_pillow_does() {
    use image::RgbImage;
    use virboard_lab::train::colour::{Jitter, grey};
    let v = vectors("colours.safetensors");
    let bytes = |name: &str| -> Vec<u8> { v[name].flatten_all().and_then(|t| t.to_vec1()).expect("u8") };
    let photo = RgbImage::from_raw(64, 48, bytes("photo")).expect("a picture");
    let plain = Jitter { brightness: 1.0, contrast: 1.0, saturation: 1.0, hue: 0.0, order: [0, 1, 2, 3] };
    for (name, count) in [("brightness", 3), ("contrast", 2), ("saturation", 2), ("hue", 3)] {
        let mut worst = 0u8;
        for i in 0..count {
            let factor: Vec<f64> = v[&format!("{name}.{i}.factor")].to_vec1().expect("f64");
            let (jitter, step) = match name {
                "brightness" => (Jitter { brightness: factor[0], ..plain }, 0),
                "contrast" => (Jitter { contrast: factor[0], ..plain }, 1),
                "saturation" => (Jitter { saturation: factor[0], ..plain }, 2),
                _ => (Jitter { hue: factor[0], ..plain }, 3),
            };
            let mut got = photo.clone();
            jitter.apply_once(&mut got, step);
            worst =
                got.as_raw().iter().zip(bytes(&format!("{name}.{i}"))).map(|(a, b)| a.abs_diff(b)).fold(worst, u8::max);
        }
        row(&format!("ColorJitter: {name} (of 255)"), "torchvision", f64::from(worst), 0.5);
    }
    let mut got = photo.clone();
    grey(&mut got);
    let worst = got.as_raw().iter().zip(bytes("grey")).map(|(a, b)| a.abs_diff(b)).max().expect("pixels");
    row("RandomGrayscale (of 255)", "torchvision", f64::from(worst), 0.5);
}

#[test]
fn numbers_are_resized_as_pillow_does() {
    use virboard_nn::preprocess::{Filter, resize_numbers};
    let v = vectors("colours.safetensors");
    let mut stream = Stream::new(0, "numbers");
    let numbers: Vec<f32> = (0..1200).map(|_| (stream.normal() * 5.0) as f32).collect();
    let mut worst = 0f64;
    for (name, to) in [("numbers", (224, 224)), ("numbers.small", (13, 9))] {
        let wanted = values(&v[name]);
        let got = resize_numbers(&numbers, (40, 30), to, Filter::Bicubic);
        worst = got.iter().zip(&wanted).map(|(a, b)| f64::from((a - b).abs() / 20.0)).fold(worst, f64::max);
    }
    row("Bicubic resize of depth maps", "Pillow", worst, 1e-5);
}

#[test]
fn neighbours_and_logistic_regression() {
    use virboard_lab::score::metric::SampleScore;
    use virboard_lab::score::{knn, logistic};
    let v = vectors("probes.safetensors");
    let of = |n: u32| -> Vec<u32> { (0..n).map(|i| i % 4).collect() };
    let compare = |samples: &[SampleScore], name: &str| -> f64 {
        let wanted: Vec<Vec<f32>> = v[name].to_vec2().expect("f32");
        let mut worst = 0f64;
        for (sample, wanted) in samples.iter().zip(wanted) {
            let SampleScore::Class { top, .. } = sample else { panic!("a class") };
            for (class, p) in top {
                worst = worst.max(f64::from((p - wanted[*class as usize]).abs()));
            }
        }
        worst
    };
    let votes = knn::classify(&v["train"], &of(240), &v["test"], &of(120), &knn::NEIGHBOURS, &()).expect("classified");
    let worst = knn::NEIGHBOURS.iter().zip(&votes).map(|(k, s)| compare(s, &format!("knn.{k}"))).fold(0f64, f64::max);
    row("k nearest neighbours: votes for k = 10, 20, 100, 200", "DINO's rule in PyTorch", worst, 1e-4);
    let fitted = logistic::classify(&v["train"], &of(240), &v["test"], &of(120), 4, &()).expect("fitted");
    row("Logistic regression: probabilities", "scikit-learn", compare(&fitted, "logistic"), 2e-3);
}

#[test]
fn metrics_under_both_protocols() {
    use virboard_core::catalogue::task::Metric;
    use virboard_lab::score::metric::{Scoring, score};
    use virboard_lab::train::score_batch;
    let v = vectors("metrics.safetensors");
    let wanted = |name: &str| v[name].to_vec1::<f64>().expect("f64")[0];
    let mut stream = Stream::new(0, "metric.logits");
    let numbers: Vec<f32> = (0..10 * 4 * 30).map(|_| stream.normal() as f32).collect();
    let logits = nhwc(&Tensor::from_vec(numbers, (10, 4, 6, 5), &Device::Cpu).expect("a tensor"));
    let labels: Vec<u8> = classes("metric.labels", 300, 4).iter().map(|c| *c as u8).collect();
    let plane = |c: usize| logits.narrow(3, c, 1).and_then(|t| t.contiguous()).expect("a plane");
    let check = |title: &str, name: &str, out: &Tensor, truth: &Truth, metric, protocol| {
        let scoring = Scoring { metric, skip_zero: false, void_zero: false };
        let samples = score_batch(out, truth, 1.0, metric, protocol).expect("scored");
        row(title, "PyTorch", (score(&samples, scoring, protocol, 4) - wanted(name)).abs(), 1e-6);
    };
    let first = logits.narrow(1, 0, 1).and_then(|t| t.narrow(2, 0, 1)?.flatten_from(1)).expect("logits");
    let tops = Truth::Classes(labels.iter().step_by(30).map(|c| u32::from(*c)).collect());
    check("Top-1 accuracy", "top1", &first, &tops, Metric::Top1, Protocol::Standard);
    let mask = Truth::Mask(labels.clone());
    check("mIoU (virb)", "miou.virb", &logits, &mask, Metric::MeanIou, Protocol::Virb);
    check("mIoU (standard)", "miou.standard", &logits, &mask, Metric::MeanIou, Protocol::Standard);
    let one = Truth::Mask(labels.iter().map(|c| u8::from(*c == 1)).collect());
    check("IoU of one class", "iou", &plane(1), &one, Metric::Iou, Protocol::Standard);
    let other = Truth::Values(values(&plane(1)));
    check("L1 error", "l1", &plane(0), &other, Metric::L1, Protocol::Standard);
    let flow = values(&plane(3)).iter().zip(&labels).map(|(v, l)| if *l == 0 { f32::NAN } else { *v }).collect();
    check("Flow accuracy (virb)", "flow.virb", &plane(2), &Truth::Values(flow), Metric::FlowAccuracy, Protocol::Virb);
}

#[test]
fn cka_in_blocks_is_numpys_of_all_rows_at_once() {
    use virboard_lab::work::cka::Gram;
    let v = vectors("cka.safetensors");
    let wanted = v["cka"].to_vec1::<f64>().expect("f64")[0];
    for block in [50, 7] {
        let gram =
            |name: &str| Gram::of(50, block, |from, to| Ok(v[name].narrow(0, from, to - from)?)).expect("computed");
        let (a, b) = (gram("a"), gram("b"));
        row("Linear CKA", "NumPy", (a.cka(&b) - wanted).abs(), 1e-6);
        assert!((a.cka(&a) - 1.0).abs() < 1e-6);
        assert!((a.cka(&b) - b.cka(&a)).abs() < 1e-12);
    }
}
