//! A results table: encoder x task -> score with its provenance.

use crate::protocol::Protocol;
use crate::statistics::Interval;
use serde::{Deserialize, Serialize};

/// Where a score comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Computed by Virboard from weights and data.
    Measured,
    /// Taken over from somebody else's results file.
    Imported,
}

impl Source {
    /// The word shown in tables and stored in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Imported => "imported",
        }
    }
}

/// How the frozen features were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// By the task's trained head.
    #[default]
    Head,
    /// By their nearest neighbours in the training set.
    Knn,
    /// By a logistic regression.
    Logistic,
}

impl Probe {
    /// `head`, `knn` or `logistic`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Knn => "knn",
            Self::Logistic => "logistic",
        }
    }

    /// The probe of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        [Self::Head, Self::Knn, Self::Logistic].into_iter().find(|p| p.name() == name)
    }
}

/// How a score came about. Everything that is needed to question it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Measured here or taken over.
    pub source: Source,
    /// SHA-256 of the encoder's weights.
    pub encoder_sha256: String,
    /// SHA-256 over the data set's samples and labels.
    pub dataset_sha256: String,
    /// How the features were read.
    #[serde(default)]
    pub probe: Probe,
    /// How it was trained and scored in detail.
    #[serde(default)]
    pub protocol: Protocol,
    /// Whether this is the answer among the configurations of its run.
    #[serde(default = "yes")]
    pub selected: bool,
    /// Training configuration as JSON.
    pub configuration: String,
    /// Seed of everything random.
    pub seed: u64,
    /// `cpu`, `cuda:0`...
    pub device: String,
    /// Version of Virboard.
    pub version: String,
    /// When the run ended, seconds since 1970, UTC.
    pub finished_at: i64,
    /// Wall-clock seconds of the run.
    pub seconds: f64,
    /// Number of test samples.
    pub test_samples: u64,
}

const fn yes() -> bool {
    true
}

/// One score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultCell {
    /// Key of the encoder.
    pub encoder: String,
    /// Key of the task.
    pub task: String,
    /// In the metric's own unit and sign.
    pub score: f64,
    /// Where it lies with a confidence of 95 % when test samples are drawn anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// The same metric of a predictor that always gives the best constant answer.
    pub constant: Option<f64>,
    /// How the score came about.
    pub provenance: Provenance,
}
