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
        ("/analyses/first?suite=paper", "all by the virb protocol"),
        ("/choose?suite=paper", "measure a second encoder"),
        ("/compare?suite=paper&e=SWAV_800,PIRL_800", "no task on which all of them"),
        ("/api/v1/leaderboard?suite=paper&format=csv", "0.91"),
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
    assert!(works(data.path(), &["import", path]).contains("0 new scores, 0 heads; 0 replaced, 2 unchanged"));
    for (text, wanted) in [
        ("encoder,task,score\nSWAV_800,Imagenet,0.7\nNobody,Imagenet,0.7\n", "line 3: there is no encoder `Nobody`"),
        ("encoder,task,score\nSWAV_800,Juggling,0.7\n", "no task `Juggling`"),
        ("encoder,task,score\nSWAV_800,Imagenet,75.3\n", "shares are from 0 to 1; write 0.753"),
        ("encoder,task,score\nSWAV_800,NYUDepth,-0.41\n", "an error is not negative; write 0.41"),
        ("encoder,task,score\nSWAV_800,Imagenet,0.9 (best)\n", "`0.9 (best)` is no number"),
        ("encoder,task,score,low\nSWAV_800,Imagenet,0.9,0.8\n", "needs both `low` and `high`"),
        ("encoder,task,score,protocol\nSWAV_800,Imagenet,0.9,virbs\n", "did you mean `virb`?"),
        ("encoder,task,score\nSWAV_800,Imagenet,0.7\nSWAV_800,Imagenet,0.6\n", "line 3: SWAV_800 on Imagenet is 0.6"),
        ("encoder,task,score\nSWAV_800,Imagenet,0.7\nSWAV_800,Ima", "line 3: it has 2 fields"),
        ("encoder,points\nSWAV_800,1\n", "columns encoder, task and score"),
        ("encoder,Imagenet,Pets\nSWAV_800,0.7,0.8\n", "`Imagenet` is a task: write a row for each score"),
        ("encoder,task,score\n", "no score"),
        ("", "it is empty"),
    ] {
        std::fs::write(&table, text).expect("written");
        let said = fails(data.path(), &["import", path]);
        assert!(said.contains(wanted) && said.contains("scores.csv"), "{said}");
    }
    // All mistakes are told at once.
    std::fs::write(&table, "encoder,task,score\nA,Imagenet,0.7\nSWAV_800,B,0.7\nSWAV_800,Imagenet,C\n")
        .expect("written");
    let said = fails(data.path(), &["import", path]);
    assert!(["line 2", "line 3", "line 4"].iter().all(|l| said.contains(l)), "{said}");
    let rows = works(data.path(), &["export"]);
    assert_eq!(rows.lines().count(), 3, "{rows}");
}

/// A table beside the data folder, whose contents change.
struct Changing {
    data: tempfile::TempDir,
    path: String,
}

impl Changing {
    fn new() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let path = data.path().join("table.csv").to_str().expect("text").to_owned();
        Self { data, path }
    }

    fn write(&self, text: &str) -> &Self {
        std::fs::write(&self.path, text).expect("written");
        self
    }

    fn import(&self, options: &[&str]) -> std::process::Output {
        common::program::run(self.data.path(), &[&["import", &self.path], options].concat())
    }

    fn imports(&self, options: &[&str]) -> String {
        let output = self.import(options);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        format!("{}{error}", String::from_utf8_lossy(&output.stdout))
    }

    /// Some columns of all results, in the order of the export.
    fn exported(&self, options: &[&str], columns: &[&str]) -> Vec<Vec<String>> {
        let text = works(self.data.path(), &[&["export"], options].concat());
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().expect("a head").clone();
        let at: Vec<usize> =
            columns.iter().map(|c| header.iter().position(|h| h == *c).unwrap_or_else(|| panic!("{c}"))).collect();
        reader.records().map(|r| r.expect("a row")).map(|r| at.iter().map(|i| r[*i].to_owned()).collect()).collect()
    }
}

