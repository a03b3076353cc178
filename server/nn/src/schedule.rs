//! Learning rates over a training, as PyTorch's schedulers give them.

use serde::{Deserialize, Serialize};
use virboard_core::protocol::Protocol;

/// A schedule of the learning rate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// `MultiStepLR`: times `gamma` at each of some epochs.
    MultiStepLr {
        /// The epochs, counted from the beginning of the training, a warm-up included.
        milestones: Vec<u32>,
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
    /// Half a cosine, stepped every batch.
    Cosine {
        /// Where it ends, as a share of the learning rate: 0 to 1 (`SwAV`: 1/1000).
        #[serde(default, skip_serializing_if = "is_zero")]
        last: f64,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// What comes before a schedule: a line from a low learning rate up to the schedule's (Goyal et
/// al. 2017, arXiv 1706.02677), so that step `i` of `n` has `from + (rate - from) i / n`, as
/// PyTorch's `LinearLR` and `SimCLR` compute it. (`SwAV` divides by `n - 1`, so that the last one
/// has the whole rate already.)
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmUp {
    /// The learning rate of the first step.
    #[serde(default)]
    pub from: f64,
    /// Its length in epochs.
    #[serde(default)]
    pub epochs: u32,
    /// Its length in steps, which come on top of the epochs.
    #[serde(default)]
    pub steps: u64,
}

impl WarmUp {
    /// Its length in steps, in a training whose epochs are all of one length; no more than there are.
    #[must_use]
    pub fn length(&self, at: Position) -> u64 {
        let epoch = at.steps / u64::from(at.epochs.max(1));
        (u64::from(self.epochs) * epoch + self.steps).min(at.steps)
    }
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
    /// Half a cosine down to 0.
    pub const COSINE: Self = Self::Cosine { last: 0.0 };

    /// The setting of a step behind a warm-up. What goes by the share of steps that are over
    /// begins where the warm-up ends; what goes by epochs counts from the beginning.
    #[must_use]
    pub fn warmed_up(&self, warm_up: Option<WarmUp>, learning_rate: f64, at: Position) -> Setting {
        let length = warm_up.map_or(0, |w| w.length(at));
        let behind = Position { step: at.step.saturating_sub(length), steps: at.steps - length, ..at };
        let setting = self.setting(learning_rate, behind, Protocol::Standard);
        match warm_up {
            Some(WarmUp { from, .. }) if at.step < length => {
                let share = at.step as f64 / length as f64;
                Setting { learning_rate: from + (setting.learning_rate - from) * share, ..setting }
            }
            _ => setting,
        }
    }

    /// The setting of a step whose configured learning rate is `learning_rate`.
    ///
    /// Under [`Protocol::Virb`] schedules stay where they begin: ViRB compares their unit with
    /// another spelling of it and never steps them.
    #[must_use]
    pub fn setting(&self, learning_rate: f64, at: Position, protocol: Protocol) -> Setting {
        let at = match protocol {
            Protocol::Standard => at,
            Protocol::Virb => Position { epoch: 0, step: 0, ..at },
        };
        let share = at.step as f64 / at.steps.max(1) as f64;
        let constant = |factor: f64| Setting { learning_rate: learning_rate * factor, momentum: None };
        match *self {
            Self::Constant => constant(1.0),
            Self::MultiStepLr { ref milestones, gamma } => {
                constant(gamma.powi(milestones.iter().filter(|epoch| **epoch <= at.epoch).count() as i32))
            }
            Self::StepLr { step_size, gamma } => constant(gamma.powi((at.epoch / step_size.max(1)) as i32)),
            Self::Poly { exponent } => constant((1.0 - share).max(0.0).powf(exponent)),
            Self::Cosine { last } => {
                constant(last + (1.0 - last) * (0.5 * (1.0 + (std::f64::consts::PI * share).cos())))
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_earlier_reads_the_same() {
        for (schedule, text) in [
            (Schedule::COSINE, r#"{"schedule":"cosine"}"#),
            (Schedule::Cosine { last: 0.001 }, r#"{"schedule":"cosine","last":0.001}"#),
            (Schedule::Constant, r#"{"schedule":"constant"}"#),
            (
                Schedule::MultiStepLr { milestones: vec![120, 160], gamma: 0.1 },
                r#"{"schedule":"multi_step_lr","milestones":[120,160],"gamma":0.1}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&schedule).expect("text"), text);
            assert_eq!(serde_json::from_str::<Schedule>(text).expect("a schedule"), schedule);
        }
        let read = |text| serde_json::from_str::<WarmUp>(text);
        assert_eq!(read(r#"{"from":0.3,"epochs":10}"#).expect("read"), WarmUp { from: 0.3, epochs: 10, steps: 0 });
        assert!(read(r#"{"epoch":10}"#).expect_err("unknown").to_string().contains("`epoch`"));
    }

    #[test]
    fn a_warm_up_longer_than_the_training_ends_with_it() {
        let warm_up = Some(WarmUp { from: 0.0, epochs: 20, steps: 0 });
        for step in 0..30 {
            let at = Position { epoch: step as u32 / 3, epochs: 10, step, steps: 30 };
            let rate = Schedule::COSINE.warmed_up(warm_up, 3.0, at).learning_rate;
            assert!((rate - step as f64 / 10.0).abs() < 1e-12, "step {step}: {rate}");
        }
    }
}
