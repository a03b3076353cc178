//! `virboard export`.

use super::Failure;
use crate::service::Settings;
use crate::service::export::{Format, evidence, former, scores};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::PathBuf;
use virboard_nn::files::write_atomically;

/// Options of an export.
#[derive(Debug, Args)]
pub struct Export {
    /// Format of the table of all results
    #[arg(long, default_value = "csv")]
    format: FormatName,
    /// Everything behind the score of this run as one archive, instead of the table
    #[arg(long, value_name = "RUN", conflicts_with = "format")]
    evidence: Option<i64>,
    /// The scores whose place others took, instead of those that are there
    #[arg(long, conflicts_with = "evidence")]
    replaced: bool,
    /// The file to write; without one, tables go to the standard output
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatName {
    Csv,
    Json,
    Parquet,
}

impl Export {
    /// Writes the file.
    pub async fn run(self, settings: Settings) -> Result<(), Failure> {
        let store = settings.store().await?;
        let format = match self.format {
            FormatName::Csv => Format::Csv,
            FormatName::Json => Format::Json,
            FormatName::Parquet => Format::Parquet,
        };
        let bytes = match self.evidence {
            Some(run) => evidence(&store, &settings.data, run).await?,
            None if self.replaced => former(&store, format).await?,
            None => scores(&store, format).await?,
        };
        let binary = self.evidence.is_some() || format == Format::Parquet;
        match self.out {
            Some(path) => {
                write_atomically(&path, |file| file.write_all(&bytes).map_err(virboard_lab::Error::io(&path)))?;
            }
            None if binary => return Err("name the file to write with --out".into()),
            None => std::io::stdout().write_all(&bytes)?,
        }
        Ok(())
    }
}
