//! How a head is trained.

use serde::{Deserialize, Serialize};
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
