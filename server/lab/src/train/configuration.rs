//! How a head is trained.

use super::fine_tuning::FineTuning;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use virboard_core::catalogue::task::{Decay, HeadKind, Task};
use virboard_core::protocol::Protocol;
use virboard_nn::encoder::Precision;
use virboard_nn::optimiser::Kind;
use virboard_nn::schedule::{Position, Schedule, Setting};

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
    /// How the encoder is trained along; without it stays frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fine_tuning: Option<FineTuning>,
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
            fine_tuning: None,
        }
    }

    /// One that trains the encoder along with a task's head: SGD with momentum 0.9 and half a
    /// cosine, batches of 64 pictures, after Ericsson et al. 2021 (arXiv 2011.13377), who make
    /// 5,000 steps and choose the learning rate of a grid on held-out samples. Tasks about pixels
    /// keep the size of their batches. Encoder and head begin with the same learning rate.
    #[must_use]
    pub fn fine_tuned(task: &Task, tuning: FineTuning, seed: u64, protocol: Protocol) -> Self {
        let of_pictures = matches!(task.head, HeadKind::Linear | HeadKind::MultiEmbedding);
        let own = task.batch_size.map_or(BATCH, |size| size as usize);
        Self {
            epochs: 30,
            batch_size: if of_pictures { 64 } else { own },
            optimiser: Kind::Sgd { momentum: 0.9, weight_decay: 1e-4 },
            learning_rate: 0.01,
            schedule: Schedule::COSINE,
            selection: Selection::Validation,
            fine_tuning: Some(tuning),
            ..Self::untrained(format!("fine-tuned-{}", tuning.learning_rate), seed, protocol)
        }
    }

    /// Complains of a fine-tuning that cannot be; there is nothing to say of a head's training.
    ///
    /// # Errors
    /// [`Error::FineTuning`], which names the setting.
    pub fn check_fine_tuning(&self) -> Result<()> {
        let Some(tuning) = &self.fine_tuning else { return Ok(()) };
        let wrong = |setting, value: String, range| Err(Error::FineTuning { setting, value, range });
        if self.protocol == Protocol::Virb {
            return wrong(
                "protocol",
                self.protocol.name().to_owned(),
                "`standard`: ViRB's program keeps encoders frozen",
            );
        }
        if self.epochs == 0 {
            return wrong("number of epochs", self.epochs.to_string(), "at least 1");
        }
        if self.batch_size < 2 {
            return wrong("size of batches", self.batch_size.to_string(), "at least 2: batches are normalised");
        }
        match self.optimiser.weight_decay() {
            decay if decay.is_finite() && decay >= 0.0 => tuning.check(self.learning_rate),
            decay => wrong("weight decay", decay.to_string(), "0 or more"),
        }
    }

    /// What the optimiser uses in a step; the learning rate is the head's.
    #[must_use]
    pub fn setting(&self, at: Position) -> Setting {
        match &self.fine_tuning {
            None => self.schedule.setting(self.learning_rate, at, self.protocol),
            Some(tuning) => self.schedule.warmed_up(tuning.warm_up, self.learning_rate, at),
        }
    }

    /// Batches of an epoch over so many samples. What fills none is left to other epochs where
    /// the batch is normalised (`full`), unless there would be none; else it is a smaller batch.
    #[must_use]
    pub fn batches(&self, samples: usize, full: bool) -> usize {
        match self.fine_tuning {
            Some(_) => (samples / self.batch_size).max(samples.min(1)),
            None if full => samples / self.batch_size,
            None => samples.div_ceil(self.batch_size),
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
