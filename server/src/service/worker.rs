//! Doing jobs in this process, and recording what comes of them.

mod pulse;
mod recorder;

pub use pulse::Presence;

use super::engine::{Asked, Card, Engine, EngineError, Failed, Lease, Outcome, pool_of};
use super::{OpenError, Settings};
use crate::store::{JobState, Offered, Store, StoreError};
use pulse::{Heard, Pulse};
use recorder::{Entered, Recorder};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use virboard_core::run::Run;
use virboard_lab::progress::Progress;
use virboard_lab::work::{Job, Lab, Record};

/// Why jobs were not done.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The work failed.
    #[error(transparent)]
    Lab(#[from] virboard_lab::Error),
    /// What came of it could not be recorded.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue could not be asked.
    #[error(transparent)]
    Engine(EngineError),
    /// The thread that works ended before its work.
    #[error("the work ended unexpectedly: {0}; what was finished is kept, start it again")]
    Ended(#[from] tokio::task::JoinError),
    /// What has to be done with its record failed.
    #[error("{0}")]
    Conclusion(Box<dyn std::error::Error + Send + Sync>),
    /// Somebody asked that the job stops.
    #[error("{title} was cancelled by {by}; run it again, or `virboard jobs retry` it")]
    Cancelled {
        /// What the job is called.
        title: String,
        /// The person.
        by: String,
    },
    /// Another worker has taken the job over.
    #[error("{0} was taken over by another worker, because this one was not heard of for too long")]
    Lost(String),
    /// The work stood still.
    #[error("{0} did not advance for {1} minutes and was left; is its device stuck?")]
    Stuck(String, u64),
}

impl From<EngineError> for WorkError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Store(error) => Self::Store(error),
            error @ EngineError::Work { .. } => Self::Engine(error),
        }
    }
}

impl WorkError {
    /// Whether it would end every other job too.
    #[must_use]
    pub fn ends_all(&self) -> bool {
        match self {
            Self::Lab(error) => matches!(error, virboard_lab::Error::Cancelled) || error.is_disk_full(),
            Self::Store(_) | Self::Ended(_) | Self::Stuck(..) => true,
            Self::Engine(_) | Self::Conclusion(_) | Self::Cancelled { .. } | Self::Lost(_) => false,
        }
    }

    /// Whether another attempt could only end the same: what was asked for cannot be done.
    #[must_use]
    pub fn lasts(&self) -> bool {
        use virboard_lab::Error as E;
        match self {
            Self::Engine(EngineError::Work { .. }) => true,
            Self::Lab(error) => matches!(
                error,
                E::NotCatalogued(_)
                    | E::Unknown { .. }
                    | E::Diverged { .. }
                    | E::RunDiverged { .. }
                    | E::NotTrainable { .. }
                    | E::NothingTrained { .. }
                    | E::FineTuning { .. }
                    | E::NothingToAlign { .. }
                    | E::NoBatch { .. }
                    | E::NoValue { .. }
                    | E::Unfit(_)
                    | E::Unsupported(_)
                    | E::Json { .. }
                    | E::NotDeclarable { .. }
                    | E::OtherNetwork { .. }
                    | E::Settings { .. }
                    | E::NoClasses
                    | E::WrongViews { .. }
                    | E::SavedState { .. }
            ),
            _ => false,
        }
    }
}

/// Marks the runs of killed processes, ends their leases and removes their unfinished files. Jobs on which another
/// process works are left alone.
pub async fn clean_up(settings: &Settings, store: &Store, engine: &Engine) -> Result<(), OpenError> {
    let folders = settings.folders();
    for (job, runs) in store.running_jobs().await? {
        if virboard_nn::files::try_lock(&folders.lock(&job))?.is_some() {
            store.interrupt_job(&job).await?;
            tracing::warn!(job, runs, "a killed process left this job; `virboard evaluate` takes it up again");
        }
    }
    for row in store.jobs().await?.iter().take_while(|row| row.state == JobState::Running) {
        if virboard_nn::files::try_lock(&folders.lock(&row.name))?.is_some() {
            engine.bury(row).await?;
        }
    }
    engine.sweep().await?;
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

/// A job that is about to be done by whoever holds its lock and its lease.
pub struct Claimed<'a> {
    /// The job.
    pub job: &'a Job,
    /// Its lease.
    pub lease: &'a Lease,
    /// What is said when its training begins.
    pub title: String,
    /// Whether it is done although its scores are there.
    pub again: bool,
}

