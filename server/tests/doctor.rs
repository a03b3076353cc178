//! `virboard doctor`: what it tells, and what follows from what it measures.

mod common;

use serde_json::Value;
use std::process::Command;

/// A command of the program, which computes where it likes.
fn program(data: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_virboard"));
    command.current_dir(common::root()).arg("--data-dir").arg(data);
    command
}

fn doctor(data: &std::path::Path, arguments: &[&str]) -> (Value, String) {
    let out = program(data).args(["doctor", "--json"]).args(arguments).output().expect("started");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}");
    (serde_json::from_slice(&out.stdout).expect("JSON"), said)
}

#[test]
fn it_tells_what_computes_what_is_here_and_which_precision_to_take() {
    let data = tempfile::tempdir().expect("a folder");
    let (report, _) = doctor(data.path(), &["--device", "cpu"]);
    assert!(report["processor"]["threads"].as_u64().is_some_and(|n| n > 0), "{report}");
    assert!(["v4", "v3", "scalar"].contains(&report["processor"]["instructions"].as_str().expect("text")));
    assert_eq!(report["libraries"].as_array().map(Vec::len), Some(6));
    assert_eq!((&report["device"], &report["device_problem"]), (&"cpu".into(), &Value::Null));
    let names = |of: &str| report["data"][of].as_array().expect("a list").clone();
    assert!(names("encoders").contains(&"EfficientNetLite0".into()) && names("encoders").contains(&"Random".into()));
    assert!(names("tasks").contains(&"SceneDepth".into()) && !names("tasks").contains(&"Imagenet".into()));
    assert!(report["data"]["free"].as_u64().is_some_and(|bytes| bytes > 0));
    let speeds = report["speeds"].as_array().expect("a list");
    assert_eq!(speeds[0]["precision"], "f32");
    let rate = |s: &Value| s["pictures_per_second"].as_f64().filter(|r| r.is_finite() && *r > 0.0).expect("a rate");
    let recommended = speeds.iter().find(|s| s["precision"] == report["recommended"]).expect("one of them");
    assert!(rate(recommended) >= rate(&speeds[0]), "no slower one is recommended: {report}");
    // What was measured is kept, and what `auto` takes.
    let kept: Value =
        serde_json::from_slice(&std::fs::read(data.path().join("measured.json")).expect("kept")).expect("JSON");
    assert_eq!(kept["speeds"], report["speeds"]);
}

#[test]
fn a_gpu_that_cannot_be_used_is_explained_and_the_cpu_examined() {
    let data = tempfile::tempdir().expect("a folder");
    let (report, _) = doctor(data.path(), &["--device", "cuda:7"]);
    let problem = report["device_problem"].as_str().expect("a sentence");
    assert!(problem.contains("cuda:7") && report["device"] == "cpu", "{report}");
    let out = program(data.path()).args(["doctor", "--device", "cuda:7"]).output().expect("started");
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(text.contains(problem) && text.contains("Recommended: --precision"), "{text}");
}

#[test]
fn serving_and_encoding_take_the_measured_precision_and_scores_the_full_one() {
    let data = tempfile::tempdir().expect("a folder");
    let out = program(data.path()).args(["--precision", "half", "doctor"]).output().expect("started");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && said.contains("auto, f32, f16 and bf16"), "{said}");
    let (report, _) = doctor(data.path(), &[]);
    let pictures = common::root().join("public/samples");
    let file = data.path().join("features.safetensors");
    let checkpoint = common::root().join("server/samples/encoders/OpenNsfw.safetensors");
    let encode = |precision: &[&str]| {
        let mut command = program(data.path());
        command
            .args(["encode", "--checkpoint"])
            .arg(&checkpoint)
            .arg("--images")
            .arg(&pictures)
            .arg("--out")
            .arg(&file);
        let out = command.args(precision).output().expect("started");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let tensors = candle_core::safetensors::load(&file, &candle_core::Device::Cpu).expect("written");
        std::fs::remove_file(&file).expect("removed");
        tensors["embedding"].flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers")
    };
    let recommended = report["recommended"].as_str().expect("a precision");
    let (auto, said) = (encode(&[]), encode(&["--precision", recommended]));
    assert!(!auto.is_empty() && auto == said, "auto is what was recommended");
}
