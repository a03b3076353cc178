//! Runs, their epochs and the scores that they end in.

use super::{Result, Store, now};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use virboard_core::protocol::Protocol;
use virboard_core::results::{Probe, Provenance, ResultCell, Source};
use virboard_core::statistics::Interval;

/// A run that begins, or is taken up again.
#[derive(Debug, Clone, Copy)]
pub struct NewRun<'a> {
    /// Name of the job that it belongs to.
    pub job: &'a str,
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

/// A score as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredResult {
    /// Number of its run.
    pub run: Option<i64>,
    /// The score.
    #[serde(flatten)]
    pub result: ResultCell,
    /// The head's file below the data folder; empty without one.
    pub head: String,
    /// The per-sample results' file below the data folder; empty without one.
    pub predictions: String,
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

/// Readers of the features beside the heads.
const OPINIONS: &[Probe] = &[Probe::Knn, Probe::Logistic];

/// Which of several scores of an encoder on a task is shown.
macro_rules! current_first {
    () => {
        "protocol = 'standard' desc, source = 'measured' desc, configuration like '%_precision_:%', finished_at desc, id desc"
    };
}

impl Store {
    /// Jobs of the runs that are marked as running, with the number of those runs.
    pub async fn running_jobs(&self) -> Result<Vec<(String, u64)>> {
        let rows = sqlx::query("select job, count(*) from runs where status = 'running' group by job order by job")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|r| Ok((r.try_get(0)?, r.try_get::<i64, _>(1)? as u64))).collect()
    }

    /// Marks the runs of a job that a killed process left `running`. Call it with the job's lock.
    pub async fn interrupt_job(&self, job: &str) -> Result<u64> {
        let done = sqlx::query(
            "update runs set status = 'interrupted', finished_at = $1 where status = 'running' and job = $2",
        )
        .bind(now())
        .bind(job)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Begins a run, or takes up the interrupted one of the same job and configuration; gives
    /// its number.
    pub async fn begin_run(&self, run: NewRun<'_>) -> Result<i64> {
        let mut tx = self.pool.begin_with("begin immediate").await?;
        let there = sqlx::query(
            "select id from runs where job = $1 and configuration = $2 and status in ('interrupted', 'running')
             order by id desc limit 1",
        )
        .bind(run.job)
        .bind(run.configuration)
        .fetch_optional(&mut *tx)
        .await?;
        let id = if let Some(row) = there {
            let id: i64 = row.try_get(0)?;
            sqlx::query("update runs set status = 'running', finished_at = null where id = $1")
                .bind(id)
                .execute(&mut *tx)
                .await?;
            id
        } else {
            let row = sqlx::query(
                "insert into runs (job, encoder, task, configuration, seed, device, version, status, started_at)
                 values ($1, $2, $3, $4, $5, $6, $7, 'running', $8) returning id",
            )
            .bind(run.job)
            .bind(run.encoder)
            .bind(run.task)
            .bind(run.configuration)
            .bind(run.seed as i64)
            .bind(run.device)
            .bind(env!("CARGO_PKG_VERSION"))
            .bind(now())
            .fetch_one(&mut *tx)
            .await?;
            row.try_get(0)?
        };
        tx.commit().await?;
        Ok(id)
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

    /// Ends the runs of a job and records its scores, all or nothing. A score of the same
    /// configuration on the same weights and data replaces its older self.
    pub async fn finish_job(&self, runs: &[i64], results: &[StoredResult]) -> Result<()> {
        let mut tx = self.pool.begin_with("begin immediate").await?;
        for run in runs {
            sqlx::query("update runs set status = 'finished', finished_at = $2 where id = $1")
                .bind(run)
                .bind(now())
                .execute(&mut *tx)
                .await?;
        }
        for result in results {
            insert_result(&mut tx, result).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Whether each of these configurations of a task already has a score with these weights
    /// on this data.
    pub async fn has_results(
        &self,
        encoder: &str,
        task: &str,
        hashes: (&str, &str),
        configurations: &[String],
    ) -> Result<bool> {
        for configuration in configurations {
            let row = sqlx::query(
                "select 1 from results where encoder = $1 and task = $2 and encoder_sha256 = $3
                 and dataset_sha256 = $4 and configuration = $5 and source = 'measured'",
            )
            .bind(encoder)
            .bind(task)
            .bind(hashes.0)
            .bind(hashes.1)
            .bind(configuration)
            .fetch_optional(&self.pool)
            .await?;
            if row.is_none() {
                return Ok(false);
            }
        }
        Ok(!configurations.is_empty())
    }

    /// Adds scores that came from elsewhere, all or none, with their curves. Scores that are
    /// there already stay as they are, but for older ones without evidence, such as those that
    /// shipped with an earlier version. Gives the number of new ones.
    pub async fn add_results(&self, results: &[(StoredResult, Vec<Epoch>)]) -> Result<u64> {
        let mut added = 0;
        let mut tx = self.pool.begin_with("begin immediate").await?;
        for (stored, curve) in results {
            let result = &stored.result;
            let p = &result.provenance;
            let there = sqlx::query(
                "select id, source = 'measured' and head = '' and predictions = '' and finished_at < $8 as outdated
                 from results where encoder = $1 and task = $2 and source = $3 and encoder_sha256 = $4
                 and dataset_sha256 = $5 and configuration = $6 and seed = $7",
            )
            .bind(&result.encoder)
            .bind(&result.task)
            .bind(p.source.name())
            .bind(&p.encoder_sha256)
            .bind(&p.dataset_sha256)
            .bind(&p.configuration)
            .bind(p.seed as i64)
            .bind(p.finished_at)
            .fetch_optional(&mut *tx)
            .await?;
            if let Some(row) = there {
                if !row.try_get::<bool, _>("outdated")? {
                    continue;
                }
                sqlx::query("delete from results where id = $1")
                    .bind(row.try_get::<i64, _>("id")?)
                    .execute(&mut *tx)
                    .await?;
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
            insert_result(&mut tx, &StoredResult { run: Some(run), ..stored.clone() }).await?;
            added += 1;
        }
        tx.commit().await?;
        Ok(added)
    }

    /// The current score of each encoder and task by its head: standard before ViRB's
    /// protocol, measured before imported, full precision before less, then the newest.
    pub async fn current_results(&self) -> Result<Vec<ResultCell>> {
        self.current(&[Probe::Head], None).await
    }

    /// The current neighbours' and regression's scores of each encoder and task.
    pub async fn second_opinions(&self) -> Result<Vec<ResultCell>> {
        self.current(OPINIONS, None).await
    }

    /// The current neighbours' and regression's scores of one encoder on one task.
    pub async fn opinions(&self, encoder: &str, task: &str) -> Result<Vec<ResultCell>> {
        self.current(OPINIONS, Some((encoder, task))).await
    }

    /// The current scores by some probes, of all encoders and tasks or of one of each.
    async fn current(&self, probes: &[Probe], only: Option<(&str, &str)>) -> Result<Vec<ResultCell>> {
        let rows = sqlx::query(concat!(
            "select * from (
                     select *, row_number() over (partition by encoder, task, probe order by ",
            current_first!(),
            ") as place
                     from results where selected = 1 and ($1 is null or (encoder = $1 and task = $2))
                 ) where place = 1 order by encoder, task, probe"
        ))
        .bind(only.map(|o| o.0))
        .bind(only.map(|o| o.1))
        .fetch_all(&self.pool)
        .await?;
        let all: Vec<ResultCell> = rows.iter().map(result_of).collect::<Result<_>>()?;
        Ok(all.into_iter().filter(|r| probes.contains(&r.provenance.probe)).collect())
    }

    /// All scores, in an order that depends on nothing but their contents.
    pub async fn all_results(&self) -> Result<Vec<StoredResult>> {
        let rows = sqlx::query(
            "select * from results
             order by encoder, task, protocol, probe, source, seed, configuration, encoder_sha256, dataset_sha256",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(stored_of).collect()
    }

    /// The score of a run, with the run's epochs.
    pub async fn run(&self, run: i64) -> Result<Option<(StoredResult, Vec<Epoch>)>> {
        let row = sqlx::query("select * from results where run = $1 order by selected desc, id limit 1")
            .bind(run)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((stored_of(&row)?, self.epochs_of(run).await?)))
    }

    /// The epochs of a run.
    pub async fn epochs_of(&self, run: i64) -> Result<Vec<Epoch>> {
        let rows = sqlx::query("select epoch, train_loss, test_metric from epochs where run = $1 order by epoch")
            .bind(run)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(epoch_of).collect()
    }

    /// The curve of the run behind the current score of an encoder on a task.
    pub async fn epochs(&self, encoder: &str, task: &str) -> Result<Vec<Epoch>> {
        let rows = sqlx::query(concat!(
            "select epoch, train_loss, test_metric from epochs where run = (
                     select run from results where encoder = $1 and task = $2 and probe = 'head' and selected = 1
                     order by ",
            current_first!(),
            " limit 1
                 ) order by epoch"
        ))
        .bind(encoder)
        .bind(task)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(epoch_of).collect()
    }
}

fn epoch_of(row: &SqliteRow) -> Result<Epoch> {
    Ok(Epoch { epoch: row.try_get(0)?, train_loss: row.try_get(1)?, test_metric: row.try_get(2)? })
}

async fn insert_result(tx: &mut sqlx::Transaction<'_, sqlx::Sqlite>, stored: &StoredResult) -> Result<()> {
    let StoredResult { run, result, head, predictions } = stored;
    let p = &result.provenance;
    sqlx::query(
        "insert or replace into results (run, encoder, task, score, constant, source, encoder_sha256, dataset_sha256,
             configuration, seed, device, version, finished_at, seconds, test_samples, probe, protocol, selected,
             head, predictions, low, high)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)",
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
    .bind(p.probe.name())
    .bind(p.protocol.name())
    .bind(p.selected)
    .bind(head)
    .bind(predictions)
    .bind(result.interval.map(|i| i.low))
    .bind(result.interval.map(|i| i.high))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn stored_of(row: &SqliteRow) -> Result<StoredResult> {
    Ok(StoredResult {
        run: row.try_get("run")?,
        result: result_of(row)?,
        head: row.try_get("head")?,
        predictions: row.try_get("predictions")?,
    })
}

fn interval_of(low: Option<f64>, high: Option<f64>) -> Option<Interval> {
    Some(Interval { low: low?, high: high? })
}

fn result_of(row: &SqliteRow) -> Result<ResultCell> {
    let source: String = row.try_get("source")?;
    Ok(ResultCell {
        encoder: row.try_get("encoder")?,
        task: row.try_get("task")?,
        score: row.try_get("score")?,
        interval: interval_of(row.try_get("low")?, row.try_get("high")?),
        constant: row.try_get("constant")?,
        provenance: Provenance {
            source: if source == Source::Imported.name() { Source::Imported } else { Source::Measured },
            encoder_sha256: row.try_get("encoder_sha256")?,
            dataset_sha256: row.try_get("dataset_sha256")?,
            probe: Probe::of(&row.try_get::<String, _>("probe")?).unwrap_or_default(),
            protocol: Protocol::of(&row.try_get::<String, _>("protocol")?).unwrap_or_default(),
            selected: row.try_get("selected")?,
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

#[cfg(test)]
mod tests {
    use super::super::spreads::tests::stored;
    use super::*;

    #[tokio::test]
    async fn what_shipped_is_renewed_and_what_has_evidence_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("virboard.db")).await.expect("opened");
        let score = |task: &str, score: f64, finished_at: i64, predictions: &str| {
            let mut row = stored(task, 0, score, "{}");
            row.result.provenance.finished_at = finished_at;
            predictions.clone_into(&mut row.predictions);
            (row, Vec::new())
        };
        let first = [score("Pets", 0.5, 10, ""), score("dtd", 0.5, 10, "kept.json.zst")];
        assert_eq!(store.add_results(&first).await.expect("stored"), 2);
        let older = [score("Pets", 0.1, 9, ""), score("dtd", 0.1, 9, "")];
        assert_eq!(store.add_results(&older).await.expect("stored"), 0);
        let newer = [score("Pets", 0.6, 11, ""), score("dtd", 0.6, 11, "")];
        assert_eq!(store.add_results(&newer).await.expect("stored"), 1);
        let all = store.all_results().await.expect("read");
        let scores: Vec<(&str, f64)> = all.iter().map(|r| (r.result.task.as_str(), r.result.score)).collect();
        assert_eq!(scores, [("Pets", 0.6), ("dtd", 0.5)]);
    }
}
