//! What is known of an end task before it is run.

use super::encoder::Pretraining;
pub use super::metric::Metric;
use serde::{Deserialize, Serialize};

/// The paper's four categories: what the output covers x what the task asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskRole {
    /// One of the paper's 20.
    Paper,
    /// Beside the paper's 20.
    Extra,
    /// Runs on data that ships with Virboard.
    Sample,
    /// Declared by a file in the data folder.
    #[default]
    Declared,
}

/// The kinds of heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadKind {
    /// One layer on the embedding.
    Linear,
    /// Two layers on several embeddings.
    #[serde(rename = "multi-embedding")]
    MultiEmbedding,
    /// Decoder over all maps.
    Pixelwise,
    /// Decoder over the fused maps of two images.
    Siamese,
    /// Atrous pyramid.
    DeepLab,
}

impl HeadKind {
    /// Display name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::MultiEmbedding => "multi-embedding",
            Self::Pixelwise => "pixel-wise",
            Self::Siamese => "siamese pixel-wise",
            Self::DeepLab => "DeepLabv3+",
        }
    }
}

/// How the learning rate goes down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// Not at all.
    Constant,
    /// Half a cosine down to 0.
    #[default]
    Cosine,
    /// `(1 - step / steps) ^ 0.9`.
    Poly,
}

/// What is done to training pictures that are cut, beside cutting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Augmentation {
    /// Nothing.
    #[default]
    None,
    /// Scaled by 0.5 to 2 and mirrored half of the time.
    Scale,
    /// The square is drawn again, up to 10 times, until something is labelled in it.
    Labelled,
}

/// An end task of the catalogue, and the form of the built-in table. A row must have `key`, `category`, `kind`,
/// `metric` and `head`; everything else has a default that suits a small data set: a slim head on features that are
/// encoded once and standardised, a learning rate that falls by a cosine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own in the form")]
pub struct Task {
    /// Its name in addresses and commands; ViRB's configuration key where it has one.
    pub key: String,
    /// What people call it, the paper's name where it has one; by default its key.
    #[serde(default)]
    pub name: String,
    /// Other keys that ViRB gave it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// One of the paper's four categories.
    pub category: Category,
    /// What the head puts out.
    pub kind: OutputKind,
    /// Name of the data set.
    #[serde(default)]
    pub dataset: String,
    /// Training images.
    #[serde(default)]
    pub train_size: Option<u32>,
    /// Classes, where the task has any and the number is known without the data.
    #[serde(default)]
    pub classes: Option<u32>,
    /// Images that make one sample.
    #[serde(default = "one")]
    pub images: u32,
    /// Metric of the score.
    pub metric: Metric,
    /// Unit of the score; empty for shares.
    #[serde(default)]
    pub unit: String,
    /// Kind of head.
    pub head: HeadKind,
    /// Whether the head is a small variant, as those that ship.
    #[serde(default = "yes")]
    pub slim: bool,
    /// The task whose head is tested, for one that trains none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_of: Option<String>,
    /// Training epochs; `None` with `head_of`.
    #[serde(default)]
    pub epochs: Option<u32>,
    /// Learning rate (Adam).
    #[serde(default)]
    pub learning_rate: Option<f64>,
    /// Batch size.
    #[serde(default)]
    pub batch_size: Option<u32>,
    /// How the learning rate goes down.
    #[serde(default)]
    pub schedule: Decay,
    /// Whether features are standardised before the head.
    #[serde(default = "yes")]
    pub standardise: bool,
    /// Weight of class 0 in the loss; all others weigh 1.
    #[serde(default = "whole")]
    pub first_weight: f64,
    /// Whether training pictures are changed and encoded anew for every epoch, not once.
    #[serde(default)]
    pub augment: bool,
    /// Side of the square that is cut from training pictures, which are tested whole then; without one, pictures
    /// are resized to the encoder's input.
    #[serde(default)]
    pub crop: Option<u32>,
    /// What else is done to training pictures that are cut.
    #[serde(default)]
    pub augmentation: Augmentation,
    /// Factor from the head's output to the task's unit, which brings values near the size of first outputs.
    #[serde(default = "unscaled")]
    pub scale: f32,
    /// Whether class 0 (background, void) is left out of the mean over classes.
    #[serde(default)]
    pub skip_zero: bool,
    /// Whether pixels whose true class is 0 are not labelled at all.
    #[serde(default)]
    pub void_zero: bool,
    /// Whether ViRB's protocol predicts the grey value of the flow's picture instead of the flow.
    #[serde(default)]
    pub grey_flow: bool,
    /// Width and height in whose pixels displacements are measured; `None` for the picture's own.
    #[serde(default)]
    pub reference: Option<(u32, u32)>,
    /// Training data of encoders that have seen images of this data set.
    #[serde(default)]
    pub seen: Vec<Pretraining>,
    /// Key of the paper's task that it repeats on a small scale: analyses take it in that one's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_for: Option<String>,
    /// Whether its pictures are rendered, so that heads guess on photographs.
    #[serde(default)]
    pub rendered: bool,
    /// Why it is here.
    #[serde(default)]
    pub role: TaskRole,
    /// The suite that it belongs to: its key, or the name of a new one.
    #[serde(default = "own_suite")]
    pub suite: String,
    /// Home of the data set.
    #[serde(default)]
    pub url: Option<String>,
    /// What the task asks, in one sentence.
    #[serde(default)]
    pub description: String,
    /// What one must know before comparing scores; empty where there is nothing.
    #[serde(default)]
    pub caveat: String,
}

