//! `virboard export`.

use super::Failure;
use crate::service::Settings;
use crate::service::export::{Format, evidence, scores};
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
        let (bytes, binary) = match (self.evidence, self.format) {
            (Some(run), _) => (evidence(&store, &settings.data, run).await?, true),
            (None, FormatName::Csv) => (scores(&store, Format::Csv).await?, false),
            (None, FormatName::Json) => (scores(&store, Format::Json).await?, false),
            (None, FormatName::Parquet) => (scores(&store, Format::Parquet).await?, true),
        };
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
