//! Runs, their epochs and the scores that they end in.

use super::{Result, Store, now};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use virboard_core::results::{Provenance, ResultCell, Source};

/// A run that begins.
#[derive(Debug, Clone, Copy)]
pub struct NewRun<'a> {
    /// Key of the encoder.
    pub encoder: &'a str,
    /// Key of the task.
    pub task: &'a str,
    /// Training configuration as JSON.
    pub configuration: &'a str,
    /// Seed.
    pub seed: u64,
    /// Device.
    pub device: &'a str,
}

/// An epoch of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// From 1.
    pub epoch: u32,
    /// Mean training loss.
    pub train_loss: f64,
    /// Test metric, where it was computed.
    pub test_metric: Option<f64>,
}

impl Store {
    /// Marks what a killed process left `running`. Call it only while no other process runs.
    pub async fn interrupt_runs(&self) -> Result<u64> {
        let done = sqlx::query("update runs set status = 'interrupted', finished_at = $1 where status = 'running'")
            .bind(now())
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected())
    }

    /// Begins a run and gives its number.
    pub async fn begin_run(&self, run: NewRun<'_>) -> Result<i64> {
        let row = sqlx::query(
            "insert into runs (encoder, task, configuration, seed, device, version, status, started_at)
             values ($1, $2, $3, $4, $5, $6, 'running', $7) returning id",
        )
        .bind(run.encoder)
        .bind(run.task)
        .bind(run.configuration)
        .bind(run.seed as i64)
        .bind(run.device)
        .bind(env!("CARGO_PKG_VERSION"))
        .bind(now())
        .fetch_one(&self.pool)
        .await?;
        Ok(row.try_get(0)?)
    }

    /// Adds an epoch to a run.
    pub async fn add_epoch(&self, run: i64, epoch: Epoch) -> Result<()> {
        sqlx::query("insert or replace into epochs (run, epoch, train_loss, test_metric) values ($1, $2, $3, $4)")
            .bind(run)
            .bind(epoch.epoch)
            .bind(epoch.train_loss)
            .bind(epoch.test_metric)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Ends a run that failed.
    pub async fn fail_run(&self, run: i64, error: &str) -> Result<()> {
        sqlx::query("update runs set status = 'failed', error = $2, finished_at = $3 where id = $1")
            .bind(run)
            .bind(error)
            .bind(now())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Ends a run and records its score, both or neither.
    pub async fn finish_run(&self, run: i64, result: &ResultCell) -> Result<()> {
        let mut tx = self.pool.begin().await?;
        sqlx::query("update runs set status = 'finished', finished_at = $2 where id = $1")
            .bind(run)
            .bind(result.provenance.finished_at)
            .execute(&mut *tx)
            .await?;
        insert_result(&mut tx, Some(run), result).await?;
        Ok(tx.commit().await?)
    }

    /// Adds scores that came from elsewhere, all or none, with their curves. Scores that are
    /// there already stay as they are. Gives the number of new ones.
    pub async fn add_results(&self, results: &[(ResultCell, Vec<Epoch>)]) -> Result<u64> {
        let mut added = 0;
        let mut tx = self.pool.begin().await?;
        for (result, curve) in results {
            let p = &result.provenance;
            let there = sqlx::query(
                "select 1 from results where encoder = $1 and task = $2 and source = $3 and encoder_sha256 = $4
                 and dataset_sha256 = $5 and configuration = $6 and seed = $7",
            )
            .bind(&result.encoder)
            .bind(&result.task)
            .bind(p.source.name())
            .bind(&p.encoder_sha256)
            .bind(&p.dataset_sha256)
            .bind(&p.configuration)
            .bind(p.seed as i64)
            .fetch_optional(&mut *tx)
            .await?;
            if there.is_some() {
                continue;
            }
            let row = sqlx::query(
                "insert into runs (encoder, task, configuration, seed, device, version, status, started_at, finished_at)
                 values ($1, $2, $3, $4, $5, $6, 'finished', $7, $8) returning id",
            )
            .bind(&result.encoder)
            .bind(&result.task)
            .bind(&p.configuration)
            .bind(p.seed as i64)
            .bind(&p.device)
            .bind(&p.version)
            .bind(p.finished_at - p.seconds as i64)
            .bind(p.finished_at)
            .fetch_one(&mut *tx)
            .await?;
            let run: i64 = row.try_get(0)?;
            for epoch in curve {
                sqlx::query("insert into epochs (run, epoch, train_loss, test_metric) values ($1, $2, $3, $4)")
                    .bind(run)
                    .bind(epoch.epoch)
                    .bind(epoch.train_loss)
                    .bind(epoch.test_metric)
                    .execute(&mut *tx)
                    .await?;
            }
            insert_result(&mut tx, Some(run), result).await?;
            added += 1;
        }
        tx.commit().await?;
        Ok(added)
    }

    /// The current score of each encoder and task: measured before imported, then the newest.
    pub async fn current_results(&self) -> Result<Vec<ResultCell>> {
        let rows = sqlx::query(
            "select * from (
                 select *, row_number() over (
                     partition by encoder, task order by source = 'measured' desc, finished_at desc, id desc
                 ) as place from results
             ) where place = 1 order by encoder, task",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(result_of).collect()
    }

    /// The curve of the run behind the current score of an encoder on a task.
    pub async fn epochs(&self, encoder: &str, task: &str) -> Result<Vec<Epoch>> {
        let rows = sqlx::query(
            "select epoch, train_loss, test_metric from epochs where run = (
                 select run from results where encoder = $1 and task = $2
                 order by source = 'measured' desc, finished_at desc, id desc limit 1
             ) order by epoch",
        )
        .bind(encoder)
        .bind(task)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|r| Ok(Epoch { epoch: r.try_get(0)?, train_loss: r.try_get(1)?, test_metric: r.try_get(2)? }))
            .collect()
    }
}

async fn insert_result(
    tx: &mut sqlx::Transaction<'_, sqlx::Sqlite>,
    run: Option<i64>,
    result: &ResultCell,
) -> Result<()> {
    let p = &result.provenance;
    sqlx::query(
        "insert or replace into results (run, encoder, task, score, constant, source, encoder_sha256, dataset_sha256,
             configuration, seed, device, version, finished_at, seconds, test_samples)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(run)
    .bind(&result.encoder)
    .bind(&result.task)
    .bind(result.score)
    .bind(result.constant)
    .bind(p.source.name())
    .bind(&p.encoder_sha256)
    .bind(&p.dataset_sha256)
    .bind(&p.configuration)
    .bind(p.seed as i64)
    .bind(&p.device)
    .bind(&p.version)
    .bind(p.finished_at)
    .bind(p.seconds)
    .bind(p.test_samples as i64)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn result_of(row: &SqliteRow) -> Result<ResultCell> {
    let source: String = row.try_get("source")?;
    Ok(ResultCell {
        encoder: row.try_get("encoder")?,
        task: row.try_get("task")?,
        score: row.try_get("score")?,
        constant: row.try_get("constant")?,
        provenance: Provenance {
            source: if source == Source::Imported.name() { Source::Imported } else { Source::Measured },
            encoder_sha256: row.try_get("encoder_sha256")?,
            dataset_sha256: row.try_get("dataset_sha256")?,
            configuration: row.try_get("configuration")?,
            seed: row.try_get::<i64, _>("seed")? as u64,
            device: row.try_get("device")?,
            version: row.try_get("version")?,
            finished_at: row.try_get("finished_at")?,
            seconds: row.try_get("seconds")?,
            test_samples: row.try_get::<i64, _>("test_samples")? as u64,
        },
    })
}
