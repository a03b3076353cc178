//! Killed at any moment, taken up again, and never in each other's way.

mod common;

use common::program::{config, fails, miniatures, virboard, works};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use virboard_core::catalogue::Catalogue;
use virboard_nn::seeded::Stream;

const TASKS: [(&str, u32); 4] = [("Eurosat", 60), ("THORActionPrediction", 40), ("NYUDepth", 8), ("PetsDetection", 8)];

fn data() -> (tempfile::TempDir, Vec<String>) {
    let data = miniatures(&["eurosat", "thor_action_prediction", "nyu", "pets"]);
    let config = config(data.path(), &TASKS);
    let arguments = ["evaluate", "--config", &config, "--encoders", "EfficientNetLite0"];
    let arguments = arguments.iter().map(|a| (*a).to_owned()).collect();
    (data, arguments)
}

/// All results but for run numbers and times, and the bytes of heads and per-sample results.
fn outcome(data: &Path) -> (String, BTreeMap<String, Vec<u8>>) {
    let rows = works(data, &["export", "--format", "json"]);
    let mut rows: Vec<serde_json::Value> = serde_json::from_str(&rows).expect("JSON");
    for row in &mut rows {
        row["run"] = serde_json::Value::Null;
        row["provenance"]["finished_at"] = 0.into();
        row["provenance"]["seconds"] = 0.into();
    }
    let mut files = BTreeMap::new();
    for folder in ["heads", "predictions"] {
        collect(&data.join(folder), data, &mut files);
    }
    (serde_json::to_string_pretty(&rows).expect("JSON"), files)
}

fn collect(folder: &Path, root: &Path, into: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, root, into);
        } else {
            let name = path.strip_prefix(root).expect("below").display().to_string();
            into.insert(name, std::fs::read(&path).expect("read"));
        }
    }
}

/// Epochs of every finished run, in order.
fn curves(data: &Path) -> Vec<(String, Vec<virboard_core::run::Epoch>)> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store =
            virboard::store::Store::open(&data.join("virboard.db"), &Catalogue::builtin()).await.expect("it opens");
        let mut curves = Vec::new();
        for row in store.all_scores().await.expect("read") {
            if let Some(run) = row.run {
                let task = row.task.clone();
                curves.push((task, store.epochs_of(run).await.expect("read")));
            }
        }
        assert!(store.running_jobs().await.expect("read").is_empty(), "nothing is left running");
        curves
    })
}

fn same_curves(a: &Path, b: &Path) {
    let (a, b) = (curves(a), curves(b));
    assert_eq!(a.len(), b.len());
    for ((task, a), (other, b)) in a.iter().zip(&b) {
        assert_eq!((task, a.len()), (other, b.len()));
        for (a, b) in a.iter().zip(b) {
            assert_eq!(a, b, "{task}");
        }
    }
}

