//! What `virboard evaluate --finetune` is told.

use clap::{Args, ValueEnum};
use virboard_core::catalogue::task::Task;
use virboard_core::protocol::Protocol;
use virboard_lab::train::Configuration;
use virboard_lab::train::fine_tuning::FineTuning;
use virboard_nn::optimiser::Kind;
use virboard_nn::schedule::WarmUp;

/// Options of a fine-tuning.
#[derive(Debug, Args)]
pub struct FineTune {
    /// Train the encoder together with the head, beginning with its weights. The scores stand beside those of the
    /// frozen encoder, never for them
    #[arg(long = "finetune", conflicts_with_all = ["config", "views"])]
    wanted: bool,
    /// Largest learning rate of the encoder, 0.01 for SGD and 0.0001 for AdamW if it is not said; of several the best
    /// on held-out samples counts
    #[arg(long = "finetune-rate", value_name = "RATE", value_delimiter = ',', requires = "wanted")]
    rates: Vec<f64>,
    /// Largest learning rate of the head, 0.01 for SGD and 0.001 for AdamW if it is not said
    #[arg(long = "finetune-head-rate", value_name = "RATE", requires = "wanted")]
    head_rate: Option<f64>,
    /// What the learning rate is multiplied with for each stage or block further from the embedding, above 0; 1, which
    /// is none, if it is not said
    #[arg(long, value_name = "FACTOR", requires = "wanted")]
    layer_decay: Option<f64>,
    /// Optimiser of encoder and head, SGD with momentum 0.9 if it is not said
    #[arg(long = "finetune-optimiser", value_name = "NAME", requires = "wanted")]
    optimiser: Option<OptimiserName>,
    /// Passes over the training samples, 30 if it is not said
    #[arg(long, requires = "wanted")]
    epochs: Option<u32>,
    /// Samples of a step, 64 if it is not said; tasks about pixels have their own
    #[arg(long, requires = "wanted")]
    batch: Option<usize>,
    /// Weight decay of matrices and kernels, 0.0001 for SGD and 0.05 for AdamW if it is not said
    #[arg(long, requires = "wanted")]
    weight_decay: Option<f64>,
    /// Epochs in which the learning rates rise from 0, none if it is not said
    #[arg(long, value_name = "EPOCHS", requires = "wanted")]
    warm_up: Option<u32>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OptimiserName {
    Sgd,
    Adamw,
}

/// What an optimiser begins with where nothing else is said.
struct Usual {
    rate: f64,
    head_rate: f64,
    weight_decay: f64,
}

impl OptimiserName {
    /// SGD as in [`Configuration::fine_tuned`]; `AdamW` with the weight decay of `DeiT` (Touvron et
    /// al. 2020, arXiv 2012.12877).
    const fn usual(self) -> Usual {
        match self {
            Self::Sgd => Usual { rate: 0.01, head_rate: 0.01, weight_decay: 1e-4 },
            Self::Adamw => Usual { rate: 1e-4, head_rate: 1e-3, weight_decay: 0.05 },
        }
    }

    const fn kind(self, weight_decay: f64) -> Kind {
        match self {
            Self::Sgd => Kind::Sgd { momentum: 0.9, weight_decay },
            Self::Adamw => Kind::AdamW { weight_decay },
        }
    }
}

impl FineTune {
    /// The configurations for a task, one for each learning rate of the encoder; none where the
    /// encoder stays frozen.
    pub fn configurations(&self, task: &Task, seed: u64, protocol: Protocol) -> Option<Vec<Configuration>> {
        if !self.wanted {
            return None;
        }
        let optimiser = self.optimiser.unwrap_or(OptimiserName::Sgd);
        let usual = optimiser.usual();
        let rates = if self.rates.is_empty() { &[usual.rate][..] } else { &self.rates };
        let configuration = |rate: &f64| {
            let tuning = FineTuning {
                layer_decay: self.layer_decay.unwrap_or(1.0),
                warm_up: self.warm_up.map(|epochs| WarmUp { from: 0.0, epochs, steps: 0 }),
                ..FineTuning::at(*rate)
            };
            let plain = Configuration::fine_tuned(task, tuning, seed, protocol);
            Configuration {
                optimiser: optimiser.kind(self.weight_decay.unwrap_or(usual.weight_decay)),
                learning_rate: self.head_rate.unwrap_or(usual.head_rate),
                epochs: self.epochs.unwrap_or(plain.epochs),
                batch_size: self.batch.unwrap_or(plain.batch_size),
                ..plain
            }
        };
        Some(rates.iter().map(configuration).collect())
    }
}
