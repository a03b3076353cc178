//! `SceneSegmentation` and `SceneDepth`: rendered scenes, each split from its own seeds.

use super::{Dataset, Sample, Split, Target};
use crate::Result;
use crate::files;
use crate::head::Label;
use crate::scene::{CLASSES, Scene};

/// Training scenes.
pub const TRAIN: usize = 240;
/// Test scenes.
pub const TEST: usize = 60;
/// First seed of the training scenes.
const TRAIN_SEED: u64 = 10_000;
/// First seed of the test scenes; no training scene has one of them.
const TEST_SEED: u64 = 20_000;
const WIDTH: u32 = 320;
const HEIGHT: u32 = 240;
/// Changes whenever the renderer's pictures do.
const RECIPE: &str = "scenes 1, 320 x 240, train 10000..10240, test 20000..20060";

/// Which truth the task asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// The class of every pixel.
    Classes,
    /// The distance of every pixel in metres.
    Depth,
}

/// The data set; pictures are rendered when they are asked for.
pub struct Scenes {
    truth: Truth,
    pictures: String,
}

impl Scenes {
    /// The scenes with this truth.
    #[must_use]
    pub fn new(truth: Truth) -> Self {
        Self { truth, pictures: files::sha256(RECIPE.as_bytes()) }
    }
}

impl Dataset for Scenes {
    fn len(&self, split: Split) -> usize {
        match split {
            Split::Train => TRAIN,
            Split::Test => TEST,
        }
    }

    fn sample(&self, split: Split, index: usize) -> Result<Sample> {
        let first = if split == Split::Train { TRAIN_SEED } else { TEST_SEED };
        let rendered = Scene::new(first + index as u64).render(WIDTH, HEIGHT);
        let target = match self.truth {
            Truth::Classes => Target::Mask { width: WIDTH, height: HEIGHT, classes: rendered.classes },
            Truth::Depth => Target::Depth { width: WIDTH, height: HEIGHT, values: rendered.depth },
        };
        Ok(Sample { picture: rendered.picture, target })
    }

    fn labels(&self) -> Vec<Label> {
        match self.truth {
            Truth::Classes => {
                CLASSES.iter().map(|(name, colour)| Label { name: (*name).into(), colour: (*colour).into() }).collect()
            }
            Truth::Depth => Vec::new(),
        }
    }

    fn pictures_sha256(&self) -> &str {
        &self.pictures
    }

    fn sha256(&self) -> String {
        files::sha256(format!("{RECIPE}, {:?}", self.truth).as_bytes())
    }
}
