//! What is taken out of one data folder and into another is the same there.

mod common;

use common::program::{fails, run, works};
use std::path::Path;
use virboard::store::Store;
use virboard_core::catalogue::Catalogue;
use virboard_core::protocol::Protocol;
use virboard_core::run::{Epoch, Evidence, Origin, Probe, Run, Score};
use virboard_core::statistics::Interval;
use virboard_lab::work::key;

async fn store(data: &Path) -> Store {
    Store::open(&data.join("virboard.db"), &Catalogue::builtin()).await.expect("it opens")
}

/// A measured run on Eurosat.
fn measured(change: impl FnOnce(&mut Score)) -> Run {
    let mut score = Score {
        encoder: "SWAV_800".to_owned(),
        task: "Eurosat".to_owned(),
        value: 0.1 + 0.2,
        interval: Some(Interval { low: 0.1, high: 1.0 / 3.0 }),
        constant: Some(0.1),
        evidence: Evidence {
            source: Origin::Measured,
            encoder_sha256: "a".repeat(64),
            dataset_sha256: "b".repeat(64),
            precision: "f32".to_owned(),
            selected: true,
            configuration: "{\"name\":\"adam; \\\"quick\\\",\\nand slow\",\"learning_rate\":0.001}".to_owned(),
            seed: 7,
            device: "cpu".to_owned(),
            version: "0.1.0+abc".to_owned(),
            finished_at: 1_700_000_000,
            seconds: 12.5,
            test_samples: 5400,
            ..Evidence::default()
        },
        ..Score::default()
    };
    change(&mut score);
    score.evidence.key = key::of_settings(&score.evidence.configuration);
    Run { score, epochs: Vec::new() }
}

/// Scores that differ in each thing that tells them apart, two of them in the same second.
fn all() -> Vec<Run> {
    let settings = |name: &str| format!("{{\"name\":\"{name}\"}}");
    vec![
        measured(|_| {}),
        measured(|s| (s.value, s.evidence.probe) = (0.8, Probe::Knn)),
        measured(|s| (s.value, s.evidence.probe) = (0.85, Probe::Logistic)),
        measured(|s| (s.value, s.evidence.seed) = (0.31, u64::MAX)),
        measured(|s| (s.value, s.evidence.protocol) = (0.9, Protocol::Virb)),
        measured(|s| (s.value, s.evidence.selected, s.evidence.configuration) = (0.95, false, settings("b"))),
        measured(|s| (s.value, s.evidence.precision) = (1e-7, "bf16".to_owned())),
        measured(|s| (s.value, s.evidence.encoder_sha256) = (0.7, "c".repeat(64))),
        measured(|s| (s.value, s.task, s.interval) = (0.41, "NYUDepth".to_owned(), None)),
        measured(|s| {
            (s.encoder, s.value, s.constant) = ("Supervised".to_owned(), 0.5, None);
            s.evidence.source = Origin::Imported;
            (s.evidence.encoder_sha256, s.evidence.dataset_sha256) = (String::new(), String::new());
            "{\"from\":\"/home/a b/scores.csv\",\"name\":\"\"}".clone_into(&mut s.evidence.configuration);
            s.evidence.precision = String::new();
        }),
        measured(|s| (s.value, s.evidence.probe) = (0.97, Probe::FineTuned)),
    ]
}

/// A score without what belongs to one data folder: the number of its run, and its files.
fn elsewhere(scores: Vec<Score>) -> Vec<Score> {
    scores.into_iter().map(|s| Score { run: None, head: String::new(), predictions: String::new(), ..s }).collect()
}

#[tokio::test]
async fn results_taken_out_and_in_show_the_same_board() {
    let from = tempfile::tempdir().expect("a folder");
    let source = store(from.path()).await;
    // Precision is a setting: its score has another key.
    let mut runs = all();
    runs[6].score.evidence.configuration = "{\"name\":\"short\",\"precision\":\"bf16\"}".to_owned();
    runs[6].score.evidence.key = key::of_settings(&runs[6].score.evidence.configuration);
    assert_eq!(source.add_runs(&runs).await.expect("stored"), 11);
    let (scores, counting) = (source.all_scores().await.expect("read"), source.counting_scores().await.expect("read"));
    for format in ["csv", "json", "parquet"] {
        let to = tempfile::tempdir().expect("a folder");
        let file = to.path().join(format!("results.{format}"));
        let path = file.to_str().expect("text");
        works(from.path(), &["export", "--format", format, "--out", path]);
        assert!(works(to.path(), &["import", path]).contains("11 new scores"), "{format}");
        let target = store(to.path()).await;
        let (read, counts) = (target.all_scores().await.expect("read"), target.counting_scores().await.expect("read"));
        assert_eq!(elsewhere(read), elsewhere(scores.clone()), "{format}");
        assert_eq!(elsewhere(counts), elsewhere(counting.clone()), "{format}: the board");
        assert!(works(to.path(), &["import", path]).contains("0 new scores, 0 heads; 0 replaced, 11 unchanged"));
        assert!(works(from.path(), &["import", path]).contains("11 unchanged"), "{format}: at home");
    }
}

