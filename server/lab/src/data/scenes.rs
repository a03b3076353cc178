//! The `Scene...` tasks: rendered scenes, each split from its own seeds. Pictures are rendered
//! when they are asked for, and kept for the next encoder.

use super::{Dataset, Sample, Split, Target};
use crate::Result;
use crate::head::Label;
use crate::scene::{CLASSES, Motion, Scene};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use virboard_nn::files;
use virboard_nn::seeded::Stream;

/// First seed of the training scenes.
const TRAIN_SEED: u64 = 10_000;
/// First seed of the test scenes; no training scene has one of them.
const TEST_SEED: u64 = 20_000;
/// Width and height of the pictures; flow is measured in their pixels.
pub const SIZE: (u32, u32) = (320, 240);
/// Changes whenever the renderer's pictures do.
const RECIPE: &str = "scenes 1, 320 x 240, train from 10000, test from 20000";
/// Most objects that a scene has.
const OBJECTS: usize = 8;
/// Length of a step in metres, and the most that are counted.
const STEP: f64 = 1.0;
const STEPS: usize = 8;
/// AI2-THOR's actions.
const ACTIONS: [&str; 5] = ["MoveAhead", "RotateLeft", "RotateRight", "LookUp", "LookDown"];

/// Bytes of samples that a process keeps at most: those of the largest task. A scene takes a tenth of a second to render.
const KEPT: usize = 640 << 20;

/// Samples by truth and seed, until they are [`KEPT`] bytes.
#[derive(Default)]
struct Kept {
    samples: HashMap<(Truth, u64), Arc<Sample>>,
    bytes: usize,
}

static RENDERED: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);

/// Which truth the task asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Truth {
    /// The class of every pixel.
    Classes,
    /// The distance of every pixel in metres.
    Depth,
    /// How many objects there are.
    Count,
    /// How many steps of a metre are free ahead.
    Steps,
    /// Which action leads to the second picture.
    Egomotion,
    /// Where every pixel is in the second picture.
    Flow,
}

/// The data set.
pub struct Scenes {
    truth: Truth,
    pictures: String,
}

impl Scenes {
    /// The scenes of a task.
    #[must_use]
    pub fn of(task: &str) -> Option<Self> {
        let truth = match task {
            "SceneSegmentation" | "SceneSegmentation-Deeplabv3" => Truth::Classes,
            "SceneDepth" => Truth::Depth,
            "SceneCount" => Truth::Count,
            "SceneSteps" => Truth::Steps,
            "SceneEgomotion" => Truth::Egomotion,
            "SceneFlow" => Truth::Flow,
            _ => return None,
        };
        let (train, test) = sizes(truth);
        let pair = match truth {
            Truth::Egomotion | Truth::Flow => format!(", second view by {truth:?}"),
            _ => String::new(),
        };
        Some(Self { truth, pictures: files::sha256(format!("{RECIPE}, {train} and {test}{pair}").as_bytes()) })
    }

    fn seed(split: Split, index: usize) -> u64 {
        index as u64 + if split == Split::Train { TRAIN_SEED } else { TEST_SEED }
    }

    /// The motion between the two views of a sample, and the action that it is.
    fn motion(&self, seed: u64) -> (Motion, usize) {
        let mut r = Stream::new(seed, "motion");
        if self.truth == Truth::Flow {
            let motion = Motion {
                ahead: r.range(-0.2, 0.2),
                sideways: r.range(-0.15, 0.15),
                yaw: r.range(-0.03, 0.03),
                pitch: r.range(-0.02, 0.02),
            };
            return (motion, 0);
        }
        let action = r.below(ACTIONS.len());
        let turn = r.range(10.0, 20.0_f64).to_radians();
        let none = Motion::default();
        let motion = match ACTIONS[action] {
            "MoveAhead" => Motion { ahead: r.range(0.5, 1.0), ..none },
            "RotateLeft" => Motion { yaw: -turn, ..none },
            "RotateRight" => Motion { yaw: turn, ..none },
            "LookUp" => Motion { pitch: turn * 0.6, ..none },
            _ => Motion { pitch: -turn * 0.6, ..none },
        };
        (motion, action)
    }

