//! Scores.

use super::columns::{COLUMNS, score_of};
use super::{Result, Store, now};
use crate::table::Cell;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, SqliteConnection};
use virboard_core::leaderboard::Spread;
use virboard_core::run::{Evidence, Score, that_count};
use virboard_lab::work::key;

/// A score whose place another one took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Former {
    /// When, seconds since 1970, UTC.
    pub replaced_at: i64,
    /// The score.
    #[serde(flatten)]
    pub score: Score,
}

impl Store {
    /// Whether each of these trainings of an encoder on a task has a score already.
    pub async fn has_scores(&self, encoder: &str, task: &str, runs: &[Evidence]) -> Result<bool> {
        for e in runs {
            let row = sqlx::query(
                "select 1 from results where encoder = $1 and task = $2 and source = 'measured'
                 and encoder_sha256 = $3 and dataset_sha256 = $4 and key = $5 and seed = $6 and probe = $7",
            )
            .bind(encoder)
            .bind(task)
            .bind(&e.encoder_sha256)
            .bind(&e.dataset_sha256)
            .bind(&e.key)
            .bind(e.seed as i64)
            .bind(e.probe.name())
            .fetch_optional(&self.pool)
            .await?;
            if row.is_none() {
                return Ok(false);
            }
        }
        Ok(!runs.is_empty())
    }

    /// The score that counts of each encoder, task and probe.
    pub async fn counting_scores(&self) -> Result<Vec<Score>> {
        let rows = sqlx::query("select * from results where selected = 1 order by id").fetch_all(&self.pool).await?;
        Ok(that_count(rows.iter().map(score_of).collect::<Result<Vec<_>>>()?))
    }

    /// All scores, in an order that depends on nothing but their contents.
    pub async fn all_scores(&self) -> Result<Vec<Score>> {
        let rows = sqlx::query(
            "select * from results
             order by encoder, task, protocol, probe, source, seed, configuration, encoder_sha256, dataset_sha256",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(score_of).collect()
    }

    /// Scores whose place another one took, in the order in which that happened.
    pub async fn former_scores(&self) -> Result<Vec<Former>> {
        let rows = sqlx::query("select * from former_results order by id").fetch_all(&self.pool).await?;
        let former = |row: &SqliteRow| Ok(Former { replaced_at: row.try_get("replaced_at")?, score: score_of(row)? });
        rows.iter().map(former).collect()
    }

    /// Whether a head or per-sample results, by their path below the data folder, belong to a
    /// measured score.
    pub async fn has_measured_file(&self, file: &str) -> Result<bool> {
        let row =
            sqlx::query("select 1 from results where (head = $1 or predictions = $1) and source = 'measured' limit 1")
                .bind(file)
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.is_some())
    }

    /// How far scores of the same weights, data and configuration under several seeds lie apart.
    pub async fn spreads(&self) -> Result<Vec<Spread>> {
        let rows = sqlx::query(
            "select encoder, task, count(distinct seed) as seeds, avg(score) as mean, avg(score * score) as square,
                 count(*) as n
             from results where probe = 'head'
             group by encoder, task, protocol, source, encoder_sha256, dataset_sha256, key
             having count(distinct seed) > 1 order by encoder, task, max(finished_at)",
        )
        .fetch_all(&self.pool)
        .await?;
        let spread = |row: &SqliteRow| -> Result<Spread> {
            let (mean, square): (f64, f64) = (row.try_get("mean")?, row.try_get("square")?);
            let n = row.try_get::<i64, _>("n")? as f64;
            let variance = (square - mean * mean).max(0.0) * n / (n - 1.0).max(1.0);
            Ok(Spread {
                encoder: row.try_get("encoder")?,
                task: row.try_get("task")?,
                seeds: row.try_get::<i64, _>("seeds")? as u32,
                deviation: variance.sqrt(),
            })
        };
        rows.iter().map(spread).collect()
    }

    /// Gives keys to what was stored before there were any.
    pub(super) async fn fill_keys(&self) -> Result<()> {
        let mut tx = self.pool.begin_with("begin immediate").await?;
        let old =
            "select id, configuration from results where substr(key, 1, 1) = '?' order by finished_at desc, id desc";
        for row in sqlx::query(old).fetch_all(&mut *tx).await? {
            let (id, configuration): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
            // Of two that were told apart by nothing but the spelling of their settings or where
            // they were found, the newer gets the key; the other is a former one.
            let done = sqlx::query("update or ignore results set key = $2 where id = $1")
                .bind(id)
                .bind(key::of_settings(&configuration))
                .execute(&mut *tx)
                .await?;
            if done.rows_affected() == 0 {
                set_aside(&mut tx, id).await?;
                tracing::info!(score = id, "a score of the same training as another one is kept among the former ones");
            }
        }
        let old = "select id, configuration from runs where substr(key, 1, 1) = '?'";
        for row in sqlx::query(old).fetch_all(&mut *tx).await? {
            let (id, configuration): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
            sqlx::query("update runs set key = $2 where id = $1")
                .bind(id)
                .bind(key::of_settings(&configuration))
                .execute(&mut *tx)
                .await?;
        }
        Ok(tx.commit().await?)
    }
}

