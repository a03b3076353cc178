//! Results and heads of other programs and other places: ViRB's `out/` folder, a table in any
//! form, or the evidence behind one score.

mod bundle;
mod cell;
mod rows;
mod virb;

use super::Settings;
use crate::store::{Arrival, Replace, Store, StoreError};
use crate::table::read::{ReadError, TextRow, Texts, read};
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;
use virboard_core::catalogue::Catalogue;
use virboard_core::run::Run;

pub use bundle::bundle;
pub use virb::virb_tree;

/// So many sentences of a kind are said in an error; of the rest their number.
const SAID: usize = 20;

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lab failed.
    #[error(transparent)]
    Lab(#[from] virboard_lab::Error),
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no table.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: ReadError,
    },
    /// A file is no evidence of a score.
    #[error("{path} is no archive of `virboard export --evidence`: {reason}")]
    Bundle {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A table has rows that cannot be taken.
    #[error("{path}: {}; nothing was imported", several(mistakes))]
    Mistakes {
        /// The file.
        path: PathBuf,
        /// A sentence each.
        mistakes: Vec<String>,
    },
    /// A file or folder has no score.
    #[error("{path} has no score that can be taken{}", reasons(notes))]
    Nothing {
        /// The file or folder.
        path: PathBuf,
        /// What was left out, a sentence each.
        notes: Vec<String>,
    },
    /// Scores of the same training are here with other numbers.
    #[error(
        "{path}: {}; `--replace` takes the new ones, and `virboard export --replaced` goes on showing the old",
        several(conflicts)
    )]
    Conflicts {
        /// The file or folder.
        path: PathBuf,
        /// A sentence each.
        conflicts: Vec<String>,
    },
}

fn several(sentences: &[String]) -> String {
    let said = sentences[..sentences.len().min(SAID)].join("; ");
    match sentences.len().saturating_sub(SAID) {
        0 => said,
        more => format!("{said}; and {more} more"),
    }
}

fn reasons(notes: &[String]) -> String {
    if notes.is_empty() { String::new() } else { format!(": {}", several(notes)) }
}

/// How an import is meant.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish {
    /// Whether other scores of the same training give way.
    pub replace: bool,
    /// Whether it is only said what would happen.
    pub dry_run: bool,
}

/// What an import brought.
#[derive(Debug, Default)]
pub struct Imported {
    /// New scores.
    pub added: usize,
    /// Scores that are here as they are.
    pub unchanged: usize,
    /// Scores that are here as they are, to which a head, a curve or per-sample results came.
    pub completed: usize,
    /// Scores that took the place of others, a sentence each.
    pub replaced: Vec<String>,
    /// Scores that were not taken, because others of the same training are here.
    pub conflicts: Vec<String>,
    /// Heads that can be tried now.
    pub heads: usize,
    /// What was left out, a sentence each.
    pub notes: Vec<String>,
}

impl Imported {
    /// Counts what became of runs; `places` says where each stands.
    fn count<'a>(&mut self, places: impl Iterator<Item = &'a str>, runs: &[Run], arrivals: &[Arrival]) {
        for ((place, run), arrival) in places.zip(runs).zip(arrivals) {
            let new = &run.score;
            let cell = format!("{place}: {} on {}", new.encoder, new.task);
            let mark = |selected: bool| if selected { "" } else { ", not chosen" };
            let both = |old: &virboard_core::run::Score| {
                let (a, b) = (mark(old.evidence.selected), mark(new.evidence.selected));
                (format!("{}{a}", old.value), format!("{}{b}", new.value))
            };
            match arrival {
                Arrival::Added => self.added += 1,
                Arrival::Unchanged => self.unchanged += 1,
                Arrival::Completed => self.completed += 1,
                Arrival::Replaced(old) => {
                    let (old, new) = both(old);
                    self.replaced.push(format!("{cell} was {old} and is {new}"));
                }
                Arrival::Conflict(old) => {
                    let (mut old, mut new) = both(old);
                    if old == new {
                        (old, new) = (format!("{old} with another interval or other samples"), "different".to_owned());
                    }
                    self.conflicts.push(format!("{cell} is {old} here and {new} there"));
                }
            }
        }
    }
}

/// Imports a table: an export of this program as CSV, JSON or Parquet, or one that people made,
/// with the columns `encoder`, `task` and `score` and perhaps others. All of it or nothing.
pub async fn table(
    settings: &Settings,
    store: &Store,
    catalogue: &Catalogue,
    path: &Path,
    wish: Wish,
) -> Result<Imported, ImportError> {
    let texts = read(path).map_err(|source| ImportError::Read { path: path.to_path_buf(), source })?;
    let Taken { places, mut runs, notes } = taken(&texts, catalogue, path)?;
    let mut imported = Imported { notes, ..Imported::default() };
    let mut elsewhere = 0;
    for run in &mut runs {
        for file in [&mut run.score.head, &mut run.score.predictions] {
            let here = file.is_empty()
                || (below(&settings.data, file).is_some_and(|p| p.is_file()) && !store.has_measured_file(file).await?);
            if !here {
                file.clear();
                elsewhere += 1;
            }
        }
    }
    if elsewhere > 0 {
        imported.notes.push(format!(
            "{elsewhere} heads and files of per-sample results are no part of a table; `virboard export --evidence RUN` takes them along"
        ));
    }
    let replace = if wish.replace { Replace::Always } else { Replace::Never };
    let fine = |arrivals: &[Arrival]| !wish.dry_run && !arrivals.iter().any(|a| matches!(a, Arrival::Conflict(_)));
    let arrivals = store.take_in(&runs, replace, fine).await?;
    imported.count(places.iter().map(String::as_str), &runs, &arrivals);
    if wish.dry_run || imported.conflicts.is_empty() {
        return Ok(imported);
    }
    Err(ImportError::Conflicts { path: path.to_path_buf(), conflicts: imported.conflicts })
}

/// The runs of a table, which are not stored.
#[cfg(test)]
pub(super) fn read_table(catalogue: &Catalogue, path: &Path) -> Result<Vec<Run>, ImportError> {
    let texts = read(path).map_err(|source| ImportError::Read { path: path.to_path_buf(), source })?;
    Ok(taken(&texts, catalogue, path)?.runs)
}

/// The runs of a table, where each stands, and what was left out.
struct Taken {
    places: Vec<String>,
    runs: Vec<Run>,
    notes: Vec<String>,
}

fn taken(texts: &Texts, catalogue: &Catalogue, path: &Path) -> Result<Taken, ImportError> {
    let rows::Scores { runs, notes, mistakes } = rows::scores(texts, catalogue, path, modified(path));
    let path = path.to_path_buf();
    if !mistakes.is_empty() {
        return Err(ImportError::Mistakes { path, mistakes });
    }
    if runs.is_empty() {
        return Err(ImportError::Nothing { path, notes });
    }
    let (places, runs) = runs.into_iter().unzip();
    Ok(Taken { places, runs, notes })
}

/// A file below the data folder by the path that a score has; `None` for one that leads out of it.
fn below(data: &Path, file: &str) -> Option<PathBuf> {
    let path = Path::new(file);
    let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
    let known = path.starts_with("heads") || path.starts_with("predictions");
    (plain && known).then(|| data.join(path))
}

fn modified(path: &Path) -> i64 {
    let time = std::fs::metadata(path).and_then(|m| m.modified()).ok();
    time.and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_secs() as i64)
}
