//! `virboard jobs`: what waits, runs and has ended.

use super::Failure;
use super::desk::person;
use crate::service::{Settings, jobs};
use crate::store::{JobRow, JobState};
use clap::{Args, Subcommand};

/// Options of the list of jobs.
#[derive(Debug, Args)]
pub struct Jobs {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List jobs: those that run, those that wait, and those that have ended
    List,
    /// Take back a job that waits, or ask that a running one stops
    Cancel {
        /// Name of the job, as the list has it
        name: String,
    },
    /// Let a job wait again that has failed or was cancelled
    Retry {
        /// Name of the job, as the list has it
        name: String,
    },
}

impl Jobs {
    /// Lists or changes jobs.
    pub async fn run(self, settings: Settings) -> Result<(), Failure> {
        let store = settings.store().await?;
        let engine = settings.engine(&store);
        match self.action.unwrap_or(Action::List) {
            Action::List => {
                if !store.is_read_only() {
                    engine.sweep().await?;
                }
                let rows = store.jobs().await?;
                if self.json {
                    println!("{}", serde_json::to_string_pretty(&rows)?);
                } else {
                    for row in &rows {
                        println!("{}", line(row));
                    }
                }
            }
            Action::Cancel { name } => {
                let row = jobs::cancel(&engine, &name, &person()).await?;
                match row.state {
                    JobState::Running => println!("{} is asked to stop", row.title),
                    _ => println!("{} is cancelled", row.title),
                }
            }
            Action::Retry { name } => {
                let row = jobs::retry(&engine, &name, &person()).await?;
                println!("{} waits for a worker", row.title);
            }
        }
        Ok(())
    }
}

fn line(row: &JobRow) -> String {
    let worker = row.worker.as_deref().unwrap_or("nobody");
    let doing = match row.state {
        JobState::Running => match row.total {
            0 => format!("by {worker}"),
            total => format!("by {worker}, {} {}/{total}", row.stage, row.done),
        },
        JobState::Queued | JobState::Failed | JobState::Cancelled => row.error.clone().unwrap_or_default(),
        JobState::Finished => format!("by {worker}"),
    };
    let line = format!("{:9} {:25} attempt {} {:40} {doing}", row.state.name(), row.name, row.attempt, row.title);
    line.trim_end().to_owned()
}
