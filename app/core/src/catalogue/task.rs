//! What is known of an end task before it is run.

pub use super::metric::Metric;
use serde::{Deserialize, Serialize};

/// The paper's four categories: what the output covers x what the task asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Category {
    /// One answer per image about what things are.
    ImageSemantic,
    /// One answer per image about space and motion.
    ImageStructural,
    /// One answer per pixel about what things are.
    PixelSemantic,
    /// One answer per pixel about space and motion.
    PixelStructural,
}

impl Category {
    /// The four, in the paper's order.
    pub const ALL: [Self; 4] = [Self::ImageSemantic, Self::ImageStructural, Self::PixelSemantic, Self::PixelStructural];

    /// The paper's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ImageSemantic => "Image-level semantic",
            Self::ImageStructural => "Image-level structural",
            Self::PixelSemantic => "Pixel-wise semantic",
            Self::PixelStructural => "Pixel-wise structural",
        }
    }

    /// Short form for addresses and style classes.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::ImageSemantic => "image-semantic",
            Self::ImageStructural => "image-structural",
            Self::PixelSemantic => "pixel-semantic",
            Self::PixelStructural => "pixel-structural",
        }
    }
}

/// What a head puts out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputKind {
    /// A probability per class.
    Classification,
    /// A class per pixel.
    Segmentation,
    /// A distance per pixel.
    Depth,
    /// A displacement per pixel.
    Flow,
}

/// Why a task is in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TaskRole {
    /// One of the paper's 20.
    Paper,
    /// Beside the paper's 20.
    Extra,
    /// Runs on data that ships with Virboard.
    Sample,
}

/// An end task of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Task {
    /// ViRB's configuration key.
    pub key: &'static str,
    /// The paper's name.
    pub name: &'static str,
    /// One of the paper's four categories.
    pub category: Category,
    /// What the head puts out.
    pub kind: OutputKind,
    /// Name of the data set.
    pub dataset: &'static str,
    /// Training images.
    pub train_size: Option<u32>,
    /// Classes, where the task has any and the number is known without the data.
    pub classes: Option<u32>,
    /// Images that make one sample.
    pub images: u32,
    /// Kind of head.
    pub head: &'static str,
    /// Training loss.
    pub loss: &'static str,
    /// Metric of the score.
    pub metric: Metric,
    /// Unit of the score; empty for shares.
    pub unit: &'static str,
    /// Training epochs of the published configuration.
    pub epochs: Option<u32>,
    /// Learning rate of the published configuration (Adam).
    pub learning_rate: Option<f64>,
    /// Batch size of the published configuration.
    pub batch_size: Option<u32>,
    /// Size and treatment of the input.
    pub input: &'static str,
    /// Why it is here.
    pub role: TaskRole,
    /// Home of the data set.
    pub url: Option<&'static str>,
    /// What the task asks, in one sentence.
    pub description: &'static str,
    /// What one must know before comparing scores; empty where there is nothing.
    pub caveat: &'static str,
}
