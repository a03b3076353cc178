//! Data sets: pictures with their truth, split into train and test.

pub mod caltech;
pub mod cifar;
pub mod cityscapes;
pub mod clevr;
pub mod declared;
pub mod egohands;
pub(crate) mod hashes;
pub mod imagenet_v2;
pub mod kinetics;
pub mod kitti;
pub mod left_out;
pub mod listing;
pub mod nuscenes;
pub mod nyu;
pub mod pack;
pub mod pets_detection;
mod raster;
pub mod sample_photos;
pub mod scenes;
pub mod sets;
mod skipping;
mod sort;
pub mod taskonomy;
pub mod thor_action;
pub mod thor_depth;
pub mod thor_num_steps;

use crate::head::Label;
use crate::progress::Progress;
use crate::{Error, Result};
use image::RgbImage;
use listing::Listing;
use sets::Layout;
use std::path::{Path, PathBuf};
use virboard_core::protocol::Protocol;

/// A number in a [`Target::Mask`] that stands for "not labelled".
pub const UNLABELLED: u8 = 255;

/// Which part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// For training.
    Train,
    /// For the score; never trained on.
    Test,
}

impl Split {
    /// `train` or `test`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

/// The truth of one sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Index of the class.
    Class(usize),
    /// Index of the class per pixel, in row order.
    Mask {
        /// Pixels a row.
        width: u32,
        /// Rows.
        height: u32,
        /// One index a pixel.
        classes: Vec<u8>,
    },
    /// Numbers per pixel (a distance, or a displacement right and down), in the task's unit, in
    /// row order, channels last; NaN where there is no label.
    Values {
        /// Pixels a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Numbers a pixel.
        channels: usize,
        /// `height x width x channels` numbers.
        values: Vec<f32>,
    },
}

impl Target {
    /// Width and height of a truth about pixels.
    #[must_use]
    pub const fn size(&self) -> Option<(u32, u32)> {
        match self {
            Self::Class(_) => None,
            Self::Mask { width, height, .. } | Self::Values { width, height, .. } => Some((*width, *height)),
        }
    }

    /// The same truth at another width and height, by nearest-neighbour sampling.
    #[must_use]
    pub fn resized(self, size: (u32, u32)) -> Self {
        let (width, height) = size;
        match self {
            Self::Class(class) => Self::Class(class),
            Self::Mask { width: w, height: h, classes } => {
                Self::Mask { width, height, classes: resize_nearest(&classes, 1, (w, h), size) }
            }
            Self::Values { width: w, height: h, channels, values } => {
                Self::Values { width, height, channels, values: resize_nearest(&values, channels, (w, h), size) }
            }
        }
    }
}

/// One or more pictures with their truth.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The pictures, upright, in order.
    pub pictures: Vec<RgbImage>,
    /// Their truth.
    pub target: Target,
}

/// A data set of one task.
pub trait Dataset: Send + Sync {
    /// Samples in a split.
    fn len(&self, split: Split) -> usize;
    /// Pictures that make one sample.
    fn images(&self) -> usize {
        1
    }
    /// One sample. An error names the file that cannot be read.
    fn sample(&self, split: Split, index: usize) -> Result<Sample>;
    /// The truth of one sample alone; data sets that know it without the picture say so.
    fn target(&self, split: Split, index: usize) -> Result<Target> {
        Ok(self.sample(split, index)?.target)
    }
    /// What people call one sample: its file, or its number.
    fn name(&self, split: Split, index: usize) -> String {
        format!("{} {index}", split.name())
    }
    /// Classes in label order; empty for numbers.
    fn labels(&self) -> Vec<Label>;
    /// How large values are in the middle (the median of their sizes over some training samples), where heads have
    /// to know it: outputs are learned as multiples of it.
    fn typical_value(&self) -> Option<f32> {
        None
    }
    /// SHA-256 over everything that decides the pictures; equal for tasks on the same pictures.
    fn pictures_sha256(&self) -> &str;
    /// SHA-256 over pictures and truth.
    fn sha256(&self) -> String;
}

/// Where data sets are looked for.
#[derive(Debug, Clone)]
pub struct Places {
    /// What ships with Virboard.
    pub samples: PathBuf,
    /// Public data sets, each in its folder, laid out as ViRB's README has it.
    pub datasets: PathBuf,
    /// Where hashes of files are remembered.
    pub hashes: PathBuf,
}

/// What to do about samples that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Stop with the file's path.
    Refuse,
    /// Report them and go on without.
    Skip,
}

