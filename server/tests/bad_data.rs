//! Bad input of an evaluation: each ends in one sentence that names the file and the mend, with
//! exit code 1, and what was there stays.

mod common;

use common::program::{config, fails, miniatures, works};
use std::path::Path;

fn evaluate(data: &Path, task: &str) -> Vec<String> {
    let config = config(data, &[(task, 1)]);
    ["evaluate", "--config", &config, "--encoders", "EfficientNetLite0", "--no-probes"].map(str::to_owned).to_vec()
}

fn sentence(data: &Path, task: &str) -> String {
    let arguments = evaluate(data, task);
    fails(data, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn succeeds(data: &Path, task: &str, more: &[&str]) -> String {
    let arguments = evaluate(data, task);
    works(data, &[&arguments.iter().map(String::as_str).collect::<Vec<_>>()[..], more].concat())
}

#[test]
fn a_truncated_cifar_pickle() {
    let data = miniatures(&["cifar-100"]);
    let file = data.path().join("datasets/cifar-100/train");
    let whole = std::fs::read(&file).expect("read");
    for keep in [whole.len() / 2, whole.len() - 3, 10] {
        std::fs::write(&file, &whole[..keep]).expect("cut");
        let said = sentence(data.path(), "CIFAR-100");
        assert!(said.contains("cifar-100/train") && said.contains("unpack"), "{said}");
    }
    // A pickle that would run something is refused and not run.
    std::fs::write(&file, b"\x80\x02cos\nsystem\nU\x0etouch /tmp/evil\x85R.").expect("written");
    let said = sentence(data.path(), "CIFAR-100");
    assert!(said.contains("os.system") && said.contains("not executed"), "{said}");
    assert!(!Path::new("/tmp/evil").exists());
}

#[test]
fn labels_that_name_missing_images() {
    let data = miniatures(&["thor_num_steps"]);
    let list = data.path().join("datasets/thor_num_steps/train_labels.txt");
    let text = std::fs::read_to_string(&list).expect("read");
    std::fs::write(&list, format!("{text}train/FloorPlan9/0042 3\n")).expect("written");
    let said = sentence(data.path(), "THORNumSteps");
    assert!(said.contains("FloorPlan9/0042_rgb.jpg") && said.contains("train_labels.txt line 7"), "{said}");
    let listed = common::program::run(data.path(), &["datasets", "THORNumSteps"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("1 problem") && listed.contains("FloorPlan9/0042_rgb.jpg"), "{listed}");
    // By choice it is left out and everything else is used.
    assert!(succeeds(data.path(), "THORNumSteps", &["--skip-broken"]).contains("THORNumSteps"));
    std::fs::write(&list, format!("{text}train/FloorPlan1/0000 many\n")).expect("written");
    assert!(sentence(data.path(), "THORNumSteps").contains("`many` is no number of steps"));
}

#[test]
fn a_depth_map_of_another_size_and_one_that_is_no_picture() {
    let data = miniatures(&["nyu"]);
    let folder = data.path().join("datasets/nyu/train/depths");
    let wrong = folder.join("00001.tiff");
    let other = data.path().join("datasets/nyu/train/images/00001.png");
    image::RgbImage::new(20, 10).save(&other).expect("written");
    let said = sentence(data.path(), "NYUDepth");
    assert!(said.contains("00001.tiff has 48 x 36 pixels") && said.contains("20 x 10"), "{said}");
    std::fs::write(&wrong, b"no TIFF").expect("written");
    let said = sentence(data.path(), "NYUDepth");
    assert!(said.contains("00001.tiff") && said.contains("--skip-broken"), "{said}");
    let output = {
        let arguments = evaluate(data.path(), "NYUDepth");
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.push("--skip-broken");
        common::program::run(data.path(), &arguments)
    };
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("00001.png"), "what was left out is reported");
}

#[test]
fn one_unreadable_image_stops_with_its_path_or_is_skipped() {
    let data = miniatures(&["eurosat"]);
    std::fs::write(data.path().join("datasets/eurosat/train/River/River_2.jpg"), b"\xff\xd8\xff not a JPEG")
        .expect("broken");
    let said = sentence(data.path(), "Eurosat");
    assert!(said.contains("River_2.jpg") && said.contains("--skip-broken"), "{said}");
    assert!(succeeds(data.path(), "Eurosat", &["--skip-broken"]).contains("Eurosat"));
    let check = common::program::run(data.path(), &["datasets", "--check", "Eurosat"]);
    assert_eq!(check.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&check.stdout).contains("River_2.jpg"));
}

#[test]
fn a_checkpoint_with_a_renamed_tensor() {
    let data = miniatures(&["eurosat"]);
    let from = common::root().join("server/samples/encoders/EfficientNetLite0.safetensors");
    let bytes = std::fs::read(from).expect("it ships");
    let at = bytes.windows(10).position(|w| w == b"_conv_head").expect("a name");
    let mut renamed = bytes.clone();
    renamed[at..at + 10].copy_from_slice(b"_conv_hexd");
    let folder = data.path().join("checkpoints");
    std::fs::create_dir_all(&folder).expect("made");
    std::fs::write(folder.join("EfficientNetLite0.safetensors"), renamed).expect("written");
    let said = sentence(data.path(), "Eurosat");
    assert!(said.contains("_conv_head") && said.contains("checkpoints/EfficientNetLite0.safetensors"), "{said}");
    std::fs::remove_file(folder.join("EfficientNetLite0.safetensors")).expect("removed");
    assert!(succeeds(data.path(), "Eurosat", &[]).contains("Eurosat"), "the one that ships is used again");
}

#[test]
fn a_corrupt_cache_file_is_reported_and_made_again() {
    let data = miniatures(&["eurosat"]);
    let before = succeeds(data.path(), "Eurosat", &[]);
    let folder = data.path().join("features");
    for entry in std::fs::read_dir(&folder).expect("listed").flatten() {
        if entry.path().extension().is_some_and(|e| e == "safetensors") {
            let mut bytes = std::fs::read(entry.path()).expect("read");
            let last = bytes.len() - 100;
            bytes[last] ^= 0x40;
            std::fs::write(entry.path(), bytes).expect("damaged");
        }
    }
    let arguments = evaluate(data.path(), "Eurosat");
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    arguments.push("--again");
    let output = common::program::run(data.path(), &arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("damaged; they are encoded again") && said.contains("features/"), "{said}");
    let score = |table: &str| table.lines().nth(1).and_then(|l| l.split('%').next()).map(str::to_owned);
    assert_eq!(score(&before), score(&String::from_utf8_lossy(&output.stdout)));
}

#[test]
fn a_full_disk_during_caching() {
    let data = miniatures(&["eurosat"]);
    let features = data.path().join("features");
    std::fs::create_dir_all(&features).expect("made");
    let binary = env!("CARGO_BIN_EXE_virboard");
    let config = config(data.path(), &[("Eurosat", 1)]);
    // A file system of 40 kB in a name space of our own; where that is not allowed the sentence
    // is still tested in the engine (`errors_say_that_the_disk_is_full`).
    let script = format!(
        "mount -t tmpfs -o size=40k none '{}' && exec '{binary}' --data-dir '{}' --device cpu evaluate --config '{config}' --encoders EfficientNetLite0 --no-probes",
        features.display(),
        data.path().display()
    );
    let output =
        std::process::Command::new("unshare").args(["-rm", "sh", "-c", &script]).current_dir(common::root()).output();
    let Ok(output) = output else { return };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("unshare:") || said.contains("mount:") {
        eprintln!("no name space may be made here: {said}");
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last = said.lines().rfind(|l| l.starts_with("virboard:")).unwrap_or_default();
    assert!(last.contains("disk is full") && last.contains("virboard cache prune"), "{said}");
    // With room it goes on, and nothing is half there.
    assert!(succeeds(data.path(), "Eurosat", &[]).contains("Eurosat"));
}

#[test]
fn a_missing_data_set_says_where_it_comes_from() {
    let data = miniatures(&[]);
    let said = fails(data.path(), &["evaluate", "--encoders", "EfficientNetLite0", "--tasks", "NYUDepth"]);
    assert!(said.contains("datasets/nyu") && said.contains("virboard dataset list NYUDepth"), "{said}");
    let plan =
        common::program::run(data.path(), &["evaluate", "--encoders", "EfficientNetLite0", "--tasks", "all", "--plan"]);
    let said = String::from_utf8_lossy(&plan.stderr).into_owned();
    assert!(plan.status.success(), "{said}");
    assert!(said.contains("missing: data set KITTI") && said.contains("cached features"), "{said}");
    assert!(String::from_utf8_lossy(&plan.stdout).contains("EfficientNetLite0 on SceneFlow"));
}
