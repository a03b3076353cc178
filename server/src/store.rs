//! Everything that is kept in SQL. No other module has any.

pub mod audit;
pub mod columns;
mod events;
mod explorer;
mod incoming;
mod jobs;
mod leases;
pub mod people;
mod runs;
mod scores;

pub use events::{Claim, Event, Happened, WorkerRow};
pub use explorer::{Course, StoredRun};
pub use incoming::{Arrival, Replace};
pub use jobs::{JobRow, JobState, NewJob, Offered};
pub use leases::{Claimant, Kept, Leaving, Stage};
pub use scores::Former;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{QueryBuilder, Row};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use virboard_core::catalogue::Catalogue;
use virboard_core::prediction::{ImageInfo, Output};

/// What goes wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A statement failed.
    #[error("the database failed: {0}")]
    Sql(#[from] sqlx::Error),
    /// The database has another shape than this program.
    #[error("the database could not be brought up to date: {0}. Was it written by a newer Virboard?")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The lock beside the database could not be taken.
    #[error("the database could not be locked while it is brought up to date: {0}")]
    Lock(String),
    /// The database has another shape than this program, and its folder cannot be written.
    #[error(
        "the data folder is read-only and its database was written by another version; open it once with this one where it can be written"
    )]
    Outdated,
    /// A column of a score holds something that this program does not understand.
    #[error("the database holds a score whose `{0}` cannot be read. Was it written by a newer Virboard?")]
    Column(&'static str),
    /// A row holds something that this program does not understand.
    #[error("the database holds {what} that cannot be read: {source}")]
    Content {
        /// What the row is.
        what: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
}

/// Why a disk does not take what is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is full.
    Full,
    /// It may only be read.
    ReadOnly,
}

impl StoreError {
    /// Whether the disk refuses to be written.
    #[must_use]
    pub fn refused(&self) -> Option<Refused> {
        let Self::Sql(sqlx::Error::Database(error)) = self else { return None };
        // SQLite's code is the lowest byte of its extended one.
        match error.code()?.parse::<i32>().ok()? & 0xFF {
            13 => Some(Refused::Full),
            8 => Some(Refused::ReadOnly),
            _ => None,
        }
    }
}

type Result<T> = std::result::Result<T, StoreError>;

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    pool: SqlitePool,
    /// Whether the data folder can only be read.
    read_only: bool,
}

fn is_read_only(error: &virboard_nn::Error) -> bool {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error, virboard_nn::Error::Io { source, .. } if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem))
}

/// Seconds since 1970, UTC.
#[must_use]
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}

/// A stored prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPrediction {
    /// The output, with the names of its pictures' files.
    pub output: Output,
    /// Milliseconds when it was computed.
    pub milliseconds: f64,
}