#[test]
fn twenty_kills_end_with_the_same_bytes() {
    let (undisturbed, arguments) = data();
    let started = std::time::Instant::now();
    let done = virboard(undisturbed.path()).args(&arguments).output().expect("it runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let whole = started.elapsed().as_secs_f64();

    let (disturbed, arguments) = data();
    let mut moments = Stream::new(1, "moments of death");
    let mut killed = 0;
    for _ in 0..20 {
        let mut child = virboard(disturbed.path())
            .args(&arguments)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("it starts");
        // Up to a sixteenth of the whole: some die before the first epoch, some after many.
        std::thread::sleep(Duration::from_secs_f64(moments.range(0.0, whole / 16.0)));
        killed += usize::from(child.try_wait().expect("asked").is_none());
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
    assert!(killed >= 10, "only {killed} of 20 were killed while they worked");
    let done = virboard(disturbed.path()).args(&arguments).output().expect("it runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let (a, b) = (outcome(undisturbed.path()), outcome(disturbed.path()));
    assert_eq!(a.0, b.0);
    assert_eq!(a.1.keys().collect::<Vec<_>>(), b.1.keys().collect::<Vec<_>>());
    for (name, bytes) in &a.1 {
        assert!(b.1[name] == *bytes, "{name} has other bytes");
    }
    same_curves(undisturbed.path(), disturbed.path());
    let left: Vec<_> = std::fs::read_dir(disturbed.path().join("runs")).expect("there").flatten().collect();
    assert!(left.iter().all(|e| e.path().extension().is_some_and(|e| e == "lock")), "{left:?}");
}

#[test]
fn two_processes_share_the_work() {
    let (data, arguments) = data();
    let start = || virboard(data.path()).args(&arguments).spawn().expect("it starts");
    let both = [start(), start()].map(|child| child.wait_with_output().expect("it ends"));
    let mut begun: BTreeMap<String, usize> = BTreeMap::new();
    for output in &both {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        for line in said.lines().filter(|l| l.starts_with('[')) {
            *begun.entry(line.split("] ").nth(1).unwrap_or(line).to_owned()).or_default() += 1;
        }
    }
    assert_eq!(begun.len(), TASKS.len());
    assert!(begun.values().all(|n| *n == 1), "a job was done twice: {begun:?}");
    let (alone, arguments) = self::data();
    let done = virboard(alone.path()).args(&arguments).output().expect("it runs");
    assert!(done.status.success());
    assert_eq!(outcome(data.path()), outcome(alone.path()));
    same_curves(data.path(), alone.path());
}

#[test]
fn another_precision_is_another_score() {
    let data = miniatures(&["eurosat"]);
    let config = config(data.path(), &[("Eurosat", 1)]);
    let evaluate = |precision: &str, encoder: &str| {
        let arguments = ["--precision", precision, "evaluate", "--config", &config, "--encoders", encoder, "--json"];
        let results: Vec<serde_json::Value> = serde_json::from_str(&works(data.path(), &arguments)).expect("JSON");
        results.len()
    };
    let all = |encoder: &str| -> Vec<(f64, String)> {
        let rows = works(data.path(), &["export", "--format", "json"]);
        let rows: Vec<serde_json::Value> = serde_json::from_str(&rows).expect("JSON");
        let own = rows.iter().filter(|r| r["encoder"] == encoder && r["task"] == "Eurosat");
        own.map(|r| {
            let configuration = r["provenance"]["configuration"].as_str().unwrap_or_default().to_owned();
            (r["score"].as_f64().expect("a score"), configuration)
        })
        .collect()
    };
    let exact = evaluate("f32", "OpenNsfw");
    assert!(exact > 1, "a head and other probes");
    if virboard_nn::encoder::Precision::Bf16.check(&candle_core::Device::Cpu).is_err() {
        let message =
            fails(data.path(), &["--precision", "bf16", "evaluate", "--config", &config, "--encoders", "OpenNsfw"]);
        assert!(message.contains("--precision f32"), "{message}");
        return;
    }
    assert_eq!(evaluate("bf16", "OpenNsfw"), exact, "all are scored anew");
    let (rounded, own): (Vec<_>, Vec<_>) =
        all("OpenNsfw").into_iter().partition(|r| r.1.contains("\"precision\":\"bf16\""));
    assert_eq!((rounded.len(), own.len()), (exact, exact), "and stand beside the exact ones");
    let current = tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let store = virboard::store::Store::open(&data.path().join("virboard.db"), &Catalogue::builtin())
            .await
            .expect("opened");
        store.counting_scores().await.expect("read")
    });
    let shown = current.iter().find(|r| r.encoder == "OpenNsfw" && r.task == "Eurosat").expect("a score");
    assert!(!shown.evidence.configuration.contains("precision"), "the leaderboard shows the exact one");
    // It has no other precision: nothing is left to do.
    assert!(evaluate("f32", "EfficientNetLite0") > 1);
    assert_eq!(evaluate("bf16", "EfficientNetLite0"), 0);
}

#[test]
fn a_few_views_take_the_place_of_new_ones() {
    let data = miniatures(&["nyu"]);
    let config = config(data.path(), &[("NYUDepth", 2)]);
    let evaluate = |more: &[&str]| {
        let mut arguments = vec!["evaluate", "--config", &config, "--encoders", "OpenNsfw", "--json"];
        arguments.extend(more);
        let out: Vec<serde_json::Value> = serde_json::from_str(&works(data.path(), &arguments)).expect("JSON");
        let result = out.into_iter().next().expect("a score");
        let said = result["provenance"]["configuration"].as_str().unwrap_or_default().to_owned();
        (result["score"].as_f64().expect("a score"), said)
    };
    let (fresh, said) = evaluate(&[]);
    assert!(!said.contains("views"), "{said}");
    let (all, said) = evaluate(&["--views", "9"]);
    assert!(said.contains("\"views\":9"), "{said}");
    assert!((all - fresh).abs() < 0.02 * fresh, "as many as epochs are new ones, in half precision: {all} and {fresh}");
    let (one, _) = evaluate(&["--views", "1"]);
    assert!(one.is_finite() && (one - all).abs() > f64::EPSILON, "one view is another training");
    let message = fails(
        data.path(),
        &["--cache-limit", "0", "evaluate", "--config", &config, "--encoders", "OpenNsfw", "--views", "2"],
    );
    assert!(message.contains("--cache-limit"), "{message}");
}
