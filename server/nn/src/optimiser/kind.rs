//! Which optimisers there are, and the numbers of their steps.

use super::groups::Group;
use crate::cpu::{BETA2, Moments, Rule};
use crate::schedule::Setting;
use serde::{Deserialize, Serialize};

/// Which optimiser. Weight decay is left out where it is 0, so that what was written before there
/// was any reads the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "optimiser", rename_all = "snake_case")]
pub enum Kind {
    /// `torch.optim.Adam` with its defaults: betas 0.9 and 0.999, eps 1e-8, no weight decay.
    Adam,
    /// `torch.optim.AdamW` with the same betas and eps: the values shrink by the learning rate
    /// times the weight decay before the step.
    #[serde(rename = "adamw")]
    AdamW {
        /// Weight decay, 0 or more.
        weight_decay: f64,
    },
    /// `torch.optim.SGD`: `m = momentum m + g + decay w`, `w = w - rate m`.
    Sgd {
        /// Share of the last step that is repeated; 0 for none.
        momentum: f64,
        /// Weight decay, 0 or more.
        #[serde(default, skip_serializing_if = "is_zero")]
        weight_decay: f64,
    },
    /// LARS (You et al. 2017, arXiv 1708.03888) as in `SimCLR`'s `lars_optimizer.py` with its
    /// default of classic momentum: `g' = g + decay w`, `m = momentum m + rate trust |w| / |g'| g'`,
    /// `w = w - m`. Where a norm is 0, and for tensors that are not adapted, the factor
    /// `trust |w| / |g'|` is 1.
    Lars {
        /// Share of the last step that is repeated; 0 for none.
        momentum: f64,
        /// Weight decay, 0 or more.
        #[serde(default, skip_serializing_if = "is_zero")]
        weight_decay: f64,
        /// Trust coefficient, above 0.
        #[serde(default = "trust", skip_serializing_if = "is_trust")]
        trust: f64,
    },
    /// LARS as in `SwAV`: NVIDIA apex' `LARC(trust_coefficient=0.001, clip=False)` around
    /// `torch.optim.SGD`: `m = momentum m + trust |w| / (|g| + decay |w| + 1e-8) (g + decay w)`,
    /// `w = w - rate m`. Where a norm is 0 a tensor has neither factor nor decay; one that is not
    /// adapted has plain SGD's step.
    Larc {
        /// Share of the last step that is repeated; 0 for none.
        momentum: f64,
        /// Weight decay, 0 or more.
        #[serde(default, skip_serializing_if = "is_zero")]
        weight_decay: f64,
        /// Trust coefficient, above 0.
        #[serde(default = "trust", skip_serializing_if = "is_trust")]
        trust: f64,
    },
}

/// The trust coefficient of `SimCLR` and `SwAV`.
const TRUST: f64 = 0.001;
/// What keeps LARC from dividing by zero.
const LARC_EPS: f64 = 1e-8;
/// Adam's share of the first mean that stays.
const BETA1: f64 = 0.9;