#[test]
fn a_corrected_table_is_refused_aloud_and_replaces_on_request() {
    let table = Changing::new();
    table.write("encoder,task,score\nPIRL_800,Pets,0.5\nSWAV_800,Imagenet,0.75\n").imports(&[]);
    table.write("encoder,task,score\nPIRL_800,Pets,0.5\nSWAV_800,Imagenet,0.57\nSWAV_800,Pets,0.8\n");
    let said = fails(table.data.path(), &["import", &table.path]);
    assert!(
        said.contains("line 3: SWAV_800 on Imagenet is 0.75 here and 0.57 there") && said.contains("--replace"),
        "{said}"
    );
    let scores = || table.exported(&[], &["encoder", "task", "score"]).concat().join(",");
    assert_eq!(scores(), "PIRL_800,Pets,0.5,SWAV_800,Imagenet,0.75", "nothing was taken");
    let said = table.imports(&["--dry-run"]);
    assert!(
        said.contains("dry run, nothing was written: 1 new scores, 0 heads; 0 replaced, 1 unchanged, 1 in conflict"),
        "{said}"
    );
    let said = table.imports(&["--dry-run", "--replace"]);
    assert!(said.contains("1 replaced, 1 unchanged, 0 in conflict"), "{said}");
    assert_eq!(scores(), "PIRL_800,Pets,0.5,SWAV_800,Imagenet,0.75", "a dry run writes nothing");
    let said = table.imports(&["--replace"]);
    assert!(said.contains("replaced: line 3: SWAV_800 on Imagenet was 0.75 and is 0.57"), "{said}");
    assert_eq!(scores(), "PIRL_800,Pets,0.5,SWAV_800,Imagenet,0.57,SWAV_800,Pets,0.8");
    let former = table.exported(&["--replaced"], &["encoder", "score", "replaced_at"]);
    assert_eq!((former.len(), &*former[0][0], &*former[0][1]), (1, "SWAV_800", "0.75"), "the older one is found");
    assert!(former[0][2].parse::<i64>().is_ok_and(|t| t > 1_700_000_000), "{former:?}");
}

#[test]
fn a_table_that_was_copied_or_saved_by_a_spreadsheet_brings_nothing_new() {
    let table = Changing::new();
    table.write("encoder,task,score\nSWAV_800,Imagenet,0.7512345678901234\n").imports(&[]);
    let copy = table.data.path().join("copy.csv");
    // Spreadsheets keep fifteen digits.
    std::fs::write(&copy, "encoder;task;score\r\nSWAV_800;Imagenet;0,751234567890123\r\n").expect("written");
    let said = works(table.data.path(), &["import", copy.to_str().expect("text")]);
    assert!(said.contains("0 new scores, 0 heads; 0 replaced, 1 unchanged"), "{said}");
    assert_eq!(table.exported(&[], &["score"]), [["0.7512345678901234"]]);
}

#[test]
fn a_table_as_spreadsheets_write_it_is_read_as_it_is_meant() {
    for text in [
        "Encoder,Task,Score,Selected,Seed\nSWAV_800,Imagenet,0.755,True,3\nPIRL_800,NYUDepth,0.41,TRUE,3.0\n",
        "\u{feff}encoder;task;score;selected;seed\r\nswav 800;ImageNet Cls.;0,755;TRUE;3\r\nPIRL_800;NYU Depth;0,41;1;3\r\n;;;;\r\n",
        "encoder,task,score (%),selected,seed\nSWAV_800,Imagenet,75.5,yes,3\n",
        "encoder\ttask\tscore\tselected\tseed\nSWAV_800 \t Imagenet\t75.5 %\t1\t3\n",
    ] {
        let table = Changing::new();
        let rows = text.lines().filter(|l| l.contains("800")).count();
        let said = table.write(text).imports(&[]);
        assert!(said.contains(&format!("{rows} new scores")), "{said}");
        let found = table.exported(&[], &["encoder", "task", "score", "selected", "seed"]);
        assert!(
            found.contains(&["SWAV_800", "Imagenet", "0.755", "true", "3"].map(str::to_owned).to_vec()),
            "{text}: {found:?}"
        );
        assert_eq!(found.len(), rows);
    }
}

#[test]
fn a_column_that_is_not_read_is_named_and_remarks_are_kept() {
    let table = Changing::new();
    table.write(
        "encoder,task,score,sed,note,url,date,low,high,F1\n\
         SWAV_800,Imagenet,0.75,1,\"by mail, thrice\",https://example.org/a,2024-05-31,0.7,0.8,0.2\n\
         PIRL_800,Imagenet,NaN,1,,,,,,\n",
    );
    let said = table.imports(&[]);
    assert!(said.contains("the column `sed` is not read; did you mean `seed`?"), "{said}");
    assert!(
        said.contains("the column `F1` is not read") && said.contains("line 3 has no score and is left out"),
        "{said}"
    );
    assert!(said.contains("1 new scores"), "{said}");
    let found = table.exported(&[], &["finished_at", "low", "high", "configuration"]).concat();
    assert_eq!(found[..3], ["1717113600", "0.7", "0.8"]);
    assert!(found[3].contains("by mail, thrice") && found[3].contains("https://example.org/a"), "{found:?}");
    // They are remarks, not settings.
    table.write("encoder,task,score\nSWAV_800,Imagenet,0.75\n");
    assert!(table.imports(&[]).contains("1 unchanged"));
}

