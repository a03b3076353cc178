//! Doing jobs in this process, and recording what comes of them.

use super::{OpenError, Settings};
use crate::store::{Store, StoreError};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use virboard_core::run::{Epoch, Evidence, Run};
use virboard_lab::progress::Progress;
use virboard_lab::work::{Job, Lab};

/// Why jobs were not done.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The work failed.
    #[error(transparent)]
    Lab(#[from] virboard_lab::Error),
    /// What came of it could not be recorded.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread that works ended before its work.
    #[error("the work ended unexpectedly: {0}; what was finished is kept, start it again")]
    Ended(#[from] tokio::task::JoinError),
}

impl WorkError {
    /// Whether it would end every other job too.
    fn ends_all(&self) -> bool {
        match self {
            Self::Lab(error) => matches!(error, virboard_lab::Error::Cancelled) || error.is_disk_full(),
            Self::Store(_) | Self::Ended(_) => true,
        }
    }
}

/// Marks the runs of killed processes and removes their unfinished files. Jobs on which
/// another process works are left alone.
pub async fn clean_up(settings: &Settings, store: &Store) -> Result<(), OpenError> {
    let folders = settings.folders();
    for (job, runs) in store.running_jobs().await? {
        if virboard_nn::files::try_lock(&folders.lock(&job))?.is_some() {
            store.interrupt_job(&job).await?;
            tracing::warn!(job, runs, "a killed process left this job; `virboard evaluate` takes it up again");
        }
    }
    for folder in [folders.cache.folder.clone(), folders.heads(), folders.runs(), folders.predictions()] {
        clean(&folder, 2);
    }
    Ok(())
}

fn clean(folder: &Path, depth: usize) {
    match virboard_nn::files::remove_unfinished(folder) {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, folder = %folder.display(), "unfinished files were removed"),
        Err(error) => tracing::warn!(%error, "unfinished files could not be removed"),
    }
    if depth > 0 {
        let inner = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
        inner.filter(|p| p.is_dir()).for_each(|p| clean(&p, depth - 1));
    }
}

/// What came of all jobs.
#[derive(Debug, Default)]
pub struct Done {
    /// Runs with their scores.
    pub runs: Vec<Run>,
    /// A sentence for every job that failed.
    pub failures: Vec<String>,
}

/// Does jobs.
pub struct Worker<'a> {
    /// What work has at hand.
    pub lab: &'a Lab,
    /// The database.
    pub store: &'a Store,
    /// For the store's calls.
    pub runtime: &'a Handle,
    /// Hears what happens.
    pub progress: &'a dyn Progress,
}

