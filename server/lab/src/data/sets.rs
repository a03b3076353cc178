//! ViRB's own data sets, a row each: where they come from, how they lie, what can be fetched.
//! A file of its own is needed only where the layout is odd.

use super::listing::Listing;
use super::{
    Dataset, caltech, cifar, cityscapes, clevr, egohands, imagenet_v2, kinetics, kitti, nuscenes, nyu, pets_detection,
    sort, taskonomy, thor_action, thor_depth, thor_num_steps,
};
use crate::Result;
use std::path::Path;
use virboard_core::protocol::Protocol;

/// A public data set.
pub struct Set {
    /// Its folder among the data sets.
    pub folder: &'static str,
    /// The tasks on it, by their keys, and how each finds its samples.
    pub tasks: &'static [(&'static str, Layout)],
    /// Its home or archive.
    pub url: &'static str,
    /// Under which terms it is given.
    pub licence: &'static str,
    /// What to download and how it should lie.
    pub note: &'static str,
    /// What can be fetched without a registration; empty where nothing can.
    pub parts: &'static [Part],
    /// Brings what was unpacked into the layout; what is in its place already stays.
    pub sort: Option<fn(&Path) -> Result<()>>,
}

/// How a task finds its samples in the folder.
pub enum Layout {
    /// `FOLDER/CLASS/PICTURE` with a folder each for training and for testing.
    Classes {
        /// The folder of the training pictures.
        train: &'static str,
        /// The folder of the test pictures.
        test: &'static str,
        /// How pictures' names end.
        endings: &'static [&'static str],
    },
    /// Files that a function lists.
    Files(fn(&mut Listing, Protocol) -> Result<()>),
    /// No folder of pictures: a function reads everything.
    Whole(fn(&Path) -> Result<Box<dyn Dataset>>),
    /// The task is shown for comparison and cannot be run.
    Shown,
}

/// Something to fetch.
pub struct Part {
    /// Its address.
    pub url: &'static str,
    /// How it is packed.
    pub packing: Packing,
    /// Folder at the archive's top that is left out.
    pub strip: &'static str,
}

