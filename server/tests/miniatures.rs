//! Every data set, in miniature and in its real on-disk format, through `evaluate`.
//! The miniatures were made by `scripts/make_miniatures.py`.

mod common;

use common::program::{config, miniatures, works};
use std::path::Path;
use virboard_core::catalogue::Catalogue;
use virboard_core::catalogue::task::{Metric, TaskRole};
use virboard_core::protocol::Protocol;
use virboard_lab::data::{Dataset, Split, Target};
use virboard_lab::recipe::recipe;
use virboard_lab::score::metric::score;
use virboard_lab::score::samples::Predictions;

const FOLDERS: [&str; 17] = [
    "CLEVR",
    "KITTI",
    "SUN397",
    "caltech-101",
    "cifar-100",
    "cityscapes",
    "dtd",
    "egohands",
    "eurosat",
    "imagenet",
    "imagenetv2",
    "kinetics400",
    "nuScenes",
    "nyu",
    "pets",
    "taskonomy",
    "thor_num_steps",
];

fn everything() -> tempfile::TempDir {
    let mut folders = FOLDERS.to_vec();
    folders.extend(["thor_action_prediction", "thor_depth_prediction"]);
    miniatures(&folders)
}

fn paper_tasks() -> Vec<String> {
    let catalogue = Catalogue::builtin();
    catalogue.tasks().iter().filter(|t| t.role != TaskRole::Sample).map(|t| t.key.clone()).collect()
}

#[test]
fn every_data_set_is_evaluated_with_two_encoders() {
    let data = everything();
    let all = "server/tests/miniatures/all.yaml";
    let arguments = ["evaluate", "--config", all, "--encoders", "EfficientNetLite0,OpenNsfw", "--json"];
    let out = works(data.path(), &arguments);
    let results: Vec<serde_json::Value> = serde_json::from_str(&out).expect("JSON");
    let catalogue = Catalogue::builtin();
    for task in &paper_tasks() {
        for encoder in ["EfficientNetLite0", "OpenNsfw"] {
            let of = |probe: &str| {
                results
                    .iter()
                    .filter(|r| r["task"] == *task && r["encoder"] == encoder && r["provenance"]["probe"] == probe)
                    .collect::<Vec<_>>()
            };
            let heads = of("head");
            assert_eq!(heads.len(), 1, "{encoder} on {task}");
            let provenance = &heads[0]["provenance"];
            for hash in ["encoder_sha256", "dataset_sha256"] {
                assert_eq!(provenance[hash].as_str().map(str::len), Some(64), "{encoder} on {task}: {hash}");
            }
            let entry = catalogue.task(task).expect("catalogued");
            let image_level = entry.metric == Metric::Top1 && entry.epochs.is_some();
            assert_eq!((of("knn").len(), of("logistic").len()), if image_level { (4, 1) } else { (0, 0) });
            // The score can be computed again from what is kept of each sample.
            let folder = data.path().join("predictions").join(encoder).join(task);
            let file = std::fs::read_dir(&folder).expect("predictions").flatten().map(|e| e.path());
            let file = file
                .into_iter()
                .find(|p| !p.to_string_lossy().contains("knn") && !p.to_string_lossy().contains("logistic"));
            let kept = Predictions::load(&file.expect("a file")).expect("readable");
            let scoring = recipe(entry, Protocol::Standard).scoring;
            let again = score(&kept.samples, scoring, Protocol::Standard, 2);
            let said = heads[0]["score"].as_f64().expect("a score");
            assert!((again - said).abs() < 1e-9, "{encoder} on {task}: {again} and {said}");
        }
    }
    // Nothing is done twice.
    assert_eq!(works(data.path(), &arguments).trim(), "[]");
    let cached = works(data.path(), &["cache", "--json"]);
    assert!(serde_json::from_str::<Vec<serde_json::Value>>(&cached).expect("JSON").len() >= 48, "{cached}");
    let table = works(data.path(), &["export"]);
    assert_eq!(table.lines().count(), 1 + 2 * (21 + 12 * 5));
    let run = results.len();
    assert_eq!(run, 2 * (21 + 12 * 5));
}

