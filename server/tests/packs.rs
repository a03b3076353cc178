//! Small data sets made of originals, which are drawn here: all files, those that are missing, and what is made of them.

mod common;

use common::drawn::{encoded, noise, write};
use common::program::{fails, works};
use image::{GrayImage, ImageFormat, Luma};
use std::path::{Path, PathBuf};
use virboard_lab::data::pack::Index;
use virboard_lab::data::pack::origins::{Column, Origin};

/// The row of a data set and its index.
fn shipped(name: &str) -> (&'static Origin, Index) {
    let origin = Origin::named(name).expect("a row");
    let index = Index::read(&origin.shipped(&common::root().join("server/samples"))).expect("it ships");
    (origin, index)
}

/// Where the original has a file of the index, in its likeliest form.
fn place(origin: &Origin, column: Column, name: &str) -> String {
    origin.places(column, name).into_iter().next().expect("a place")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

fn size(path: &Path) -> (u32, u32) {
    image::image_dimensions(path).expect("a picture")
}

/// Nothing may be added, not even in part.
fn nothing_in(data: &Path) {
    let left: Vec<PathBuf> =
        std::fs::read_dir(data.join("datasets")).into_iter().flatten().flatten().map(|e| e.path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn class_folders_of_an_original_become_a_small_data_set() {
    let (origin, index) = shipped("sign-digits");
    let (data, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    // As the archive has it: a folder above the classes, and endings in capitals.
    let original = other.path().join("Sign-Language-Digits-Dataset-master");
    let named = |row: usize| index.rows[row].pictures[0].as_str();
    let of = |row: usize| {
        let place = place(origin, Column::Picture, named(row)).replace(".jpg", ".JPG");
        original.join("Dataset").join(place)
    };
    // Every seventh is larger than the bound.
    let sides = |row: usize| if row.is_multiple_of(7) { (150, 120) } else { (25, 20) };
    for row in 0..index.rows.len() {
        let (width, height) = sides(row);
        write(&of(row), &encoded(noise(row as u64, width, height), ImageFormat::Jpeg));
    }
    let lacking = of(5);
    let aside = std::fs::read(&lacking).expect("there");
    std::fs::remove_file(&lacking).expect("removed");
    let pack = ["dataset", "pack", "sign-digits", text(&original)];
    let said = fails(data.path(), &pack);
    assert!(said.contains("1 of the 2000 files of sign-digits are not below"), "{said}");
    assert!(said.contains(named(5)) && said.contains("--skip-missing"), "{said}");
    nothing_in(data.path());
    let said = works(data.path(), &[&pack[..], &["--skip-missing"]].concat());
    assert!(said.contains("left out  1 sample") && said.contains(named(5)), "{said}");
    assert!(said.contains("sign-digits: 1999 samples of 1999 files"), "{said}");
    let said = fails(data.path(), &pack);
    assert!(said.contains("is there already") && said.contains("virboard dataset remove sign-digits"), "{said}");
    works(data.path(), &["dataset", "remove", "sign-digits"]);
    write(&lacking, &aside);
    let said = works(data.path(), &pack);
    assert!(said.contains("SignDigits: 1400 train, 600 test"), "{said}");
    let checked = works(data.path(), &["dataset", "check", "sign-digits"]);
    for word in ["problem", "warning", "left out"] {
        assert!(!checked.contains(word), "{checked}");
    }
    let folder = data.path().join("datasets/sign-digits");
    for row in 0..index.rows.len() {
        let (width, height) = sides(row);
        let reduced = if width == 150 { (120, 96) } else { (width, height) };
        assert_eq!(size(&folder.join(named(row))), reduced, "{}", named(row));
    }
    let written = std::fs::read_to_string(folder.join("index.csv")).expect("an index");
    assert_eq!(written.lines().count(), index.rows.len() + 1);
    assert!(folder.join("dataset.toml").is_file(), "it describes itself, under whatever name");
    // What was packed is its own original: the same bytes.
    let again = tempfile::tempdir().expect("a folder");
    works(again.path(), &["dataset", "pack", "sign-digits", text(&folder)]);
    for row in [0, 1, 7, 1999] {
        let bytes = |data: &Path| std::fs::read(data.join("datasets/sign-digits").join(named(row))).expect("there");
        assert_eq!(bytes(data.path()), bytes(again.path()));
    }
}

#[test]
fn masks_of_an_original_become_0_and_1_at_the_size_of_their_pictures() {
    let (origin, index) = shipped("horses");
    let (data, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let original = other.path().join("weizmann_horse_db");
    // The horse is the left half: in a JPEG of another size than the picture.
    let mask = GrayImage::from_fn(80, 50, |x, _| Luma([if x < 40 { 255 } else { 0 }]));
    let mask = encoded(mask, ImageFormat::Jpeg);
    for (seed, row) in index.rows.iter().enumerate() {
        let picture = encoded(noise(seed as u64, 151, 100), ImageFormat::Jpeg);
        write(&original.join(place(origin, Column::Picture, &row.pictures[0])), &picture);
        write(&original.join(place(origin, Column::Mask, &row.mask)), &mask);
    }
    let row = &index.rows[3];
    let lacking = original.join(place(origin, Column::Mask, &row.mask));
    std::fs::remove_file(&lacking).expect("removed");
    let pack = ["dataset", "pack", "horses", text(&original)];
    let said = fails(data.path(), &pack);
    assert!(said.contains("1 of the 654 files of horses") && said.contains(&row.mask), "{said}");
    assert!(said.contains("(`figure_ground/horse") && said.contains("needs a registration"), "{said}");
    nothing_in(data.path());
    // A mask that is none is named, and nothing is added.
    write(&lacking, b"no picture");
    let said = fails(data.path(), &pack);
    assert!(said.contains(text(&lacking)), "{said}");
    nothing_in(data.path());
    write(&lacking, &mask);
    let said = works(data.path(), &pack);
    assert!(said.contains("Horses: 227 train, 100 test"), "{said}");
    let checked = works(data.path(), &["dataset", "check", "horses"]);
    assert!(!checked.contains("problem") && !checked.contains("warning"), "{checked}");
    let folder = data.path().join("datasets/horses");
    for row in &index.rows {
        assert_eq!(size(&folder.join(&row.pictures[0])), (145, 96));
        let mask = image::open(folder.join(&row.mask)).expect("a mask").into_luma8();
        assert_eq!(mask.dimensions(), (145, 96));
        // A column more or less where the sizes meet.
        let horse = |x: u32| (0..96).all(|y| mask.get_pixel(x, y).0 == [1]);
        let other = |x: u32| (0..96).all(|y| mask.get_pixel(x, y).0 == [0]);
        assert!((0..72).all(horse) && (74..145).all(other), "{}", row.mask);
    }
}

#[test]
fn a_name_or_a_folder_that_is_none_is_told() {
    let data = tempfile::tempdir().expect("a folder");
    let said = fails(data.path(), &["dataset", "pack", "horse", "."]);
    assert!(said.contains("no data set `horse`") && said.contains("did you mean `horses`?"), "{said}");
    let said = fails(data.path(), &["dataset", "pack", "rooms", "/no/such/folder"]);
    assert!(said.contains("is no folder") && said.contains("no command makes them anew"), "{said}");
    let empty = tempfile::tempdir().expect("a folder");
    let said = fails(data.path(), &["dataset", "pack", "davis", text(empty.path()), "--skip-missing"]);
    assert!(said.contains("2158 of the 2158 files of davis") && said.contains(" and more"), "{said}");
    nothing_in(data.path());
}
