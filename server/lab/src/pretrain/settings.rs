//! One YAML file describes a run of pre-training. What ships is in `server/samples/pretraining`.

mod check;
mod mistake;
mod training;

pub use training::{OptimiserForm, ScheduleForm};

use super::method::MethodForm;
use super::pictures::Data;
use super::views::ViewForm;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;
use virboard_nn::encoder::{Form, Precision};
use virboard_nn::optimiser::Kind;
use virboard_nn::schedule::WarmUp;

/// What a file asks for. Its JSON decides the run and stands in what comes of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The method with its own settings.
    pub method: MethodForm,
    /// The network that is trained.
    pub network: Form,
    /// The pictures.
    pub data: Data,
    /// The views of each picture, in the order in which the method takes them.
    pub views: Vec<ViewForm>,
    /// The optimiser.
    pub optimiser: OptimiserForm,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// The learning rate over time; the same throughout if it is not said.
    #[serde(default)]
    pub schedule: ScheduleForm,
    /// What comes before the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<WarmUp>,
    /// Weight decay, 0 or more.
    #[serde(default)]
    pub weight_decay: f64,
    /// Whether vectors, which are biases and the weights of normalisations, have weight decay too.
    #[serde(default = "yes")]
    pub decay_vectors: bool,
    /// Pictures of a batch.
    pub batch: usize,
    /// Batches whose gradients are added before a step.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// How exactly the networks compute: `f32`, or `bf16` with everything that is trained in `f32`.
    #[serde(default, skip_serializing_if = "Precision::is_default")]
    pub precision: Precision,
    /// Passes over the pictures; 0 leaves the encoder at random, as a baseline.
    pub epochs: u32,
    /// Epochs, from 1, after which the encoder is kept on its own, beside the last one's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<u32>,
    /// A score on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbours: Option<Neighbours>,
    /// Seed of weights, order, augmentation and what the method draws.
    #[serde(default)]
    pub seed: u64,
}

/// When nearest neighbours are scored during a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Neighbours {
    /// Key of the task.
    pub task: String,
    /// Epochs from one score to the next.
    pub every: u32,
}

const fn yes() -> bool {
    true
}

const fn one() -> usize {
    1
}

impl Settings {
    /// The optimiser.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.optimiser.kind(self.weight_decay)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Settings`] with everything that is wrong with it.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        Self::from_text(path, &text)
    }

    /// The same from a text that would stand in `path`.
    ///
    /// # Errors
    /// [`Error::Settings`] with everything that is wrong with it.
    pub fn from_text(path: &Path, text: &str) -> Result<Self> {
        let settings: Self =
            serde_saphyr::from_str(text).map_err(|error| mistake::of(path, error.without_snippet()))?;
        match settings.mistakes() {
            mistakes if mistakes.is_empty() => Ok(settings),
            mistakes => {
                Err(Error::Settings { path: path.to_path_buf(), place: String::new(), reason: mistakes.join("; ") })
            }
        }
    }
}
