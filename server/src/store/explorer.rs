//! What the explorer of runs reads: all runs at once, without their curves.

use super::columns::score_of;
use super::{Result, Store};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row};
use std::collections::BTreeMap;
use virboard_core::run::{Epoch, Score};

/// Most numbers in one statement.
const NUMBERS: usize = 500;

/// A run as it stands in the database.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRun {
    /// Its number.
    pub id: i64,
    /// Name of its job; empty for what came from elsewhere.
    pub job: String,
    /// Key of the encoder.
    pub encoder: String,
    /// Key of the task.
    pub task: String,
    /// What was set, as JSON.
    pub configuration: String,
    /// Hash of that but for the seed.
    pub key: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Where it is computed.
    pub device: String,
    /// Version of Virboard.
    pub version: String,
    /// The word for how it stands.
    pub status: String,
    /// The error that ended it.
    pub error: Option<String>,
    /// When it began, seconds since 1970, UTC.
    pub started_at: i64,
    /// When it ended.
    pub finished_at: Option<i64>,
    /// The claim of its job in which it began, if that is the last one: of former ones nothing is kept.
    pub attempt: Option<u32>,
    /// Who had that.
    pub worker: Option<String>,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Course {
    /// Its last epoch.
    pub epoch: u32,
    /// Mean training loss of that.
    pub loss: f64,
    /// The metric after the last epoch that computed it.
    pub last: Option<f64>,
    /// The smallest metric.
    pub low: Option<f64>,
    /// The largest.
    pub high: Option<f64>,
}

impl Store {
    /// Two numbers: one that grows with every change of a score, one with every change of a run
    /// or an epoch.
    pub async fn runs_revision(&self) -> Result<(i64, i64)> {
        let row = sqlx::query("select number, runs from revision").fetch_one(&self.pool).await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }

    /// All runs, by number.
    pub async fn all_runs(&self) -> Result<Vec<StoredRun>> {
        let rows = sqlx::query(
            "select runs.id, runs.job, encoder, task, configuration, runs.key, seed, device, version, status, runs.error,
                 started_at, runs.finished_at, jobs.attempt, jobs.worker
             from runs left join jobs on jobs.name = runs.job and jobs.claimed_at <= runs.started_at order by runs.id",
        )
        .fetch_all(&self.pool)
        .await?;
        let run = |row: &SqliteRow| {
            Ok(StoredRun {
                id: row.try_get(0)?,
                job: row.try_get(1)?,
                encoder: row.try_get(2)?,
                task: row.try_get(3)?,
                configuration: row.try_get(4)?,
                key: row.try_get(5)?,
                seed: row.try_get::<i64, _>(6)? as u64,
                device: row.try_get(7)?,
                version: row.try_get(8)?,
                status: row.try_get(9)?,
                error: row.try_get(10)?,
                started_at: row.try_get(11)?,
                finished_at: row.try_get(12)?,
                attempt: row.try_get(13)?,
                worker: row.try_get(14)?,
            })
        };
        rows.iter().map(run).collect()
    }

    /// The score of each run that has one, of several that which was chosen, and whether another
    /// score took its place.
    pub async fn scores_by_run(&self) -> Result<BTreeMap<i64, (Score, bool)>> {
        let mut scores = BTreeMap::new();
        for (table, replaced) in [("former_results", true), ("results", false)] {
            let mut query = QueryBuilder::new(format!("select * from {table} where run is not null"));
            // The last one is kept: a present score before a former one, the chosen one before others.
            let rows = query.push(" order by selected, id desc").build().fetch_all(&self.pool).await?;
            for row in &rows {
                let run: i64 = row.try_get("run")?;
                scores.insert(run, (score_of(row)?, replaced));
            }
        }
        Ok(scores)
    }

    /// All scores of a run, the chosen one first and former ones last, and whether another score
    /// took the place of each.
    pub async fn scores_of_run(&self, run: i64) -> Result<Vec<(Score, bool)>> {
        let mut scores = Vec::new();
        for (table, replaced) in [("results", false), ("former_results", true)] {
            let mut query = QueryBuilder::new(format!("select * from {table} where run = "));
            query.push_bind(run).push(" order by selected desc, id");
            for row in &query.build().fetch_all(&self.pool).await? {
                scores.push((score_of(row)?, replaced));
            }
        }
        Ok(scores)
    }

    /// How far runs have come: those with these numbers, or all.
    pub async fn courses(&self, runs: Option<&[i64]>) -> Result<BTreeMap<i64, Course>> {
        let mut courses = BTreeMap::new();
        let parts: Vec<Option<&[i64]>> = match runs {
            Some(runs) => runs.chunks(NUMBERS).map(Some).collect(),
            None => vec![None],
        };
        for part in parts {
            let mut query = QueryBuilder::new(
                "select m.run, m.epoch, e.train_loss, m.low, m.high,
                     (select test_metric from epochs where run = m.run and test_metric is not null
                      order by epoch desc limit 1)
                 from (select run, max(epoch) as epoch, min(test_metric) as low, max(test_metric) as high
                       from epochs",
            );
            if let Some(part) = part {
                query.push(" where run in (");
                let mut numbers = query.separated(", ");
                for run in part {
                    numbers.push_bind(*run);
                }
                query.push(")");
            }
            query.push(" group by run) m join epochs e on e.run = m.run and e.epoch = m.epoch");
            for row in &query.build().fetch_all(&self.pool).await? {
                let course = Course {
                    epoch: row.try_get(1)?,
                    loss: row.try_get(2)?,
                    low: row.try_get(3)?,
                    high: row.try_get(4)?,
                    last: row.try_get(5)?,
                };
                courses.insert(row.try_get(0)?, course);
            }
        }
        Ok(courses)
    }

    /// The epochs of some runs.
    pub async fn epochs_of_runs(&self, runs: &[i64]) -> Result<BTreeMap<i64, Vec<Epoch>>> {
        let mut epochs: BTreeMap<i64, Vec<Epoch>> = BTreeMap::new();
        for part in runs.chunks(NUMBERS) {
            let mut query = QueryBuilder::new("select run, epoch, train_loss, test_metric from epochs where run in (");
            let mut numbers = query.separated(", ");
            for run in part {
                numbers.push_bind(*run);
            }
            query.push(") order by run, epoch");
            for row in &query.build().fetch_all(&self.pool).await? {
                let epoch = Epoch { epoch: row.try_get(1)?, train_loss: row.try_get(2)?, test_metric: row.try_get(3)? };
                epochs.entry(row.try_get(0)?).or_default().push(epoch);
            }
        }
        Ok(epochs)
    }
}
