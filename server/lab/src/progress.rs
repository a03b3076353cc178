//! How long work tells what it does and learns that it should stop.

use serde::{Deserialize, Serialize};

/// Receives progress. All methods have defaults, so `&()` is a silent listener.
pub trait Progress: Sync {
    /// A step such as `encoding` begins; it has `total` parts.
    fn begin(&self, _step: &str, _total: u64) {}
    /// `done` parts of the current step are done.
    fn advance(&self, _done: u64) {}
    /// An epoch of the `member`-th of the configurations that are trained side by side ended.
    fn epoch(&self, _member: usize, _epoch: &EpochReport) {}
    /// Whether the work should stop soon.
    fn cancelled(&self) -> bool {
        false
    }
}

impl Progress for () {}

/// What an epoch brought.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// Number of the epoch, from 1.
    pub epoch: u32,
    /// Number of epochs in all.
    pub of: u32,
    /// Mean training loss.
    pub train_loss: f64,
    /// The task's metric on the test set (on the held-out samples, where some are held out),
    /// where it was computed.
    pub test_metric: Option<f64>,
}