impl Store {
    /// Opens the database file, creates it if need be, and brings it up to date.
    pub async fn open(path: &Path, catalogue: &Catalogue) -> Result<Self> {
        // Two processes that bring a database up to date at once would both do the same step.
        let lock = path.with_extension("lock");
        let lock = tokio::task::spawn_blocking(move || virboard_nn::files::lock(&lock))
            .await
            .map_err(|e| StoreError::Lock(e.to_string()))?;
        let _lock = match lock {
            Ok(lock) => lock,
            Err(error) if is_read_only(&error) && path.is_file() => return Self::open_read_only(path).await,
            Err(error) => return Err(StoreError::Lock(error.to_string())),
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(8).connect_with(options).await?;
        sqlx::migrate!("../migrations").run(&pool).await?;
        let store = Self { pool, read_only: false };
        store.fill_keys().await?;
        store.sync(catalogue).await?;
        Ok(store)
    }

    /// Opens a database in a folder that cannot be written, as it is.
    async fn open_read_only(path: &Path) -> Result<Self> {
        // What a killed process has left beside the database belongs to it; otherwise nobody may change it, and SQLite
        // needs no files of its own.
        let log = path.with_extension("db-wal");
        let whole = log.metadata().map_or(true, |log| log.len() == 0);
        let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(whole);
        let pool = SqlitePoolOptions::new().max_connections(8).connect_with(options).await?;
        let newest = sqlx::migrate!("../migrations").iter().map(|m| m.version).max();
        let found: Option<i64> =
            sqlx::query_scalar("select max(version) from _sqlx_migrations").fetch_one(&pool).await?;
        if found != newest {
            return Err(StoreError::Outdated);
        }
        tracing::warn!("the data folder is read-only: everything is shown, nothing new is kept");
        Ok(Self { pool, read_only: true })
    }

    /// Whether nothing can be written.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Makes the catalogue's encoders and tasks known, so that scores can be stored for them. Those
    /// of rows that are gone stay.
    pub async fn sync(&self, catalogue: &Catalogue) -> Result<()> {
        if self.read_only {
            return Ok(());
        }
        let mut tx = self.pool.begin().await?;
        let mut encoders = QueryBuilder::new("insert into encoders (key, name, architecture) ");
        encoders.push_values(catalogue.encoders().iter(), |mut row, e| {
            row.push_bind(e.key.clone()).push_bind(e.name.clone()).push_bind(e.architecture_name());
        });
        encoders.push(" on conflict (key) do update set name = excluded.name, architecture = excluded.architecture");
        encoders.build().execute(&mut *tx).await?;
        let mut tasks = QueryBuilder::new("insert into tasks (key, name, category, metric) ");
        tasks.push_values(catalogue.tasks().iter(), |mut row, t| {
            row.push_bind(t.key.clone())
                .push_bind(t.name.clone())
                .push_bind(t.category.slug())
                .push_bind(t.metric.name());
        });
        tasks.push(" on conflict (key) do update set name = excluded.name, category = excluded.category, metric = excluded.metric");
        tasks.build().execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("select 1").execute(&self.pool).await?;
        Ok(())
    }

    /// A number that grows with every change of a score.
    pub async fn revision(&self) -> Result<i64> {
        Ok(sqlx::query_scalar("select number from revision").fetch_one(&self.pool).await?)
    }

    /// Records an image; one that is there already stays.
    pub async fn add_image(&self, image: &ImageInfo, bytes: usize) -> Result<()> {
        sqlx::query(
            "insert into images (sha256, width, height, bytes, created_at) values ($1, $2, $3, $4, $5)
             on conflict (sha256) do nothing",
        )
        .bind(&image.sha256)
        .bind(image.width)
        .bind(image.height)
        .bind(bytes as i64)
        .bind(now())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// An image by its hash.
    pub async fn image(&self, sha256: &str) -> Result<Option<ImageInfo>> {
        let row = sqlx::query("select sha256, width, height from images where sha256 = $1")
            .bind(sha256)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|r| Ok(ImageInfo { sha256: r.try_get(0)?, width: r.try_get(1)?, height: r.try_get(2)? })).transpose()
    }

    /// A prediction, if it was made with these weights before.
    pub async fn prediction(
        &self,
        image: &str,
        encoder: &str,
        task: &str,
        version: &str,
    ) -> Result<Option<StoredPrediction>> {
        let row = sqlx::query(
            "select output, milliseconds from predictions
             where image = $1 and encoder = $2 and task = $3 and version = $4",
        )
        .bind(image)
        .bind(encoder)
        .bind(task)
        .bind(version)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let output: String = row.try_get(0)?;
        let output =
            serde_json::from_str(&output).map_err(|source| StoreError::Content { what: "a prediction", source })?;
        Ok(Some(StoredPrediction { output, milliseconds: row.try_get(1)? }))
    }

    /// Keeps predictions of an encoder about an image: task, version of the weights, and what was said; all or none.
    pub async fn add_predictions(
        &self,
        image: &str,
        encoder: &str,
        predictions: impl Iterator<Item = (&str, &str, &StoredPrediction)>,
    ) -> Result<()> {
        let mut tx = self.pool.begin().await?;
        for (task, version, prediction) in predictions {
            let output = serde_json::to_string(&prediction.output)
                .map_err(|source| StoreError::Content { what: "a prediction", source })?;
            sqlx::query(
                "insert or replace into predictions (image, encoder, task, version, output, milliseconds, created_at)
                 values ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(image)
            .bind(encoder)
            .bind(task)
            .bind(version)
            .bind(output)
            .bind(prediction.milliseconds)
            .bind(now())
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// Closes the database; what was written is in its file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
