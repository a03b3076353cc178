//! Who does which job: the queue, its leases and what is told of them.
//!
//! The interface is what workers and pages know; behind it stands the table of jobs of one data folder ([`Local`]).
//! A lease is one claim of a job. Its number is the fence: whoever holds an older one can neither keep, nor finish, nor
//! fail the job any more.

mod local;

pub use local::{Clock, Local, Timing};

use crate::store::{Claim, Event, JobRow, JobState, Offered, Stage, StoreError, WorkerRow};
use std::time::Duration;
use virboard_core::run::Run;
use virboard_lab::work::Job;

/// Why the queue did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The table could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What waits cannot be read as work.
    #[error("the work of {job} cannot be read: {source}; cancel it and ask for it again")]
    Work {
        /// Name of the job.
        job: String,
        /// Where and why.
        source: serde_json::Error,
    },
}

type Result<T> = std::result::Result<T, EngineError>;

/// The pool of jobs that any worker may take.
pub const ANY: &str = "any";

/// The pool of one worker alone.
#[must_use]
pub fn pool_of(worker: &str) -> String {
    format!("@{worker}")
}

/// A worker, as it makes itself known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Its name; no two that live have the same.
    pub name: String,
    /// Name of the machine.
    pub host: String,
    /// Where it computes.
    pub device: String,
    /// Pools whose jobs it takes.
    pub pools: Vec<String>,
}

/// How a job is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Name of the person.
    pub by: String,
    /// Workers of which pool may take it.
    pub pool: String,
    /// The highest is done first.
    pub priority: i64,
    /// Whether it is done although its scores are there.
    pub anew: bool,
    /// Whether one that has ended waits again.
    pub again: bool,
}

/// A claim of a job, as long as its worker is heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The job as it was claimed.
    pub row: JobRow,
}

impl Lease {
    /// The claim.
    #[must_use]
    pub fn claim(&self) -> Claim {
        Claim { job: self.row.name.clone(), attempt: self.row.attempt }
    }

    /// The work.
    ///
    /// # Errors
    /// [`EngineError::Work`].
    pub fn job(&self) -> Result<Job> {
        job_of(&self.row)
    }
}

/// The work of a row.
///
/// # Errors
/// [`EngineError::Work`].
pub fn job_of(row: &JobRow) -> Result<Job> {
    let work = serde_json::from_str(&row.work).map_err(|source| EngineError::Work { job: row.name.clone(), source })?;
    Ok(Job { kind: row.kind.clone(), key: row.key.clone(), title: row.title.clone(), work })
}

/// What a worker hears of its lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beat {
    /// It has it.
    Goes,
    /// Somebody, by name, asked that the job stops.
    Cancel(String),
    /// The job is somebody else's now, or nobody's.
    Lost,
}

/// What came of a job.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// Numbers of the runs that were begun.
    pub begun: &'a [i64],
    /// Runs with their scores; first those that were begun.
    pub runs: &'a [Run],
}

/// How an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// A sentence.
    pub reason: String,
    /// What was said last.
    pub lines: Vec<String>,
    /// After how long the next attempt may begin; without it there is none.
    pub again: Option<Duration>,
}

/// Who does which job. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Engine {
    /// The table of jobs of one data folder, for the processes that work in it.
    Local(Local),
}

impl Engine {
    /// Puts jobs into the queue, all or none. A job is there once, by its name: what waits or runs stays as it is, and
    /// what has ended waits again only if it is asked for `again`.
    pub async fn offer(&self, jobs: &[Job], asked: &Asked) -> Result<Vec<Offered>> {
        match self {
            Self::Local(local) => local.offer(jobs, asked).await,
        }
    }

    /// Takes back a job that waits; `false` if it does not wait.
    pub async fn withdraw(&self, job: &str, by: &str) -> Result<bool> {
        match self {
            Self::Local(local) => local.withdraw(job, by).await,
        }
    }

    /// Cancels a job that waits, or asks the worker of a running one to stop. Gives the state in which it was; `None`
    /// if there is no such job.
    pub async fn cancel(&self, job: &str, by: &str) -> Result<Option<JobState>> {
        match self {
            Self::Local(local) => local.cancel(job, by).await,
        }
    }

