//! What people do with jobs.

use super::engine::{ANY, Asked, Engine, EngineError, job_of};
use crate::store::{JobRow, JobState};

/// Why a job was not changed.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    /// There is none.
    #[error("there is no job called `{0}`; `virboard jobs list` lists them")]
    Unknown(String),
    /// Only what waits or runs can be cancelled.
    #[error("{title} ({name}) is {}, so that there is nothing to cancel", state.name())]
    Ended {
        /// Its name.
        name: String,
        /// What it is called.
        title: String,
        /// How it stands.
        state: JobState,
    },
    /// Only what has failed or was cancelled can be tried again.
    #[error("{title} ({name}) is {}; only what has failed or was cancelled is tried again", state.name())]
    NotFailed {
        /// Its name.
        name: String,
        /// What it is called.
        title: String,
        /// How it stands.
        state: JobState,
    },
    /// The queue could not be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

async fn find(engine: &Engine, name: &str) -> Result<JobRow, JobsError> {
    engine.job(name).await?.ok_or_else(|| JobsError::Unknown(name.to_owned()))
}

/// Cancels a job that waits, or asks that a running one stops, in the name of `by`. Gives the job as it was.
pub async fn cancel(engine: &Engine, name: &str, by: &str) -> Result<JobRow, JobsError> {
    let row = find(engine, name).await?;
    match engine.cancel(name, by).await? {
        Some(JobState::Queued | JobState::Running) => Ok(row),
        Some(state) => Err(JobsError::Ended { name: row.name, title: row.title, state }),
        None => Err(JobsError::Unknown(name.to_owned())),
    }
}

/// Puts a job that has failed or was cancelled into the queue again, in the name of `by`. What was left to a single
/// worker may be done by any then. Gives the job as it was.
pub async fn retry(engine: &Engine, name: &str, by: &str) -> Result<JobRow, JobsError> {
    let row = find(engine, name).await?;
    if !matches!(row.state, JobState::Failed | JobState::Cancelled) {
        return Err(JobsError::NotFailed { name: row.name, title: row.title, state: row.state });
    }
    let pool = if row.pool.starts_with('@') { ANY.to_owned() } else { row.pool.clone() };
    let asked = Asked { by: by.to_owned(), pool, priority: row.priority, anew: row.anew, again: true };
    engine.offer(&[job_of(&row)?], &asked).await?;
    Ok(row)
}
