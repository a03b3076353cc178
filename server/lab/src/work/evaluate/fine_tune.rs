//! What is different where the encoder is trained along with the head.

use super::{Bench, Evaluate};
use crate::data::Split;
use crate::registry::Registry;
use crate::train::Configuration;
use crate::train::augment::View;
use crate::train::source::{Pictures, Streamed};
use crate::{Error, Result};
use virboard_core::catalogue::Unknown;
use virboard_core::run::Probe;

/// Letters of a score's key in the name of its per-sample results: settings that the name of the
/// configuration does not tell must not write over each other.
const LETTERS: usize = 8;

impl Evaluate {
    /// How the features are read.
    pub(super) fn probe(&self) -> Probe {
        if self.configurations.iter().any(|c| c.fine_tuning.is_some()) { Probe::FineTuned } else { Probe::Head }
    }

    /// Complains of a fine-tuning that cannot be, before any work. Trainings of heads have
    /// nothing to be complained of here.
    ///
    /// # Errors
    /// [`Error::NotTrainable`], [`Error::NothingTrained`], [`Error::FineTuning`], or whatever keeps
    /// the encoder from being loaded.
    pub fn check(&self, registry: &Registry) -> Result<()> {
        if self.probe() == Probe::Head {
            return Ok(());
        }
        if self.configurations.iter().any(|c| c.fine_tuning.is_none()) {
            return Err(Error::Unfit("a job either fine-tunes or trains heads, not both".to_owned()));
        }
        self.configurations.iter().try_for_each(Configuration::check_fine_tuning)?;
        let catalogue = registry.catalogue();
        let task = catalogue.task(&self.task).ok_or_else(|| Unknown::task(&catalogue, &self.task))?;
        if task.epochs.is_none() {
            return Err(Error::NothingTrained { task: task.key.clone() });
        }
        let encoder = registry.get(&self.encoder)?;
        let description = encoder.description();
        if description.training.is_none() {
            return Err(Error::NotTrainable {
                encoder: self.encoder.clone(),
                architecture: description.architecture.to_string(),
            });
        }
        Ok(())
    }
}

impl Bench<'_> {
    /// The pictures of a split as the task's training sees them: changed every time where it
    /// changes them, else at the encoder's size.
    pub(super) fn pictures(&self, split: Split, seed: u64) -> Pictures<'_> {
        let augmented = !self.recipe.cached;
        let inner = self.streamed(split, seed);
        let view = if augmented { inner.view } else { View::Squash };
        Pictures { inner: Streamed { view, ..inner }, augmented }
    }

    /// The name of a configuration's per-sample results.
    pub(super) fn named(&self, configuration: &Configuration, key: &str) -> String {
        let Configuration { name, protocol, seed, .. } = configuration;
        let name = format!("{name}-{}-seed{seed}", protocol.name());
        match self.work.probe() {
            Probe::FineTuned => format!("{name}-{key:.LETTERS$}"),
            _ => name,
        }
    }
}
