//! The command line: exit codes and sentences.

mod common;

use std::path::Path;
use std::process::{Command, Output};

fn virboard(data: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_virboard"))
        .current_dir(common::root())
        .arg("--data-dir")
        .arg(data)
        .args(arguments)
        .env("VIRBOARD_LOG", "error")
        .output()
        .expect("it runs")
}

/// Fails with `code` and one sentence that holds `text`.
fn refuses(data: &Path, arguments: &[&str], code: i32, text: &str) {
    let output = virboard(data, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.contains(text), "{arguments:?}: {said}");
    if code == 1 {
        assert_eq!(said.trim().lines().count(), 1, "{said}");
    }
}

#[test]
fn failures_are_one_sentence_and_exit_with_one() {
    let data = tempfile::tempdir().expect("a folder");
    let evaluate = |encoder, task| ["evaluate", "--encoders", encoder, "--tasks", task];
    refuses(data.path(), &evaluate("Nobody", "SamplePhotos"), 1, "no encoder `Nobody`; known are SWAV_100");
    refuses(data.path(), &evaluate("Random", "Chess"), 1, "no task `Chess`");
    refuses(data.path(), &evaluate("Random", "Pets"), 1, "datasets/pets is not there");
    refuses(data.path(), &evaluate("SWAV_800", "SamplePhotos"), 1, "checkpoints/SWAV_800.safetensors");
    refuses(
        data.path(),
        &["--device", "cuda:0", "evaluate", "--encoders", "Random", "--tasks", "SamplePhotos"],
        1,
        "cuda",
    );
}

#[test]
fn names_are_understood_or_the_likely_one_is_asked_for() {
    let data = tempfile::tempdir().expect("a folder");
    let evaluate = |encoders, tasks| ["evaluate", "--encoders", encoders, "--tasks", tasks];
    refuses(data.path(), &evaluate("Random", "Petz"), 1, "did you mean `Pets`?");
    refuses(data.path(), &evaluate("SWAV_8OO", "SamplePhotos"), 1, "did you mean `SWAV_800`?");
    refuses(data.path(), &evaluate("Random,,OpenNsfw", "SamplePhotos"), 1, "a name between commas is empty");
    refuses(data.path(), &["fetch", "encoder", "swav_8000"], 1, "did you mean `SWAV_800`?");
    // Spaces, case and names that are shown do not matter, and the same twice is one.
    let plan = [&evaluate("random, Random", "sample photos,SamplePhotos")[..], &["--plan", "--seed", "1,1"]].concat();
    let output = virboard(data.path(), &plan);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().filter(|l| l.ends_with(": 1 configurations")).count(), 1, "{said}");
}

#[test]
fn a_configuration_that_is_not_understood_is_no_plan() {
    let data = tempfile::tempdir().expect("a folder");
    let config = data.path().join("grid.yaml");
    let path = config.to_str().expect("text");
    let plan = ["evaluate", "--config", path, "--encoders", "Random", "--plan"];
    let task = |name: &str, more: &str| {
        format!(
            "{name}:\n task: {name}\n training_configs:\n  adam-0.001: {{optimizer: adam, lr: 0.001{more}}}\n num_epochs: 1\n"
        )
    };
    let decay = task("SceneDepth", ", weight_decay: 0.0001");
    for text in [format!("{}{decay}", task("SamplePhotos", "")), decay] {
        std::fs::write(&config, text).expect("written");
        refuses(data.path(), &plan, 1, "SceneDepth/adam-0.001: `weight_decay` is not known");
    }
    std::fs::write(&config, task("SamplePhotos", "").replace("num_epochs", "num_epoch")).expect("written");
    refuses(data.path(), &plan, 1, "SamplePhotos: `num_epoch` is not known, did you mean `num_epochs`?");
}

#[test]
fn layers_of_pictures_that_are_all_the_same_are_refused_in_words() {
    let data = tempfile::tempdir().expect("a folder");
    let images = data.path().join("images");
    std::fs::create_dir(&images).expect("made");
    for name in ["a.png", "b.png", "c.png"] {
        std::fs::copy(common::root().join("public/samples/scene-20003.png"), images.join(name)).expect("copied");
    }
    let folder = images.to_str().expect("text");
    let cka = ["cka", "--encoders", "OpenNsfw", "--images", folder, "--side", "64", "--keep"];
    let output = virboard(data.path(), &cka);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("virboard: the layer img of OpenNsfw is the same on all 3 pictures"), "{said}");
    assert!(!data.path().join("alignments").exists(), "nothing is kept");
}

#[test]
fn bad_arguments_exit_with_two() {
    let data = tempfile::tempdir().expect("a folder");
    refuses(data.path(), &["evaluate"], 2, "--encoders");
    refuses(data.path(), &["serve", "--addr", "here"], 2, "here");
    refuses(data.path(), &["--precision", "f8", "serve"], 2, "known are auto, f32, f16 and bf16");
    refuses(data.path(), &["dance"], 2, "dance");
    refuses(data.path(), &["serve", "--queue", "0"], 2, "--queue");
    refuses(data.path(), &["cka", "--encoders", "Random", "--images", "x", "--limit", "1"], 2, "--limit");
}

#[test]
fn the_version_names_the_commit() {
    let data = tempfile::tempdir().expect("a folder");
    let said = String::from_utf8(virboard(data.path(), &["--version"]).stdout).expect("text");
    assert_eq!(said.trim(), format!("virboard {}", virboard::VERSION));
    let (version, commit) = virboard::VERSION.split_once('+').unwrap_or((virboard::VERSION, ""));
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    // An archive has no commit.
    let repository = common::root().join(".git").exists();
    assert_eq!(commit.len() == 12 && commit.bytes().all(|b| b.is_ascii_hexdigit()), repository, "{commit}");
}

#[test]
fn a_used_address_is_explained() {
    let data = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    refuses(data.path(), &["serve", "--addr", &address], 1, "Is another Virboard running?");
}

#[test]
fn a_scene_is_rendered_with_its_truth() {
    let out = tempfile::tempdir().expect("a folder");
    let folder = out.path().to_str().expect("text");
    let done = virboard(out.path(), &["scene", "--seed", "5", "--width", "64", "--height", "48", "--out", folder]);
    assert!(done.status.success());
    for file in ["picture.png", "mask.png", "depth.png"] {
        let picture = image::open(out.path().join(file)).expect("a picture");
        assert_eq!((picture.width(), picture.height()), (64, 48), "{file}");
    }
}