#[test]
fn both_protocols_read_what_is_there() {
    let data = everything();
    let folders = data.path().join("datasets");
    let open = |task: &str, protocol| {
        let places = virboard_lab::data::Places {
            samples: folders.clone(),
            datasets: folders.clone(),
            hashes: data.path().to_path_buf(),
        };
        let broken = virboard_lab::data::Broken::Refuse;
        virboard_lab::data::open(task, &places, protocol, broken, &()).expect(task)
    };
    let mask = |set: &dyn Dataset| match set.sample(Split::Test, 0).expect("readable").target {
        Target::Mask { width, height, classes } => (width, height, classes),
        other => panic!("{other:?}"),
    };
    // Pets: the animal, or everything else.
    let (standard, virb) = (open("PetsDetection", Protocol::Standard), open("PetsDetection", Protocol::Virb));
    let (w, h, animal) = mask(&*standard);
    let (vw, vh, other) = mask(&*virb);
    assert_eq!(((w, h), (vw, vh)), ((48, 40), (224, 224)));
    let share = |m: &[u8]| m.iter().map(|c| f64::from(u8::from(*c == 1))).sum::<f64>() / m.len() as f64;
    assert!((share(&animal) + share(&other) - 1.0).abs() < 0.05, "{} {}", share(&animal), share(&other));
    // KITTI: motion in pixels, or the grey value of its picture.
    let values = |set: &dyn Dataset| match set.sample(Split::Train, 0).expect("readable").target {
        Target::Values { channels, values, .. } => (channels, values),
        other => panic!("{other:?}"),
    };
    let (channels, flow) = values(&*open("KITTI", Protocol::Standard));
    assert_eq!(channels, 2);
    let labelled: Vec<f32> = flow.iter().copied().filter(|v| !v.is_nan()).collect();
    assert!(labelled.chunks(2).all(|v| v == [3.0, 0.0]) && flow[0].is_nan());
    let (channels, shown) = values(&*open("KITTI", Protocol::Virb));
    assert_eq!(channels, 1);
    // Pillow's grey of (200, 90, 60) is 119.
    assert!(shown.iter().filter(|v| !v.is_nan()).all(|v| (v - 119.0 / 255.0).abs() < 1e-6) && shown[0].is_nan());
    // Taskonomy: 1500 and 4000 of at most 10000 (65535 is clipped): 0.15 - 0.15 and 0.4 - 0.15.
    let (_, depth) = values(&*open("TaskonomyDepth", Protocol::Standard));
    let near = |v: f32, w: f32| (v - w).abs() < 1e-6;
    assert!(depth.iter().all(|v| near(*v, 0.0) || near(*v, 0.25) || near(*v, 0.85)), "{depth:?}");
    // Cityscapes: road and car are trained, everything else is 0.
    let city = open("CityscapesSemanticSegmentation", Protocol::Standard);
    let (_, _, classes) = mask(&*city);
    assert_eq!(city.labels().len(), 20);
    for (class, name) in [(0u8, "void"), (1, "road"), (14, "car")] {
        assert!(classes.contains(&class) && city.labels()[usize::from(class)].name == name);
    }
    // CIFAR-100: fine labels by name; Kinetics: clips with six frames only.
    let cifar = open("CIFAR-100", Protocol::Standard);
    assert_eq!(cifar.sample(Split::Train, 1).expect("readable").target, Target::Class(7));
    assert_eq!(cifar.labels()[7].name, "fine_7");
    let kinetics = open("KineticsActionPrediction", Protocol::Standard);
    assert_eq!((kinetics.len(Split::Train), kinetics.len(Split::Test), kinetics.images()), (3, 3, 6));
}

