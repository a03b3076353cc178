//! `virboard miniature` on tiny pictures: trained, packed, measured and put among what ships.

mod common;

use common::program::{copy, fails, virboard};
use common::{root, two_classes};
use std::fs;
use std::path::{Path, PathBuf};
use virboard::service::samples::{SCORES, SEEDS, ship, shipped};
use virboard_core::catalogue::rows;
use virboard_core::run::{Probe, Run};
use virboard_lab::train::Configuration;

const SOURCES: [&str; 4] = ["ImageNet", "Places", "Kinetics", "Taskonomy"];

/// A folder as the one of what ships, with tiny networks and one tiny data set.
fn samples(below: &Path) -> PathBuf {
    let samples = below.join("samples");
    copy(&root().join("server/samples/pretraining"), &samples.join("pretraining"));
    for file in fs::read_dir(samples.join("pretraining")).expect("listed").flatten() {
        let text = fs::read_to_string(file.path()).expect("read");
        let tiny = text.replace("width: 24", "width: 8\n  blocks: [1, 1, 1, 1]").replace("batch: 128", "batch: 8");
        // Only the methods that are trained here have to fit so few pictures.
        let tiny = tiny.replace("queue: 1024", "queue: 16").replace("neighbours: {", "# neighbours: {");
        fs::write(file.path(), tiny).expect("written");
    }
    let text = fs::read_to_string(root().join("server/samples/miniature.yaml")).expect("it ships");
    let (head, rest) = text.split_once("sources:\n").expect("sources");
    let (_, rest) = rest.split_once("beside:\n").expect("others");
    let head: String = head
        .lines()
        .map(|line| match line.split_once(':') {
            Some(("epochs_for_hundred", _)) => "epochs_for_hundred: 4\n".to_owned(),
            Some(("side", _)) => "side: 32\n".to_owned(),
            _ => format!("{line}\n"),
        })
        .collect();
    let sources = SOURCES.map(|name| format!("  {name}: {{name: Tiny{name}, from: [tiny]}}\n")).concat();
    fs::write(samples.join("miniature.yaml"), format!("{head}sources:\n{sources}beside:\n{rest}")).expect("written");
    let task = "name = \"Tiny\"\nlicence = \"CC0\"\n[[task]]\nkey = \"TinyKinds\"\nkind = \"classification\"\nepochs = 4\nsuite = \"Miniature\"\nstands_for = \"Imagenet\"\n";
    fs::create_dir_all(samples.join("datasets/tiny")).expect("made");
    fs::write(samples.join("datasets/tiny/dataset.toml"), task).expect("written");
    samples
}

/// The tiny data set: of each class twelve pictures to train on and four for the test.
fn pictures(data: &Path) {
    let all = two_classes(data, 16);
    let row = |class: &str, i: u32| format!("{},{class}/{i}.png,{class}", if i < 12 { "train" } else { "test" });
    let rows = ["dark", "light"].into_iter().flat_map(|class| (0..16).map(move |i| row(class, i)));
    let index: Vec<String> = std::iter::once("split,image,label".to_owned()).chain(rows).collect();
    fs::write(all.join("index.csv"), index.join("\n")).expect("written");
    fs::create_dir_all(data.join("datasets")).expect("made");
    fs::rename(all, data.join("datasets/tiny")).expect("moved");
}

