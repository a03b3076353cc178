//! Scores of fine-tuned encoders stand beside those of frozen ones and change nothing of them.

mod common;

use axum::http::StatusCode;
use common::server;
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

#[tokio::test]
async fn ranks_analyses_and_choices_are_the_same_with_and_without_fine_tuned_scores() {
    let server = server().await;
    let paths = [
        "/api/v1/leaderboard",
        "/api/v1/standings?task=SamplePhotos",
        "/api/v1/analyses/pairs",
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
            assert!(after == before, "{path} changed");
        }
    }
    assert_eq!(answered, paths.len(), "all are there");
    assert!(store.spreads().await.expect("read").iter().all(|s| s.encoder != "SWAV_800"));
}