fn trust() -> f64 {
    TRUST
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_trust(trust: &f64) -> bool {
    trust.total_cmp(&TRUST).is_eq()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// Lengths of a tensor and of its gradient.
#[derive(Debug, Clone, Copy)]
pub(super) struct Norms {
    /// `|w|`.
    pub value: f64,
    /// `|g + factor w|`, the factor being [`Kind::norm_factor`].
    pub gradient: f64,
}

/// The numbers of one step of one tensor, from which [`Rule`] and the operations on other devices
/// are made.
#[derive(Debug, Clone, Copy)]
pub(super) enum Update {
    /// Adam and `AdamW`.
    Adam {
        /// Share of the first mean that stays.
        beta: f64,
        /// Share of the values that stays.
        keep: f64,
        /// Learning rate over the first mean's bias correction.
        rate: f64,
        /// Root of the second mean's bias correction.
        root: f64,
    },
    /// SGD and LARS; see [`Rule::Sgd`].
    Sgd { momentum: f64, decay: f64, scale: f64, rate: f64 },
}

impl Kind {
    /// Its weight decay, 0 for Adam.
    #[must_use]
    pub fn weight_decay(self) -> f64 {
        match self {
            Self::Adam => 0.0,
            Self::AdamW { weight_decay }
            | Self::Sgd { weight_decay, .. }
            | Self::Lars { weight_decay, .. }
            | Self::Larc { weight_decay, .. } => weight_decay,
        }
    }

    /// Whether it has means of squared gradients.
    pub(super) fn has_second(self) -> bool {
        matches!(self, Self::Adam | Self::AdamW { .. })
    }

    /// Whether its steps depend on the lengths of tensors and gradients.
    #[must_use]
    pub fn is_adaptive(self) -> bool {
        matches!(self, Self::Lars { .. } | Self::Larc { .. })
    }

    /// How much of a tensor is added to its gradient before that is measured.
    pub(super) fn norm_factor(self, group: Group) -> f64 {
        match self {
            Self::Lars { weight_decay, .. } if group.decayed => weight_decay,
            _ => 0.0,
        }
    }

    /// The numbers of a tensor's step. Its steps count from 1; `norms` are there if the optimiser
    /// is adaptive and the tensor is adapted.
    pub(super) fn update(self, setting: &Setting, step: u64, group: Group, norms: Option<Norms>) -> Update {
        let rate = setting.learning_rate * group.rate;
        let decay = |weight_decay: f64| if group.decayed { weight_decay } else { 0.0 };
        let momentum = |own: f64| setting.momentum.unwrap_or(own);
        let norms = norms.filter(|n| n.value > 0.0 && n.gradient > 0.0);
        match self {
            Self::Adam => adam(rate, 1.0, setting, step),
            Self::AdamW { weight_decay } => adam(rate, 1.0 - rate * decay(weight_decay), setting, step),
            Self::Sgd { momentum: own, weight_decay } => {
                Update::Sgd { momentum: momentum(own), decay: decay(weight_decay), scale: 1.0, rate }
            }
            Self::Lars { momentum: own, weight_decay, trust } => {
                let ratio = norms.map_or(1.0, |n| trust * n.value / n.gradient);
                Update::Sgd { momentum: momentum(own), decay: decay(weight_decay), scale: rate * ratio, rate: 1.0 }
            }
            Self::Larc { momentum: own, weight_decay, trust } => {
                let decay = decay(weight_decay);
                let (decay, scale) = match norms {
                    Some(n) => (decay, trust * n.value / (n.gradient + decay * n.value + LARC_EPS)),
                    None if group.adapted => (0.0, 1.0),
                    None => (decay, 1.0),
                };
                Update::Sgd { momentum: momentum(own), decay, scale, rate }
            }
        }
    }
}

fn adam(rate: f64, keep: f64, setting: &Setting, step: u64) -> Update {
    let (beta, step) = (setting.momentum.unwrap_or(BETA1), step as i32);
    Update::Adam { beta, keep, rate: rate / (1.0 - beta.powi(step)), root: (1.0 - BETA2.powi(step)).sqrt() }
}

impl From<Update> for Rule {
    fn from(update: Update) -> Self {
        match update {
            Update::Adam { beta, keep, rate, root } => {
                Self::Adam { beta, keep: keep as f32, rate: rate as f32, correction: (1.0 / root) as f32 }
            }
            Update::Sgd { momentum, decay, scale, rate } => {
                Self::Sgd { momentum: momentum as f32, decay: decay as f32, scale: scale as f32, rate: rate as f32 }
            }
        }
    }
}

/// The rule of a step of tensors that are all alike, of an optimiser that is not adaptive; steps
/// count from 1.
#[must_use]
pub fn rule(kind: Kind, setting: &Setting, step: u64) -> Rule {
    kind.update(setting, step, Group::default(), None).into()
}

/// The moments of `len` numbers before the first step.
#[must_use]
pub fn moments(kind: Kind, len: usize) -> Moments {
    Moments::new(len, kind.has_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_before_there_was_weight_decay_reads_the_same() {
        for (kind, text) in [
            (Kind::Adam, r#"{"optimiser":"adam"}"#),
            (Kind::Sgd { momentum: 0.9, weight_decay: 0.0 }, r#"{"optimiser":"sgd","momentum":0.9}"#),
            (Kind::AdamW { weight_decay: 0.05 }, r#"{"optimiser":"adamw","weight_decay":0.05}"#),
            (
                Kind::Sgd { momentum: 0.9, weight_decay: 1e-4 },
                r#"{"optimiser":"sgd","momentum":0.9,"weight_decay":0.0001}"#,
            ),
            (
                Kind::Lars { momentum: 0.9, weight_decay: 1e-6, trust: TRUST },
                r#"{"optimiser":"lars","momentum":0.9,"weight_decay":1e-6}"#,
            ),
            (
                Kind::Larc { momentum: 0.9, weight_decay: 0.0, trust: 0.02 },
                r#"{"optimiser":"larc","momentum":0.9,"trust":0.02}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&kind).expect("text"), text);
            assert_eq!(serde_json::from_str::<Kind>(text).expect("a kind"), kind);
        }
    }
}
