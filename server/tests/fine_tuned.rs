//! Scores of fine-tuned encoders stand beside those of frozen ones and change nothing of them.

mod common;

use axum::http::StatusCode;
use common::program::{copy, fails, run, virboard, works};
use common::{server, two_classes};
use std::path::Path;
use std::time::Duration;
use virboard::store::Store;
use virboard_core::catalogue::Catalogue;
use virboard_core::run::{Evidence, Origin, Probe, Run, Score};
use virboard_lab::work::key;

/// A score that is better and newer than every other of its cell.
fn fine_tuned(encoder: &str, task: &str) -> Run {
    let configuration = "{\"name\":\"fine-tuned\"}".to_owned();
    let evidence = Evidence {
        source: Origin::Measured,
        encoder_sha256: "a".repeat(64),
        dataset_sha256: "b".repeat(64),
        probe: Probe::FineTuned,
        precision: "f32".to_owned(),
        selected: true,
        key: key::of_settings(&configuration),
        configuration,
        device: "cpu".to_owned(),
        version: "0.1.0".to_owned(),
        finished_at: 4_000_000_000,
        test_samples: 100,
        ..Evidence::default()
    };
    let score =
        Score { encoder: encoder.to_owned(), task: task.to_owned(), value: 0.999, evidence, ..Score::default() };
    Run { score, epochs: Vec::new() }
}

/// A page but for the numbers that are drawn for each answer.
fn still(page: &[u8]) -> String {
    let page = String::from_utf8_lossy(page);
    let mut parts = page.split("nonce=\"");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |page, part| page + part.split_once('"').map_or(part, |(_, behind)| behind))
}

#[tokio::test]
async fn ranks_analyses_and_choices_are_the_same_with_and_without_fine_tuned_scores() {
    let server = server().await;
    let paths = [
        "/api/v1/leaderboard",
        "/api/v1/standings?suite=miniature",
        "/api/v1/analyses/claims?suite=miniature",
        "/",
        "/choose?SamplePhotos=1",
        "/compare?encoders=EfficientNetLite0,Random",
        "/tasks/SamplePhotos",
    ];
    let mut before = Vec::new();
    for path in paths {
        before.push(server.get(path).await);
    }
    let heads = |items: &serde_json::Value| -> Vec<serde_json::Value> {
        let items = items["items"].as_array().expect("items").iter();
        items.filter(|i| i["provenance"]["probe"] != "fine-tuned").cloned().collect()
    };
    let results = server.json("/api/v1/results").await;
    let store = Store::open(&server.data.path().join("virboard.db"), &Catalogue::builtin()).await.expect("it opens");
    let runs = [fine_tuned("Random", "SamplePhotos"), fine_tuned("SWAV_800", "Pets")];
    assert_eq!(store.add_runs(&runs).await.expect("stored"), 2);

    let after = server.json("/api/v1/results").await;
    assert_eq!(heads(&after), heads(&results));
    let items = after["items"].as_array().expect("items");
    for key in ["Random/SamplePhotos/fine-tuned", "SWAV_800/Pets/fine-tuned"] {
        let item = items.iter().find(|i| i["key"] == key).unwrap_or_else(|| panic!("{key}"));
        assert_eq!((item["score"].as_f64(), item["provenance"]["probe"].as_str()), (Some(0.999), Some("fine-tuned")));
    }
    let mut answered = 0;
    for (path, before) in paths.into_iter().zip(before) {
        let after = server.get(path).await;
        answered += usize::from(after.0 == StatusCode::OK);
        // Tasks' pages may show them, but not as scores of heads.
        if path != "/tasks/SamplePhotos" {
            assert!(still(&after.1) == still(&before.1), "{path} changed");
        }
    }
    assert_eq!(answered, paths.len(), "all are there");
    assert!(store.spreads().await.expect("read").iter().all(|s| s.encoder != "SWAV_800"));
}

/// Pictures of two classes, and a small encoder that was trained on them for a moment.
fn small_encoder(data: &Path) {
    let folder = two_classes(data, 8);
    let settings = format!(
        "method: {{supervised: {{}}}}\nviews: [{{count: 1, side: 32, scale: [0.3, 1.0]}}]\n\
         network: {{architecture: resnet18, width: 8, blocks: [1, 1, 1, 1]}}\ndata: {{sources: [\"{}\"]}}\n\
         optimiser: {{sgd: {{momentum: 0.9}}}}\nlearning_rate: 0.05\nschedule: {{cosine: {{}}}}\n\
         weight_decay: 0.0001\nbatch: 8\nepochs: 1\n",
        folder.display()
    );
    let config = data.join("small.yaml");
    std::fs::write(&config, settings).expect("written");
    works(data, &["pretrain", "--config", &config.display().to_string(), "--out", "Small"]);
}

const TUNE: [&str; 16] = [
    "evaluate",
    "--encoders",
    "Small",
    "--tasks",
    "SamplePhotos",
    "--finetune",
    "--finetune-rate",
    "0.05,0.01",
    "--layer-decay",
    "0.8",
    "--epochs",
    "4",
    "--batch",
    "16",
    "--warm-up",
    "1",
];