#[test]
fn encoders_are_trained_packed_measured_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, samples) = (folder.path().join("data"), samples(folder.path()));
    pictures(&data);
    let place = samples.display().to_string();
    let miniature = |arguments: &[&str]| {
        let output =
            virboard(&data).args(["--samples-dir", &place, "miniature"]).args(arguments).output().expect("it runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8_lossy(&output.stdout).into_owned() + &error
    };
    assert_eq!(miniature(&["list"]).matches("not yet").count(), 41);
    let keys = "Mini_Random,Mini_MoCov2_50,Mini_MoCov2_200_seed1";
    let said = miniature(&["pretrain", "--only", keys]);
    assert!(said.contains("none of 96 training pictures is among 8 test pictures"), "{said}");
    let row = fs::read_to_string(data.join("encoders/Mini_MoCov2_50.toml")).expect("declared");
    let row = rows::encoder(&row).expect("a row");
    assert_eq!((row.stands_for.as_deref(), row.epochs, row.side), (Some("MoCov2_50"), Some(50), Some(32)));
    assert_eq!((row.name.as_str(), row.pictures.as_deref()), ("MoCov2 TinyImageNet 50", Some("TinyImageNet")));
    assert!(row.note.contains("These 2 epochs stand for 50"), "{}", row.note);
    assert!(miniature(&["list"]).contains("2 epochs of tiny (full): 24 pictures, "));

    let measured = miniature(&["evaluate", "--only", keys, "--tasks", "TinyKinds"]);
    assert_eq!(
        measured.lines().filter(|l| l.contains("Mini_MoCov2_50 ") && l.contains("adam")).count(),
        2,
        "{measured}"
    );
    let ships = folder.path().join("ships");
    let kept = miniature(&["keep", "--to", &ships.display().to_string()]);
    assert!(kept.contains("2 encoders, "), "{kept}");
    let runs = |file: &str| shipped(&ships.join(file)).expect("runs");
    let (board, seeds) = (runs(SCORES), runs(SEEDS));
    assert!(seeds.iter().all(|r| r.score.encoder == "Mini_MoCov2_200_seed1") && !seeds.is_empty());
    let heads = |key: &str| {
        let of = |r: &&Run| r.score.encoder == key && r.score.evidence.probe == Probe::Head;
        board.iter().filter(of).map(|r| (r.score.evidence.seed, r.epochs.len())).collect::<Vec<_>>()
    };
    assert_eq!(heads("Mini_MoCov2_50"), [(0, 4), (1, 4)]);
    assert!(board.iter().all(|r| r.score.value.is_finite() && r.score.run.is_none() && r.score.head.is_empty()));

    // The same is found again, and nothing that was not made is compared.
    copy(&ships, &samples);
    let compared = miniature(&["compare"]);
    assert_eq!(compared.matches("the same weights to the bit").count(), 2, "{compared}");
    assert!(compared.contains("2 encoders agree with what ships"), "{compared}");
    let mut moved = runs(SCORES);
    for run in &mut moved {
        run.score.value -= 0.01;
    }
    ship(&samples.join(SCORES), &moved).expect("written");
    let said = fails(&data, &["--samples-dir", &place, "miniature", "compare"]);
    assert!(said.contains("differ by more than seeds do") && said.contains("Mini_MoCov2_50 on TinyKinds"), "{said}");

    // What is kept is enough for a machine that has made nothing.
    let fresh = folder.path().join("fresh");
    let mut command = virboard(&fresh);
    command.args(["--samples-dir", &place, "encoder", "pack", "Mini_MoCov2_50", "--out"]);
    let output = command.arg(folder.path().join("again.safetensors")).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        fs::read(folder.path().join("again.safetensors")).expect("packed").len(),
        fs::metadata(ships.join("encoders/Mini_MoCov2_50.safetensors")).expect("kept").len() as usize
    );
}

#[test]
fn a_picture_of_a_test_stops_the_training() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, samples) = (folder.path().join("data"), samples(folder.path()));
    pictures(&data);
    let tiny = data.join("datasets/tiny");
    fs::copy(tiny.join("dark/13.png"), tiny.join("dark/3.png")).expect("copied");
    let place = samples.display().to_string();
    let said = fails(&data, &["--samples-dir", &place, "miniature", "pretrain", "--only", "Mini_Random"]);
    assert!(said.contains("dark/13.png") && said.contains("dark/3.png") && said.contains("TinyKinds"), "{said}");
    let said = fails(&data, &["--samples-dir", &place, "miniature", "pretrain", "--only", "Mini_SWAV_9"]);
    assert!(said.contains("no encoder `Mini_SWAV_9`; these are there: "), "{said}");
}

#[test]
fn shipped_scores_are_found_by_the_settings_of_today() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalogue = common::settings(folder.path()).catalogue();
    let mut compared = 0;
    for run in shipped(&root().join("server/samples").join(SCORES)).expect("scores") {
        let (score, evidence) = (&run.score, &run.score.evidence);
        if evidence.probe != Probe::Head {
            continue;
        }
        let task = catalogue.task(&score.task).expect("a task of the catalogue");
        let settings = Configuration::published(task, evidence.seed, evidence.protocol);
        let settings = serde_json::to_string(&settings).expect("JSON");
        assert_eq!(settings, evidence.configuration, "{} on {}", score.encoder, task.key);
        compared += 1;
    }
    assert!(compared >= 700, "{compared}");
}