    /// The next job of the worker's pools, if one waits: the highest priority first, of these the one that waits longest.
    pub async fn claim(&self, worker: &Card) -> Result<Option<Lease>> {
        match self {
            Self::Local(local) => local.claim(worker).await,
        }
    }

    /// A job by its name, for a worker that holds its lock: whoever is said to run it has died. `None` if it has ended.
    pub async fn take(&self, job: &str, worker: &Card) -> Result<Option<Lease>> {
        match self {
            Self::Local(local) => local.take(job, worker).await,
        }
    }

    /// Keeps a lease for its whole time, and says what the worker does.
    pub async fn beat(&self, lease: &Lease, stage: &Stage) -> Result<Beat> {
        match self {
            Self::Local(local) => local.beat(lease, stage).await,
        }
    }

    /// Hears of a lease without keeping it; cheaper than [`Self::beat`].
    pub async fn look(&self, lease: &Lease) -> Result<Beat> {
        match self {
            Self::Local(local) => local.look(lease).await,
        }
    }

    /// Ends a job and records what came of it, all or nothing; `false` if the lease was lost.
    pub async fn finish(&self, lease: &Lease, outcome: Outcome<'_>) -> Result<bool> {
        match self {
            Self::Local(local) => local.finish(lease, outcome).await,
        }
    }

    /// Ends an attempt that failed: the job waits for the next one, or has failed. `None` if the lease was lost.
    pub async fn fail(&self, lease: &Lease, failed: &Failed) -> Result<Option<JobState>> {
        match self {
            Self::Local(local) => local.fail(lease, failed).await,
        }
    }

    /// Gives a job back, to be claimed after a while; the attempt does not count. `false` if the lease was lost.
    pub async fn release(&self, lease: &Lease, after: Duration, reason: &str) -> Result<bool> {
        match self {
            Self::Local(local) => local.release(lease, after, reason).await,
        }
    }

    /// Ends a job whose worker stopped because somebody asked for it; `false` if the lease was lost.
    pub async fn stopped(&self, lease: &Lease, by: &str) -> Result<bool> {
        match self {
            Self::Local(local) => local.stopped(lease, by).await,
        }
    }

    /// Ends leases whose workers are not heard of any more; gives how many.
    pub async fn sweep(&self) -> Result<u64> {
        match self {
            Self::Local(local) => local.sweep().await,
        }
    }

    /// Ends a lease whose worker is known to have died: it does not hold the lock of the job any more. Claims of the
    /// last seconds are left alone, since their workers may be about to take it.
    pub async fn bury(&self, row: &JobRow) -> Result<bool> {
        match self {
            Self::Local(local) => local.bury(row).await,
        }
    }

    /// At most so many events after the one of this number, in order; 0 for the first.
    pub async fn events(&self, after: i64, most: u32) -> Result<Vec<Event>> {
        match self {
            Self::Local(local) => local.events(after, most).await,
        }
    }

    /// Makes a worker known, and says that it lives.
    pub async fn seen(&self, worker: &Card) -> Result<()> {
        match self {
            Self::Local(local) => local.seen(worker).await,
        }
    }

    /// Forgets a worker that ends.
    pub async fn leave(&self, worker: &str) -> Result<()> {
        match self {
            Self::Local(local) => local.leave(worker).await,
        }
    }

    /// Lets a worker finish what it has and take nothing more, or takes that back; `false` if there is none.
    pub async fn drain(&self, worker: &str, draining: bool) -> Result<bool> {
        match self {
            Self::Local(local) => local.drain(worker, draining).await,
        }
    }

    /// The workers, with the job that each has.
    pub async fn workers(&self) -> Result<Vec<WorkerRow>> {
        match self {
            Self::Local(local) => local.workers().await,
        }
    }

    /// A job by its name.
    pub async fn job(&self, name: &str) -> Result<Option<JobRow>> {
        match self {
            Self::Local(local) => local.job(name).await,
        }
    }

    /// How long things take here.
    #[must_use]
    pub fn timing(&self) -> Timing {
        match self {
            Self::Local(local) => local.timing(),
        }
    }
}