/// The fine-tuned scores of a data folder, with the bytes of their per-sample results.
async fn tuned(data: &Path) -> Vec<(Score, Vec<u8>)> {
    let store = Store::open(&data.join("virboard.db"), &Catalogue::builtin()).await.expect("it opens");
    let scores = store.all_scores().await.expect("read").into_iter();
    let tuned = scores.filter(|s| s.evidence.probe == Probe::FineTuned && s.encoder == "Small");
    tuned.map(|s| (s.clone(), std::fs::read(data.join(&s.predictions)).expect("per-sample results"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_fine_tunes_beside_the_frozen_encoder() {
    let data = tempfile::tempdir().expect("a folder");
    small_encoder(data.path());
    let head = data.path().join("heads/Small/SamplePhotos.safetensors");
    works(data.path(), &TUNE);
    assert!(!head.exists(), "the head of a fine-tuned encoder answers nowhere");
    let scores = tuned(data.path()).await;
    assert_eq!(scores.len(), 2);
    assert_eq!(scores.iter().filter(|(s, _)| s.evidence.selected).count(), 1, "held-out samples choose one");
    for (score, samples) in &scores {
        let e = &score.evidence;
        let said: serde_json::Value = serde_json::from_str(&e.configuration).expect("JSON");
        let rate = said["fine_tuning"]["learning_rate"].as_f64().expect("a rate");
        assert!(rate == 0.05 || rate == 0.01, "{said}");
        assert_eq!((&said["fine_tuning"]["layer_decay"], &said["selection"]), (&0.8.into(), &"validation".into()));
        assert!(
            (0.0..=1.0).contains(&score.value) && score.interval.is_some() && score.constant.is_some(),
            "{score:?}"
        );
        assert!(score.head.is_empty() && e.test_samples == 66 && !samples.is_empty());
    }
    assert!(works(data.path(), &[&TUNE[..], &["--json"]].concat()).trim() == "[]", "it is done already");
    // The frozen encoder is another thing, and is not done.
    let frozen = works(data.path(), &["evaluate", "--encoders", "Small", "--tasks", "SamplePhotos", "--no-probes"]);
    assert!(frozen.contains("adam-0.001") && head.is_file(), "{frozen}");
    let table = works(data.path(), &["export", "--format", "csv"]);
    let of = |probe: &str| table.lines().filter(|l| l.contains(",Small,") && l.contains(&format!(",{probe},"))).count();
    assert_eq!((of("fine-tuned"), of("head")), (2, 1), "{table}");

    // Killed again and again, it ends with the same scores to the bit.
    let killed = tempfile::tempdir().expect("a folder");
    for folder in ["checkpoints", "encoders", "pretraining"] {
        copy(&data.path().join(folder), &killed.path().join(folder));
    }
    let mut interrupted = 0;
    for milliseconds in [300, 500, 700, 900] {
        let mut child = virboard(killed.path()).args(TUNE).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(milliseconds));
        interrupted += usize::from(child.try_wait().expect("asked").is_none());
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
    assert!(interrupted > 0, "it was interrupted");
    works(killed.path(), &TUNE);
    let again = tuned(killed.path()).await;
    assert_eq!(again.len(), 2);
    for ((a, samples), (b, same)) in again.iter().zip(&scores) {
        assert_eq!((a.value.to_bits(), a.interval, &a.evidence.key), (b.value.to_bits(), b.interval, &b.evidence.key));
        assert!(samples == same, "per-sample results of {}", a.evidence.configuration);
    }
}

#[test]
fn what_cannot_be_fine_tuned_is_a_sentence() {
    let data = tempfile::tempdir().expect("a folder");
    let refused = |encoder: &str, more: &[&str]| {
        let evaluate = ["evaluate", "--encoders", encoder, "--tasks", "SamplePhotos", "--finetune"];
        fails(data.path(), &[&evaluate[..], more].concat())
    };
    let said = refused("EfficientNetLite0", &[]);
    assert!(said.contains("EfficientNetLite0 cannot be fine-tuned"), "{said}");
    assert!(refused("Random", &["--layer-decay", "2"]).contains("layer-wise decay of a fine-tuning is 2"));
    assert!(refused("Random", &["--protocol", "virb"]).contains("keeps encoders frozen"));
    assert!(refused("Random", &["--finetune-rate", "0.1,-1"]).contains("learning rate of the encoder"));
    // Options that belong together, or do not.
    for wrong in [
        &["--epochs", "3"][..],
        &["--finetune-rate", "0.1"],
        &["--finetune", "--views", "2"],
        &["--finetune", "--config", "x.yaml"],
    ] {
        let evaluate = ["evaluate", "--encoders", "Random", "--tasks", "SamplePhotos"];
        assert_eq!(run(data.path(), &[&evaluate[..], wrong].concat()).status.code(), Some(2), "{wrong:?}");
    }
    // Of all encoders those that cannot be are named, and the others are planned.
    let all = run(data.path(), &["evaluate", "--encoders", "all", "--tasks", "SamplePhotos", "--finetune", "--plan"]);
    let (planned, missing) = (String::from_utf8_lossy(&all.stdout), String::from_utf8_lossy(&all.stderr));
    assert!(
        all.status.success() && planned.contains("Random on SamplePhotos: 1 configurations"),
        "{planned} {missing}"
    );
    assert!(missing.contains("missing: OpenNsfw cannot be fine-tuned"), "{missing}");
    assert!(!planned.contains("OpenNsfw on"), "{planned}");
}
