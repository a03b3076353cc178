//! Learning rates over a training, as PyTorch's schedulers give them.

use serde::{Deserialize, Serialize};
use virboard_core::protocol::Protocol;

/// A schedule of the learning rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "schedule", rename_all = "snake_case")]
pub enum Schedule {
    /// The same throughout.
    #[default]
    Constant,
    /// `StepLR`: times `gamma` every `step_size` epochs.
    StepLr {
        /// Epochs between two steps.
        step_size: u32,
        /// Factor.
        gamma: f64,
    },
    /// `OneCycleLR` with linear annealing, stepped once an epoch: from 1/25 up to the learning
    /// rate over the first 30 %, then down to 1/250,000 of it; the momentum (beta 1 of Adam)
    /// from 0.95 down to 0.85 and back.
    OneCycle,
    /// `LambdaLR` with `(1 - step / steps) ^ exponent`, stepped every batch.
    Poly {
        /// The exponent.
        exponent: f64,
    },
    /// Half a cosine down to 0, stepped every batch.
    Cosine,
}

/// What an optimiser uses in one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// Learning rate.
    pub learning_rate: f64,
    /// Momentum of SGD or beta 1 of Adam, where the schedule moves it.
    pub momentum: Option<f64>,
}

/// Where in a training a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Epoch, from 0.
    pub epoch: u32,
    /// Epochs in all.
    pub epochs: u32,
    /// Batches before this one, over all epochs.
    pub step: u64,
    /// Batches in all.
    pub steps: u64,
}

impl Schedule {
    /// The setting of a step whose configured learning rate is `learning_rate`.
    ///
    /// Under [`Protocol::Virb`] schedules stay where they begin: ViRB compares their unit with
    /// another spelling of it and never steps them.
    #[must_use]
    pub fn setting(self, learning_rate: f64, at: Position, protocol: Protocol) -> Setting {
        let at = match protocol {
            Protocol::Standard => at,
            Protocol::Virb => Position { epoch: 0, step: 0, ..at },
        };
        let share = at.step as f64 / at.steps.max(1) as f64;
        let constant = |factor: f64| Setting { learning_rate: learning_rate * factor, momentum: None };
        match self {
            Self::Constant => constant(1.0),
            Self::StepLr { step_size, gamma } => constant(gamma.powi((at.epoch / step_size.max(1)) as i32)),
            Self::Poly { exponent } => constant((1.0 - share).max(0.0).powf(exponent)),
            Self::Cosine => constant(0.5 * (1.0 + (std::f64::consts::PI * share).cos())),
            Self::OneCycle => {
                let (top, low, last) = (learning_rate, learning_rate / 25.0, learning_rate / 25.0 / 1e4);
                let up = 0.3 * f64::from(at.epochs) - 1.0;
                let down = f64::from(at.epochs) - 1.0;
                let epoch = f64::from(at.epoch);
                let line = |from: f64, to: f64, share: f64| from + (to - from) * share;
                if epoch <= up {
                    let share = epoch / up;
                    Setting { learning_rate: line(low, top, share), momentum: Some(line(0.95, 0.85, share)) }
                } else {
                    let share = (epoch - up) / (down - up);
                    Setting { learning_rate: line(top, last, share), momentum: Some(line(0.85, 0.95, share)) }
                }
            }
        }
    }
}
