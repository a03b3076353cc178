//! Data sets: pictures with their truth, split into train and test.

pub mod sample_photos;
pub mod scenes;

use crate::head::Label;
use crate::{Error, Result};
use image::RgbImage;
use std::path::Path;

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
    /// Distance per pixel, in the task's unit, in row order.
    Depth {
        /// Pixels a row.
        width: u32,
        /// Rows.
        height: u32,
        /// One distance a pixel.
        values: Vec<f32>,
    },
}

/// A picture with its truth.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The picture, upright.
    pub picture: RgbImage,
    /// Its truth.
    pub target: Target,
}

/// A data set of one task.
pub trait Dataset: Sync {
    /// Samples in a split.
    fn len(&self, split: Split) -> usize;
    /// One sample.
    fn sample(&self, split: Split, index: usize) -> Result<Sample>;
    /// The truth of one sample alone; data sets that know it without the picture say so.
    fn target(&self, split: Split, index: usize) -> Result<Target> {
        Ok(self.sample(split, index)?.target)
    }
    /// Classes in label order; empty for depth.
    fn labels(&self) -> Vec<Label>;
    /// SHA-256 over everything that decides the pictures; equal for tasks on the same pictures.
    fn pictures_sha256(&self) -> &str;
    /// SHA-256 over pictures and truth.
    fn sha256(&self) -> String;
}

/// Opens the data set of a task. `samples` is the folder of what ships with Virboard.
///
/// # Errors
/// [`Error::Unknown`] for a key that is no task, [`Error::Unsupported`] for a task whose
/// data set cannot be read yet, and [`Error::Dataset`] for a damaged folder.
pub fn open(task: &str, samples: &Path) -> Result<Box<dyn Dataset>> {
    match task {
        "SamplePhotos" => Ok(Box::new(sample_photos::SamplePhotos::open(&samples.join("photos"))?)),
        "SceneSegmentation" => Ok(Box::new(scenes::Scenes::new(scenes::Truth::Classes))),
        "SceneDepth" => Ok(Box::new(scenes::Scenes::new(scenes::Truth::Depth))),
        _ if virboard_core::catalog::task(task).is_some() => Err(Error::Unsupported(format!(
            "the data set of {task} cannot be read by this version; the sample tasks {} can",
            SAMPLE_TASKS.join(", ")
        ))),
        _ => Err(Error::Unknown {
            what: "task",
            key: task.to_owned(),
            known: virboard_core::catalog::TASKS.iter().map(|t| t.key).collect::<Vec<_>>().join(", "),
        }),
    }
}

/// Tasks whose data sets ship with Virboard.
pub const SAMPLE_TASKS: [&str; 3] = ["SamplePhotos", "SceneSegmentation", "SceneDepth"];

/// Nearest-neighbour sampling of per-pixel truth at another size.
#[must_use]
pub fn resize_nearest<T: Copy>(values: &[T], width: u32, height: u32, to_width: u32, to_height: u32) -> Vec<T> {
    let column = |x: u32| ((f64::from(x) + 0.5) * f64::from(width) / f64::from(to_width)) as usize;
    let row = |y: u32| ((f64::from(y) + 0.5) * f64::from(height) / f64::from(to_height)) as usize;
    (0..to_height)
        .flat_map(|y| (0..to_width).map(move |x| (x, y)))
        .map(|(x, y)| values[row(y) * width as usize + column(x)])
        .collect()
}
