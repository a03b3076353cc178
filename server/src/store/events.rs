//! What happens to jobs, in order, and who does them.

use super::{Result, Store};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, SqliteConnection};

/// Which claim of which job: an older one counts no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Name of the job.
    pub job: String,
    /// Number of the claim.
    pub attempt: i64,
}

/// Something that happened to a job, before it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// Such as `claimed`.
    pub kind: &'static str,
    /// JSON; its form depends on the kind.
    pub data: String,
}

impl Happened {
    /// With what is to be said of it.
    #[must_use]
    pub fn new(kind: &'static str, said: &[(&str, Value)]) -> Self {
        let data: serde_json::Map<String, Value> = said
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        Self { kind, data: Value::Object(data).to_string() }
    }
}

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow)]
pub struct Event {
    /// Grows; no number is used twice.
    pub id: i64,
    /// Seconds since 1970, UTC.
    pub at: i64,
    /// Name of the job.
    pub job: String,
    /// The claim in which it happened.
    pub attempt: i64,
    /// Such as `claimed`.
    pub kind: String,
    /// JSON; its form depends on the kind.
    pub data: String,
}

/// A worker as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow)]
pub struct WorkerRow {
    /// Its name.
    pub name: String,
    /// Name of the machine.
    pub host: String,
    /// Where it computes.
    pub device: String,
    /// Version of its program.
    pub version: String,
    /// Pools whose jobs it takes, separated by commas.
    pub pools: String,
    /// When it was last heard of, in seconds since 1970, UTC.
    pub seen_at: i64,
    /// Whether it finishes what it has and takes nothing more.
    pub draining: bool,
    /// The job that it has.
    #[sqlx(default)]
    pub job: Option<String>,
}

impl Store {
    /// Writes an event of a claim, unless the claim is lost; whether it was written.
    pub async fn tell(&self, claim: &Claim, happened: &Happened, at: i64) -> Result<bool> {
        let mut tx = self.pool.begin_with("begin immediate").await?;
        let told = tell(&mut tx, claim, happened, at).await?;
        tx.commit().await?;
        Ok(told)
    }

    /// At most so many events after one, in order; from the first with 0.
    pub async fn events(&self, after: i64, most: u32) -> Result<Vec<Event>> {
        let query = "select * from events where id > $1 order by id limit $2";
        Ok(sqlx::query_as(query).bind(after).bind(most).fetch_all(&self.pool).await?)
    }

    /// Number of the last event; 0 before the first.
    pub async fn last_event(&self) -> Result<i64> {
        Ok(sqlx::query_scalar("select coalesce(max(id), 0) from events").fetch_one(&self.pool).await?)
    }

    /// All events of a job, in order.
    pub async fn events_of(&self, job: &str) -> Result<Vec<Event>> {
        Ok(sqlx::query_as("select * from events where job = $1 order by id").bind(job).fetch_all(&self.pool).await?)
    }

    /// Notes that a worker lives. Whether it is drained is its server's to say and stays.
    pub async fn see_worker(&self, worker: &WorkerRow) -> Result<()> {
        sqlx::query(
            "insert into workers (name, host, device, version, pools, seen_at, draining) values ($1, $2, $3, $4, $5, $6, 0)
             on conflict (name) do update set host = excluded.host, device = excluded.device,
                 version = excluded.version, pools = excluded.pools, seen_at = excluded.seen_at",
        )
        .bind(&worker.name)
        .bind(&worker.host)
        .bind(&worker.device)
        .bind(&worker.version)
        .bind(&worker.pools)
        .bind(worker.seen_at)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Lets a worker finish what it has and take nothing more, or takes that back. `false` if there is no such worker.
    pub async fn drain_worker(&self, name: &str, draining: bool) -> Result<bool> {
        let query = sqlx::query("update workers set draining = $2 where name = $1").bind(name).bind(draining);
        Ok(query.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Forgets a worker.
    pub async fn remove_worker(&self, name: &str) -> Result<()> {
        sqlx::query("delete from workers where name = $1").bind(name).execute(&self.pool).await?;
        Ok(())
    }

    /// Forgets the workers that were not seen since a time.
    pub async fn forget_workers(&self, since: i64) -> Result<()> {
        sqlx::query("delete from workers where seen_at < $1").bind(since).execute(&self.pool).await?;
        Ok(())
    }

    /// The workers by name, with the job that each has.
    pub async fn workers(&self) -> Result<Vec<WorkerRow>> {
        let query =
            "select workers.*, (select jobs.name from jobs where jobs.worker = workers.name and state = 'running'
             order by id limit 1) as job from workers order by workers.name";
        Ok(sqlx::query_as(query).fetch_all(&self.pool).await?)
    }
}

/// Writes an event.
pub(super) async fn add_event(
    connection: &mut SqliteConnection,
    claim: &Claim,
    happened: &Happened,
    at: i64,
) -> Result<()> {
    sqlx::query("insert into events (at, job, attempt, kind, data) values ($1, $2, $3, $4, $5)")
        .bind(at)
        .bind(&claim.job)
        .bind(claim.attempt)
        .bind(happened.kind)
        .bind(&happened.data)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes an event of a claim, unless the claim is lost; whether it was written.
pub(super) async fn tell(
    connection: &mut SqliteConnection,
    claim: &Claim,
    happened: &Happened,
    at: i64,
) -> Result<bool> {
    let told = sqlx::query(
        "insert into events (at, job, attempt, kind, data)
         select $1, name, attempt, $4, $5 from jobs where name = $2 and attempt = $3 and state = 'running'",
    )
    .bind(at)
    .bind(&claim.job)
    .bind(claim.attempt)
    .bind(happened.kind)
    .bind(&happened.data)
    .execute(connection)
    .await?;
    Ok(told.rows_affected() == 1)
}