/// What has to be done with a record before the job is finished.
pub type Conclude<'a> = &'a dyn Fn(&Record) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

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
    /// Whom jobs are claimed of.
    pub engine: &'a Engine,
    /// Who it is.
    pub card: &'a Card,
    /// Name of the person for whom it works; without one, jobs are others' and a failed one is tried again.
    pub person: Option<&'a str>,
}

/// Time until a job that failed is tried again.
const AGAIN: Duration = Duration::from_secs(30);

impl Worker<'_> {
    /// Does all jobs for a person. They stand in the queue meanwhile, where no other worker takes them. Jobs on which
    /// another process works are left for the end and then waited for; those with scores are left out, unless they are
    /// asked for `again`. A job that fails does not stop the others; its sentence is among the failures.
    /// Blocks; call it on a thread of its own.
    pub fn run_all(&self, jobs: &[Job], again: bool) -> Result<Done, WorkError> {
        self.runtime.block_on(self.announce(jobs, again))?;
        let mut done = Done::default();
        let mut busy = Vec::new();
        let mut take = |job: &Job, number: usize, again: bool| match self.run_own(job, (number, jobs.len()), again) {
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

    /// Does one job for a person. The caller holds its lock. Blocks; call it on a thread of its own.
    pub fn run_one(&self, job: &Job, conclude: Conclude<'_>) -> Result<Record, WorkError> {
        self.runtime.block_on(self.announce(std::slice::from_ref(job), true))?;
        let lease = self.take(job, true)?;
        self.run(&Claimed { job, lease: &lease, title: job.title.clone(), again: true }, conclude)
    }

    /// Does one of several jobs, whose lock is held; `place` is its number among how many.
    fn run_own(&self, job: &Job, place: (usize, usize), again: bool) -> Result<Vec<Run>, WorkError> {
        let lease = self.take(job, again)?;
        let title = format!("[{}/{}] {}", place.0, place.1, job.title);
        Ok(self.run(&Claimed { job, lease: &lease, title, again }, &|_| Ok(()))?.runs)
    }

    fn asked(&self, anew: bool) -> Asked {
        let by = self.person.unwrap_or(&self.card.name).to_owned();
        Asked { by, pool: pool_of(&self.card.name), priority: 0, anew, again: true }
    }

    /// Puts jobs into the queue. What has finished stays so until its turn comes, however this command ends.
    async fn announce(&self, jobs: &[Job], anew: bool) -> Result<(), WorkError> {
        let asked = self.asked(anew);
        let there = self.engine.offer(jobs, &Asked { again: false, ..asked.clone() }).await?;
        let given_up = |offered| matches!(offered, Offered::There(JobState::Failed | JobState::Cancelled));
        let again: Vec<Job> =
            jobs.iter().zip(there).filter(|(_, offered)| given_up(*offered)).map(|(job, _)| job.clone()).collect();
        self.engine.offer(&again, &asked).await?;
        Ok(())
    }

    /// Claims a job whose lock is held, and asks for it where nobody has. Somebody may have cancelled it since it was
    /// asked for.
    fn take(&self, job: &Job, again: bool) -> Result<Lease, WorkError> {
        let name = job.name();
        self.runtime.block_on(async {
            loop {
                if let Some(lease) = self.engine.take(&name, self.card).await? {
                    return Ok(lease);
                }
                if let Some(row) = self.engine.job(&name).await?
                    && let (JobState::Cancelled, Some(by)) = (row.state, row.cancel_by)
                {
                    return Err(WorkError::Cancelled { title: job.title.clone(), by });
                }
                self.engine.offer(std::slice::from_ref(job), &self.asked(again)).await?;
            }
        })
    }

    /// Does a job and records what comes of it, after `conclude` has done with the record what its kind needs. The
    /// caller holds its lock. Blocks; call it on a thread of its own.
    pub fn run(&self, claimed: &Claimed<'_>, conclude: Conclude<'_>) -> Result<Record, WorkError> {
        let Claimed { job, lease, title, again } = claimed;
        let name = job.name();
        self.runtime.block_on(self.store.interrupt_job(&name))?;
        let pulse = Pulse::start(self.runtime, self.engine, lease);
        // Epochs go to the store while training goes on.
        let (epochs, mut receiver) = tokio::sync::mpsc::unbounded_channel::<Entered>();
        let writer = self.runtime.spawn({
            let (store, claim) = (self.store.clone(), lease.claim());
            async move {
                while let Some(Entered { run, epoch, of }) = receiver.recv().await {
                    if let Err(error) = store.add_epoch(&claim, run, epoch, of, crate::store::now()).await {
                        tracing::warn!(%error, "an epoch could not be stored");
                    }
                }
            }
        });
        let recorder = Recorder {
            worker: self,
            pulse: &pulse,
            name,
            title: title.clone(),
            again: *again,
            epochs,
            begun: Mutex::new(Ok(Vec::new())),
            lines: Mutex::default(),
        };
        let outcome = job.run(self.lab, &recorder);
        let Recorder { begun, epochs, lines, .. } = recorder;
        drop(epochs);
        if let Err(error) = self.runtime.block_on(writer) {
            tracing::warn!(%error, "the writer of epochs failed");
        }
        let lines = lines.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (begun, outcome) = match begun.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Ok(begun) => (begun, outcome.map_err(WorkError::from)),
            Err(error) => (Vec::new(), Err(error.into())),
        };
        let outcome = outcome.and_then(|record| {
            conclude(&record).map_err(WorkError::Conclusion)?;
            Ok(record)
        });
        let outcome = outcome.and_then(|record| self.finish(claimed, &begun, record));
        outcome.map_err(|error| self.settle(claimed, error, &pulse.heard(), (&begun, lines)))
    }

    fn finish(&self, claimed: &Claimed<'_>, begun: &[i64], mut record: Record) -> Result<Record, WorkError> {
        for (run, number) in record.runs.iter_mut().zip(begun) {
            run.score.run = Some(*number);
        }
        let outcome = Outcome { begun, runs: &record.runs };
        if !self.runtime.block_on(self.engine.finish(claimed.lease, outcome))? {
            return Err(WorkError::Lost(claimed.job.title.clone()));
        }
        claimed.job.finish(&self.lab.folders);
        Ok(record)
    }

    /// Says in the queue how a job ended that is not done, and gives the reason as its caller should know it.
    fn settle(
        &self,
        claimed: &Claimed<'_>,
        error: WorkError,
        heard: &Heard,
        (begun, lines): (&[i64], VecDeque<String>),
    ) -> WorkError {
        let Claimed { job, lease, .. } = claimed;
        let stopped = matches!(error, WorkError::Lab(virboard_lab::Error::Cancelled)) && *heard != Heard::Lost;
        let minutes = self.engine.timing().stall.as_secs() / 60;
        let error = match (stopped, heard) {
            (true, Heard::Cancel(by)) => WorkError::Cancelled { title: job.title.clone(), by: by.clone() },
            (false, Heard::Lost) => WorkError::Lost(job.title.clone()),
            (true, Heard::Stuck) => WorkError::Stuck(job.title.clone(), minutes),
            _ => error,
        };
        let told = self.runtime.block_on(async {
            if stopped {
                self.store.interrupt_job(&lease.row.name).await?;
            } else if !matches!(error, WorkError::Lost(_)) {
                for run in begun {
                    self.store.fail_run(*run, &error.to_string()).await?;
                }
            }
            match &error {
                WorkError::Lost(_) => {}
                WorkError::Cancelled { by, .. } => {
                    self.engine.stopped(lease, by).await?;
                }
                WorkError::Lab(virboard_lab::Error::Cancelled) => {
                    self.engine.release(lease, Duration::ZERO, "its worker was asked to stop").await?;
                }
                error if error.ends_all() && self.person.is_none() => {
                    // Not the job's fault, and the next one would meet it too.
                    self.engine.release(lease, AGAIN, &error.to_string()).await?;
                }
                error => {
                    let again = (self.person.is_none() && !error.lasts()).then_some(AGAIN);
                    let failed = Failed { reason: error.to_string(), lines: lines.into(), again };
                    self.engine.fail(lease, &failed).await?;
                }
            }
            Ok::<_, WorkError>(())
        });
        if let Err(untold) = told {
            tracing::error!(job = lease.row.name, %untold, "how a job ended could not be recorded");
        }
        error
    }
}