#[test]
fn datasets_are_listed_with_their_sources() {
    let data = everything();
    let tasks = paper_tasks();
    let named: Vec<&str> = tasks.iter().map(String::as_str).collect();
    let reports = works(data.path(), &[&["datasets", "--json", "--check"], &named[..]].concat());
    let reports: Vec<serde_json::Value> = serde_json::from_str(&reports).expect("JSON");
    for task in &paper_tasks() {
        let report = reports.iter().find(|r| r["task"] == *task).expect(task);
        assert_eq!(report["problems"], serde_json::json!([]), "{task}");
        assert!(report["test"].as_u64() > Some(0), "{task}");
        for said in ["url", "licence", "note"] {
            assert!(report[said].as_str().is_some_and(|s| !s.is_empty()), "{task} says no {said}");
        }
    }
    assert!(works(data.path(), &["datasets", "NYUDepth"]).contains("nyu.zip"));
}

#[test]
fn several_configurations_and_seeds_are_chosen_from_by_validation() {
    let data = miniatures(&["eurosat"]);
    let grid = "Eurosat:\n task: \"Eurosat\"\n training_configs:\n   adam-0.001:\n     optimizer: \"adam\"\n     lr: 0.001\n   sgd-0.01-OneCycle:\n     optimizer: \"sgd\"\n     lr: 0.01\n     scheduler:\n       type: \"OneCycle\"\n num_epochs: 4\n batch_size: 2\n test_batch_size: 2\n";
    let path = data.path().join("grid.yaml");
    std::fs::write(&path, grid).expect("written");
    let arguments = [
        "evaluate",
        "--config",
        path.to_str().expect("text"),
        "--encoders",
        "EfficientNetLite0",
        "--no-probes",
        "--json",
    ];
    let out = works(data.path(), &[&arguments[..], &["--seed", "1,2"]].concat());
    let results: Vec<serde_json::Value> = serde_json::from_str(&out).expect("JSON");
    assert_eq!(results.len(), 4);
    for seed in [1, 2] {
        let of = results.iter().filter(|r| r["provenance"]["seed"] == seed);
        assert_eq!(of.filter(|r| r["provenance"]["selected"] == true).count(), 1);
    }
    let said = results[0]["provenance"]["configuration"].as_str().expect("JSON");
    assert!(said.contains("\"selection\":\"validation\""), "{said}");
    // ViRB's protocol trains on everything and never steps the schedule: other numbers.
    let virb = works(data.path(), &[&arguments[..], &["--protocol", "virb"]].concat());
    let virb: Vec<serde_json::Value> = serde_json::from_str(&virb).expect("JSON");
    assert!(virb[0]["provenance"]["configuration"].as_str().expect("JSON").contains("last-epoch"));
}

#[test]
fn evidence_holds_everything_behind_a_score() {
    let data = miniatures(&["dtd"]);
    let config = config(data.path(), &[("dtd", 3)]);
    works(data.path(), &["evaluate", "--config", &config, "--encoders", "EfficientNetLite0", "--no-probes"]);
    let table = works(data.path(), &["export", "--format", "json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&table).expect("JSON");
    let run = rows[0]["run"].to_string();
    let bundle = data.path().join("evidence.zip");
    works(data.path(), &["export", "--evidence", &run, "--out", bundle.to_str().expect("text")]);
    let mut zip = zip::ZipArchive::new(std::fs::File::open(&bundle).expect("there")).expect("a zip");
    let names: Vec<String> =
        (0..zip.len()).map(|i| zip.by_index(i).expect("an entry").name().expect("text").into_owned()).collect();
    assert_eq!(names, ["result.json", "epochs.csv", "head.safetensors", "predictions.json.zst"]);
    let epochs = std::io::read_to_string(zip.by_name("epochs.csv").expect("there")).expect("text");
    assert_eq!(epochs.lines().count(), 4, "{epochs}");
    let parquet = data.path().join("results.parquet");
    works(data.path(), &["export", "--format", "parquet", "--out", parquet.to_str().expect("text")]);
    let bytes = std::fs::read(&parquet).expect("there");
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    assert!(common::program::fails(data.path(), &["export", "--evidence", "999", "--out", "x"]).contains("999"));
    assert!(Path::new("x").metadata().is_err());
}
