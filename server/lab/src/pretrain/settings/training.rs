//! Optimisers and schedules as settings write them: a name, below which their numbers stand. (In
//! stored configurations they are written flat, where an unknown key cannot be told.)

use serde::{Deserialize, Serialize};
use virboard_nn::optimiser::Kind;
use virboard_nn::schedule::Schedule;

/// An optimiser; its weight decay stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum OptimiserForm {
    /// `torch.optim.SGD`.
    Sgd {
        /// Share of the last step that is repeated; 0 for none.
        momentum: f64,
    },
    /// LARS as in SimCLR.
    Lars {
        /// Share of the last step that is repeated; 0 for none.
        momentum: f64,
        /// Trust coefficient, above 0.
        #[serde(default = "trust")]
        trust: f64,
    },
    /// LARS as in SwAV.
    Larc {
        /// Share of the last step that is repeated; 0 for none.
        momentum: f64,
        /// Trust coefficient, above 0.
        #[serde(default = "trust")]
        trust: f64,
    },
    /// `torch.optim.AdamW`.
    #[serde(rename = "adamw")]
    AdamW {},
}

/// The trust coefficient of SimCLR and SwAV.
const fn trust() -> f64 {
    0.001
}

impl OptimiserForm {
    /// The optimiser with its weight decay.
    #[must_use]
    pub fn kind(self, weight_decay: f64) -> Kind {
        match self {
            Self::Sgd { momentum } => Kind::Sgd { momentum, weight_decay },
            Self::Lars { momentum, trust } => Kind::Lars { momentum, weight_decay, trust },
            Self::Larc { momentum, trust } => Kind::Larc { momentum, weight_decay, trust },
            Self::AdamW {} => Kind::AdamW { weight_decay },
        }
    }

    /// What is wrong with it, a sentence each.
    #[must_use]
    pub fn mistakes(self) -> Vec<String> {
        let (momentum, trust) = match self {
            Self::Sgd { momentum } => (momentum, trust()),
            Self::Lars { momentum, trust } | Self::Larc { momentum, trust } => (momentum, trust),
            Self::AdamW {} => (0.0, trust()),
        };
        let mut said = Vec::new();
        if !(0.0..1.0).contains(&momentum) {
            said.push(format!(
                "`momentum` of `optimiser` is {momentum}; give a number from 0 to less than 1, such as 0.9"
            ));
        }
        if !(trust.is_finite() && trust > 0.0) {
            said.push(format!("`trust` of `optimiser` is {trust}; give a number above 0, such as 0.001"));
        }
        said
    }
}

/// The learning rate over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum ScheduleForm {
    /// The same throughout.
    Constant {},
    /// Half a cosine, stepped every batch.
    Cosine {
        /// Where it ends, as a share of the learning rate, from 0 to 1.
        #[serde(default)]
        last: f64,
    },
    /// Times `factor` at each of some epochs.
    Steps {
        /// Epochs that are over then.
        at: Vec<u32>,
        /// What the learning rate is multiplied with, above 0.
        factor: f64,
    },
}

impl Default for ScheduleForm {
    fn default() -> Self {
        Self::Constant {}
    }
}

impl ScheduleForm {
    /// The schedule.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        match self {
            Self::Constant {} => Schedule::Constant,
            Self::Cosine { last } => Schedule::Cosine { last: *last },
            Self::Steps { at, factor } => Schedule::MultiStepLr { milestones: at.clone(), gamma: *factor },
        }
    }

    /// What is wrong with it in a training of `epochs`, a sentence each.
    #[must_use]
    pub fn mistakes(&self, epochs: u32) -> Vec<String> {
        let mut said = Vec::new();
        match self {
            Self::Constant {} => {}
            Self::Cosine { last } => {
                if !(0.0..=1.0).contains(last) {
                    said.push(format!(
                        "`last` of `schedule` is {last}; give the share of the learning rate that is left, from 0 to 1"
                    ));
                }
            }
            Self::Steps { at, factor } => {
                if !(factor.is_finite() && *factor > 0.0) {
                    said.push(format!("`factor` of `schedule` is {factor}; give a number above 0, such as 0.1"));
                }
                if let Some(late) = at.iter().find(|epoch| **epoch >= epochs) {
                    said.push(format!("`schedule` has a step at epoch {late}, and the run ends after {epochs}"));
                }
                if at.is_empty() || !at.is_sorted_by(|a, b| a < b) {
                    said.push("`at` of `schedule` has to name epochs that rise".to_owned());
                }
            }
        }
        said
    }
}