impl Worker<'_> {
    /// Does all jobs. Jobs on which another process works are left for the end and then
    /// waited for; those with scores are left out, unless they are asked for `again`. A job
    /// that fails does not stop the others; its sentence is among the failures.
    /// Blocks; call it on a thread of its own.
    pub fn run_all(&self, jobs: &[Job], again: bool) -> Result<Done, WorkError> {
        let mut done = Done::default();
        let mut busy = Vec::new();
        let mut take = |job: &Job, number: usize, again: bool| match self.run(job, (number, jobs.len()), again) {
            Ok(runs) => {
                done.runs.extend(runs);
                Ok(())
            }
            Err(error) if error.ends_all() => Err(error),
            Err(error) => {
                done.failures.push(error.to_string());
                Ok(())
            }
        };
        for (i, job) in jobs.iter().enumerate() {
            match job.try_lock(&self.lab.folders)? {
                Some(_lock) => take(job, i + 1, again)?,
                None => busy.push((i, job)),
            }
        }
        for (i, job) in busy {
            let _lock = job.lock(&self.lab.folders)?;
            // What the other process finished is not done again.
            take(job, i + 1, false)?;
        }
        Ok(done)
    }

    /// Does one job, whose lock is held; `place` is its number among how many.
    fn run(&self, job: &Job, place: (usize, usize), again: bool) -> Result<Vec<Run>, WorkError> {
        let name = job.name();
        self.runtime.block_on(self.store.interrupt_job(&name))?;
        // Epochs go to the store while training goes on.
        let (epochs, mut receiver) = tokio::sync::mpsc::unbounded_channel::<(i64, Epoch)>();
        let writer = self.runtime.spawn({
            let store = self.store.clone();
            async move {
                while let Some((run, epoch)) = receiver.recv().await {
                    if let Err(error) = store.add_epoch(run, epoch).await {
                        tracing::warn!(%error, "an epoch could not be stored");
                    }
                }
            }
        });
        let title = format!("[{}/{}] {}", place.0, place.1, job.title);
        let recorder = Recorder { worker: self, name, title, again, epochs, begun: Mutex::new(Ok(Vec::new())) };
        let outcome = job.run(self.lab, &recorder);
        let Recorder { begun, epochs, .. } = recorder;
        drop(epochs);
        if let Err(error) = self.runtime.block_on(writer) {
            tracing::warn!(%error, "the writer of epochs failed");
        }
        let begun = begun.into_inner().unwrap_or_else(PoisonError::into_inner)?;
        match outcome {
            Ok(record) => {
                let mut runs = record.runs;
                for (run, number) in runs.iter_mut().zip(&begun) {
                    run.score.run = Some(*number);
                }
                self.runtime.block_on(self.store.finish_job(&begun, &runs))?;
                job.finish(&self.lab.folders);
                Ok(runs)
            }
            Err(error @ virboard_lab::Error::Cancelled) => Err(error.into()),
            Err(error) => {
                for run in begun {
                    self.runtime.block_on(self.store.fail_run(run, &error.to_string()))?;
                }
                Err(error.into())
            }
        }
    }
}

/// Passes on what happens, and enters runs and epochs.
struct Recorder<'a> {
    worker: &'a Worker<'a>,
    /// Of the job.
    name: String,
    /// What is said when the job begins.
    title: String,
    again: bool,
    epochs: UnboundedSender<(i64, Epoch)>,
    /// Numbers of the runs that were begun, or why none was.
    begun: Mutex<Result<Vec<i64>, StoreError>>,
}

impl Recorder<'_> {
    /// Enters runs; none, if all of them have scores.
    async fn enter(&self, encoder: &str, task: &str, runs: &[Evidence]) -> Result<Vec<i64>, StoreError> {
        let Worker { store, progress, .. } = self.worker;
        if !self.again && store.has_scores(encoder, task, runs).await? {
            progress.say(&format!("{encoder} on {task}: done before; --again does it anew"));
            return Ok(Vec::new());
        }
        progress.say(&self.title);
        let mut numbers = Vec::with_capacity(runs.len());
        for evidence in runs {
            numbers.push(store.begin_run(&self.name, encoder, task, evidence).await?);
        }
        Ok(numbers)
    }
}

impl Progress for Recorder<'_> {
    fn begin(&self, step: &str, total: u64) {
        self.worker.progress.begin(step, total);
    }

    fn advance(&self, done: u64) {
        self.worker.progress.advance(done);
    }

    fn say(&self, sentence: &str) {
        self.worker.progress.say(sentence);
    }

    fn runs(&self, encoder: &str, task: &str, runs: &[Evidence]) -> bool {
        let begun = self.worker.runtime.block_on(self.enter(encoder, task, runs));
        let goes_on = begun.as_ref().is_ok_and(|numbers| numbers.len() == runs.len());
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = begun;
        goes_on
    }

    fn epoch(&self, member: usize, epoch: &Epoch, of: u32) {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = begun.as_ref().ok().and_then(|numbers| numbers.get(member)) {
            // The writer ends only after this.
            let _ = self.epochs.send((*run, *epoch));
        }
        self.worker.progress.epoch(member, epoch, of);
    }

    fn cancelled(&self) -> bool {
        self.worker.progress.cancelled()
    }
}