/// The score of the same training, with its number in the table: the same settings and seed on the
/// same weights and data, read in the same way. Of an imported score the weights may not be known.
pub(super) async fn find(connection: &mut SqliteConnection, score: &Score) -> Result<Option<(i64, Score)>> {
    let e = &score.evidence;
    let row = sqlx::query(
        "select * from results where encoder = $1 and task = $2 and source = $3 and probe = $4 and protocol = $5
         and (encoder_sha256 = $6 or (source = 'imported' and $6 = ''))
         and dataset_sha256 = $7 and key = $8 and seed = $9
         order by encoder_sha256 limit 1",
    )
    .bind(&score.encoder)
    .bind(&score.task)
    .bind(e.source.name())
    .bind(e.probe.name())
    .bind(e.protocol.name())
    .bind(&e.encoder_sha256)
    .bind(&e.dataset_sha256)
    .bind(&e.key)
    .bind(e.seed as i64)
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok((row.try_get("id")?, score_of(&row)?))).transpose()
}

/// Moves a score to the former ones.
pub(super) async fn set_aside(connection: &mut SqliteConnection, id: i64) -> Result<()> {
    let names = names();
    let mut query = QueryBuilder::new(format!("insert into former_results (replaced_at, {names}) select "));
    query.push_bind(now()).push(format!(", {names} from results where id = ")).push_bind(id);
    query.build().execute(&mut *connection).await?;
    sqlx::query("delete from results where id = $1").bind(id).execute(connection).await?;
    Ok(())
}

/// The columns of a score, separated by commas.
fn names() -> String {
    COLUMNS.iter().map(|c| c.name).collect::<Vec<_>>().join(", ")
}

/// Writes a score; one of the same training is replaced, and kept among the former ones if it
/// was another number.
pub(super) async fn insert(connection: &mut SqliteConnection, score: &Score) -> Result<()> {
    if let Some((id, old)) = find(connection, score).await?
        && old.value != score.value
    {
        set_aside(connection, id).await?;
    }
    let mut query = QueryBuilder::new("insert or replace into results (");
    query.push(names()).push(") values (");
    for (i, column) in COLUMNS.iter().enumerate() {
        if i > 0 {
            query.push(", ");
        }
        match (column.cell)(score) {
            Cell::Text(text) => query.push_bind(text),
            Cell::Flag(flag) => query.push_bind(flag),
            Cell::Integer(number) => query.push_bind(number),
            Cell::Real(number) => query.push_bind(number),
            Cell::Nothing => query.push("null"),
        };
    }
    query.push(")").build().execute(connection).await?;
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use virboard_core::run::{Origin, Run};

    pub fn stored(task: &str, seed: u64, value: f64, configuration: &str) -> Run {
        let evidence = Evidence {
            source: Origin::Measured,
            encoder_sha256: "e".into(),
            dataset_sha256: "d".into(),
            selected: true,
            configuration: configuration.into(),
            key: key::of_settings(configuration),
            seed,
            device: "cpu".into(),
            version: "0".into(),
            finished_at: 1,
            test_samples: 9,
            ..Evidence::default()
        };
        let score = Score { encoder: "SWAV_800".into(), task: task.into(), value, evidence, ..Score::default() };
        Run { score, epochs: Vec::new() }
    }

    #[tokio::test]
    async fn seeds_of_one_configuration_have_a_spread_and_a_change_has_a_revision() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("virboard.db"), &virboard_core::catalogue::Catalogue::builtin())
            .await
            .expect("opened");
        assert!(store.spreads().await.expect("read").is_empty());
        let before = store.revision().await.expect("read");
        let runs = [
            stored("Pets", 0, 0.5, "{\"lr\":1,\"seed\":0}"),
            stored("Pets", 1, 0.6, "{\"lr\":1,\"seed\":1}"),
            stored("Pets", 2, 0.7, "{\"lr\":1,\"seed\":2}"),
            // Another configuration, and one that is no JSON, stand alone.
            stored("Pets", 3, 0.1, "{\"lr\":2,\"seed\":3}"),
            stored("dtd", 0, 0.4, "adam-0.0001"),
        ];
        store.add_runs(&runs).await.expect("stored");
        assert!(store.revision().await.expect("read") > before);
        let spreads = store.spreads().await.expect("read");
        assert_eq!((spreads.len(), spreads[0].task.as_str(), spreads[0].seeds), (1, "Pets", 3));
        assert!((spreads[0].deviation - 0.1).abs() < 1e-9, "{spreads:?}");
        let evidence: Vec<Evidence> = runs.iter().take(3).map(|r| r.score.evidence.clone()).collect();
        assert!(store.has_scores("SWAV_800", "Pets", &evidence).await.expect("asked"));
        assert!(!store.has_scores("SWAV_800", "dtd", &evidence).await.expect("asked"));
        let other = Evidence { seed: 9, ..evidence[0].clone() };
        assert!(!store.has_scores("SWAV_800", "Pets", &[other]).await.expect("asked"));
    }
}
