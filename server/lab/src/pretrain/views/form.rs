//! What a view is: settings.

use crate::Result;
use crate::error::PicturesError;
use serde::{Deserialize, Serialize};

/// One or several views of each picture, made in one way: cut out at random, mirrored, recoloured, blurred.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewForm {
    /// Views of each picture.
    #[serde(default = "one")]
    pub count: usize,
    /// Side of the view in pixels; of a jigsaw the side of the square that is cut into patches.
    pub side: u32,
    /// Smallest and largest share of the picture's area that is cut out, above 0 and at most 1.
    pub scale: (f64, f64),
    /// Smallest and largest ratio of width to height of what is cut out.
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
    /// Whether it becomes grey before colours are changed (MoCo v1) and not thereafter.
    #[serde(default)]
    pub grey_first: bool,
    /// How it is blurred.
    #[serde(default)]
    pub blur: Option<BlurForm>,
    /// How it is cut into patches.
    #[serde(default)]
    pub jigsaw: Option<Jigsaw>,
}

/// `ColorJitter`: by how much each may change.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JitterForm {
    /// A factor between 1 minus this (at least 0) and 1 plus this.
    pub brightness: f64,
    /// The same.
    pub contrast: f64,
    /// The same.
    pub saturation: f64,
    /// A turn between minus this and this, in full turns; at most 0.5.
    pub hue: f64,
    /// How likely colours are changed at all.
    #[serde(default = "always")]
    pub p: f64,
}

/// Pillow's Gaussian blur.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlurForm {
    /// Smallest and largest deviation, in pixels.
    pub sigma: (f64, f64),
    /// How likely it is blurred.
    pub p: f64,
}

/// PIRL's jigsaw: the square is cut into cells, and of each cell a patch is taken at a random place. Colours are
/// changed in each patch by itself, and the patches come in random order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jigsaw {
    /// Cells in a row, and rows.
    pub grid: u32,
    /// Side of a patch in pixels; at most that of a cell.
    pub patch: u32,
}

fn one() -> usize {
    1
}

fn half() -> f64 {
    0.5
}

fn always() -> f64 {
    1.0
}

fn ratio() -> (f64, f64) {
    (3.0 / 4.0, 4.0 / 3.0)
}

/// A setting, its value, whether that makes sense, and what would.
type Check = (&'static str, String, bool, &'static str);

const SHARE: &str = "it is a probability from 0 to 1";
const STRENGTH: &str = "it is at least 0";

impl ViewForm {
    /// A view that is cut out and mirrored half of the time.
    #[must_use]
    pub fn cut(side: u32, scale: (f64, f64)) -> Self {
        Self {
            count: 1,
            side,
            scale,
            ratio: ratio(),
            flip: 0.5,
            jitter: None,
            grey: 0.0,
            grey_first: false,
            blur: None,
            jigsaw: None,
        }
    }

    /// Pictures that one view consists of: 1, or the patches of a jigsaw.
    #[must_use]
    pub fn patches(&self) -> usize {
        self.jigsaw.map_or(1, |jigsaw| (jigsaw.grid * jigsaw.grid) as usize)
    }

    /// The shape of this view of `pictures` pictures: `N x S x S x 3`, of a jigsaw `N * patches x P x P x 3`, the
    /// patches of a picture one after the other.
    #[must_use]
    pub fn shape(&self, pictures: usize) -> [usize; 4] {
        let side = self.jigsaw.map_or(self.side, |jigsaw| jigsaw.patch) as usize;
        [pictures * self.patches(), side, side, 3]
    }

    /// Complains about settings that make no sense.
    pub fn check(&self) -> Result<()> {
        let within = |(low, high): (f64, f64), from: f64, to: f64| from <= low && low <= high && high <= to;
        let share = |name, p: f64| -> Check { (name, p.to_string(), (0.0..=1.0).contains(&p), SHARE) };
        let pair = |(low, high): (f64, f64)| format!("{low} to {high}");
        let mut checks: Vec<Check> = vec![
            ("count", self.count.to_string(), self.count > 0, "take at least 1"),
            ("side", self.side.to_string(), (1..=4096).contains(&self.side), "take 1 to 4096"),
            (
                "scale",
                pair(self.scale),
                within(self.scale, f64::MIN_POSITIVE, 1.0),
                "it goes up, from above 0 to at most 1",
            ),
            ("ratio", pair(self.ratio), within(self.ratio, 1e-3, 1e3), "it goes up, from 0.001 to at most 1000"),
            share("flip", self.flip),
            share("grey", self.grey),
        ];
        if let Some(JitterForm { brightness, contrast, saturation, hue, p }) = self.jitter {
            for (name, by) in [("brightness", brightness), ("contrast", contrast), ("saturation", saturation)] {
                checks.push((name, by.to_string(), by >= 0.0 && by.is_finite(), STRENGTH));
            }
            checks.push(("hue", hue.to_string(), (0.0..=0.5).contains(&hue), "it is 0 to 0.5"));
            checks.push(share("p", p));
        }
        if let Some(BlurForm { sigma, p }) = self.blur {
            checks.push(("sigma", pair(sigma), within(sigma, 0.0, 100.0), "it goes up, from 0 to at most 100"));
            checks.push(share("p", p));
        }
        if let Some(Jigsaw { grid, patch }) = self.jigsaw {
            checks.push(("grid", grid.to_string(), (2..=16).contains(&grid), "take 2 to 16"));
            let fits = patch > 0 && u64::from(patch) * u64::from(grid) <= u64::from(self.side);
            checks.push(("patch", patch.to_string(), fits, "take at least 1 and at most the side of a cell"));
        }
        match checks.into_iter().find(|(_, _, sound, _)| !sound) {
            Some((name, value, _, wanted)) => Err(PicturesError::Setting { name, value, wanted }.into()),
            None => Ok(()),
        }
    }
}
