//! How firm a score is over seeds.

use serde::{Deserialize, Serialize};

/// How far scores of one configuration under several seeds lie apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Key of the encoder.
    pub encoder: String,
    /// Key of the task.
    pub task: String,
    /// Seeds.
    pub seeds: u32,
    /// Standard deviation of the score (of a sample, n - 1).
    pub deviation: f64,
}