/// Lists the folder of a task whose data are files, with everything that is wrong in it;
/// `None` for samples, CIFAR-100 and tasks that are only shown.
///
/// # Errors
/// [`Error::Dataset`] without the folder or with a list in it that cannot be read.
pub fn list(task: &str, places: &Places, protocol: Protocol) -> Result<Option<Listing>> {
    let Some((set, layout)) = sets::set_of(task) else {
        return match declared::find_task(places, task)? {
            Some((set, form)) => set.listing(&form).map(Some),
            None => Ok(None),
        };
    };
    let mut listing = Listing::new(task, places.datasets.join(set.folder))?;
    if declared::is_declared(&listing.root, places) {
        return Err(listing.bad(format!(
            "{} holds a data set with a description of its own, not the one of this task; remove it with `virboard dataset remove {}` and add it again under another --name",
            listing.root.display(),
            set.folder
        )));
    }
    match layout {
        Layout::Classes { train, test, endings } => listing.class_folders(train, test, endings),
        Layout::Files(list) => list(&mut listing, protocol)?,
        Layout::Whole(_) | Layout::Shown => return Ok(None),
    }
    Ok(Some(listing))
}

/// Whether the data of a task seem to be here: they ship, or their folder is there. What is wrong in it, [`list`]
/// tells.
#[must_use]
pub fn is_here(task: &str, places: &Places) -> bool {
    match sets::set_of(task) {
        Some((set, layout)) => !matches!(layout, Layout::Shown) && places.datasets.join(set.folder).is_dir(),
        None => {
            scenes::Scenes::of(task).is_some()
                || (task == "SamplePhotos" && places.samples.join("photos").is_dir())
                || matches!(declared::find_task(places, task), Ok(Some(_)))
        }
    }
}

/// Opens the data set of a task.
///
/// # Errors
/// [`Error::Unsupported`] for a task without a reader, and [`Error::Dataset`] for a missing or damaged folder.
pub fn open(
    task: &str,
    places: &Places,
    protocol: Protocol,
    broken: Broken,
    progress: &dyn Progress,
) -> Result<Box<dyn Dataset>> {
    if let Some(scenes) = scenes::Scenes::of(task) {
        return Ok(Box::new(scenes));
    }
    let dataset: Box<dyn Dataset> = match (task, sets::set_of(task)) {
        ("SamplePhotos", _) => Box::new(sample_photos::SamplePhotos::open(&places.samples.join("photos"))?),
        (_, Some((set, Layout::Whole(open)))) => open(&Listing::new(task, places.datasets.join(set.folder))?.root)?,
        (_, Some((_, Layout::Shown))) => {
            return Err(Error::Unsupported(format!("{task} is shown for comparison and cannot be run")));
        }
        _ => match list(task, places, protocol)? {
            Some(listing) => Box::new(listing.open(broken, &places.hashes)?),
            None => {
                return Err(Error::Unsupported(format!(
                    "there is no reader for the data of {task}; `virboard dataset list` shows what is here"
                )));
            }
        },
    };
    Ok(match broken {
        Broken::Refuse => dataset,
        Broken::Skip => Box::new(skipping::Skipping::new(dataset, progress)?),
    })
}

/// Reads a JSON file.
fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    serde_json::from_reader(std::io::BufReader::new(file))
        .map_err(|e| Error::Damaged { path: path.to_path_buf(), reason: format!("its JSON is not as expected: {e}") })
}

/// The lines of two words of a text file, with their numbers from 1.
fn lines(path: &Path) -> Result<Vec<(usize, [String; 2])>> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let mut out = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            [a, b] => out.push((i + 1, [a.to_owned(), b.to_owned()])),
            _ => {
                return Err(Error::Damaged {
                    path: path.to_path_buf(),
                    reason: format!("line {} is not a path and a label", i + 1),
                });
            }
        }
    }
    Ok(out)
}

/// Labels with their colours.
fn coloured(classes: &[(&str, &str)]) -> Vec<Label> {
    classes.iter().map(|(name, colour)| Label { name: (*name).to_owned(), colour: (*colour).to_owned() }).collect()
}

/// Nearest-neighbour sampling of per-pixel truth, channels last, at another size.
#[must_use]
pub fn resize_nearest<T: Copy>(values: &[T], channels: usize, from: (u32, u32), to: (u32, u32)) -> Vec<T> {
    if from == to {
        return values.to_vec();
    }
    let column = |x: u32| ((f64::from(x) + 0.5) * f64::from(from.0) / f64::from(to.0)) as usize;
    let row = |y: u32| ((f64::from(y) + 0.5) * f64::from(from.1) / f64::from(to.1)) as usize;
    (0..to.1)
        .flat_map(|y| (0..to.0).map(move |x| (x, y)))
        .flat_map(|(x, y)| &values[(row(y) * from.0 as usize + column(x)) * channels..][..channels])
        .copied()
        .collect()
}
