//! Data folders as they are on real disks: with what systems leave in them, saved again by other programs, with
//! truths that say what no data set means.

mod disk;

use disk::{Disk, jpeg};
use image::{DynamicImage, GrayImage, Luma, RgbImage};
use virboard_core::protocol::Protocol;
use virboard_lab::data::{Split, Target, list};

/// Two classes of EuroSAT with four and two pictures each.
fn eurosat(disk: &Disk) {
    for (c, class) in ["Forest", "River"].into_iter().enumerate() {
        for i in 0..6u8 {
            let split = if i < 4 { "train" } else { "test" };
            disk.picture(&format!("eurosat/{split}/{class}/{class}_{i}.jpg"), 100 * c as u8 + i);
        }
    }
}

/// A JPEG that is to be turned to be upright.
fn turned(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    [&jpeg[..2], b"\xff\xe1", &(exif.len() as u16 + 2).to_be_bytes(), &exif, &jpeg[2..]].concat()
}

fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, image::ImageFormat::Png).expect("encoded");
    bytes.into_inner()
}

fn grey(value: u8) -> Vec<u8> {
    png(GrayImage::from_fn(48, 40, |x, _| Luma([if x == 0 { value } else { 1 }])))
}

#[test]
fn what_systems_leave_in_folders_changes_nothing() {
    let disk = Disk::new();
    eurosat(&disk);
    let clean = disk.open("Eurosat").expect("opened");
    let (labels, hash) = (clean.labels(), clean.sha256());
    for file in [
        "train/.ipynb_checkpoints/River_1-checkpoint.jpg",
        "train/River/._River_1.jpg",
        "train/River/Thumbs.db",
        "train/River/.DS_Store",
        "train/@eaDir/River_1.jpg",
        "train/__MACOSX/River_1.jpg",
        "test/desktop.ini",
        "test/River/notes.txt",
    ] {
        disk.write(&format!("eurosat/{file}"), &jpeg(9));
    }
    let set = disk.open("Eurosat").expect("opened");
    assert_eq!((set.labels(), set.sha256(), set.len(Split::Train)), (labels, hash, 8));
    let listing = list("Eurosat", &disk.places(), Protocol::Standard).expect("listed").expect("it has files");
    let said = listing.left_out.sentences().join("\n");
    assert!(said.contains("3 hidden") && said.contains(".ipynb_checkpoints"), "{said}");
    assert!(said.contains("4 files or folders that systems and programs make"), "{said}");
    assert!(said.contains("1 files that are no pictures by their names") && said.contains("notes.txt"), "{said}");
}

#[test]
fn endings_in_capitals_are_the_same_endings() {
    let disk = Disk::new();
    eurosat(&disk);
    disk.picture("eurosat/train/River/CAMERA.JPG", 7);
    disk.picture("eurosat/train/River/other.png", 8);
    assert_eq!(disk.open("Eurosat").expect("opened").len(Split::Train), 9);
    let listing = list("Eurosat", &disk.places(), Protocol::Standard).expect("listed").expect("it has files");
    let said = listing.left_out.sentences().join("\n");
    assert!(said.contains("1 pictures whose names end otherwise") && said.contains("other.png"), "{said}");
}

#[test]
fn classes_that_are_one_and_classes_without_pictures_are_said() {
    let disk = Disk::new();
    eurosat(&disk);
    disk.picture("eurosat/train/river/1.jpg", 7);
    // Unpacked one folder too deep.
    disk.picture("eurosat/train/Lake/Lake/1.jpg", 8);
    let listing = list("Eurosat", &disk.places(), Protocol::Standard).expect("listed").expect("it has files");
    assert_eq!(listing.labels.len(), 3);
    let said = [listing.warnings, listing.left_out.sentences()].concat().join("\n");
    assert!(said.contains("`River` and `river`"), "{said}");
    assert!(said.contains("1 class folders without pictures") && said.contains("Lake"), "{said}");
}

#[test]
fn masks_stay_on_pictures_that_a_camera_marked_as_turned() {
    let sample = |orientation: Option<u8>| {
        let disk = Disk::new();
        for (split, tint) in [("train", 1), ("test", 2)] {
            let picture = jpeg(tint);
            let picture = orientation.map_or(picture.clone(), |o| turned(&picture, o));
            disk.write(&format!("pets/{split}/Abyssinian/Abyssinian_{tint}.jpg"), &picture);
            disk.write(&format!("pets/annotations/trimaps/Abyssinian_{tint}.png"), &grey(3));
        }
        let whole = disk.open("PetsDetection").expect("opened").sample(Split::Train, 0).expect("read");
        let class = disk.open("Pets").expect("opened").sample(Split::Train, 0).expect("read");
        (whole.pictures, whole.target, class.pictures)
    };
    let upright = sample(None);
    assert!(matches!(&upright.1, Target::Mask { width: 48, height: 40, classes } if classes.contains(&0)));
    for orientation in [3, 6, 8] {
        assert!(sample(Some(orientation)) == upright, "orientation {orientation}");
    }
}

