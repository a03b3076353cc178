//! What is known of an epoch of pre-training.

use serde::{Deserialize, Serialize};

/// An epoch of pre-training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The epoch, from 1.
    pub epoch: u32,
    /// Mean loss of its steps.
    pub loss: f64,
    /// Learning rate of its last step.
    pub learning_rate: f64,
    /// Share of the test samples whose nearest neighbours vote for the right class, from 0 to 1,
    /// where they were asked after this epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbours: Option<f64>,
    /// Wall-clock seconds, the neighbours' aside; of what came after an interruption.
    pub seconds: f64,
    /// Seconds of these in which the network waited for views.
    pub waited: f64,
}

impl EpochRecord {
    /// A line for people.
    #[must_use]
    pub fn line(&self, epochs: u32, pictures: usize) -> String {
        let rate = pictures as f64 / self.seconds.max(1e-9);
        let neighbours = self.neighbours.map_or_else(String::new, |n| format!(", neighbours {:.1} %", 100.0 * n));
        format!(
            "epoch {}/{epochs}: loss {:.4}, learning rate {:.3e}, {rate:.0} pictures a second{neighbours}",
            self.epoch, self.loss, self.learning_rate
        )
    }
}
