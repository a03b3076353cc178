//! Small data sets: what ships of them, how their originals are found, and pictures and masks reduced as Pillow does it.

use image::{GrayImage, RgbImage};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use virboard_lab::data::declared::index::Row;
use virboard_lab::data::declared::{DESCRIPTION, Declared};
use virboard_lab::data::pack::origins::{Column, ORIGINS, Origin};
use virboard_lab::data::pack::search::Files;
use virboard_lab::data::pack::{Index, Reduction};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn samples() -> PathBuf {
    root().join("server/samples")
}

#[test]
fn every_description_that_ships_has_an_index_and_an_origin() {
    let folders = std::fs::read_dir(samples().join("datasets")).expect("listed").flatten();
    let mut names: Vec<String> = folders.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names, ORIGINS.iter().map(|o| o.name).collect::<Vec<_>>());
    for origin in &ORIGINS {
        let index = Index::read(&origin.shipped(&samples())).expect("it is read");
        assert!(index.rows.len() >= 300, "{}: {} rows", origin.name, index.rows.len());
        for row in &index.rows {
            assert!(row.flow.is_empty(), "{}: motion is not packed", origin.name);
            for name in row.pictures.iter().chain([&row.mask, &row.depth]).filter(|name| !name.is_empty()) {
                let plain = Path::new(name).components().all(|c| matches!(c, Component::Normal(_)));
                assert!(plain && name.starts_with("images/"), "{}: {name}", origin.name);
            }
        }
        assert!(origin.home.starts_with("https://") && origin.is_open() == origin.note.is_empty(), "{}", origin.name);
        assert!(origin.parts.iter().all(|p| p.url.is_empty() || p.url.starts_with("https://")), "{}", origin.name);
        let called = origin.shipped(&samples()).join(DESCRIPTION);
        let set = Declared::read(&origin.shipped(&samples()), called).expect("it is read");
        let key = set.keys().next().expect("a task").to_owned();
        assert_eq!(Origin::of_task(&samples(), &key).map(|o| o.name), Some(origin.name));
    }
    assert!(Origin::of_task(&samples(), "Pets").is_none());
}

#[test]
fn training_and_test_share_no_picture_and_no_group() {
    let mut compared = 0;
    for origin in &ORIGINS {
        let folder = origin.shipped(&samples());
        let set = Declared::read(&folder, folder.join(DESCRIPTION)).expect("it is read");
        let index = Index::read(&folder).expect("it is read");
        for form in set.forms() {
            let of = |split: &str| -> Vec<&Row> { index.rows.iter().filter(|r| r.split == split).collect() };
            let (train, test) = (of(&form.train), of(&form.test));
            assert!(train.len() >= 200 && test.len() >= 70, "{}", form.key.get_ref());
            let pictures =
                |rows: &[&Row]| -> BTreeSet<String> { rows.iter().flat_map(|r| r.pictures.clone()).collect() };
            assert!(pictures(&train).is_disjoint(&pictures(&test)), "{}", form.key.get_ref());
            assert!(pictures(&train).len() >= train.len() && pictures(&test).len() >= test.len(), "each once");
            compared += test.len();
            if !set.description.groups_are_remarks {
                let groups = |rows: &[&Row]| -> BTreeSet<String> {
                    rows.iter().map(|r| r.group.clone()).filter(|g| !g.is_empty()).collect()
                };
                assert!(groups(&train).is_disjoint(&groups(&test)), "{}", form.key.get_ref());
            }
        }
    }
    assert!(compared > 8000, "{compared} test samples");
}

#[test]
fn names_of_the_index_lead_to_those_of_the_original() {
    for (name, column, file, places) in [
        ("blood-cells", Column::Picture, "images/BloodImage_00003.jpg", "JPEGImages/BloodImage_00003.jpg"),
        ("caltech-101", Column::Picture, "images/ant/image_0007.jpg", "ant/image_0007.jpg"),
        (
            "camvid",
            Column::Mask,
            "images/Seq05VD_f02910-mask.png",
            "trainannot/Seq05VD_f02910.png or valannot/Seq05VD_f02910.png or testannot/Seq05VD_f02910.png",
        ),
        ("davis", Column::Mask, "images/car-shadow/00024-mask.png", "Annotations/480p/car-shadow/00024.png"),
        ("flowers-5", Column::Picture, "images/test/rose/1_n.jpg", "rose/1_n.jpg"),
        ("horses", Column::Mask, "images/horse001-mask.png", "figure_ground/horse001.jpg or mask/horse001.png"),
        ("intel-scenes", Column::Picture, "images/test/sea/20072.jpg", "seg_test/sea/20072.jpg or test/sea/20072.jpg"),
        ("nyu-v2", Column::Depth, "images/0176-depth.png", "0176-depth.png"),
        ("rsscn7", Column::Picture, "images/river or lake/d002.jpg", "dRiverLake/d002.jpg"),
        ("scene-15", Column::Picture, "images/unlabelled/Coast/image_0002.jpg", "MITcoast/image_0002.jpg"),
        ("rooms", Column::Picture, "images/freedoom1-e1m1/view-0000.jpg", ""),
    ] {
        assert_eq!(Origin::named(name).expect("a row").places(column, file).join(" or "), places, "{name}");
    }
    let said = Origin::named("camvit").err().expect("refused").to_string();
    assert!(said.contains("did you mean `camvid`?") && said.contains("sign-digits"), "{said}");
}

