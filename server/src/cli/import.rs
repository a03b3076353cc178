//! `virboard import`.

use super::Failure;
use crate::service::Settings;
use crate::service::import::{ImportError, Imported, Wish, bundle, table, virb_tree};
use clap::Args;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Options of an import.
#[derive(Debug, Args)]
pub struct Import {
    /// ViRB's out folder; a table (CSV, JSON or Parquet) with the columns encoder, task and score, or as `virboard export` writes it; or the archive of `virboard export --evidence`
    path: PathBuf,
    /// Take new numbers where scores of the same training are here with others; the old ones stay in `virboard export --replaced`
    #[arg(long)]
    replace: bool,
    /// Only say what would be taken
    #[arg(long)]
    dry_run: bool,
}

impl Import {
    /// Imports and says what came in.
    pub async fn run(self, settings: Settings) -> Result<(), Failure> {
        let store = settings.store().await?;
        let wish = Wish { replace: self.replace, dry_run: self.dry_run };
        let imported = if self.path.is_dir() {
            virb_tree(&settings, &store, &settings.registry()?, &self.path, wish).await?
        } else if is_archive(&self.path) {
            bundle(&settings, &store, &settings.catalogue(), &self.path, wish).await?
        } else {
            table(&settings, &store, &settings.catalogue(), &self.path, wish).await?
        };
        say(&imported, self.dry_run);
        if imported.conflicts.is_empty() || self.dry_run {
            return Ok(());
        }
        Err(ImportError::Conflicts { path: self.path, conflicts: imported.conflicts }.into())
    }
}

fn say(imported: &Imported, dry_run: bool) {
    for note in &imported.notes {
        eprintln!("note: {note}");
    }
    for replaced in &imported.replaced {
        println!("replaced: {replaced}");
    }
    for conflict in &imported.conflicts {
        println!("in conflict: {conflict}");
    }
    let completed = match imported.completed {
        0 => String::new(),
        n => format!(", {n} completed"),
    };
    let start = if dry_run { "dry run, nothing was written: " } else { "" };
    println!(
        "{start}{} new scores, {} heads; {} replaced, {} unchanged, {} in conflict{completed}",
        imported.added,
        imported.heads,
        imported.replaced.len(),
        imported.unchanged,
        imported.conflicts.len()
    );
}

/// Whether a file begins as archives of evidence do; a spreadsheet does too, but has no result.
fn is_archive(path: &Path) -> bool {
    let mut start = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut f| f.read_exact(&mut start));
    read.is_ok() && start == *b"PK\x03\x04"
}
