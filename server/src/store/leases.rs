//! Claims of jobs: how they are taken, kept and ended. Each counts as long as its number is the job's last.

use super::events::{Claim, Happened, add_event};
use super::jobs::{JobRow, JobState};
use super::{Result, Store};
use sqlx::{FromRow, QueryBuilder, SqliteConnection};

/// Who claims until when.
#[derive(Debug, Clone, Copy)]
pub struct Claimant<'a> {
    /// Name of the worker.
    pub worker: &'a str,
    /// Now.
    pub at: i64,
    /// When the job goes back unless the worker is heard of before.
    pub until: i64,
}

/// What a worker does at the moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stage {
    /// In words, such as `encoding`.
    pub name: String,
    /// Parts that are done.
    pub done: u64,
    /// Its parts; 0 where they are not known.
    pub total: u64,
}

/// A claim that is still held.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Kept {
    /// Who asked that the job stops.
    pub cancel_by: Option<String>,
}

/// How a claim ends without a record.
#[derive(Debug, Clone)]
pub struct Leaving {
    /// Where the job stands then.
    pub state: JobState,
    /// Why.
    pub reason: String,
    /// When it may be claimed again.
    pub not_before: i64,
    /// Whether the attempt counts.
    pub counts: bool,
    /// What is told of it.
    pub event: Happened,
}

impl Store {
    /// Claims the first waiting job of some pools for a worker that is not drained.
    pub async fn claim_job(&self, by: Claimant<'_>, pools: &[String]) -> Result<Option<JobRow>> {
        let mut query = claiming(by);
        query.push("(select id from jobs where state = 'queued' and not_before <= ").push_bind(by.at);
        query.push(" and pool in (");
        let mut list = query.separated(", ");
        for pool in pools {
            list.push_bind(pool.clone());
        }
        query.push(") and not exists (select 1 from workers where name = ").push_bind(by.worker.to_owned());
        query.push(" and draining = 1) order by priority desc, asked_at, id limit 1) returning *");
        self.claimed(query, by).await
    }

    /// Claims a job by its name, whoever is said to run it. `None` if it neither waits nor runs.
    pub async fn take_job(&self, name: &str, by: Claimant<'_>) -> Result<Option<JobRow>> {
        let mut query = claiming(by);
        query.push("(select id from jobs where state in ('queued', 'running') and name = ").push_bind(name.to_owned());
        query.push(") returning *");
        self.claimed(query, by).await
    }

    async fn claimed(&self, mut query: QueryBuilder<sqlx::Sqlite>, by: Claimant<'_>) -> Result<Option<JobRow>> {
        let mut tx = self.pool.begin_with("begin immediate").await?;
        let Some(job) = query.build_query_as::<JobRow>().fetch_optional(&mut *tx).await? else { return Ok(None) };
        let claim = Claim { job: job.name.clone(), attempt: job.attempt };
        add_event(&mut tx, &claim, &Happened::new("claimed", &[("worker", by.worker.into())]), by.at).await?;
        tx.commit().await?;
        Ok(Some(job))
    }

    /// Keeps a claim until later. Gives who asked that it stops, if somebody did; `None` if the claim is lost.
    pub async fn beat_job(&self, claim: &Claim, stage: &Stage, at: i64, until: i64) -> Result<Option<Kept>> {
        let row = sqlx::query_as(
            "update jobs set beat_at = $3, lease_until = $4, stage = $5, done = $6, total = $7
             where name = $1 and attempt = $2 and state = 'running' returning cancel_by",
        )
        .bind(&claim.job)
        .bind(claim.attempt)
        .bind(at)
        .bind(until)
        .bind(&stage.name)
        .bind(stage.done as i64)
        .bind(stage.total as i64)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row)
    }

    /// The same without keeping it.
    pub async fn look_at_job(&self, claim: &Claim) -> Result<Option<Kept>> {
        let row = sqlx::query_as("select cancel_by from jobs where name = $1 and attempt = $2 and state = 'running'")
            .bind(&claim.job)
            .bind(claim.attempt)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row)
    }

    /// Ends a claim without a record; `false` if it was lost before.
    pub async fn leave_job(&self, claim: &Claim, leaving: &Leaving, at: i64) -> Result<bool> {
        let mut tx = self.pool.begin_with("begin immediate").await?;
        let held = leave(&mut tx, claim, leaving, at).await?;
        tx.commit().await?;
        Ok(held)
    }

    /// Running jobs whose worker should have been heard of before a time.
    pub async fn silent_jobs(&self, at: i64) -> Result<Vec<JobRow>> {
        let query = "select * from jobs where state = 'running' and lease_until < $1 order by id";
        Ok(sqlx::query_as(query).bind(at).fetch_all(&self.pool).await?)
    }
}

/// The start of the statement that claims the job whose `id` follows.
fn claiming(by: Claimant<'_>) -> QueryBuilder<sqlx::Sqlite> {
    let mut query = QueryBuilder::new("update jobs set state = 'running', attempt = attempt + 1, worker = ");
    query.push_bind(by.worker.to_owned());
    query.push(", claimed_at = ").push_bind(by.at).push(", beat_at = ").push_bind(by.at);
    query.push(", lease_until = ").push_bind(by.until);
    query.push(", stage = '', done = 0, total = 0, cancel_by = null where id = ");
    query
}

async fn leave(connection: &mut SqliteConnection, claim: &Claim, leaving: &Leaving, at: i64) -> Result<bool> {
    let ended = !matches!(leaving.state, JobState::Queued | JobState::Running);
    let done = sqlx::query(
        "update jobs set state = $3, error = $4, not_before = $5, finished_at = $6, lease_until = null,
             most_attempts = most_attempts + $7 where name = $1 and attempt = $2 and state = 'running'",
    )
    .bind(&claim.job)
    .bind(claim.attempt)
    .bind(leaving.state)
    .bind(&leaving.reason)
    .bind(leaving.not_before)
    .bind(ended.then_some(at))
    .bind(i64::from(!leaving.counts))
    .execute(&mut *connection)
    .await?;
    let held = done.rows_affected() == 1;
    if held {
        add_event(connection, claim, &leaving.event, at).await?;
    }
    Ok(held)
}

/// Marks a claimed job as finished; `false` if the claim was lost before.
pub(super) async fn finish(
    connection: &mut SqliteConnection,
    claim: &Claim,
    event: &Happened,
    at: i64,
) -> Result<bool> {
    let done = sqlx::query(
        "update jobs set state = 'finished', error = null, finished_at = $3, lease_until = null, cancel_by = null
         where name = $1 and attempt = $2 and state = 'running'",
    )
    .bind(&claim.job)
    .bind(claim.attempt)
    .bind(at)
    .execute(&mut *connection)
    .await?;
    let held = done.rows_affected() == 1;
    if held {
        add_event(connection, claim, event, at).await?;
    }
    Ok(held)
}
