//! Pictures and views as settings write them.

use serde::{Deserialize, Serialize};

/// Which pictures an encoder is trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Where they come from.
    pub sources: Vec<String>,
    /// Which of them.
    #[serde(default)]
    pub subset: Option<String>,
    /// Pictures to which every source is cut.
    #[serde(default)]
    pub pictures: Option<usize>,
    /// Decoded pictures are made smaller until their shorter side has so many pixels.
    #[serde(default)]
    pub side: Option<u32>,
    /// Millions of bytes that decoded pictures may take.
    #[serde(default)]
    pub memory_mb: Option<usize>,
    /// Whether pictures that cannot be read are left out.
    #[serde(default)]
    pub skip_broken: bool,
}

/// One or several views of each picture, made in one way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewForm {
    /// Views of each picture.
    #[serde(default = "one")]
    pub count: usize,
    /// Side in pixels.
    pub side: u32,
    /// Smallest and largest share of the picture's area.
    pub scale: (f64, f64),
    /// Smallest and largest ratio of width to height.
    #[serde(default = "ratio")]
    pub ratio: (f64, f64),
    /// How likely it is mirrored.
    #[serde(default = "half")]
    pub flip: f64,
    /// How colours are changed.
    #[serde(default)]
    pub jitter: Option<JitterForm>,
    /// How likely it becomes grey.
    #[serde(default)]
    pub grey: f64,
    /// Whether it becomes grey before colours are changed.
    #[serde(default)]
    pub grey_first: bool,
    /// How it is blurred.
    #[serde(default)]
    pub blur: Option<BlurForm>,
    /// How it is cut into patches.
    #[serde(default)]
    pub jigsaw: Option<Jigsaw>,
}

/// By how much colours change.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JitterForm {
    /// A factor between 1 minus this and 1 plus this.
    pub brightness: f64,
    /// The same.
    pub contrast: f64,
    /// The same.
    pub saturation: f64,
    /// A turn between minus this and this, in full turns.
    pub hue: f64,
    /// How likely colours are changed at all.
    #[serde(default = "always")]
    pub p: f64,
}

/// Gaussian blur.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlurForm {
    /// Smallest and largest deviation in pixels.
    pub sigma: (f64, f64),
    /// How likely it is blurred.
    pub p: f64,
}

/// A jigsaw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jigsaw {
    /// Cells in a row, and rows.
    pub grid: u32,
    /// Side of a patch in pixels.
    pub patch: u32,
}

const fn one() -> usize {
    1
}

const fn half() -> f64 {
    0.5
}

const fn always() -> f64 {
    1.0
}

const fn ratio() -> (f64, f64) {
    (3.0 / 4.0, 4.0 / 3.0)
}
