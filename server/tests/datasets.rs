//! Data sets that people bring: added, checked, listed, evaluated, shown and removed; and everything that can be
//! wrong with one. The pictures are made here.

mod common;

use axum::http::StatusCode;
use common::program::{fails, run, works};
use image::{DynamicImage, GrayImage, ImageBuffer, Luma, Rgb, RgbImage};
use std::fmt::Write;
use std::path::Path;
use virboard::service::Virboard;
use virboard_nn::seeded::Stream;

/// A picture of one colour with a lighter square, and where that is.
fn picture(seed: u64, colour: [u8; 3]) -> (RgbImage, [u32; 4]) {
    let mut draw = Stream::new(seed, "picture");
    let (x, y, side) = (draw.below(24) as u32, draw.below(16) as u32, 12 + draw.below(8) as u32);
    let inside = |px: u32, py: u32| (x..x + side).contains(&px) && (y..y + side).contains(&py);
    let noise = draw.below(30) as u8;
    let picture = RgbImage::from_fn(48, 36, |px, py| {
        if inside(px, py) { Rgb([230, 230, 200 + noise % 50]) } else { Rgb(colour.map(|c| c.saturating_add(noise))) }
    });
    (picture, [x, y, side, u32::from(noise)])
}

fn save(path: &Path, picture: impl Into<DynamicImage>) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    picture.into().save(path).expect("written");
}

const COLOURS: [(&str, [u8; 3]); 2] = [("blue", [10, 20, 180]), ("green", [20, 140, 30])];

/// `CLASS/PICTURE`, ten of each class.
fn class_folders(root: &Path) {
    for (class, colour) in COLOURS {
        for i in 0..10 {
            save(&root.join(format!("{class}/{i}.png")), picture(i, colour).0);
        }
    }
    save(&root.join(".ipynb_checkpoints/1.png"), RgbImage::new(8, 8));
}

const DESCRIPTION: &str = r#"name = "Squares"
licence = "CC0"
source = "https://example.org/squares"

[[task]]
key = "SquareMask"
name = "Square Mask"
kind = "mask"
suite = "Squares and more"
epochs = 2

[[task]]
key = "SquareDepth"
name = "Square Depth"
kind = "depth"
unit = "m"
depth_scale = 1000
suite = "Squares and more"
epochs = 2
"#;

/// An index with masks and distances: 12 pictures train, 6 test, 2 are of another split.
fn index(root: &Path) {
    let mut table = "\u{feff}image,mask,depth,split,group\r\n".to_owned();
    for i in 0..20u64 {
        let (picture, [x, y, side, _]) = picture(i, COLOURS[(i % 2) as usize].1);
        let inside = |px: u32, py: u32| (x..x + side).contains(&px) && (y..y + side).contains(&py);
        save(&root.join(format!("images/{i}.png")), picture);
        let mask = GrayImage::from_fn(48, 36, |px, py| Luma([if inside(px, py) { 255 } else { 0 }]));
        save(&root.join(format!("masks/{i}.png")), mask);
        let depth: ImageBuffer<Luma<u16>, Vec<u16>> =
            ImageBuffer::from_fn(48, 36, |px, py| Luma([if inside(px, py) { 1500 } else { 3000 + 10 * py as u16 }]));
        save(&root.join(format!("depths/{i}.png")), depth);
        let split = if i < 12 {
            "train"
        } else if i < 18 {
            "test"
        } else {
            "spare"
        };
        let group = i / 3;
        write!(table, "images/{i}.png,masks/{i}.png,depths/{i}.png,{split},{split}-{group}\r\n").expect("written");
    }
    std::fs::write(root.join("index.csv"), table).expect("written");
    std::fs::write(root.join("dataset.toml"), DESCRIPTION).expect("written");
}