/// The folder of an encoder's run in ViRB's `out/`, with these results.
fn run_with(tree: &Path, run: &str, results: &[u8]) {
    let folder = tree.join(run);
    std::fs::create_dir_all(&folder).expect("made");
    std::fs::write(folder.join("results.json"), results).expect("written");
}

#[test]
fn one_diverged_cut_or_strange_run_costs_no_other() {
    let good = "{\"train_loss\": Infinity, \"test_loss\": NaN, \"test_accuracy\": 0.5}";
    for (results, wanted, new) in [
        ("{\"train_loss\": NaN, \"test_loss\": NaN, \"test_accuracy\": NaN}", "`test_accuracy` is NaN", 3),
        ("{\"test_accuracy\": -Infinity}", "`test_accuracy` is -Infinity", 3),
        (good, "", 4),
        ("", "it is empty", 3),
        ("{\"test_accuracy\": 0.", "ends in the middle", 3),
        ("{\"test_accuracy\": 91.0}", "shares are from 0 to 1", 3),
        ("{\"test_loss\": 0.3}", "it has no `test_accuracy`", 3),
        ("{\"test_accuracy\": null}", "has no score", 3),
        ("[0.5]", "it has no `test_accuracy`", 3),
        ("\u{0}\u{1}", "its JSON cannot be read", 3),
    ] {
        let data = tempfile::tempdir().expect("a folder");
        let tree = data.path().join("out");
        out(&tree);
        run_with(&tree, "SWAV_800/dtd-sgd-1", results.as_bytes());
        let output = common::program::run(data.path(), &["import", tree.to_str().expect("text")]);
        let (said, notes) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.contains(&format!("{new} new scores")), "{results}: {said}{notes}");
        let note = notes.lines().find(|l| l.contains("SWAV_800/dtd-sgd-1/results.json"));
        assert_eq!(note.is_some(), !wanted.is_empty(), "{notes}");
        assert!(note.unwrap_or_default().contains(wanted), "{notes}");
    }
    // A tree in which no run has a score says why.
    let data = tempfile::tempdir().expect("a folder");
    run_with(&data.path().join("out"), "SWAV_800/dtd-sgd-1", b"{\"test_accuracy\": NaN}");
    let said = fails(data.path(), &["import", data.path().join("out").to_str().expect("text")]);
    assert!(said.contains("no score that can be taken") && said.contains("is NaN"), "{said}");
}

#[test]
fn a_run_that_went_on_takes_the_place_of_its_older_self() {
    let table = Changing::new();
    let tree = table.data.path().join("out");
    let at = |seconds: u64| std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    let results = |run: &str, score: f64, seconds: u64| {
        run_with(&tree, run, format!("{{\"test_accuracy\": {score}}}").as_bytes());
        let file = std::fs::File::options().append(true).open(tree.join(run).join("results.json")).expect("opened");
        file.set_modified(at(seconds)).expect("dated");
    };
    let import = || common::program::run(table.data.path(), &["import", tree.to_str().expect("text")]);
    let scores = || table.exported(&[], &["score", "selected"]).concat().join(",");
    results("SWAV_800/Eurosat-adam-1", 0.41, 1_700_000_000);
    results("SWAV_800/Eurosat-sgd-1", 0.43, 1_700_000_000);
    assert!(import().status.success());
    assert_eq!(scores(), "0.41,false,0.43,true");
    results("SWAV_800/Eurosat-adam-1", 0.44, 1_700_000_100);
    let said = String::from_utf8(import().stdout).expect("text");
    assert!(said.contains("was 0.41, not chosen and is 0.44") && said.contains("2 replaced"), "{said}");
    assert_eq!(scores(), "0.44,true,0.43,false", "and the other one is the answer no more");
    // An older copy of the folder says something else.
    results("SWAV_800/Eurosat-adam-1", 0.41, 1_700_000_000);
    results("SWAV_800/Pets-adam-1", 0.8, 1_700_000_000);
    let output = import();
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success() && error.contains("is 0.44 here and 0.41, not chosen there"), "{error}");
    assert!(said.contains("1 new scores") && said.contains("in conflict"), "the other run comes in: {said}");
}
