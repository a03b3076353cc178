//! A data set of class folders: `SPLIT/CLASS/PICTURE`, or `CLASS/PICTURE` with a seeded share for the test.

use super::index::Row;
use crate::data::left_out::{LeftOut, Why, is_picture, kept_by_programs};
use std::path::Path;
use virboard_nn::files::sha256;

/// The pictures of a folder, in the order of their names. `splits` are the names of the folders that hold a split
/// each; without all of them, the folder's own folders are the classes.
///
/// # Errors
/// A sentence where there is neither.
pub fn read(root: &Path, splits: [&str; 2], test_share: f64, seed: u64) -> Result<Vec<Row>, String> {
    let there = splits.map(|name| root.join(name).is_dir());
    match there {
        [true, true] => {
            let mut rows = Vec::new();
            for split in folders(root) {
                for class in folders(&root.join(&split)) {
                    let place = format!("{split}/{class}");
                    rows.extend(pictures(root, &place).map(|picture| row(&split, &class, picture)));
                }
            }
            Ok(rows)
        }
        [false, false] => {
            let rows: Vec<Row> =
                folders(root).iter().flat_map(|class| divided(root, class, splits, test_share, seed)).collect();
            if rows.is_empty() {
                return Err(format!(
                    "{} has neither an index.csv nor pictures in folders {}/CLASS and {}/CLASS, or CLASS alone; sort the pictures into such folders",
                    root.display(),
                    splits[0],
                    splits[1]
                ));
            }
            Ok(rows)
        }
        _ => {
            let (here, missing) = if there[0] { (splits[0], splits[1]) } else { (splits[1], splits[0]) };
            Err(format!(
                "{} has a folder {here} and no folder {missing}; add {missing}/CLASS, or move the classes of {here} up for a seeded share",
                root.display()
            ))
        }
    }
}

fn row(split: &str, class: &str, picture: String) -> Row {
    Row { split: split.to_owned(), label: class.to_owned(), pictures: vec![picture], ..Row::default() }
}

/// The pictures of one class: the share whose names, hashed with the seed, come first is for the test. A picture that
/// is added later moves hardly any other.
fn divided(root: &Path, class: &str, splits: [&str; 2], share: f64, seed: u64) -> Vec<Row> {
    let mut all: Vec<(String, String)> =
        pictures(root, class).map(|picture| (sha256(format!("{seed}/{picture}").as_bytes()), picture)).collect();
    all.sort();
    let most = all.len().saturating_sub(1);
    let tested = ((all.len() as f64 * share).round() as usize).clamp(1.min(most), most);
    let mut rows: Vec<Row> = all
        .into_iter()
        .enumerate()
        .map(|(i, (_, picture))| row(if i < tested { splits[1] } else { splits[0] }, class, picture))
        .collect();
    rows.sort_by(|a, b| a.pictures.cmp(&b.pictures));
    rows
}

/// What lies in the folders and is no picture of a class.
#[must_use]
pub fn left_out(root: &Path, splits: [&str; 2]) -> LeftOut {
    let mut left_out = LeftOut::default();
    let divided = splits.iter().all(|name| root.join(name).is_dir());
    let places = if divided { folders(root) } else { vec![String::new()] };
    for place in places {
        let split = root.join(place);
        note_programs(&split, &mut left_out);
        for class in folders(&split) {
            note(&split.join(class), &mut left_out);
        }
    }
    left_out
}

fn note_programs(folder: &Path, left_out: &mut LeftOut) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if let Some(why) = kept_by_programs(&entry.path()) {
            left_out.add(why, &entry.path());
        }
    }
}

/// Notes what lies in the folder of a class.
fn note(class: &Path, left_out: &mut LeftOut) {
    let mut pictures = 0;
    for entry in std::fs::read_dir(class).into_iter().flatten().flatten() {
        let path = entry.path();
        match kept_by_programs(&path) {
            Some(why) => left_out.add(why, &path),
            None if path.is_dir() => left_out.add(Why::Folder, &path),
            None if !is_picture(&path) || path.to_str().is_none() => left_out.add(Why::OtherFile, &path),
            None => pictures += 1,
        }
    }
    if pictures == 0 {
        left_out.add(Why::EmptyClass, class);
    }
}

/// Names in a folder, in order, without those that systems and programs make.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| kept_by_programs(&entry.path()).is_none())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

fn folders(folder: &Path) -> Vec<String> {
    names(folder).into_iter().filter(|name| folder.join(name).is_dir()).collect()
}

/// Pictures in a folder, relative to the root.
fn pictures(root: &Path, folder: &str) -> impl Iterator<Item = String> {
    let place = root.join(folder);
    let picture = move |name: &String| is_picture(Path::new(name)) && place.join(name).is_file();
    let folder = folder.to_owned();
    names(&root.join(&folder)).into_iter().filter(picture).map(move |name| format!("{folder}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, b"x").expect("written");
        }
        dir
    }

    const SPLITS: [&str; 2] = ["train", "test"];

    #[test]
    fn splits_are_folders_and_hidden_ones_are_no_classes() {
        let files =
            ["train/b/1.JPG", "train/a/1.png", "test/a/2.jpg", "train/.ipynb_checkpoints/1.jpg", "train/a/read.txt"];
        let dir = tree(&[&files[..], &["later/a/3.jpg"]].concat());
        let rows = read(dir.path(), SPLITS, 0.2, 0).expect("read");
        let said: Vec<String> = rows.iter().map(|r| format!("{} {} {}", r.split, r.label, r.pictures[0])).collect();
        assert_eq!(
            said,
            ["later a later/a/3.jpg", "test a test/a/2.jpg", "train a train/a/1.png", "train b train/b/1.JPG"]
        );
    }

    #[test]
    fn one_level_is_divided_by_file_and_seed() {
        let files: Vec<String> = (0..20).map(|i| format!("{}/{i}.jpg", ["a", "b"][i % 2])).collect();
        let dir = tree(&files.iter().map(String::as_str).collect::<Vec<_>>());
        let tested = |share, seed| -> Vec<String> {
            let rows = read(dir.path(), SPLITS, share, seed).expect("read");
            assert_eq!(rows.len(), 20);
            rows.into_iter().filter(|r| r.split == "test").map(|r| r.pictures[0].clone()).collect()
        };
        let first = tested(0.2, 0);
        assert_eq!((first.len(), &first), (4, &tested(0.2, 0)), "two of each class, the same each time");
        assert_ne!(first, tested(0.2, 1));
        // With another picture, those that were tested still are.
        std::fs::write(dir.path().join("a/99.jpg"), b"x").expect("written");
        let after = read(dir.path(), SPLITS, 0.2, 0).expect("read");
        let after: Vec<&str> = after.iter().filter(|r| r.split == "test").map(|r| r.pictures[0].as_str()).collect();
        assert!(first.iter().filter(|p| after.contains(&p.as_str())).count() >= 3);
    }

    #[test]
    fn what_is_missing_is_said() {
        let said = read(tree(&["train/a/1.jpg"]).path(), SPLITS, 0.2, 0).expect_err("refused");
        assert!(said.contains("no folder test"), "{said}");
        let said = read(tree(&["1.jpg"]).path(), SPLITS, 0.2, 0).expect_err("refused");
        assert!(said.contains("neither an index.csv nor"), "{said}");
    }
}
