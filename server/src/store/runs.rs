//! Runs of jobs and their epochs.

use super::columns::score_of;
use super::events::{Claim, Happened, tell};
use super::leases;
use super::scores::{find, insert, set_aside};
use super::{Result, Store, now};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, SqliteConnection};
use virboard_core::run::{Epoch, Evidence, Origin, Run, Score};

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

    /// Begins a run of a job, or takes up the interrupted one of the same key and seed; gives
    /// its number.
    pub async fn begin_run(&self, job: &str, encoder: &str, task: &str, evidence: &Evidence) -> Result<i64> {
        let mut tx = self.pool.begin_with("begin immediate").await?;
        let there = sqlx::query(
            "select id from runs where job = $1 and key = $2 and seed = $3 and status in ('interrupted', 'running')
             order by id desc limit 1",
        )
        .bind(job)
        .bind(&evidence.key)
        .bind(evidence.seed as i64)
        .fetch_optional(&mut *tx)
        .await?;
        let id = if let Some(row) = there {
            let id: i64 = row.try_get(0)?;
            sqlx::query("update runs set status = 'running', finished_at = null, version = $2 where id = $1")
                .bind(id)
                .bind(&evidence.version)
                .execute(&mut *tx)
                .await?;
            id
        } else {
            let row = sqlx::query(
                "insert into runs (job, encoder, task, configuration, key, seed, device, version, status, started_at)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, 'running', $9) returning id",
            )
            .bind(job)
            .bind(encoder)
            .bind(task)
            .bind(&evidence.configuration)
            .bind(&evidence.key)
            .bind(evidence.seed as i64)
            .bind(&evidence.device)
            .bind(&evidence.version)
            .bind(now())
            .fetch_one(&mut *tx)
            .await?;
            row.try_get(0)?
        };
        tx.commit().await?;
        Ok(id)
    }

    /// Adds an epoch, of `of`, to a run of a job, and tells of it; nothing once the claim is lost.
    pub async fn add_epoch(&self, claim: &Claim, run: i64, epoch: Epoch, of: u32, at: i64) -> Result<()> {
        let said = [
            ("run", run.into()),
            ("epoch", epoch.epoch.into()),
            ("of", of.into()),
            ("train_loss", epoch.train_loss.into()),
            ("test_metric", epoch.test_metric.into()),
        ];
        let mut tx = self.pool.begin_with("begin immediate").await?;
        if tell(&mut tx, claim, &Happened::new("epoch", &said), at).await? {
            insert_epoch(&mut tx, run, epoch).await?;
        }
        Ok(tx.commit().await?)
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

    /// Ends a job with its runs and records what came of it, all or nothing: a score with the same
    /// key and seed on the same weights and data replaces its older self. Epochs were added
    /// before. `false`, and nothing is recorded, if the claim was lost.
    pub async fn finish_job(&self, claim: &Claim, begun: &[i64], runs: &[Run], at: i64) -> Result<bool> {
        let mut tx = self.pool.begin_with("begin immediate").await?;
        if !leases::finish(&mut tx, claim, &Happened::new("finished", &[("runs", begun.into())]), at).await? {
            return Ok(false);
        }
        for run in begun {
            sqlx::query("update runs set status = 'finished', finished_at = $2 where id = $1")
                .bind(run)
                .bind(now())
                .execute(&mut *tx)
                .await?;
        }
        for run in runs {
            insert(&mut tx, &run.score).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// A run by its number: its score, of several that which was chosen, and its epochs. The
    /// score of a former run is found too.
    pub async fn run(&self, run: i64) -> Result<Option<Run>> {
        let mut row = None;
        for table in ["results", "former_results"] {
            let mut query = QueryBuilder::new(format!("select * from {table} where run = "));
            query.push_bind(run).push(" order by selected desc, id limit 1");
            row = row.or(query.build().fetch_optional(&self.pool).await?);
        }
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Run { score: score_of(&row)?, epochs: self.epochs_of(run).await? }))
    }

    /// The epochs of a run.
    pub async fn epochs_of(&self, run: i64) -> Result<Vec<Epoch>> {
        let rows = sqlx::query("select epoch, train_loss, test_metric from epochs where run = $1 order by epoch")
            .bind(run)
            .fetch_all(&self.pool)
            .await?;
        let epoch = |row: &SqliteRow| {
            Ok(Epoch { epoch: row.try_get(0)?, train_loss: row.try_get(1)?, test_metric: row.try_get(2)? })
        };
        rows.iter().map(epoch).collect()
    }

    /// Adds runs that came from elsewhere, all or none. Scores that are there already stay as
    /// they are, but for older ones without evidence, such as those that shipped with an earlier
    /// version. Gives the number of new ones.
    pub async fn add_runs(&self, runs: &[Run]) -> Result<u64> {
        let mut added = 0;
        let mut tx = self.pool.begin_with("begin immediate").await?;
        for run in runs {
            if let Some((id, old)) = find(&mut tx, &run.score).await? {
                let e = &old.evidence;
                let bare = e.source == Origin::Measured && old.head.is_empty() && old.predictions.is_empty();
                if !bare || e.finished_at >= run.score.evidence.finished_at {
                    continue;
                }
                set_aside(&mut tx, id).await?;
            }
            add_run(&mut tx, run).await?;
            added += 1;
        }
        tx.commit().await?;
        Ok(added)
    }
}

