//! The queue in the database of one data folder.

use super::{Asked, Beat, Card, Failed, Lease, Outcome, Result};
use crate::store::{
    Claim, Claimant, Event, Happened, JobRow, JobState, Kept, Leaving, NewJob, Offered, Stage, Store, WorkerRow, now,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use virboard_lab::work::Job;

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// After which a worker that is not heard of has lost its job.
    pub lease: Duration,
    /// Between two signs of life.
    pub beat: Duration,
    /// After which work that does not advance is no sign of life any more.
    pub stall: Duration,
    /// Between two looks for a cancelled job, or for one to claim.
    pub look: Duration,
    /// Attempts of a job before it is given up.
    pub attempts: i64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_mins(1),
            beat: Duration::from_secs(20),
            stall: Duration::from_mins(30),
            look: Duration::from_secs(2),
            attempts: 3,
        }
    }
}

/// The time, which tests let pass.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    ahead: Arc<AtomicI64>,
}

impl Clock {
    /// Seconds since 1970, UTC.
    #[must_use]
    pub fn now(&self) -> i64 {
        now() + self.ahead.load(Ordering::SeqCst)
    }

    /// Lets time pass, in seconds.
    pub fn pass(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }
}

/// Claims of the last seconds are not taken for dead, since their workers may be about to take the lock.
const SETTLES: i64 = 5;
/// Seconds after which workers that are not heard of are forgotten.
const FORGOTTEN: i64 = 86_400;

/// The queue in the database of one data folder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Local {
    store: Store,
    timing: Timing,
    clock: Clock,
}

