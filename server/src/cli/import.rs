//! `virboard import`.

use super::Failure;
use crate::service::Settings;
use crate::service::import::{Imported, table, virb_tree};
use clap::Args;
use std::path::PathBuf;

/// Options of an import.
#[derive(Debug, Args)]
pub struct Import {
    /// ViRB's out folder, or a CSV table with the columns encoder, task and score
    path: PathBuf,
}

impl Import {
    /// Imports and says what came in.
    pub async fn run(self, settings: Settings) -> Result<(), Failure> {
        let store = settings.store().await?;
        let imported: Imported = if self.path.is_dir() {
            let registry = settings.registry()?;
            virb_tree(&settings, &store, &registry, &self.path).await?
        } else {
            table(&store, &settings.catalogue(), &self.path).await?
        };
        for note in &imported.notes {
            eprintln!("note: {note}");
        }
        println!("{} new scores, {} heads", imported.results, imported.heads);
        Ok(())
    }
}