    /// The sample of a seed, rendered once in a process as long as there is room.
    fn kept(&self, seed: u64) -> Arc<Sample> {
        let lock = || RENDERED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sample) = lock().samples.get(&(self.truth, seed)) {
            return sample.clone();
        }
        let sample = Arc::new(self.rendered(seed));
        let pictures: usize = sample.pictures.iter().map(|picture| picture.as_raw().len()).sum();
        let truth = match &sample.target {
            Target::Mask { classes, .. } => classes.len(),
            Target::Values { values, .. } => size_of_val(&values[..]),
            Target::Class(_) => 0,
        };
        let mut kept = lock();
        if kept.bytes + pictures + truth <= KEPT && kept.samples.insert((self.truth, seed), sample.clone()).is_none() {
            kept.bytes += pictures + truth;
        }
        sample
    }

    fn rendered(&self, seed: u64) -> Sample {
        let scene = Scene::new(seed);
        let (width, height) = SIZE;
        let first = scene.render(width, height);
        let mut pictures = vec![first.picture];
        let target = match self.truth {
            Truth::Classes => Target::Mask { width, height, classes: first.classes },
            Truth::Depth => Target::Values { width, height, channels: 1, values: first.depth },
            Truth::Count => Target::Class(first.objects.min(OBJECTS)),
            Truth::Steps => Target::Class(((scene.free_path() / STEP) as usize).min(STEPS)),
            Truth::Egomotion | Truth::Flow => {
                let (motion, action) = self.motion(seed);
                pictures.push(scene.moved(motion).render(width, height).picture);
                if self.truth == Truth::Egomotion {
                    Target::Class(action)
                } else {
                    Target::Values { width, height, channels: 2, values: scene.flow(motion, width, height) }
                }
            }
        };
        Sample { pictures, target }
    }
}

/// Training and test scenes. Image-level tasks see one number a picture, so they need more.
const fn sizes(truth: Truth) -> (usize, usize) {
    match truth {
        Truth::Classes | Truth::Depth => (240, 60),
        Truth::Flow => (480, 60),
        Truth::Count | Truth::Steps | Truth::Egomotion => (800, 200),
    }
}

impl Dataset for Scenes {
    fn len(&self, split: Split) -> usize {
        let (train, test) = sizes(self.truth);
        match split {
            Split::Train => train,
            Split::Test => test,
        }
    }

    fn images(&self) -> usize {
        if matches!(self.truth, Truth::Egomotion | Truth::Flow) { 2 } else { 1 }
    }

    fn sample(&self, split: Split, index: usize) -> Result<Sample> {
        Ok((*self.kept(Self::seed(split, index))).clone())
    }

    fn target(&self, split: Split, index: usize) -> Result<Target> {
        let seed = Self::seed(split, index);
        Ok(match self.truth {
            Truth::Steps => Target::Class(((Scene::new(seed).free_path() / STEP) as usize).min(STEPS)),
            Truth::Egomotion => Target::Class(self.motion(seed).1),
            Truth::Flow => {
                let (width, height) = SIZE;
                let values = Scene::new(seed).flow(self.motion(seed).0, width, height);
                Target::Values { width, height, channels: 2, values }
            }
            _ => self.kept(seed).target.clone(),
        })
    }

    fn name(&self, split: Split, index: usize) -> String {
        format!("scene {}", Self::seed(split, index))
    }

    fn labels(&self) -> Vec<Label> {
        let plain = |names: Vec<String>| super::listing::labels(&names);
        let numbers = |n: usize| plain((0..=n).map(|i| i.to_string()).collect());
        match self.truth {
            Truth::Classes => super::coloured(&CLASSES),
            Truth::Depth | Truth::Flow => Vec::new(),
            Truth::Count => numbers(OBJECTS),
            Truth::Steps => numbers(STEPS),
            Truth::Egomotion => super::listing::labels(&ACTIONS),
        }
    }

    fn pictures_sha256(&self) -> &str {
        &self.pictures
    }

    fn sha256(&self) -> String {
        files::sha256(format!("{} {:?}", self.pictures, self.truth).as_bytes())
    }
}