impl Local {
    /// That of a database.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self::with(store, Timing::default(), Clock::default())
    }

    /// The same with other times.
    #[must_use]
    pub fn with(store: Store, timing: Timing, clock: Clock) -> Self {
        Self { store, timing, clock }
    }

    pub(super) const fn timing(&self) -> Timing {
        self.timing
    }

    pub(super) async fn offer(&self, jobs: &[Job], asked: &Asked) -> Result<Vec<Offered>> {
        let new = |job: &Job| NewJob {
            name: job.name(),
            kind: job.kind.clone(),
            key: job.key.clone(),
            title: job.title.clone(),
            work: job.work.to_string(),
            anew: asked.anew,
            priority: asked.priority,
            pool: asked.pool.clone(),
            asked_by: asked.by.clone(),
        };
        let jobs: Vec<NewJob> = jobs.iter().map(new).collect();
        Ok(self.store.offer_jobs(&jobs, asked.again, self.timing.attempts, self.clock.now()).await?)
    }

    pub(super) async fn withdraw(&self, job: &str, by: &str) -> Result<bool> {
        Ok(self.store.cancel_job(job, by, false, self.clock.now()).await? == Some(JobState::Queued))
    }

    pub(super) async fn cancel(&self, job: &str, by: &str) -> Result<Option<JobState>> {
        Ok(self.store.cancel_job(job, by, true, self.clock.now()).await?)
    }

    fn claimant<'a>(&self, worker: &'a Card) -> Claimant<'a> {
        let at = self.clock.now();
        Claimant { worker: &worker.name, at, until: at + self.timing.lease.as_secs() as i64 }
    }

    pub(super) async fn claim(&self, worker: &Card) -> Result<Option<Lease>> {
        let row = self.store.claim_job(self.claimant(worker), &worker.pools).await?;
        Ok(row.map(|row| Lease { row }))
    }

    pub(super) async fn take(&self, job: &str, worker: &Card) -> Result<Option<Lease>> {
        let row = self.store.take_job(job, self.claimant(worker)).await?;
        Ok(row.map(|row| Lease { row }))
    }

    pub(super) async fn beat(&self, lease: &Lease, stage: &Stage) -> Result<Beat> {
        let at = self.clock.now();
        let until = at + self.timing.lease.as_secs() as i64;
        Ok(heard(self.store.beat_job(&lease.claim(), stage, at, until).await?))
    }

    pub(super) async fn look(&self, lease: &Lease) -> Result<Beat> {
        Ok(heard(self.store.look_at_job(&lease.claim()).await?))
    }

    pub(super) async fn finish(&self, lease: &Lease, outcome: Outcome<'_>) -> Result<bool> {
        Ok(self.store.finish_job(&lease.claim(), outcome.begun, outcome.runs, self.clock.now()).await?)
    }

    pub(super) async fn fail(&self, lease: &Lease, failed: &Failed) -> Result<Option<JobState>> {
        let at = self.clock.now();
        let again = failed.again.filter(|_| lease.row.attempt < lease.row.most_attempts);
        let state = if again.is_some() { JobState::Queued } else { JobState::Failed };
        let lines = if failed.lines.is_empty() { None } else { Some(failed.lines.clone()) };
        let said = [
            ("reason", failed.reason.as_str().into()),
            ("worker", lease.row.worker.clone().into()),
            ("lines", lines.into()),
        ];
        let kind = if again.is_some() { "attempt-failed" } else { "failed" };
        let leaving = Leaving {
            state,
            reason: failed.reason.clone(),
            not_before: at + again.unwrap_or_default().as_secs() as i64,
            counts: true,
            event: Happened::new(kind, &said),
        };
        Ok(self.store.leave_job(&lease.claim(), &leaving, at).await?.then_some(state))
    }

    pub(super) async fn release(&self, lease: &Lease, after: Duration, reason: &str) -> Result<bool> {
        let at = self.clock.now();
        let said = [("reason", reason.into()), ("worker", lease.row.worker.clone().into())];
        let leaving = Leaving {
            state: JobState::Queued,
            reason: reason.to_owned(),
            not_before: at + after.as_secs() as i64,
            counts: false,
            event: Happened::new("released", &said),
        };
        Ok(self.store.leave_job(&lease.claim(), &leaving, at).await?)
    }

    pub(super) async fn stopped(&self, lease: &Lease, by: &str) -> Result<bool> {
        Ok(self.store.leave_job(&lease.claim(), &cancelled(by), self.clock.now()).await?)
    }

    pub(super) async fn sweep(&self) -> Result<u64> {
        let at = self.clock.now();
        let mut ended = 0;
        for row in self.store.silent_jobs(at).await? {
            let reason = format!(
                "its worker {} has not been heard of for {} s",
                row.worker.as_deref().unwrap_or("without a name"),
                self.timing.lease.as_secs()
            );
            ended += u64::from(self.lose(&row, &reason, at).await?);
        }
        let reason = "the command that asked for it has ended before; run it again, or `virboard jobs retry` it";
        ended += self.store.cancel_orphans(at - self.timing.lease.as_secs() as i64, reason, at).await?;
        self.store.forget_workers(at - FORGOTTEN).await?;
        Ok(ended)
    }

    pub(super) async fn bury(&self, row: &JobRow) -> Result<bool> {
        let at = self.clock.now();
        if row.state != JobState::Running || row.claimed_at.is_some_and(|claimed| claimed > at - SETTLES) {
            return Ok(false);
        }
        let worker = row.worker.as_deref().unwrap_or("without a name");
        self.lose(row, &format!("the process of its worker {worker} has ended"), at).await
    }

    /// Ends the lease of a worker that died. The attempt counts: a job may be what it died of.
    async fn lose(&self, row: &JobRow, reason: &str, at: i64) -> Result<bool> {
        let claim = Claim { job: row.name.clone(), attempt: row.attempt };
        let leaving = if let Some(by) = &row.cancel_by {
            cancelled(by)
        } else {
            let given_up = row.attempt >= row.most_attempts;
            Leaving {
                state: if given_up { JobState::Failed } else { JobState::Queued },
                reason: reason.to_owned(),
                not_before: at,
                counts: true,
                event: Happened::new(if given_up { "failed" } else { "lost" }, &[("reason", reason.into())]),
            }
        };
        let lost = self.store.leave_job(&claim, &leaving, at).await?;
        if lost {
            tracing::warn!(job = row.name, attempt = row.attempt, reason, "a job lost its worker");
        }
        Ok(lost)
    }

    pub(super) async fn events(&self, after: i64, most: u32) -> Result<Vec<Event>> {
        Ok(self.store.events(after, most).await?)
    }

    pub(super) async fn seen(&self, worker: &Card) -> Result<()> {
        let row = WorkerRow {
            name: worker.name.clone(),
            host: worker.host.clone(),
            device: worker.device.clone(),
            version: crate::VERSION.to_owned(),
            pools: worker.pools.join(","),
            seen_at: self.clock.now(),
            draining: false,
            job: None,
        };
        Ok(self.store.see_worker(&row).await?)
    }

    pub(super) async fn leave(&self, worker: &str) -> Result<()> {
        Ok(self.store.remove_worker(worker).await?)
    }

    pub(super) async fn drain(&self, worker: &str, draining: bool) -> Result<bool> {
        Ok(self.store.drain_worker(worker, draining).await?)
    }

    pub(super) async fn workers(&self) -> Result<Vec<WorkerRow>> {
        Ok(self.store.workers().await?)
    }

    pub(super) async fn job(&self, name: &str) -> Result<Option<JobRow>> {
        Ok(self.store.job(name).await?)
    }
}

fn heard(claim: Option<Kept>) -> Beat {
    match claim.map(|kept| kept.cancel_by) {
        None => Beat::Lost,
        Some(None) => Beat::Goes,
        Some(Some(by)) => Beat::Cancel(by),
    }
}

fn cancelled(by: &str) -> Leaving {
    Leaving {
        state: JobState::Cancelled,
        reason: format!("cancelled by {by}"),
        not_before: 0,
        counts: true,
        event: Happened::new("cancelled", &[("by", by.into())]),
    }
}
