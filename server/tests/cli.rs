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
fn bad_arguments_exit_with_two() {
    let data = tempfile::tempdir().expect("a folder");
    refuses(data.path(), &["evaluate"], 2, "--encoders");
    refuses(data.path(), &["serve", "--addr", "here"], 2, "here");
    refuses(data.path(), &["--precision", "f8", "serve"], 2, "known are f32, f16 and bf16");
    refuses(data.path(), &["dance"], 2, "dance");
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
