//! How long work tells what it does and learns that it should stop.

use virboard_core::run::{Epoch, Evidence};

/// Receives progress. All methods have defaults, so `&()` is a silent listener.
pub trait Progress: Sync {
    /// A step such as `encoding` begins; it has `total` parts.
    fn begin(&self, _step: &str, _total: u64) {}
    /// `done` parts of the current step are done.
    fn advance(&self, _done: u64) {}
    /// An epoch, of `of`, of the `member`-th of the configurations that are trained side by side
    /// ended.
    fn epoch(&self, _member: usize, _epoch: &Epoch, _of: u32) {}
    /// Something that people may want to know, as a sentence.
    fn say(&self, _sentence: &str) {}
    /// The trainings of an encoder on a task that are about to begin, with all that is known of
    /// them beforehand. Whoever keeps records enters them here, or answers `false` where all of
    /// them have been done before, and then the work ends.
    fn runs(&self, _encoder: &str, _task: &str, _runs: &[Evidence]) -> bool {
        true
    }
    /// Whether the work should stop soon.
    fn cancelled(&self) -> bool {
        false
    }
}

impl Progress for () {}
