//! ViRB's `out/` folder and tables of scores: imported, shown, and their heads tried.

mod common;

use common::program::{fails, works};
use common::{form, root, sample};
use std::path::Path;
use virboard::service::Virboard;
use virboard_core::catalogue::architecture::Architecture;
use virboard_nn::device;
use virboard_nn::encoder::Precision;
use virboard_nn::load::{RANDOM_SEED, load};
use virboard_nn::network::resnet::{Config, random_weights};
use virboard_nn::seeded::Stream;

/// An `out/` folder as ViRB leaves it, with a linear head that PyTorch saved.
fn out(folder: &Path) {
    let head = root().join("server/lab/tests/vectors/checkpoints/virb_head.pt");
    for (run, score) in [("Eurosat-adam-0.0001", 0.91), ("Eurosat-sgd-0.01-StepLR", 0.87)] {
        let run = folder.join("SWAV_800").join(run);
        std::fs::create_dir_all(&run).expect("made");
        let json = format!(
            "{{\"train_loss\": 0.1, \"train_accuracy\": 0.99, \"test_loss\": 0.3, \"test_accuracy\": {score}}}"
        );
        std::fs::write(run.join("results.json"), json).expect("written");
        std::fs::copy(&head, run.join("model_head.pt")).expect("copied");
    }
    let other = folder.join("PIRL_800/NYUDepth-adam-0.0003");
    std::fs::create_dir_all(&other).expect("made");
    std::fs::write(other.join("results.json"), "{\"test_loss\": 0.5, \"test_accuracy\": 0.41}").expect("written");
    std::fs::create_dir_all(folder.join("MyOwn/Imagenet-adam")).expect("made");
}

/// A full-size ResNet-50 as the checkpoint of an encoder.
fn checkpoint(data: &Path) {
    let weights = random_weights(&Config::resnet50(), RANDOM_SEED).expect("weights");
    let tensors: std::collections::HashMap<String, _> = weights.below("").into_iter().collect();
    let folder = data.join("checkpoints");
    std::fs::create_dir_all(&folder).expect("made");
    candle_core::safetensors::save(&tensors, folder.join("SWAV_800.safetensors")).expect("saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_virb_tree_is_imported_and_its_linear_head_predicts() {
    let data = tempfile::tempdir().expect("a folder");
    checkpoint(data.path());
    let tree = data.path().join("out");
    out(&tree);
    let output = common::program::run(data.path(), &["import", tree.to_str().expect("text")]);
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{notes}");
    assert!(notes.contains("MyOwn is no encoder"), "{notes}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("3 new scores, 1 heads"), "{notes}");
    assert!(works(data.path(), &["import", tree.to_str().expect("text")]).contains("0 new scores"));

    let app = Virboard::open(&common::settings(data.path())).await.expect("it opens");
    let board = app.board().await.expect("read");
    let cell = board.results.iter().find(|r| r.encoder == "SWAV_800" && r.task == "Eurosat").expect("a cell");
    assert!((cell.value - 0.91).abs() < 1e-12, "the best configuration is the answer");
    assert_eq!((cell.evidence.source.name(), cell.evidence.protocol.name()), ("imported", "virb"));
    let depth = board.results.iter().find(|r| r.encoder == "PIRL_800").expect("a cell");
    assert!((depth.value - 0.41).abs() < 1e-12);

    let router = virboard::http::router(app, Path::new("no-site"), root().join("public"));
    for (path, wanted) in [
        ("/", "91.0"),
        ("/encoders/SWAV_800", "imported"),
        ("/tasks/NYUDepth", "0.410"),
        ("/analyses/first", "all by the virb protocol"),
        ("/choose?suite=paper", "measure a second encoder"),
        ("/compare?suite=paper&e=SWAV_800,PIRL_800", "no task on which all of them"),
        ("/api/v1/leaderboard?format=csv", "0.91"),
    ] {
        let request = axum::http::Request::get(path).body(axum::body::Body::empty()).expect("a request");
        let response = tower::ServiceExt::oneshot(router.clone(), request).await.expect("an answer");
        assert!(response.status().is_success(), "{path}: {}", response.status());
        let page = String::from_utf8(common::bytes(response).await.to_vec()).expect("text");
        assert!(page.contains(wanted), "{path} lacks {wanted}");
    }
    let photo = sample("coffee.png");
    let request = form("/api/v1/predictions", &photo, &[("encoder", "SWAV_800"), ("task", "Eurosat")]);
    let response = tower::ServiceExt::oneshot(router, request).await.expect("an answer");
    assert!(response.status().is_success(), "{}", response.status());
    let answer: serde_json::Value = serde_json::from_slice(&common::bytes(response).await).expect("JSON");
    // The same by hand: softmax(W e + b) of the head that PyTorch saved.
    let cpu = device::open("cpu").expect("there");
    let path = data.path().join("checkpoints/SWAV_800.safetensors");
    let encoder = load("SWAV_800", Architecture::of("resnet50"), &path, None, &cpu, Precision::F32).expect("loaded");
    let input = encoder.network.preprocessing();
    let picture = virboard_lab::image::decode(&photo).expect("decoded");
    let batch = input.batch(&[input.input(&picture)], &cpu).expect("a batch");
    let embedding: Vec<Vec<f32>> =
        encoder.network.features(&batch).expect("computed").embedding.to_vec2().expect("values");
    let (mut w, mut b) = (Stream::new(0, "virb.head.weight"), Stream::new(0, "virb.head.bias"));
    let logits: Vec<f64> = (0..3)
        .map(|_| embedding[0].iter().map(|e| f64::from(*e) * (w.uniform() - 0.5)).sum::<f64>() + b.uniform())
        .collect();
    let total: f64 = logits.iter().map(|l| l.exp()).sum();
    for class in answer["outputs"][0]["classes"].as_array().expect("classes") {
        let index: usize = class["label"]
            .as_str()
            .and_then(|l| l.strip_prefix("class "))
            .expect("numbered")
            .parse()
            .expect("a number");
        let probability = class["probability"].as_f64().expect("a number");
        let wanted = logits[index].exp() / total;
        assert!((probability - wanted).abs() < 2e-3, "class {index}: {probability} instead of {wanted}");
    }
}

#[test]
fn tables_are_imported_whole_or_not_at_all() {
    let data = tempfile::tempdir().expect("a folder");
    let table = data.path().join("scores.csv");
    let path = table.to_str().expect("text");
    std::fs::write(&table, "encoder,task,score,protocol\nSWAV_800,Imagenet,0.75,virb\nPIRL_800,NYUDepth,0.4,virb\n")
        .expect("written");
    assert!(works(data.path(), &["import", path]).contains("2 new scores"));
    assert!(works(data.path(), &["import", path]).contains("0 new scores"));
    for (text, wanted) in [
        ("encoder,task,score\nSWAV_800,Imagenet,0.7\nNobody,Imagenet,0.7\n", "line 3: there is no encoder `Nobody`"),
        ("encoder,task,score\nSWAV_800,Juggling,0.7\n", "no task `Juggling`"),
        ("encoder,task,score\nSWAV_800,Imagenet,75.3\n", "shares are from 0 to 1"),
        ("encoder,points\nSWAV_800,1\n", "columns encoder, task and score"),
    ] {
        std::fs::write(&table, text).expect("written");
        let said = fails(data.path(), &["import", path]);
        assert!(said.contains(wanted) && said.contains("scores.csv"), "{said}");
    }
    let rows = works(data.path(), &["export"]);
    assert_eq!(rows.lines().count(), 3, "{rows}");
}
