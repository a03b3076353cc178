//! How firm scores are under several seeds.

use super::{Result, Store};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use virboard_core::leaderboard::Spread;

impl Store {
    /// How far scores of the same weights, data and configuration under several seeds lie apart.
    pub async fn spreads(&self) -> Result<Vec<Spread>> {
        // The configurations differ in their seed alone where a score was repeated.
        let rows = sqlx::query(
            "select encoder, task, count(distinct seed) as seeds, avg(score) as mean, avg(score * score) as square,
                 count(*) as n
             from results where probe = 'head'
             group by encoder, task, protocol, source, encoder_sha256, dataset_sha256, 
                 case when json_valid(configuration) then json_remove(configuration, '$.seed') else configuration end
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
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::store::StoredResult;
    use virboard_core::protocol::Protocol;
    use virboard_core::results::{Probe, Provenance, ResultCell, Source};

    pub fn stored(task: &str, seed: u64, score: f64, configuration: &str) -> StoredResult {
        let provenance = Provenance {
            source: Source::Measured,
            encoder_sha256: "e".into(),
            dataset_sha256: "d".into(),
            probe: Probe::Head,
            protocol: Protocol::Standard,
            selected: true,
            configuration: configuration.into(),
            seed,
            device: "cpu".into(),
            version: "0".into(),
            finished_at: 1,
            seconds: 0.0,
            test_samples: 9,
        };
        let result = ResultCell {
            encoder: "SWAV_800".into(),
            task: task.into(),
            score,
            interval: None,
            constant: None,
            provenance,
        };
        StoredResult { run: None, result, head: String::new(), predictions: String::new() }
    }

    #[tokio::test]
    async fn seeds_of_one_configuration_have_a_spread_and_a_change_has_a_revision() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("virboard.db")).await.expect("opened");
        assert!(store.spreads().await.expect("read").is_empty());
        let before = store.revision().await.expect("read");
        let results = [
            stored("Pets", 0, 0.5, "{\"lr\":1,\"seed\":0}"),
            stored("Pets", 1, 0.6, "{\"lr\":1,\"seed\":1}"),
            stored("Pets", 2, 0.7, "{\"lr\":1,\"seed\":2}"),
            // Another configuration, and one that is no JSON, stand alone.
            stored("Pets", 3, 0.1, "{\"lr\":2,\"seed\":3}"),
            stored("dtd", 0, 0.4, "adam-0.0001"),
        ];
        store.add_results(&results.map(|r| (r, Vec::new()))).await.expect("stored");
        assert!(store.revision().await.expect("read") > before);
        let spreads = store.spreads().await.expect("read");
        assert_eq!((spreads.len(), spreads[0].task.as_str(), spreads[0].seeds), (1, "Pets", 3));
        assert!((spreads[0].deviation - 0.1).abs() < 1e-9, "{spreads:?}");
    }
}