#[test]
fn files_are_found_by_the_ends_of_their_paths() {
    let dir = tempfile::tempdir().expect("a folder");
    for file in
        ["a/b/Sea/1.JPG", "a/deep/er/sea/1.jpg", "b/sea/2.jpg", "__MACOSX/sea/3.jpg", "b/.sea/3.jpg", "b/seas/4.jpg"]
    {
        let path = dir.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, b"x").expect("written");
    }
    // A link that leads in a circle.
    std::os::unix::fs::symlink(dir.path(), dir.path().join("b/again")).expect("linked");
    let files = Files::below(dir.path()).expect("listed");
    let found = |end: &str| files.ending_with(end).map(|p| p.strip_prefix(dir.path()).expect("inside").to_path_buf());
    assert_eq!(found("sea/1.jpg"), Some("a/b/Sea/1.JPG".into()), "the shortest");
    assert_eq!(found("sea/2.jpg"), Some("b/sea/2.jpg".into()));
    assert_eq!((found("sea/3.jpg"), found("ea/1.jpg"), found("sea/4.jpg")), (None, None, None));
}

#[test]
fn pictures_and_masks_are_pillows_to_the_byte() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let photo = root().join("public/samples/chelsea.png");
    let reduction = Reduction { side: 96, square: false, quality: 72 };
    let wanted = std::fs::read(vectors.join("packed.jpg")).expect("read");
    assert!(wanted.len() > 2000);
    let ours = reduction.picture(&photo, false).expect("reduced");
    let pixels = |bytes: &[u8]| image::load_from_memory(bytes).expect("decoded").into_rgb8();
    assert!(pixels(&ours) == pixels(&wanted), "the same pixels");
    assert!(ours == wanted, "the same bytes");
    let mask = GrayImage::from_fn(61, 40, |x, y| image::Luma([((x * x + 3 * y) % 7) as u8]));
    let ours = reduction.truth(&mask, &photo).expect("reduced");
    let wanted = std::fs::read(vectors.join("packed-mask.png")).expect("read");
    let pixels = |bytes: &[u8]| image::load_from_memory(bytes).expect("decoded").into_luma8();
    assert_eq!(pixels(&wanted).dimensions(), reduction.size((451, 300)));
    assert!(pixels(&ours) == pixels(&wanted), "the same numbers");
}

#[test]
fn a_mask_of_one_thing_is_0_and_1_whatever_it_was_kept_as() {
    let dir = tempfile::tempdir().expect("a folder");
    let grey = |name: &str, values: [u8; 4]| {
        let path = dir.path().join(name);
        GrayImage::from_raw(2, 2, values.to_vec()).expect("four").save(&path).expect("written");
        path
    };
    let horses = Origin::named("horses").expect("a row");
    let numbers = |path: &Path| horses.numbers(Column::Mask, path).expect("read").into_raw();
    assert_eq!(numbers(&grey("a.png", [0, 255, 1, 0])), [0, 1, 1, 0]);
    let jpeg = dir.path().join("a.jpg");
    GrayImage::from_fn(16, 16, |x, _| image::Luma([if x < 8 { 3 } else { 250 }])).save(&jpeg).expect("written");
    let halves = numbers(&jpeg);
    assert_eq!(halves.iter().map(|v| usize::from(*v)).sum::<usize>(), 128);
    let camvid = Origin::named("camvid").expect("a row");
    let kept = camvid.numbers(Column::Mask, &grey("b.png", [0, 11, 3, 8])).expect("read");
    assert_eq!(kept.into_raw(), [0, 11, 3, 8]);
    assert!(camvid.numbers(Column::Mask, &jpeg).is_err(), "numbers of classes are in no JPEG");
}

#[test]
fn the_shorter_side_is_bounded_and_the_shape_kept() {
    let kept = Reduction { side: 96, square: false, quality: 72 };
    for (from, to) in [
        ((640, 480), (128, 96)),
        ((854, 480), (171, 96)),
        ((300, 509), (96, 163)),
        ((96, 400), (96, 400)),
        ((32, 32), (32, 32)),
    ] {
        assert_eq!(kept.size(from), to, "{from:?}");
    }
    assert_eq!(Reduction { square: true, ..kept }.size((150, 113)), (96, 96));
    // What is too long for a JPEG is refused with its name.
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("long.png");
    RgbImage::new(70_000, 1).save(&path).expect("written");
    let said = kept.picture(&path, false).expect_err("refused").to_string();
    assert!(said.contains("long.png: 70000 x 1 pixels fit no JPEG"), "{said}");
}
