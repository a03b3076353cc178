//! Jobs that wait, run or have ended. Every change of one is a transaction with its event.

use super::events::{Claim, Happened, add_event};
use super::{Result, Store};
use serde::Serialize;
use sqlx::{FromRow, SqliteConnection};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase")]
pub enum JobState {
    /// It waits for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// It is done, and what came of it is recorded.
    Finished,
    /// It was given up.
    Failed,
    /// Somebody wanted it no longer.
    Cancelled,
}

impl JobState {
    /// Its name, as people read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A job as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Its name: kind and key.
    pub name: String,
    /// Kind of the work.
    pub kind: String,
    /// Key of the work.
    pub key: String,
    /// What it is called in lists.
    pub title: String,
    /// The work as JSON.
    pub work: String,
    /// Whether it is done although its scores are there.
    pub anew: bool,
    /// The highest is done first.
    pub priority: i64,
    /// Workers of which pool may take it.
    pub pool: String,
    /// Name of the person who asks.
    pub asked_by: String,
}

/// A job as it stands. Times are seconds since 1970, UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow)]
pub struct JobRow {
    /// Grows in order of arrival.
    pub id: i64,
    /// Its name: kind and key.
    pub name: String,
    /// Kind of the work.
    pub kind: String,
    /// Key of the work.
    pub key: String,
    /// What it is called in lists.
    pub title: String,
    /// The work as JSON.
    pub work: String,
    /// Whether it is done although its scores are there.
    pub anew: bool,
    /// Where it stands.
    pub state: JobState,
    /// The highest is done first.
    pub priority: i64,
    /// Workers of which pool may take it; `@NAME` is that of one worker alone.
    pub pool: String,
    /// Claims so far; it never falls.
    pub attempt: i64,
    /// The attempt after which it is given up.
    pub most_attempts: i64,
    /// Who works on it, or did last.
    pub worker: Option<String>,
    /// When it was claimed last.
    pub claimed_at: Option<i64>,
    /// When its worker was last heard of.
    pub beat_at: Option<i64>,
    /// When it goes back to the queue unless its worker is heard of before.
    pub lease_until: Option<i64>,
    /// What its worker does.
    pub stage: String,
    /// Parts of that which are done.
    pub done: i64,
    /// Its parts; 0 where they are not known.
    pub total: i64,
    /// Who asked that it stops.
    pub cancel_by: Option<String>,
    /// Who asked for it.
    pub asked_by: String,
    /// When.
    pub asked_at: i64,
    /// It is not claimed before.
    pub not_before: i64,
    /// When it ended.
    pub finished_at: Option<i64>,
    /// Why the last attempt ended that did not finish.
    pub error: Option<String>,
}

/// What became of a job that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It waits now.
    Queued,
    /// It was there in this state, and stays as it is.
    There(JobState),
}

impl Store {
    /// Puts jobs into the queue, all or none. Those that wait or run stay as they are, and so do those that have ended
    /// unless they are asked for `again`: then they wait anew, with `attempts` more, and keep the reason of their end.
    pub async fn offer_jobs(&self, jobs: &[NewJob], again: bool, attempts: i64, at: i64) -> Result<Vec<Offered>> {
        let mut tx = self.pool.begin_with("begin immediate").await?;
        let mut offered = Vec::with_capacity(jobs.len());
        for job in jobs {
            let state: Option<JobState> = sqlx::query_scalar("select state from jobs where name = $1")
                .bind(&job.name)
                .fetch_optional(&mut *tx)
                .await?;
            offered.push(match state {
                Some(state @ (JobState::Queued | JobState::Running)) => Offered::There(state),
                Some(state) if !again => Offered::There(state),
                state => {
                    queue(&mut tx, job, attempts, at).await?;
                    let attempt: i64 = sqlx::query_scalar("select attempt from jobs where name = $1")
                        .bind(&job.name)
                        .fetch_one(&mut *tx)
                        .await?;
                    let claim = Claim { job: job.name.clone(), attempt };
                    let (by, was) = (&job.asked_by, state.map(JobState::name));
                    add_event(
                        &mut tx,
                        &claim,
                        &Happened::new("queued", &[("by", by.as_str().into()), ("was", was.into())]),
                        at,
                    )
                    .await?;
                    Offered::Queued
                }
            });
        }
        tx.commit().await?;
        Ok(offered)
    }

