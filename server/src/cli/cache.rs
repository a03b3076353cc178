//! `virboard cache`: what is cached, and making room.

use super::Failure;
use crate::service::Settings;
use clap::{Args, Subcommand};
use virboard_lab::features::Entry;

/// Options of the cache.
#[derive(Debug, Args)]
pub struct CacheCommand {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the cached features, the most recently used first
    Show,
    /// Remove the least recently used until at most this many gigabytes are left
    Prune {
        /// Gigabytes to keep
        #[arg(long, default_value_t = 0.0)]
        keep: f64,
    },
}

impl CacheCommand {
    /// Lists or prunes.
    pub fn run(self, settings: &Settings) -> Result<(), Failure> {
        let cache = settings.folders().cache;
        match self.action.unwrap_or(Action::Show) {
            Action::Show => {
                let entries = cache.entries()?;
                if self.json {
                    println!("{}", serde_json::to_string_pretty(&entries)?);
                } else {
                    print(&entries);
                    let bytes: u64 = entries.iter().map(|e| e.bytes).sum();
                    println!("{} files, {} of at most {}", entries.len(), size(bytes), size(cache.limit));
                }
            }
            Action::Prune { keep } => {
                if !(keep >= 0.0 && keep.is_finite()) {
                    return Err("--keep is a number of gigabytes, 0 or more".into());
                }
                let removed = cache.prune((keep * 1e9) as u64)?;
                if self.json {
                    println!("{}", serde_json::to_string_pretty(&removed)?);
                } else {
                    print(&removed);
                    println!("{} files removed, {} free", removed.len(), size(removed.iter().map(|e| e.bytes).sum()));
                }
            }
        }
        Ok(())
    }
}

fn print(entries: &[Entry]) {
    for entry in entries {
        let what = entry.description.as_ref().map_or_else(
            || "of unknown origin".to_owned(),
            |d| format!("{} of {} {} samples of {} with {}", d.kind, d.samples, d.split, d.task, d.encoder),
        );
        println!("{:>10}  {what}  {}", size(entry.bytes), entry.path.display());
    }
}

fn size(bytes: u64) -> String {
    if bytes < 1_000_000 {
        format!("{:.1} kB", bytes as f64 / 1e3)
    } else if bytes < 1_000_000_000 {
        format!("{:.1} MB", bytes as f64 / 1e6)
    } else {
        format!("{:.1} GB", bytes as f64 / 1e9)
    }
}