#[tokio::test]
async fn a_table_of_heads_neighbours_and_regressions_keeps_its_probes() {
    // As an earlier version wrote it: without keys, and with names of configurations.
    let data = tempfile::tempdir().expect("a folder");
    let head = "run,encoder,task,score,low,high,constant,source,probe,protocol,selected,seed,configuration,\
                encoder_sha256,dataset_sha256,device,version,finished_at,seconds,test_samples,head,predictions\n";
    let row = |run: u32, score: f64, probe: &str, name: &str| {
        let (weights, data) = ("a".repeat(64), "b".repeat(64));
        format!(
            "{run},SWAV_800,Eurosat,{score},,,0.1,measured,{probe},standard,true,7,{name},{weights},{data},cpu,1,\
             1700000000,1,100,heads/SWAV_800/Eurosat.safetensors,\n"
        )
    };
    let table = data.path().join("a.csv");
    let rows = [row(1, 0.91, "head", "a"), row(2, 0.8, "knn", "b"), row(3, 0.85, "logistic", "c")];
    std::fs::write(&table, format!("{head}{}", rows.concat())).expect("written");
    let output = run(data.path(), &["import", table.to_str().expect("text")]);
    let notes = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && notes.contains("are no part of a table"), "{notes}");
    let counting = store(data.path()).await.counting_scores().await.expect("read");
    let said: Vec<(Probe, f64, u64)> = counting.iter().map(|s| (s.evidence.probe, s.value, s.evidence.seed)).collect();
    assert_eq!(said, [(Probe::Head, 0.91, 7), (Probe::Knn, 0.8, 7), (Probe::Logistic, 0.85, 7)]);
    assert!(counting.iter().all(|s| s.head.is_empty() && s.evidence.configuration.len() == 1), "{counting:?}");
}

#[tokio::test]
async fn the_evidence_behind_a_score_is_the_same_elsewhere() {
    let from = tempfile::tempdir().expect("a folder");
    let source = store(from.path()).await;
    let (head, predictions) = ("heads/SWAV_800/Eurosat.safetensors", "predictions/SWAV_800/Eurosat/a.json.zst");
    let mut run = measured(|s| (s.head, s.predictions) = (head.to_owned(), predictions.to_owned()));
    run.epochs = vec![
        Epoch { epoch: 1, train_loss: 0.1 + 0.7, test_metric: None },
        Epoch { epoch: 2, train_loss: 1e-9, test_metric: Some(1.0 / 3.0) },
    ];
    source.add_runs(std::slice::from_ref(&run)).await.expect("stored");
    for (file, bytes) in [(head, "weights"), (predictions, "samples")] {
        let path = from.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, bytes).expect("written");
    }
    let to = tempfile::tempdir().expect("a folder");
    let bundle = to.path().join("evidence.zip");
    let path = bundle.to_str().expect("text");
    works(from.path(), &["export", "--evidence", "1", "--out", path]);
    let import = |options: &[&str]| works(to.path(), &[&["import", path], options].concat());
    assert!(import(&["--dry-run"]).contains("nothing was written: 1 new scores, 1 heads"));
    assert!(!to.path().join(head).exists());
    assert!(import(&[]).contains("1 new scores, 1 heads"));
    let target = store(to.path()).await;
    let scores = target.all_scores().await.expect("read");
    let number = scores[0].run.expect("a run");
    let there = target.run(number).await.expect("read").expect("it is there");
    assert_eq!(there, Run { score: Score { run: Some(number), ..run.score.clone() }, epochs: run.epochs.clone() });
    assert_eq!(std::fs::read(to.path().join(head)).expect("read"), b"weights");
    assert_eq!(std::fs::read(to.path().join(predictions)).expect("read"), b"samples");
    assert!(import(&[]).contains("1 unchanged"));
    // Another head is there meanwhile.
    std::fs::write(to.path().join(head), "others").expect("written");
    let output = common::program::run(to.path(), &["import", path]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("head.safetensors is left out"));
    assert_eq!(std::fs::read(to.path().join(head)).expect("read"), b"others");
    import(&["--replace"]);
    assert_eq!(std::fs::read(to.path().join(head)).expect("read"), b"weights");

    // The table came first, without the files: the evidence completes it.
    let late = tempfile::tempdir().expect("a folder");
    let table = late.path().join("results.csv");
    works(from.path(), &["export", "--out", table.to_str().expect("text")]);
    works(late.path(), &["import", table.to_str().expect("text")]);
    assert!(works(late.path(), &["import", path]).contains("1 completed"));
    let scores = store(late.path()).await.all_scores().await.expect("read");
    assert_eq!((scores.len(), scores[0].head.as_str()), (1, head));
    assert!(late.path().join(predictions).is_file());
}

#[test]
fn archives_that_are_cut_or_lead_elsewhere_are_refused() {
    let data = tempfile::tempdir().expect("a folder");
    let file = data.path().join("a.zip");
    let path = file.to_str().expect("text");
    std::fs::write(&file, b"PK\x03\x04 and no more").expect("written");
    assert!(fails(data.path(), &["import", path]).contains("is no archive of `virboard export --evidence`"));
    let zipped = |entries: &[(&str, String)]| {
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&file).expect("made"));
        for (name, text) in entries {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("begun");
            std::io::Write::write_all(&mut zip, text.as_bytes()).expect("written");
        }
        zip.finish().expect("finished");
    };
    zipped(&[("xl/workbook.xml", "<x/>".to_owned())]);
    assert!(fails(data.path(), &["import", path]).contains("save the table as CSV"));
    for head in ["../escaped", "/tmp/escaped", "heads/../../escaped", "virboard.db"] {
        let score = serde_json::to_string(&measured(|s| head.clone_into(&mut s.head)).score).expect("JSON");
        zipped(&[("result.json", score), ("head.safetensors", "x".to_owned())]);
        let said = fails(data.path(), &["import", path]);
        assert!(said.contains("is to lie at"), "{said}");
    }
    assert!(!data.path().join("escaped").exists() && !data.path().join("heads").exists());
}
