//! A database from before scores had keys opens, shows the same numbers, and is not worked on
//! twice.

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use virboard::store::Store;
use virboard_core::protocol::Protocol;
use virboard_core::run::{Origin, Probe, Score};
use virboard_lab::train::Configuration;
use virboard_lab::work::key;

/// What counted of it before: encoder, task, probe, score, run.
const COUNTED: [(&str, &str, Probe, f64, Option<i64>); 9] = [
    ("EfficientNetLite0", "Eurosat", Probe::Head, 0.5, Some(5)),
    ("EfficientNetLite0", "Eurosat", Probe::Knn, 1.0, None),
    ("EfficientNetLite0", "Eurosat", Probe::Logistic, 0.75, None),
    ("EfficientNetLite0", "Imagenetv2", Probe::Head, 0.75, Some(17)),
    ("EfficientNetLite0", "NYUDepth", Probe::Head, 3.216_966_561_386_860_8, Some(19)),
    ("OpenNsfw", "Eurosat", Probe::Head, 0.5, Some(10)),
    ("PIRL_800", "NYUDepth", Probe::Head, 0.4, Some(21)),
    ("SWAV_800", "Eurosat", Probe::Head, 0.91, Some(24)),
    ("SWAV_800", "Imagenet", Probe::Head, 0.75, Some(20)),
];

async fn execute(path: &Path, sql: String) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).foreign_keys(false);
    let pool = SqlitePool::connect_with(options).await.expect("connected");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.expect("executed");
    pool.close().await;
}

/// A folder with the old database.
async fn old() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("virboard.db");
    let dump = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/databases/0004.sql");
    execute(&path, std::fs::read_to_string(dump).expect("read")).await;
    (folder, path)
}

fn counted(scores: &[Score]) -> Vec<(&str, &str, Probe, f64, Option<i64>)> {
    scores.iter().map(|s| (s.encoder.as_str(), s.task.as_str(), s.evidence.probe, s.value, s.run)).collect()
}

#[tokio::test]
async fn it_opens_and_shows_the_same_numbers() {
    let (_folder, path) = old().await;
    let store = Store::open(&path, &virboard_core::catalogue::Catalogue::builtin()).await.expect("it opens");
    assert_eq!(counted(&store.counting_scores().await.expect("read")), COUNTED);
    let spreads = store.spreads().await.expect("read");
    let said: Vec<(&str, u32)> = spreads.iter().map(|s| (s.encoder.as_str(), s.seeds)).collect();
    assert_eq!(said, [("EfficientNetLite0", 2); 3].into_iter().chain([("OpenNsfw", 2); 3]).collect::<Vec<_>>());
    let widest = spreads.iter().map(|s| s.deviation).max_by(f64::total_cmp).expect("there are some");
    assert!((widest - 0.353_553_390_593_273_8).abs() < 1e-12, "{spreads:?}");

    let all = store.all_scores().await.expect("read");
    assert_eq!(all.len(), 30);
    let keys: BTreeSet<&str> = all.iter().map(|s| s.evidence.key.as_str()).collect();
    assert!(keys.iter().all(|k| k.len() == 64 && k.bytes().all(|b| b.is_ascii_hexdigit())), "{keys:?}");
    let precision = |p: &str| all.iter().filter(|s| s.evidence.precision == p).count();
    let imported = all.iter().filter(|s| s.evidence.source == Origin::Imported).count();
    assert_eq!((precision("bf16"), precision(""), precision("f32")), (1, imported, 29 - imported));
    assert_eq!(all.iter().filter(|s| s.interval.is_some()).count(), 30 - imported);
    assert!(all.iter().any(|s| s.evidence.protocol == Protocol::Virb) && all.iter().any(|s| !s.evidence.selected));
    let run = store.run(5).await.expect("read").expect("a run");
    assert_eq!((run.epochs.len(), run.score.head.as_str()), (3, "heads/EfficientNetLite0/Eurosat.safetensors"));
    let running = store.running_jobs().await.expect("read");
    assert_eq!(running, [("EfficientNetLite0.NYUDepth.29f038e17113".to_owned(), 1)]);
}

#[tokio::test]
async fn a_table_that_was_imported_from_two_folders_counts_once() {
    let (_folder, path) = old().await;
    let copy = "insert into results (encoder, task, score, source, encoder_sha256, dataset_sha256, configuration, seed, device,
                    version, finished_at, seconds, test_samples, probe, protocol, selected, head, predictions)
                select encoder, task, 0.57, source, encoder_sha256, dataset_sha256, replace(configuration, '/data/', '/copy/'), seed,
                    device, version, finished_at + 1, seconds, test_samples, probe, protocol, selected, head, predictions
                from results where source = 'imported' and encoder = 'SWAV_800' and task = 'Imagenet'";
    execute(&path, copy.to_owned()).await;
    let store = Store::open(&path, &virboard_core::catalogue::Catalogue::builtin()).await.expect("it opens");
    let of = |scores: Vec<Score>| -> Vec<f64> {
        scores.iter().filter(|s| s.encoder == "SWAV_800" && s.task == "Imagenet").map(|s| s.value).collect()
    };
    assert_eq!(of(store.all_scores().await.expect("read")), [0.57], "the newer one");
    let former = store.former_scores().await.expect("read");
    assert_eq!(of(former.into_iter().map(|f| f.score).collect()), [0.75], "and the other is found");
}

#[tokio::test]
async fn what_it_has_is_known_to_be_done() {
    let (_folder, path) = old().await;
    let store = Store::open(&path, &virboard_core::catalogue::Catalogue::builtin()).await.expect("it opens");
    let mut compared = 0;
    for score in store.all_scores().await.expect("read") {
        let mut evidence = score.evidence;
        let Ok(settings) = serde_json::from_str::<Configuration>(&evidence.configuration) else { continue };
        // As this program would set out to do it.
        evidence.configuration = key::text(&settings).expect("written");
        evidence.key = key::of_settings(&evidence.configuration);
        assert!(store.has_scores(&score.encoder, &score.task, &[evidence.clone()]).await.expect("asked"));
        evidence.seed += 100;
        assert!(!store.has_scores(&score.encoder, &score.task, &[evidence]).await.expect("asked"));
        compared += 1;
    }
    assert_eq!(compared, 18, "the heads that were trained here");
}

#[tokio::test]
async fn keys_are_filled_in_once_however_often_that_is_interrupted() {
    let (_folder, path) = old().await;
    let store = Store::open(&path, &virboard_core::catalogue::Catalogue::builtin()).await.expect("it opens");
    let (first, revision) = (store.all_scores().await.expect("read"), store.revision().await.expect("read"));
    store.close().await;
    let store = Store::open(&path, &virboard_core::catalogue::Catalogue::builtin()).await.expect("it opens again");
    assert_eq!(store.revision().await.expect("read"), revision, "nothing was left to do");
    store.close().await;
    // Killed before the keys of most were written.
    execute(&path, "update results set key = '?' || configuration where id > 5; update runs set key = '?'".to_owned())
        .await;
    let store = Store::open(&path, &virboard_core::catalogue::Catalogue::builtin()).await.expect("it opens after that");
    assert_eq!(store.all_scores().await.expect("read"), first);
    assert_eq!(counted(&store.counting_scores().await.expect("read")), COUNTED);
}
