//! What is known of an end task before it is run.

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

/// How a task is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Metric {
    /// Share of images whose most probable class is right.
    Top1,
    /// Mean over classes of intersection over union.
    MeanIou,
    /// Intersection over union of one class.
    Iou,
    /// Mean absolute error.
    L1,
    /// Share of pixels whose flow is right.
    FlowAccuracy,
    /// Mean length of the flow's error.
    EndpointError,
}

impl Metric {
    /// Short name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Top1 => "top-1",
            Self::MeanIou => "mIoU",
            Self::Iou => "IoU",
            Self::L1 => "L1 error",
            Self::FlowAccuracy => "accuracy",
            Self::EndpointError => "endpoint error",
        }
    }

    /// One sentence for people who meet the metric for the first time.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Top1 => "Share of test images whose most probable class is the right one. Higher is better.",
            Self::MeanIou => {
                "Overlap of predicted and true areas (intersection over union) of each class over the whole test set, averaged over classes. Higher is better."
            }
            Self::Iou => "Overlap of the predicted and the true area (intersection over union). Higher is better.",
            Self::L1 => "Mean absolute error over all test pixels. Lower is better.",
            Self::FlowAccuracy => {
                "Share of labelled pixels whose flow is off by at most 3 pixels or 5 % (ViRB: whose grey value is off by at most 0.05). Higher is better."
            }
            Self::EndpointError => {
                "Mean distance between the predicted and the true end of each pixel's motion. Lower is better."
            }
        }
    }

    /// Whether a larger score is a better one.
    #[must_use]
    pub const fn higher_is_better(self) -> bool {
        !matches!(self, Self::L1 | Self::EndpointError)
    }

    /// Whether the score is a share, shown in percent.
    #[must_use]
    pub const fn is_share(self) -> bool {
        !matches!(self, Self::L1 | Self::EndpointError)
    }

    /// The score as people read it: shares in percent with one decimal, errors with three.
    #[must_use]
    pub fn format(self, score: f64) -> String {
        if self.is_share() { format!("{:.1}", 100.0 * score) } else { format!("{score:.3}") }
    }
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
