//! Results for other programs, and the evidence behind one of them.

use crate::store::columns::{COLUMNS, headings};
use crate::store::{Former, Store, StoreError};
use crate::table::{Cell, CellKind, Heading, TableError, csv, parquet};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use virboard_core::run::{Epoch, Run, Score};
use zip::write::SimpleFileOptions;

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A table could not be written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// JSON could not be written.
    #[error("the results could not be written: {0}")]
    Json(#[from] serde_json::Error),
    /// The bundle could not be written.
    #[error("the bundle could not be written: {0}")]
    Zip(#[from] zip::result::ZipError),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no such run.
    #[error("there is no finished run {0}; `virboard export` lists them in the column `run`")]
    NoRun(i64),
}

/// Formats of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header line.
    Csv,
    /// A list of objects.
    Json,
    /// Apache Parquet.
    Parquet,
}

/// All scores as a file's bytes, in an order that depends on their contents alone.
pub async fn scores(store: &Store, format: Format) -> Result<Vec<u8>, ExportError> {
    let scores = store.all_scores().await?;
    match format {
        Format::Json => Ok(serde_json::to_vec_pretty(&scores)?),
        Format::Csv | Format::Parquet => table(&headings(), scores.iter().map(cells).collect(), format),
    }
}

/// The scores whose place others took, in the same form, each with the time when that happened.
pub async fn former(store: &Store, format: Format) -> Result<Vec<u8>, ExportError> {
    let former = store.former_scores().await?;
    if format == Format::Json {
        return Ok(serde_json::to_vec_pretty(&former)?);
    }
    let mut headings = headings();
    headings.push(Heading { name: "replaced_at".to_owned(), kind: CellKind::Integer, optional: false });
    let row = |f: &Former| {
        let mut cells = cells(&f.score);
        cells.push(Cell::Integer(f.replaced_at));
        cells
    };
    table(&headings, former.iter().map(row).collect(), format)
}

fn cells(score: &Score) -> Vec<Cell> {
    COLUMNS.iter().map(|c| (c.cell)(score)).collect()
}

fn table(headings: &[Heading], rows: Vec<Vec<Cell>>, format: Format) -> Result<Vec<u8>, ExportError> {
    if format == Format::Parquet {
        return Ok(parquet("results", headings, &rows)?);
    }
    let names: Vec<String> = headings.iter().map(|h| h.name.clone()).collect();
    Ok(csv(&names, rows.iter().map(|row| row.iter().map(Cell::text).collect()))?)
}

/// Everything behind the score of a run as one archive: `result.json` with its provenance,
/// `epochs.csv`, the head and the per-sample results.
pub async fn evidence(store: &Store, data: &Path, run: i64) -> Result<Vec<u8>, ExportError> {
    let Run { score, epochs } = store.run(run).await?.ok_or(ExportError::NoRun(run))?;
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let io = |name: &str| {
        let path = PathBuf::from(name);
        move |source| ExportError::Io { path, source }
    };
    let mut add = |name: &str, bytes: &[u8]| -> Result<(), ExportError> {
        // Packing is left to the files' own formats; the time is no part of the evidence.
        zip.start_file(name, SimpleFileOptions::default())?;
        zip.write_all(bytes).map_err(io(name))
    };
    add("result.json", &serde_json::to_vec_pretty(&score)?)?;
    let line = |e: &Epoch| {
        let metric = e.test_metric.map_or_else(String::new, |m| m.to_string());
        vec![e.epoch.to_string(), e.train_loss.to_string(), metric]
    };
    let names = ["epoch", "train_loss", "test_metric"].map(str::to_owned);
    add("epochs.csv", &csv(&names, epochs.iter().map(line))?)?;
    for (name, file) in [("head.safetensors", &score.head), ("predictions.json.zst", &score.predictions)] {
        if !file.is_empty() {
            let path = data.join(file);
            let bytes = std::fs::read(&path).map_err(|source| ExportError::Io { path, source })?;
            add(name, &bytes)?;
        }
    }
    Ok(zip.finish()?.into_inner())
}
