//! How an encoder is trained along with the head: full fine-tuning, from its own weights.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use virboard_nn::schedule::WarmUp;

/// What the training of an encoder adds to that of its head.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FineTuning {
    /// Largest learning rate of the encoder's last stage or block, 0 or more. The head has the
    /// configuration's own.
    pub learning_rate: f64,
    /// What a stage's or block's learning rate is multiplied with for each one that lies between
    /// it and the embedding, above 0 to 1: layer-wise decay (Clark et al. 2020, arXiv 2003.10555;
    /// Bao et al. 2021, arXiv 2106.08254). With 1 all learn alike.
    pub layer_decay: f64,
    /// What comes before the schedule, for encoder and head alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<WarmUp>,
}

impl FineTuning {
    /// All of an encoder at one learning rate, without warm-up.
    #[must_use]
    pub const fn at(learning_rate: f64) -> Self {
        Self { learning_rate, layer_decay: 1.0, warm_up: None }
    }

    /// Largest learning rate of tensors with so many stages or blocks between them and the
    /// embedding.
    #[must_use]
    pub fn rate(&self, above: usize) -> f64 {
        self.learning_rate * self.layer_decay.powi(above as i32)
    }

    /// Complains of what no training can be made of; `head` is the head's learning rate.
    ///
    /// # Errors
    /// [`Error::FineTuning`], which names the setting.
    pub fn check(&self, head: f64) -> Result<()> {
        let wrong = |setting, value: f64, range| Err(Error::FineTuning { setting, value: value.to_string(), range });
        if !(self.learning_rate.is_finite() && self.learning_rate >= 0.0) {
            return wrong("learning rate of the encoder", self.learning_rate, "0 or more");
        }
        if !(head.is_finite() && head > 0.0) {
            return wrong("learning rate of the head", head, "above 0");
        }
        if !(self.layer_decay > 0.0 && self.layer_decay <= 1.0) {
            return wrong("layer-wise decay", self.layer_decay, "above 0 and at most 1, which is none");
        }
        Ok(())
    }
}