/// Writes a finished run that came from elsewhere, with its epochs and its score.
pub(super) async fn add_run(connection: &mut SqliteConnection, run: &Run) -> Result<()> {
    let Run { score, epochs } = run;
    let e = &score.evidence;
    let row = sqlx::query(
        "insert into runs (encoder, task, configuration, key, seed, device, version, status, started_at, finished_at)
         values ($1, $2, $3, $4, $5, $6, $7, 'finished', $8, $9) returning id",
    )
    .bind(&score.encoder)
    .bind(&score.task)
    .bind(&e.configuration)
    .bind(&e.key)
    .bind(e.seed as i64)
    .bind(&e.device)
    .bind(&e.version)
    .bind(e.finished_at - e.seconds as i64)
    .bind(e.finished_at)
    .fetch_one(&mut *connection)
    .await?;
    let run: i64 = row.try_get(0)?;
    for epoch in epochs {
        insert_epoch(connection, run, *epoch).await?;
    }
    insert(connection, &Score { run: Some(run), ..score.clone() }).await
}

async fn insert_epoch(connection: &mut SqliteConnection, run: i64, epoch: Epoch) -> Result<()> {
    sqlx::query("insert or replace into epochs (run, epoch, train_loss, test_metric) values ($1, $2, $3, $4)")
        .bind(run)
        .bind(epoch.epoch)
        .bind(epoch.train_loss)
        .bind(epoch.test_metric)
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::scores::tests::stored;
    use super::*;

    #[tokio::test]
    async fn what_shipped_is_renewed_and_what_has_evidence_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("virboard.db"), &virboard_core::catalogue::Catalogue::builtin())
            .await
            .expect("opened");
        let score = |task: &str, score: f64, finished_at: i64, predictions: &str| {
            let mut run = stored(task, 0, score, "{}");
            run.score.evidence.finished_at = finished_at;
            predictions.clone_into(&mut run.score.predictions);
            run
        };
        let first = [score("Pets", 0.5, 10, ""), score("dtd", 0.5, 10, "kept.json.zst")];
        assert_eq!(store.add_runs(&first).await.expect("stored"), 2);
        let older = [score("Pets", 0.1, 9, ""), score("dtd", 0.1, 9, "")];
        assert_eq!(store.add_runs(&older).await.expect("stored"), 0);
        let newer = [score("Pets", 0.6, 11, ""), score("dtd", 0.6, 11, "")];
        assert_eq!(store.add_runs(&newer).await.expect("stored"), 1);
        let all = store.all_scores().await.expect("read");
        let scores: Vec<(&str, f64)> = all.iter().map(|s| (s.task.as_str(), s.value)).collect();
        assert_eq!(scores, [("Pets", 0.6), ("dtd", 0.5)]);
    }
}
