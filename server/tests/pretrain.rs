//! Encoders that are made here: pre-trained, interrupted, declared, used.

mod common;

use common::program::{fails, run, virboard, works};
use image::{Rgb, RgbImage};
use std::path::Path;
use std::time::Duration;
use virboard_nn::seeded::Stream;

/// A folder of two classes of noisy pictures.
fn pictures(data: &Path) -> String {
    let folder = data.join("pictures");
    for (class, tint) in [("dark", 60u8), ("light", 180)] {
        std::fs::create_dir_all(folder.join(class)).expect("made");
        for i in 0..12 {
            let mut random = Stream::new(i, class);
            let mut noise = |by: usize| tint.saturating_add(random.below(by) as u8);
            let picture = RgbImage::from_fn(40, 36, |_, _| Rgb([noise(70), noise(40), noise(20)]));
            picture.save(folder.join(class).join(format!("{i}.png"))).expect("written");
        }
    }
    folder.display().to_string()
}

const NETWORK: &str = "network: {architecture: resnet18, width: 8, blocks: [1, 1, 1, 1]}\n";
const SUPERVISED: &str = "method: {supervised: {}}\nviews: [{count: 1, side: 32, scale: [0.3, 1.0]}]\n";
const MOCO: &str = "method: {moco_v2: {projection: {hidden: 16, out: 8, batch_norm: true}, temperature: 0.2, queue: 16, momentum: 0.9, groups: 2}}\nviews: [{count: 2, side: 32, scale: [0.3, 1.0], jitter: {brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1}}]\n";

/// Settings of a small run.
fn settings(data: &Path, name: &str, method: &str, rest: &str) -> String {
    let text = format!(
        "{method}{NETWORK}data: {{sources: [\"{}\"]}}\noptimiser: {{sgd: {{momentum: 0.9}}}}\nlearning_rate: 0.05\nschedule: {{cosine: {{}}}}\nweight_decay: 0.0001\nbatch: 8\n{rest}",
        pictures(data)
    );
    let path = data.join(format!("{name}.yaml"));
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

fn weights(data: &Path, key: &str) -> Vec<u8> {
    std::fs::read(data.join(format!("checkpoints/{key}.safetensors"))).expect("a checkpoint")
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_with_the_same_weights() {
    for (name, method) in [("supervised", SUPERVISED), ("moco", MOCO)] {
        let (whole, killed) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let config = settings(whole.path(), name, method, "epochs: 60\nkeep: [30]\n");
        works(whole.path(), &["pretrain", "--config", &config, "--out", "Mine"]);
        let arguments = ["pretrain", "--config", &config, "--out", "Mine"];
        let mut interrupted = 0;
        for milliseconds in [40, 90, 140, 200, 260, 330, 410, 500, 600, 700] {
            let mut child = virboard(killed.path()).args(arguments).spawn().expect("it starts");
            std::thread::sleep(Duration::from_millis(milliseconds));
            let ended = child.try_wait().expect("asked").is_some();
            child.kill().expect("killed");
            child.wait().expect("ended");
            if ended {
                break;
            }
            interrupted += 1;
        }
        assert!(interrupted > 0, "it was interrupted");
        if !killed.path().join("encoders/Mine.toml").is_file() {
            works(killed.path(), &arguments);
        }
        assert!(weights(whole.path(), "Mine") == weights(killed.path(), "Mine"), "{name}");
        assert!(weights(whole.path(), "Mine_30") == weights(killed.path(), "Mine_30"), "{name}");
        assert!(weights(whole.path(), "Mine_30") != weights(whole.path(), "Mine"), "{name}");
    }
}

#[test]
fn what_was_pre_trained_is_an_encoder_like_any_other() {
    let data = tempfile::tempdir().expect("a folder");
    let config = settings(data.path(), "small", SUPERVISED, "epochs: 12\nkeep: [6]\n");
    let said = works(data.path(), &["pretrain", "--config", &config, "--json"]);
    let trained: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let curve = trained["curve"].as_array().expect("a curve");
    let loss = |i: usize| curve[i]["loss"].as_f64().expect("a number");
    assert_eq!(curve.len(), 12);
    assert!(loss(11).is_finite() && loss(11) < loss(0), "{} to {}", loss(0), loss(11));
    let listed = works(data.path(), &["encoder", "list"]);
    assert!(listed.contains("small ") && listed.contains("small_6 "), "{listed}");
    let out = data.path().join("features.safetensors");
    let checkpoint = data.path().join("checkpoints/small.safetensors").display().to_string();
    let folder = data.path().join("pictures/dark").display().to_string();
    works(
        data.path(),
        &["encode", "--checkpoint", &checkpoint, "--images", &folder, "--out", &out.display().to_string()],
    );
    assert!(out.is_file());
    let list = std::fs::read_to_string(data.path().join("pretraining/small.pictures.txt")).expect("a list");
    assert!(list.contains("dark/3.png") && list.lines().count() >= 24, "{list}");
    // It begins where that one ended, and its name is taken.
    works(data.path(), &["pretrain", "--config", &config, "--from", "small", "--out", "again"]);
    assert!(weights(data.path(), "again") != weights(data.path(), "small"));
    assert!(fails(data.path(), &["pretrain", "--config", &config]).contains("cannot be called `small_6`"));
}

#[test]
fn what_cannot_be_trained_is_a_sentence() {
    let data = tempfile::tempdir().expect("a folder");
    let refused = |name: &str, method: &str, rest: &str, more: &[&str]| {
        let config = settings(data.path(), name, method, rest);
        fails(data.path(), &[&["pretrain", "--config", &config][..], more].concat())
    };
    let two =
        SUPERVISED.replace("{supervised: {}}", "{supervised: {}, simclr: {projection: {out: 8}, temperature: 0.1}}");
    let said = refused("two", &two, "epochs: 1\n", &[]);
    assert!(said.contains("supervised") && said.contains("simclr"), "{said}");
    let said = refused("other", SUPERVISED, "epochs: 1\n", &["--from", "EfficientNetLite0"]);
    assert!(said.contains("EfficientNetLite0") && said.contains("ResNet"), "{said}");
    let said = refused("large", SUPERVISED, "accumulate: 9\nepochs: 1\n", &[]);
    assert!(said.contains("24") && said.contains("72"), "{said}");
    let said = refused("far", SUPERVISED, "epochs: 1\nkeep: [2]\n", &[]);
    assert!(said.contains("`keep` names epoch 2"), "{said}");
    std::fs::write(data.path().join("pictures/dark/0.png"), b"no picture").expect("written");
    let config = data.path().join("far.yaml");
    let text = std::fs::read_to_string(&config).expect("read").replace("keep: [2]\n", "");
    std::fs::write(&config, text).expect("written");
    let said = fails(data.path(), &["pretrain", "--config", &config.display().to_string()]);
    assert!(said.contains("0.png"), "{said}");
    let output = run(data.path(), &["pretrain", "--config", "nowhere.yaml"]);
    assert_eq!(output.status.code(), Some(1));
}
