//! What happens while a job is done: passed on, and entered.

use super::Worker;
use super::pulse::Pulse;
use crate::store::StoreError;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc::UnboundedSender;
use virboard_core::run::{Epoch, Evidence};
use virboard_lab::progress::Progress;

/// Lines that are kept of what a job said, for the case that it fails.
const LINES: usize = 200;

/// An epoch of a run.
pub struct Entered {
    /// Number of the run.
    pub run: i64,
    /// The epoch.
    pub epoch: Epoch,
    /// Epochs in all.
    pub of: u32,
}

/// Passes on what happens, and enters runs and epochs.
pub struct Recorder<'a> {
    pub worker: &'a Worker<'a>,
    pub pulse: &'a Pulse,
    /// Of the job.
    pub name: String,
    /// What is said when its training begins.
    pub title: String,
    /// Whether it is done although its scores are there.
    pub again: bool,
    pub epochs: UnboundedSender<Entered>,
    /// Numbers of the runs that were begun, or why none was.
    pub begun: Mutex<Result<Vec<i64>, StoreError>>,
    /// What was said last.
    pub lines: Mutex<VecDeque<String>>,
}

impl Recorder<'_> {
    /// Enters runs; none, if all of them have scores.
    async fn enter(&self, encoder: &str, task: &str, runs: &[Evidence]) -> Result<Vec<i64>, StoreError> {
        let store = self.worker.store;
        if !self.again && store.has_scores(encoder, task, runs).await? {
            self.say(&format!("{encoder} on {task}: done before; --again does it anew"));
            return Ok(Vec::new());
        }
        self.say(&self.title);
        let mut numbers = Vec::with_capacity(runs.len());
        for evidence in runs {
            numbers.push(store.begin_run(&self.name, encoder, task, evidence).await?);
        }
        Ok(numbers)
    }
}

impl Progress for Recorder<'_> {
    fn begin(&self, step: &str, total: u64) {
        self.pulse.stage(|stage| {
            step.clone_into(&mut stage.name);
            (stage.done, stage.total) = (0, total);
        });
        self.worker.progress.begin(step, total);
    }

    fn advance(&self, done: u64) {
        self.pulse.stage(|stage| stage.done = done);
        self.worker.progress.advance(done);
    }

    fn say(&self, sentence: &str) {
        self.pulse.advance();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(sentence.to_owned());
        self.worker.progress.say(sentence);
    }

    fn runs(&self, encoder: &str, task: &str, runs: &[Evidence]) -> bool {
        let begun = self.worker.runtime.block_on(self.enter(encoder, task, runs));
        let goes_on = begun.as_ref().is_ok_and(|numbers| numbers.len() == runs.len());
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = begun;
        goes_on
    }

    fn epoch(&self, member: usize, epoch: &Epoch, of: u32) {
        self.pulse.advance();
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = begun.as_ref().ok().and_then(|numbers| numbers.get(member)) {
            // The writer ends only after this.
            let _ = self.epochs.send(Entered { run: *run, epoch: *epoch, of });
        }
        self.worker.progress.epoch(member, epoch, of);
    }

    fn cancelled(&self) -> bool {
        // Whoever asks is at work; not one who is stopped and waits.
        self.pulse.advance();
        self.pulse.stops() || self.worker.progress.cancelled()
    }
}