    /// Cancels a job that waits, or asks that a running one stops. Gives the state in which it was; `None` if there is
    /// no such job. Ended ones stay as they are.
    pub async fn cancel_job(&self, name: &str, by: &str, running: bool, at: i64) -> Result<Option<JobState>> {
        let mut tx = self.pool.begin_with("begin immediate").await?;
        let Some(job) = sqlx::query_as::<_, JobRow>("select * from jobs where name = $1")
            .bind(name)
            .fetch_optional(&mut *tx)
            .await?
        else {
            return Ok(None);
        };
        let claim = Claim { job: job.name.clone(), attempt: job.attempt };
        let told = match job.state {
            JobState::Queued => {
                sqlx::query("update jobs set state = 'cancelled', cancel_by = $2, finished_at = $3 where name = $1")
                    .bind(name)
                    .bind(by)
                    .bind(at)
                    .execute(&mut *tx)
                    .await?;
                Some("cancelled")
            }
            JobState::Running if running && job.cancel_by.is_none() => {
                let asked = sqlx::query("update jobs set cancel_by = $2 where name = $1").bind(name).bind(by);
                asked.execute(&mut *tx).await?;
                Some("cancel")
            }
            _ => None,
        };
        if let Some(kind) = told {
            add_event(&mut tx, &claim, &Happened::new(kind, &[("by", by.into())]), at).await?;
        }
        tx.commit().await?;
        Ok(Some(job.state))
    }

    /// Cancels waiting jobs of a single worker's pool once it was not seen since a time. Gives their number.
    pub async fn cancel_orphans(&self, since: i64, reason: &str, at: i64) -> Result<u64> {
        let mut tx = self.pool.begin_with("begin immediate").await?;
        let orphans: Vec<JobRow> = sqlx::query_as(
            "update jobs set state = 'cancelled', cancel_by = null, error = $2, finished_at = $3
             where state = 'queued' and substr(pool, 1, 1) = '@'
             and not exists (select 1 from workers where '@' || workers.name = jobs.pool and seen_at >= $1) returning *",
        )
        .bind(since)
        .bind(reason)
        .bind(at)
        .fetch_all(&mut *tx)
        .await?;
        for job in &orphans {
            let claim = Claim { job: job.name.clone(), attempt: job.attempt };
            add_event(&mut tx, &claim, &Happened::new("cancelled", &[("reason", reason.into())]), at).await?;
        }
        tx.commit().await?;
        Ok(orphans.len() as u64)
    }

    /// A job by its name.
    pub async fn job(&self, name: &str) -> Result<Option<JobRow>> {
        Ok(sqlx::query_as("select * from jobs where name = $1").bind(name).fetch_optional(&self.pool).await?)
    }

    /// All jobs: those that run, then those that wait in the order in which they are claimed, then the others, the last
    /// that ended first.
    pub async fn jobs(&self) -> Result<Vec<JobRow>> {
        let query = "select * from jobs order by case state when 'running' then 0 when 'queued' then 1 else 2 end,
             case when state in ('running', 'queued') then -priority else -coalesce(finished_at, 0) end, asked_at, id";
        Ok(sqlx::query_as(query).fetch_all(&self.pool).await?)
    }
}

async fn queue(connection: &mut SqliteConnection, job: &NewJob, attempts: i64, at: i64) -> Result<()> {
    sqlx::query(
        "insert into jobs (name, kind, key, title, work, anew, state, priority, pool, attempt, most_attempts, stage,
             done, total, asked_by, asked_at, not_before)
         values ($1, $2, $3, $4, $5, $6, 'queued', $7, $8, 0, $9, '', 0, 0, $10, $11, $11)
         on conflict (name) do update set title = excluded.title, work = excluded.work, anew = excluded.anew,
             state = 'queued', priority = excluded.priority, pool = excluded.pool,
             most_attempts = jobs.attempt + excluded.most_attempts, stage = '', done = 0, total = 0, cancel_by = null,
             asked_by = excluded.asked_by, asked_at = excluded.asked_at, not_before = excluded.not_before,
             finished_at = null",
    )
    .bind(&job.name)
    .bind(&job.kind)
    .bind(&job.key)
    .bind(&job.title)
    .bind(&job.work)
    .bind(job.anew)
    .bind(job.priority)
    .bind(&job.pool)
    .bind(attempts)
    .bind(&job.asked_by)
    .bind(at)
    .execute(connection)
    .await?;
    Ok(())
}