#[test]
fn truths_that_say_what_no_data_set_means_are_named() {
    let disk = Disk::new();
    for (split, value) in [("train", 7), ("test", 2)] {
        disk.picture(&format!("pets/{split}/Bombay/{split}.jpg"), 1);
        disk.write(&format!("pets/annotations/trimaps/{split}.png"), &grey(value));
        let city = if split == "train" { "train" } else { "val" };
        let shot = RgbImage::new(48, 40);
        disk.write(&format!("cityscapes/leftImg8bit/{city}/a/a_0_leftImg8bit.png"), &png(shot.clone()));
        disk.write(&format!("cityscapes/gtFine/{city}/a/a_0_gtFine_labelIds.png"), &grey(value * 20));
        disk.write(&format!("taskonomy/{split}/rgb/b/point_0_rgb.png"), &png(shot.clone()));
        disk.write(&format!("taskonomy/{split}/depth_zbuffer/b/point_0_depth_zbuffer.png"), &grey(9));
        disk.write(&format!("nyu/{split}/images/1.png"), &png(shot.clone()));
    }
    for video in 0..3 {
        disk.picture(&format!("egohands/images/{video}/1.jpg"), 1);
        disk.write(&format!("egohands/labels/{video}/1.png"), &grey(5));
    }
    let said = disk.refused_sample("PetsDetection");
    assert!(said.contains("train.png: it holds 7, and a trimap holds 1, 2 and 3"), "{said}");
    let said = disk.refused_sample("CityscapesSemanticSegmentation");
    assert!(said.contains("it holds 140, and Cityscapes' ids are 0 to 33"), "{said}");
    let said = disk.refused_sample("EgoHands");
    assert!(said.contains("it holds 5, and EgoHands' classes are 0 to 4"), "{said}");
    let said = disk.refused_sample("TaskonomyDepth");
    assert!(said.contains("distances are 16-bit grey"), "{said}");
    for (value, says) in [(f32::INFINITY, "it holds inf"), (-1.0, "it holds -1")] {
        for split in ["train", "test"] {
            disk.write(&format!("nyu/{split}/depths/1.tiff"), &tiff(value));
        }
        let said = disk.refused_sample("NYUDepth");
        assert!(said.contains(says) && said.contains("metres from 0 on"), "{said}");
    }
}

/// A TIFF of 48 x 40 numbers.
fn tiff(value: f32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut numbers = vec![1.0f32; 48 * 40];
    numbers[5] = value;
    let mut encoder = tiff::encoder::TiffEncoder::new(&mut bytes).expect("begun");
    encoder.write_image::<tiff::encoder::colortype::Gray32Float>(48, 40, &numbers).expect("encoded");
    bytes.into_inner()
}

#[test]
fn lists_that_say_what_cannot_be_are_named() {
    let disk = Disk::new();
    for split in ["train", "val"] {
        disk.picture(&format!("thor_num_steps/{split}/FloorPlan1/1_rgb.jpg"), 1);
        let steps = if split == "train" { "99999999999999" } else { "3" };
        disk.write(&format!("thor_num_steps/{split}_labels.txt"), format!("{split}/FloorPlan1/1 {steps}\n").as_bytes());
    }
    let said = disk.refused("THORNumSteps");
    assert!(said.contains("`99999999999999` is no number of steps (0 to 1000)"), "{said}");
    disk.picture("caltech-101/cup/1.jpg", 1);
    disk.picture("caltech-101/chair/1.jpg", 2);
    disk.picture("caltech-101/lamp/1.png", 3);
    disk.write("caltech-101/caltech101_train.json", b"[\"/cup/1.jpg\", \"/lamp/1.png\"]");
    disk.write("caltech-101/caltech101_test.json", b"[\"/chair/1.jpg\"]");
    let said = disk.refused("CalTech-101");
    assert!(
        said.contains("lamp/1.png") && said.contains("caltech101_train.json") && said.contains("no category"),
        "{said}"
    );
}

#[test]
fn clips_and_frames_that_are_not_used_are_counted() {
    let disk = Disk::new();
    let clip = |label: &str| format!("{{\"annotations\": {{\"label\": \"{label}\"}}}}");
    for split in ["train", "validate"] {
        for (id, frames) in [("aaa", 6), ("aab", 6), ("aac", 5), ("aad", 2)] {
            for i in 0..frames {
                disk.picture(&format!("kinetics400/{split}/aa/{id}_{i}.jpg"), i);
            }
        }
        let clips = format!("{{\"aaa\": {}, \"aab\": {}, \"aac\": {}}}", clip("run"), clip("sit"), clip("run"));
        disk.write(&format!("kinetics400/annotations/{split}.json"), clips.as_bytes());
    }
    let listing = list("KineticsActionPrediction", &disk.places(), Protocol::Standard).expect("listed").expect("files");
    assert_eq!((listing.train.len(), listing.test.len()), (2, 2));
    let said = listing.left_out.sentences().join("\n");
    assert!(said.contains("2 clips with too few frames") && said.contains("4 frames of clips"), "{said}");
}

#[test]
fn hidden_names_are_left_out_of_every_layout() {
    let disk = Disk::new();
    for class in ["n01440764", ".hidden", "__MACOSX"] {
        for split in ["train", "val"] {
            disk.picture(&format!("imagenet/{split}/{class}/1.JPEG"), 1);
        }
        disk.picture(&format!("caltech-101/{class}/1.jpg"), 1);
    }
    disk.write("caltech-101/caltech101_train.json", b"[\"/n01440764/1.jpg\"]");
    disk.write("caltech-101/caltech101_test.json", b"[\"/n01440764/1.jpg\"]");
    for task in ["Imagenet", "CalTech-101"] {
        let labels: Vec<String> = disk.open(task).expect("opened").labels().into_iter().map(|l| l.name).collect();
        assert_eq!(labels, ["n01440764"], "{task}");
    }
}
