//! Heads, losses, optimisers, schedules, augmentation, probes and CKA against PyTorch,
//! torchvision, timm, Pillow and scikit-learn. The vectors were made by
//! `scripts/make_training_vectors.py` and, where a file says so, by others; the table that this prints stands in `docs/AGREEMENT.md`.

mod fine_tuning;
mod heads;
mod optimisers;
mod pretraining;
mod scores;
mod training;
mod vit;

use candle_core::Tensor;
use std::path::Path;
use virboard_core::protocol::Protocol;
use virboard_nn::schedule::{Position, Schedule};
use virboard_nn::seeded::Stream;
use virboard_nn::testing::{Random, Vectors, difference, values};

fn vectors(name: &str) -> Vectors {
    Vectors::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name))
}

fn seeded(name: &str, shape: &[usize]) -> Tensor {
    Random::new(name).uniform(shape)
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

/// Prints a row of the table in `docs/AGREEMENT.md`, which must have it.
#[track_caller]
fn row(what: &str, against: &str, error: f64, most: f64) {
    // A number that is none is not below.
    assert!(error < most, "{what} differs from {against} by {error:e}, more than {most:e}");
    println!("| {what} | {against} | {error:.1e} | {most:.0e} |");
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/AGREEMENT.md");
    let document = std::fs::read_to_string(document).expect("docs/AGREEMENT.md is there");
    assert!(document.contains(&format!("| {what} |")), "docs/AGREEMENT.md has no row `{what}`");
}

/// The largest of some errors, of which there is one at least and none that is no number.
#[track_caller]
fn largest(errors: &[f64]) -> f64 {
    difference("errors", errors, &vec![0.0; errors.len()])
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
        let mut errors = Vec::new();
        for (i, w) in wanted.iter().enumerate() {
            let at = Position { epoch: i as u32 / 7, epochs: 10, step: i as u64, steps: 70 };
            let got = schedule.setting(0.01, at, Protocol::Standard);
            errors.extend([(got.learning_rate - w[0]) / 0.01, got.momentum.unwrap_or(0.0) - w[1]]);
            let virb = schedule.setting(0.01, at, Protocol::Virb);
            assert!((virb.learning_rate - wanted[0][0]).abs() < 1e-12, "{name} stays where it begins");
        }
        row(&format!("Schedule {title}"), "PyTorch", largest(&errors), 1e-6);
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
        let mut errors = Vec::new();
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
            let vector = format!("{name}.{i}");
            errors.push(difference(&vector, got.as_raw(), &bytes(&vector)));
        }
        row(&format!("ColorJitter: {name} (of 255)"), "torchvision", largest(&errors), 0.5);
    }
    let mut got = photo.clone();
    grey(&mut got);
    row("RandomGrayscale (of 255)", "torchvision", difference("grey", got.as_raw(), &bytes("grey")), 0.5);
}

#[test]
fn numbers_are_resized_as_pillow_does() {
    use virboard_nn::preprocess::{Filter, resize_numbers};
    let v = vectors("colours.safetensors");
    let mut stream = Stream::new(0, "numbers");
    let numbers: Vec<f32> = (0..1200).map(|_| (stream.normal() * 5.0) as f32).collect();
    let mut errors = Vec::new();
    for (name, to) in [("numbers", (224, 224)), ("numbers.small", (13, 9))] {
        let wanted = values(&v[name]);
        let got = resize_numbers(&numbers, (40, 30), to, Filter::Bicubic);
        errors.push(difference(name, &got, &wanted) / 20.0);
    }
    row("Bicubic resize of depth maps", "Pillow", largest(&errors), 1e-5);
}