/// A data folder, and a folder beside it for what is to be added.
fn folders() -> (tempfile::TempDir, tempfile::TempDir) {
    (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

fn json(text: &str) -> Vec<serde_json::Value> {
    serde_json::from_str(text).expect("JSON")
}

/// A server on a data folder that is there already.
async fn get(data: &Path, pages: &[&str]) -> Vec<String> {
    use axum::body::Body;
    use tower::ServiceExt;
    let app = Virboard::open(&common::settings(data)).await.expect("it opens");
    let router = virboard::http::router(app, Path::new("no-site"), common::root().join("public"));
    let mut bodies = Vec::new();
    for page in pages {
        let request = axum::http::Request::get(*page).body(Body::empty()).expect("a request");
        let response = router.clone().oneshot(request).await.expect("it answers");
        assert_eq!(response.status(), StatusCode::OK, "{page}");
        bodies.push(String::from_utf8(common::bytes(response).await.to_vec()).expect("text"));
    }
    bodies
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_classes_becomes_a_task() {
    let (data, other) = folders();
    let source = other.path().join("my-colours");
    class_folders(&source);
    let added = works(data.path(), &["dataset", "add", text(&source), "--key", "Colours"]);
    assert!(added.contains("Colours: 16 train, 4 test") && added.contains("my-colours is at"), "{added}");
    assert!(!source.join("dataset.toml").exists(), "the folder that was given stays as it was");
    let described = std::fs::read_to_string(data.path().join("datasets/my-colours/dataset.toml")).expect("written");
    assert!(described.contains("key = \"Colours\""), "{described}");
    let checked = works(data.path(), &["dataset", "check", "my-colours"]);
    assert!(checked.lines().any(|l| l.split_whitespace().eq(["blue", "8", "2"])), "{checked}");
    let listed = works(data.path(), &["dataset", "list", "--json", "Colours"]);
    assert_eq!((&json(&listed)[0]["train"], &json(&listed)[0]["test"]), (&16.into(), &4.into()), "{listed}");
    assert!(works(data.path(), &["datasets"]).contains("Colours"), "the old name of the command lists too");
    let evaluate = ["evaluate", "--encoders", "EfficientNetLite0", "--tasks", "Colours", "--json"];
    let results = json(&works(data.path(), &evaluate));
    let head = results.iter().find(|r| r["provenance"]["probe"] == "head").expect("a head");
    assert!(head["score"].as_f64() >= Some(0.75), "colours are told apart: {head}");
    let pages = ["/api/v1/tasks", "/api/v1/results", "/api/v1/encoders", "/", "/tasks/Colours"];
    let bodies = get(data.path(), &pages).await;
    for (page, body) in pages.iter().zip(&bodies) {
        assert!(body.contains("Colours"), "{page} shows it");
    }
    assert!(bodies[3].contains("Your data"), "its suite is on the leaderboard");
    let removed = works(data.path(), &["dataset", "remove", "my-colours"]);
    assert!(removed.contains("scores and heads of Colours stay"), "{removed}");
    assert!(source.join("blue/0.png").is_file() && !data.path().join("datasets/my-colours").exists());
    assert!(works(data.path(), &["export"]).contains("Colours"));
    get(data.path(), &["/", "/api/v1/results"]).await;
    assert!(fails(data.path(), &["dataset", "remove", "my-colours"]).contains("no declared data set `my-colours`"));
    // Added again, it has its score again.
    works(data.path(), &["dataset", "add", text(&source), "--key", "Colours", "--link"]);
    assert!(data.path().join("datasets/my-colours").is_symlink());
    assert_eq!(works(data.path(), &evaluate).trim(), "[]", "nothing is done twice");
    works(data.path(), &["dataset", "remove", "my-colours"]);
    assert!(source.join("blue/0.png").is_file(), "a link is removed, not what it leads to");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_with_masks_and_distances_goes_all_the_way() {
    let (data, other) = folders();
    let source = other.path().join("squares");
    index(&source);
    let checked = works(data.path(), &["dataset", "check", text(&source)]);
    assert!(checked.contains("2 rows of the split `spare`"), "{checked}");
    assert!(!checked.contains("problem") && !checked.contains("warning"), "{checked}");
    works(data.path(), &["dataset", "add", text(&source)]);
    let arguments = ["evaluate", "--encoders", "EfficientNetLite0", "--tasks", "SquareMask,SquareDepth", "--json"];
    let results = json(&works(data.path(), &arguments));
    assert_eq!(results.len(), 2);
    for result in &results {
        let (score, constant) = (result["score"].as_f64().expect("a score"), result["constant"].as_f64());
        let mask = result["task"] == "SquareMask";
        let range = if mask { 0.0..=1.0 } else { 0.0..=2.0 };
        assert!(range.contains(&score) && constant.is_some_and(f64::is_finite), "{result}");
        assert_eq!(result["provenance"]["test_samples"], 6);
    }
    let bodies = get(data.path(), &["/api/v1/tasks", "/api/v1/results", "/"]).await;
    let tasks: serde_json::Value = serde_json::from_str(&bodies[0]).expect("JSON");
    let task = |key: &str| tasks["items"].as_array().and_then(|i| i.iter().find(|t| t["key"] == key)).expect("listed");
    assert_eq!(task("SquareDepth")["unit"], "m");
    assert_eq!(task("SquareMask")["higher_is_better"], true);
    assert!(bodies[1].contains("EfficientNetLite0/SquareMask"));
    assert!(bodies[2].contains("Square Mask") && bodies[2].contains("Squares and more"));
    // The heads are offered for a photo.
    let app = Virboard::open(&common::settings(data.path())).await.expect("it opens");
    let heads = app.encoders().into_iter().find(|e| e.key == "EfficientNetLite0").expect("it ships").heads;
    assert!(heads.contains(&"SquareMask".to_owned()) && heads.contains(&"SquareDepth".to_owned()), "{heads:?}");
}

/// Adds a folder that is refused; gives all that was said. Nothing may be there afterwards.
fn refused(data: &Path, arguments: &[&str]) -> String {
    let listed = |folder: &Path| -> Vec<std::ffi::OsString> {
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.file_name()).collect()
    };
    let before = listed(&data.join("datasets"));
    let output = run(data, &[&["dataset", "add"], arguments].concat());
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(listed(&data.join("datasets")), before, "nothing is half added: {said}");
    said
}

/// A sound data set in which `spoil` changes something; what `dataset add` says.
fn spoilt(spoil: impl Fn(&Path)) -> String {
    let (data, other) = folders();
    let source = other.path().join("squares");
    index(&source);
    spoil(&source);
    let checked = run(data.path(), &["dataset", "check", text(&source)]);
    assert_eq!(checked.status.code(), Some(1), "`check` finds it too");
    refused(data.path(), &[text(&source)])
}

fn replace(file: &Path, from: &str, to: &str) {
    let before = std::fs::read_to_string(file).expect("read");
    assert!(before.contains(from), "{from} is in {}", file.display());
    std::fs::write(file, before.replacen(from, to, 1)).expect("written");
}

#[test]
fn every_mistake_has_a_sentence_with_file_line_and_mend() {
    let toml = |from: &'static str, to: &'static str| spoilt(move |s| replace(&s.join("dataset.toml"), from, to));
    let csv = |from: &'static str, to: &'static str| spoilt(move |s| replace(&s.join("index.csv"), from, to));
    let said = toml("epochs = 2", "epoch = 2");
    assert!(said.contains("dataset.toml line 10: there is no key `epoch`; did you mean `epochs`?"), "{said}");
    let said = csv("images/3.png", "images/99.png");
    assert!(said.contains("index.csv line 5: `images/99.png` is not there"), "{said}");
    let said = csv("image,mask", "imgae,mask");
    assert!(said.contains("index.csv line 1: `imgae` is no column of an index; did you mean `image`?"), "{said}");
    let said = spoilt(|s| save(&s.join("masks/4.png"), GrayImage::new(20, 10)));
    assert!(said.contains("index.csv line 6: `masks/4.png` has 20 x 10 pixels and its picture 48 x 36"), "{said}");
    let said = spoilt(|s| save(&s.join("depths/5.png"), GrayImage::new(36, 48)));
    assert!(said.contains("index.csv line 7: `depths/5.png` has 36 x 48 pixels"), "{said}");
    let said = spoilt(|s| save(&s.join("masks/6.png"), GrayImage::from_pixel(48, 36, Luma([7]))));
    assert!(said.contains("line 8: ") && said.contains("masks/6.png: it holds 7, and a mask holds 0 and 1"), "{said}");
    let said = spoilt(|s| std::fs::write(s.join("images/7.png"), b"no picture").expect("written"));
    assert!(said.contains("index.csv line 9: `images/7.png` cannot be used"), "{said}");
    let said = toml("kind = \"depth\"", "kind = \"depth\"\ntest = \"tests\"");
    assert!(said.contains("nothing of the split `tests`") && said.contains("did you mean `test`?"), "{said}");
    let said = toml("key = \"SquareMask\"", "key = \"dtd\"");
    assert!(said.contains("dataset.toml line 6: the key `dtd` is taken by the task"), "{said}");
    let said = toml("key = \"SquareMask\"", "key = \"../x\"");
    assert!(said.contains("line 6: `../x` cannot be a key"), "{said}");
    let said = csv("images/3.png", "/etc/hostname");
    assert!(said.contains("line 5: `/etc/hostname` leads out of the data set's folder"), "{said}");
    let said = csv("images/3.png", "images/../../secret.png");
    assert!(said.contains("leads out of the data set's folder"), "{said}");
    let said = spoilt(|s| {
        let secret = s.parent().expect("a parent").join("secret.png");
        save(&secret, RgbImage::new(48, 36));
        std::fs::remove_file(s.join("images/3.png")).expect("removed");
        std::os::unix::fs::symlink(secret, s.join("images/3.png")).expect("linked");
    });
    assert!(said.contains("line 5: `images/3.png` is a link that leads out"), "{said}");
    let said = csv("masks/2.png", "");
    assert!(said.contains("line 4: the column `mask` is empty, which SquareMask needs"), "{said}");
    let said = spoilt(|s| std::fs::remove_file(s.join("dataset.toml")).expect("removed"));
    assert!(said.contains("has an index.csv and no dataset.toml"), "{said}");
}

#[test]
fn labels_are_checked_against_training_and_against_names() {
    let labelled = |rows: &str, more: &str| {
        let (data, other) = folders();
        let source = other.path().join("named");
        for i in 0..6 {
            save(&source.join(format!("{i}.png")), picture(i, COLOURS[(i % 2) as usize].1).0);
        }
        let text_of =
            format!("name = \"N\"\nlicence = \"CC0\"\n[[task]]\nkey = \"N\"\nkind = \"classification\"\n{more}");
        std::fs::write(source.join("dataset.toml"), text_of).expect("written");
        std::fs::write(source.join("index.csv"), format!("split,image,label\n{rows}")).expect("written");
        refused(data.path(), &[text(&source)])
    };
    let train = "train,0.png,10\ntrain,1.png,9\n";
    let said = labelled(&format!("{train}test,2.png,9\ntest,3.png,11\n"), "");
    assert!(said.contains("index.csv line 5: the class `11` is not among the training samples"), "{said}");
    assert!(said.lines().any(|l| l.split_whitespace().eq(["9", "1", "1"])), "counts come first: {said}");
    let at = |class: &str| said.find(&format!("\n    {class} ")).expect("counted");
    assert!(at("9") < at("10"), "numbers sort as numbers: {said}");
    let said = labelled(&format!("{train}test,2.png,9\n"), "classes = [\"nine\", \"10\"]\n");
    assert!(said.contains("line 3 (and 1 more): the label `9` is not among the classes of N"), "{said}");
    let said = labelled("train,0.png,a\ntest,2.png,a\n", "");
    assert!(said.contains("has fewer than two classes"), "{said}");
}

#[test]
fn what_may_be_wrong_is_said_and_added() {
    let (data, other) = folders();
    let source = other.path().join("squares");
    index(&source);
    std::fs::copy(source.join("images/0.png"), source.join("images/12.png")).expect("copied");
    replace(&source.join("index.csv"), "test-4", "train-3");
    let said = works(data.path(), &["dataset", "add", text(&source), "--name", "mine"]);
    assert!(said.contains("1 of the test samples are among the training samples too"), "{said}");
    assert!(said.contains("index.csv line 2 and ") && said.contains("index.csv line 14"), "{said}");
    assert!(said.contains("groups are in the training and in the test split, such as `train-3`"), "{said}");
    assert!(data.path().join("datasets/mine/images/12.png").is_file());
    // A second one with the same keys, or under the same name, is refused.
    let said = refused(data.path(), &[text(&source)]);
    assert!(said.contains("the key `SquareMask` is taken by the task Square Mask"), "{said}");
    let said = refused(data.path(), &[text(&source), "--name", "mine"]);
    assert!(said.contains("is there already") && said.contains("virboard dataset remove mine"), "{said}");
    for (arguments, says) in [
        (vec!["/no/such/folder"], "is no folder"),
        (vec![text(&source), "--name", "../x"], "cannot be the name"),
        (vec![text(&source), "--name", "z", "--key", "K"], "leave --key out"),
    ] {
        let said = refused(data.path(), &arguments);
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn what_lies_beside_pictures_is_left_out_and_said() {
    let (data, other) = folders();
    let source = other.path().join("disk");
    class_folders(&source);
    for junk in
        [".ipynb_checkpoints/0.png", "__MACOSX/blue/._0.png", "blue/Thumbs.db", "blue/notes.txt", "blue/._0.png"]
    {
        let path = source.join(junk);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::copy(source.join("blue/0.png"), path).expect("copied");
    }
    std::fs::create_dir(source.join("empty")).expect("made");
    std::fs::rename(source.join("blue/1.png"), source.join("blue/1.PNG")).expect("renamed");
    let checked = works(data.path(), &["dataset", "check", text(&source)]);
    assert!(checked.contains(": 16 train, 4 test"), "{checked}");
    for says in [
        "2 hidden files or folders",
        "2 files or folders that systems",
        "1 files that are no pictures",
        "1 class folders without",
    ] {
        assert!(checked.contains(says), "{says}: {checked}");
    }
    assert!(!checked.contains("warning"), "{checked}");
    // The same picture under two classes, and a class in two spellings.
    std::fs::copy(source.join("blue/0.png"), source.join("green/99.png")).expect("copied");
    std::fs::create_dir(source.join("Blue")).expect("made");
    std::fs::copy(source.join("blue/2.png"), source.join("Blue/2.png")).expect("copied");
    let checked = works(data.path(), &["dataset", "check", text(&source)]);
    assert!(checked.contains("pictures are of two classes"), "{checked}");
    assert!(checked.contains("the classes `Blue` and `blue` are two"), "{checked}");
}
