//! How long work tells what it does and learns that it should stop.

/// Receives progress. All methods have defaults, so `&()` is a silent listener.
pub trait Progress: Sync {
    /// A step such as `encoding` begins; it has `total` parts.
    fn begin(&self, _step: &str, _total: u64) {}
    /// `done` parts of the current step are done.
    fn advance(&self, _done: u64) {}
    /// An epoch ended.
    fn epoch(&self, _epoch: &EpochReport) {}
    /// Whether the work should stop soon.
    fn cancelled(&self) -> bool {
        false
    }
}

impl Progress for () {}

/// What an epoch brought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochReport {
    /// Number of the epoch, from 1.
    pub epoch: u32,
    /// Number of epochs in all.
    pub of: u32,
    /// Mean training loss.
    pub train_loss: f64,
    /// The task's metric on the test set, where it was computed.
    pub test_metric: Option<f64>,
}