impl Task {
    /// A declared task of which nothing more is known: every setting at its default, those of the training fit for
    /// a small data set.
    #[must_use]
    pub fn declared(key: &str, kind: OutputKind, metric: Metric, images: u32) -> Self {
        let pixels = kind != OutputKind::Classification;
        let (head, category) = match (kind, images) {
            (OutputKind::Classification, 1) => (HeadKind::Linear, Category::ImageSemantic),
            (OutputKind::Classification, _) => (HeadKind::MultiEmbedding, Category::ImageSemantic),
            (OutputKind::Segmentation, _) => (HeadKind::Pixelwise, Category::PixelSemantic),
            (OutputKind::Depth, _) => (HeadKind::Pixelwise, Category::PixelStructural),
            (OutputKind::Flow, _) => (HeadKind::Siamese, Category::PixelStructural),
        };
        Self {
            key: key.to_owned(),
            name: key.to_owned(),
            aliases: Vec::new(),
            category,
            kind,
            dataset: String::new(),
            train_size: None,
            classes: None,
            images,
            metric,
            unit: String::new(),
            head,
            slim: true,
            head_of: None,
            epochs: Some(if pixels { 10 } else { 60 }),
            learning_rate: Some(match head {
                HeadKind::Linear => 0.001,
                HeadKind::MultiEmbedding => 0.0005,
                HeadKind::Pixelwise | HeadKind::Siamese => 0.002,
                HeadKind::DeepLab => 0.003,
            }),
            batch_size: Some(if pixels { 8 } else { 32 }),
            schedule: Decay::Cosine,
            standardise: true,
            first_weight: whole(),
            augment: false,
            crop: None,
            augmentation: Augmentation::None,
            scale: if kind == OutputKind::Flow { 4.0 } else { unscaled() },
            skip_zero: false,
            void_zero: false,
            grey_flow: false,
            reference: None,
            seen: Vec::new(),
            stands_for: None,
            rendered: false,
            role: TaskRole::Declared,
            suite: own_suite(),
            url: None,
            description: String::new(),
            caveat: String::new(),
        }
    }

    /// Whether analyses that ask for the task of this key take this one.
    #[must_use]
    pub fn is(&self, key: &str) -> bool {
        self.key == key || self.stands_for.as_deref() == Some(key)
    }

    /// The head in words.
    #[must_use]
    pub fn head_label(&self) -> String {
        let slim = if self.slim && self.head != HeadKind::Linear { ", slim" } else { "" };
        format!("{}{slim}", self.head.name())
    }

    /// The training loss in words.
    #[must_use]
    pub fn loss_label(&self) -> String {
        match self.metric {
            Metric::Top1 | Metric::MeanIou if self.first_weight < 1.0 => {
                format!("cross-entropy, background weighted {}", self.first_weight)
            }
            Metric::Top1 | Metric::MeanIou => "cross-entropy".to_owned(),
            Metric::Iou => "binary cross-entropy".to_owned(),
            Metric::L1 | Metric::FlowAccuracy | Metric::EndpointError => "L1 over labelled pixels".to_owned(),
        }
    }

    /// How pictures are seen, in words.
    #[must_use]
    pub fn input_label(&self) -> String {
        match self.crop {
            Some(side) => format!("{side} x {side} crops; tested whole"),
            None if self.augment => "resized to the encoder’s input without cropping; colours changed".to_owned(),
            None => "resized to the encoder’s input without cropping".to_owned(),
        }
    }
}

const fn one() -> u32 {
    1
}

const fn yes() -> bool {
    true
}

const fn whole() -> f64 {
    1.0
}

const fn unscaled() -> f32 {
    1.0
}

/// The suite of tasks that name none.
fn own_suite() -> String {
    "Your data".to_owned()
}
