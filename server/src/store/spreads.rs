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
