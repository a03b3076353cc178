//! How a head is trained.

use serde::{Deserialize, Serialize};
use virboard_core::catalogue::task::{Decay, Task};
use virboard_core::protocol::Protocol;
use virboard_nn::encoder::Precision;
use virboard_nn::optimiser::Kind;
use virboard_nn::schedule::Schedule;

/// One training configuration. Its JSON stands beside every score that it led to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// Name within the task, such as `adam-0.0001`.
    pub name: String,
    /// Passes over the training set.
    pub epochs: u32,
    /// Samples a step.
    pub batch_size: usize,
    /// Test samples at a time, on which some metrics of [`Protocol::Virb`] depend.
    pub test_batch_size: usize,
    /// The optimiser.
    #[serde(flatten)]
    pub optimiser: Kind,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// The learning rate over time.
    #[serde(flatten)]
    pub schedule: Schedule,
    /// Whether every channel is first brought to mean 0 and deviation 1 over the training
    /// set. The finished head has that folded in.
    pub standardise: bool,
    /// How often an epoch goes over the training set (ViRB's `num_dataset_repeats`).
    pub repeats: u32,
    /// How it is trained and scored in detail.
    pub protocol: Protocol,
    /// Which weights and which configuration are reported.
    pub selection: Selection,
    /// Seed of weights, order and augmentation.
    pub seed: u64,
    /// How many augmented views of a picture are encoded and then seen in turns, where a task
    /// augments; a new one every epoch if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub views: Option<u32>,
    /// How exactly the frozen encoder computed.
    #[serde(default, skip_serializing_if = "Precision::is_default")]
    pub precision: Precision,
}

/// ViRB's size of batches, of tests too.
pub const BATCH: usize = 32;

impl Configuration {
    /// One that trains nothing: what a test of a head that is there goes by, and what all others
    /// begin with.
    #[must_use]
    pub fn untrained(name: String, seed: u64, protocol: Protocol) -> Self {
        Self {
            name,
            epochs: 0,
            batch_size: BATCH,
            test_batch_size: BATCH,
            optimiser: Kind::Adam,
            learning_rate: 0.0,
            schedule: Schedule::Constant,
            standardise: false,
            repeats: 1,
            protocol,
            selection: Selection::LastEpoch,
            seed,
            views: None,
            precision: Precision::F32,
        }
    }

    /// The published one of a task. A task that only tests another one's head has one that
    /// trains nothing.
    #[must_use]
    pub fn published(task: &Task, seed: u64, protocol: Protocol) -> Self {
        let (Some(epochs), Some(learning_rate), Some(batch_size)) = (task.epochs, task.learning_rate, task.batch_size)
        else {
            return Self::untrained(format!("test of {}", task.key), seed, protocol);
        };
        Self {
            epochs,
            batch_size: batch_size as usize,
            learning_rate,
            schedule: match task.schedule {
                Decay::Cosine => Schedule::COSINE,
                Decay::Poly => Schedule::Poly { exponent: 0.9 },
                Decay::Constant => Schedule::Constant,
            },
            standardise: task.standardise,
            ..Self::untrained(format!("adam-{learning_rate}"), seed, protocol)
        }
    }
}

/// Which of a training's results is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// The weights after the last epoch, all training samples being trained on. Of several
    /// configurations the best on the test set is shown: ViRB's way, for comparison with it.
    LastEpoch,
    /// A tenth of the training samples is held out; the epoch and the configuration that do
    /// best on it are reported, and the test set is read once.
    Validation,
}