/// How an archive is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// A file of its own, kept under this name.
    Plain(&'static str),
    /// A zip archive.
    Zip,
    /// A tar archive behind gzip.
    TarGz,
    /// The same, of this name in the folder that parts before it were unpacked into.
    Inside(&'static str),
}

const JPG: &[&str] = &[".jpg"];
const TRAIN_AND_TEST: Layout = Layout::Classes { train: "train", test: "test", endings: JPG };

pub(super) const fn zip(url: &'static str, strip: &'static str) -> Part {
    Part { url, packing: Packing::Zip, strip }
}

pub(super) const fn tar(url: &'static str, strip: &'static str) -> Part {
    Part { url, packing: Packing::TarGz, strip }
}

const fn plain(url: &'static str, name: &'static str) -> Part {
    Part { url, packing: Packing::Plain(name), strip: "" }
}

/// The data set of a task; `None` for what ships with Virboard, for declared data sets and for
/// unknown tasks.
#[must_use]
pub fn set_of(task: &str) -> Option<(&'static Set, &'static Layout)> {
    SETS.iter().find_map(|set| set.tasks.iter().find(|(key, _)| *key == task).map(|(_, layout)| (set, layout)))
}

/// The data sets, in the order of their first tasks in the catalogue.
pub static SETS: [Set; 19] = [
    Set {
        folder: "imagenet",
        tasks: &[("Imagenet", Layout::Classes { train: "train", test: "val", endings: &[".JPEG"] })],
        url: "https://www.image-net.org/download",
        licence: "ImageNet terms of access: non-commercial research and education",
        note: "Needs a registration. ILSVRC2012_img_train.tar holds one archive a class: unpack each into imagenet/train/WNID/. Sort ILSVRC2012_img_val.tar into imagenet/val/WNID/.",
        parts: &[],
        sort: None,
    },
    Set {
        folder: "imagenetv2",
        tasks: &[("Imagenetv2", Layout::Files(imagenet_v2::list))],
        url: "https://github.com/modestyachts/ImageNetV2",
        licence: "MIT (pictures: their Flickr licences)",
        note: "imagenetv2-matched-frequency.tar.gz (1.2 GB); its folders 0 to 999 are ImageNet's classes in the order of their WNIDs.",
        parts: &[tar(
            "https://huggingface.co/datasets/vaishaal/ImageNetV2/resolve/main/imagenetv2-matched-frequency.tar.gz",
            "imagenetv2-matched-frequency-format-val",
        )],
        sort: None,
    },
    Set {
        folder: "pets",
        tasks: &[
            ("Pets", TRAIN_AND_TEST),
            ("PetsDetection", Layout::Files(pets_detection::list)),
            ("Pets-Deeplabv3", Layout::Shown),
        ],
        url: "https://www.robots.ox.ac.uk/~vgg/data/pets/",
        licence: "CC BY-SA 4.0",
        note: "images.tar.gz (0.8 GB); sort images/ into pets/train/BREED/ and pets/test/BREED/ by annotations/trainval.txt and test.txt. For PetsDetection also annotations.tar.gz, unpacked into pets/annotations/.",
        parts: &[
            tar("https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz", ""),
            tar("https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz", ""),
        ],
        sort: Some(sort::pets),
    },
    Set {
        folder: "caltech-101",
        tasks: &[("CalTech-101", Layout::Files(caltech::list))],
        url: "https://data.caltech.edu/records/mzrjq-6wc02",
        licence: "CC BY 4.0",
        note: "101_ObjectCategories.tar.gz (0.1 GB), renamed to caltech-101, with caltech101_train.json and caltech101_test.json from https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/ beside the categories.",
        parts: &[
            tar(
                "http://www.vision.caltech.edu/Image_Datasets/Caltech101/101_ObjectCategories.tar.gz",
                "101_ObjectCategories",
            ),
            plain(
                "https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/caltech101_train.json",
                "caltech101_train.json",
            ),
            plain(
                "https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/caltech101_test.json",
                "caltech101_test.json",
            ),
        ],
        sort: None,
    },
    Set {
        folder: "cifar-100",
        tasks: &[("CIFAR-100", Layout::Whole(cifar::open))],
        url: "https://www.cs.toronto.edu/~kriz/cifar.html",
        licence: "free for research",
        note: "cifar-100-python.tar.gz (0.17 GB); its folder renamed to cifar-100, with the files train, test and meta.",
        parts: &[tar("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz", "cifar-100-python")],
        sort: None,
    },
    Set {
        folder: "SUN397",
        tasks: &[("SUN397", TRAIN_AND_TEST)],
        url: "https://vision.princeton.edu/projects/2010/SUN/",
        licence: "research only",
        note: "SUN397.tar (38 GB); ViRB divides it into 87,003 training and 21,751 test pictures, in SUN397/train/SCENE/ and SUN397/test/SCENE/.",
        parts: &[],
        sort: None,
    },
    Set {
        folder: "eurosat",
        tasks: &[("Eurosat", TRAIN_AND_TEST)],
        url: "https://github.com/phelber/EuroSAT",
        licence: "MIT (pictures: Copernicus Sentinel data)",
        note: "EuroSAT.zip (90 MB); ViRB divides it into 21,600 training and 5,400 test pictures, in eurosat/train/CLASS/ and eurosat/test/CLASS/.",
        parts: &[],
        sort: None,
    },
    Set {
        folder: "dtd",
        tasks: &[("dtd", TRAIN_AND_TEST), ("dtd-Deeplabv3", Layout::Shown)],
        url: "https://www.robots.ox.ac.uk/~vgg/data/dtd/",
        licence: "research only",
        note: "dtd-r1.0.1.tar.gz (0.6 GB); train1.txt with val1.txt (3,760 pictures) go to dtd/train/TEXTURE/, test1.txt to dtd/test/TEXTURE/.",
        parts: &[tar("https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz", "dtd")],
        sort: Some(sort::dtd),
    },
    Set {
        folder: "kinetics400",
        tasks: &[("KineticsActionPrediction", Layout::Files(kinetics::list))],
        url: "https://github.com/cvdfoundation/kinetics-dataset",
        licence: "annotations CC BY 4.0; videos: YouTube terms",
        note: "annotations/{train,validate}.json, and six frames a clip as {train,validate}/AB/ABCDEFGHIJK_*.jpg, AB being the first two letters of the clip's name. ViRB uses 50,000 training clips.",
        parts: &[],
        sort: None,
    },
    Set {
        folder: "CLEVR",
        tasks: &[("CLEVRNumObjects", Layout::Files(clevr::list))],
        url: "https://dl.fbaipublicfiles.com/clevr/CLEVR_v1.0.zip",
        licence: "CC BY 4.0",
        note: "CLEVR_v1.0.zip (20 GB) as it unpacks: images/{train,val}/*.png and scenes/CLEVR_{train,val}_scenes.json. The val split is the test.",
        parts: &[zip("https://dl.fbaipublicfiles.com/clevr/CLEVR_v1.0.zip", "CLEVR_v1.0")],
        sort: None,
    },
    Set {
        folder: "thor_num_steps",
        tasks: &[("THORNumSteps", Layout::Files(thor_num_steps::list))],
        url: "https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/thor_num_steps.zip",
        licence: "AI2-THOR: Apache-2.0",
        note: "thor_num_steps.zip (0.7 GB) as it unpacks: {train,val}/SCENE/*_rgb.jpg and {train,val}_labels.txt with lines of a picture's path without `_rgb.jpg` and its number of steps.",
        parts: &[zip("https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/thor_num_steps.zip", "thor_num_steps")],
        sort: None,
    },
    Set {
        folder: "thor_action_prediction",
        tasks: &[("THORActionPrediction", Layout::Files(thor_action::list))],
        url: "https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/thor_egomotion.zip",
        licence: "AI2-THOR: Apache-2.0",
        note: "thor_egomotion.zip (1.3 GB) as it unpacks, renamed to thor_action_prediction: {train,val}_labels.txt with lines of a path and an action, and PATH_rgb_a.jpg, PATH_rgb_b.jpg.",
        parts: &[zip(
            "https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/thor_egomotion.zip",
            "thor_action_prediction",
        )],
        sort: None,
    },
    Set {
        folder: "nuScenes",
        tasks: &[("nuScenesActionPrediction", Layout::Files(nuscenes::list))],
        url: "https://www.nuscenes.org/nuscenes",
        licence: "CC BY-NC-SA 4.0, with a registration",
        note: "samples and sweeps of the full set (53 GB), and nuScenes_train.json and nuScenes_test.json from https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/ beside them.",
        parts: &[],
        sort: None,
    },
    Set {
        folder: "cityscapes",
        tasks: &[("CityscapesSemanticSegmentation", Layout::Files(cityscapes::list))],
        url: "https://www.cityscapes-dataset.com/downloads/",
        licence: "Cityscapes licence: non-commercial, with a registration",
        note: "leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip as they unpack: leftImg8bit/{train,val}/CITY/*_leftImg8bit.png and gtFine/{train,val}/CITY/*_gtFine_labelIds.png. The val split is the test.",
        parts: &[],
        sort: None,
    },
    Set {
        folder: "egohands",
        tasks: &[("EgoHands", Layout::Files(egohands::list))],
        url: "http://vision.soic.indiana.edu/projects/egohands/",
        licence: "research only",
        note: "egohands_data.zip (1.3 GB); pictures as images/VIDEO/*.jpg and masks of class numbers drawn from its polygons as labels/VIDEO/*.png, 48 videos of 100 frames.",
        parts: &[],
        sort: None,
    },
    Set {
        folder: "nyu",
        tasks: &[("NYUDepth", Layout::Files(nyu::depth)), ("NYUWalkable", Layout::Files(nyu::walkable_area))],
        url: "https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/nyu.zip",
        licence: "research only",
        note: "nyu.zip (5.6 GB) as it unpacks: images/*.png, depths/*.tiff and walkable/*.png in train and test. NYU Depth and NYU Walkable share it.",
        parts: &[zip("https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/nyu.zip", "nyu")],
        sort: None,
    },
    Set {
        folder: "thor_depth_prediction",
        tasks: &[("THORDepth", Layout::Files(thor_depth::list))],
        url: "https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/thor_depth.zip",
        licence: "AI2-THOR: Apache-2.0",
        note: "thor_depth.zip (0.25 GB) as it unpacks, renamed to thor_depth_prediction.",
        parts: &[zip("https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/thor_depth.zip", "thor_depth_prediction")],
        sort: None,
    },
    Set {
        folder: "taskonomy",
        tasks: &[("TaskonomyDepth", Layout::Files(taskonomy::list))],
        url: "http://taskonomy.stanford.edu/",
        licence: "Taskonomy licence: research only, with a registration",
        note: "rgb and depth_zbuffer of the buildings that https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/taskonomy_scenes.txt lists (48 GB), in {train,test}/{rgb,depth_zbuffer}/BUILDING/.",
        parts: &[],
        sort: None,
    },
    Set {
        folder: "KITTI",
        tasks: &[("KITTI", Layout::Files(kitti::list))],
        url: "https://www.cvlibs.net/datasets/kitti/eval_scene_flow.php",
        licence: "CC BY-NC-SA 3.0",
        note: "data_scene_flow.zip (1.7 GB) as it unpacks: training/image_2/*_10.png and *_11.png with training/flow_occ/*_10.png (standard) and training/viz_flow_occ/*_10.png (ViRB). The first 90 % train, the last 10 % test.",
        parts: &[],
        sort: None,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use virboard_core::catalogue::{Catalogue, task::TaskRole};

    #[test]
    fn every_task_that_does_not_ship_has_one_row() {
        let rows: Vec<&str> = SETS.iter().flat_map(|set| set.tasks.iter().map(|(key, _)| *key)).collect();
        for task in Catalogue::builtin().tasks().iter().filter(|t| t.role != TaskRole::Sample) {
            assert_eq!(rows.iter().filter(|key| **key == task.key).count(), 1, "{}", task.key);
        }
        for key in &rows {
            assert_eq!(rows.iter().filter(|k| *k == key).count(), 1, "{key} has one row");
        }
        for set in &SETS {
            assert!(set.url.starts_with("http") && !set.licence.is_empty() && !set.note.is_empty(), "{}", set.folder);
        }
    }
}
