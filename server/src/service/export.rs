//! Results for other programs, and the evidence behind one of them.

use crate::store::{Store, StoreError, StoredResult};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zip::write::SimpleFileOptions;

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A table could not be written.
    #[error("the table could not be written: {0}")]
    Csv(#[from] csv::Error),
    /// A table could not be written.
    #[error("the table could not be written: {0}")]
    Parquet(#[from] ParquetError),
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

/// Columns of a table, in order.
const COLUMNS: [&str; 22] = [
    "run",
    "encoder",
    "task",
    "score",
    "low",
    "high",
    "constant",
    "source",
    "probe",
    "protocol",
    "selected",
    "seed",
    "configuration",
    "encoder_sha256",
    "dataset_sha256",
    "device",
    "version",
    "finished_at",
    "seconds",
    "test_samples",
    "head",
    "predictions",
];

fn cells(stored: &StoredResult) -> [String; 22] {
    let (r, p) = (&stored.result, &stored.result.provenance);
    [
        stored.run.map_or_else(String::new, |run| run.to_string()),
        r.encoder.clone(),
        r.task.clone(),
        r.score.to_string(),
        r.interval.map_or_else(String::new, |i| i.low.to_string()),
        r.interval.map_or_else(String::new, |i| i.high.to_string()),
        r.constant.map_or_else(String::new, |c| c.to_string()),
        p.source.name().to_owned(),
        p.probe.name().to_owned(),
        p.protocol.name().to_owned(),
        p.selected.to_string(),
        p.seed.to_string(),
        p.configuration.clone(),
        p.encoder_sha256.clone(),
        p.dataset_sha256.clone(),
        p.device.clone(),
        p.version.clone(),
        p.finished_at.to_string(),
        p.seconds.to_string(),
        p.test_samples.to_string(),
        stored.head.clone(),
        stored.predictions.clone(),
    ]
}

/// A table of text as CSV; nothing at all for one without columns.
pub fn csv(columns: &[String], rows: &[Vec<String>]) -> Result<Vec<u8>, ExportError> {
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns)?;
    for row in rows {
        writer.write_record(row)?;
    }
    writer.into_inner().map_err(|e| ExportError::Csv(e.into_error().into()))
}

/// All results as a file's bytes, in an order that depends on their contents alone.
pub async fn results(store: &Store, format: Format) -> Result<Vec<u8>, ExportError> {
    let rows = store.all_results().await?;
    match format {
        Format::Json => Ok(serde_json::to_vec_pretty(&rows)?),
        Format::Csv => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(COLUMNS)?;
            for row in &rows {
                writer.write_record(cells(row))?;
            }
            writer.into_inner().map_err(|e| ExportError::Csv(e.into_error().into()))
        }
        Format::Parquet => parquet(&rows),
    }
}

fn parquet(rows: &[StoredResult]) -> Result<Vec<u8>, ExportError> {
    let kind = |column: &str| match column {
        "score" | "seconds" => "required double",
        "constant" | "low" | "high" => "optional double",
        "run" => "optional int64",
        "seed" | "finished_at" | "test_samples" => "required int64",
        _ => "required binary",
    };
    let fields: Vec<String> = COLUMNS
        .iter()
        .map(|c| {
            let kind = kind(c);
            format!("{kind} {c}{};", if kind.ends_with("binary") { " (UTF8)" } else { "" })
        })
        .collect();
    let schema = Arc::new(parse_message_type(&format!("message results {{ {} }}", fields.join(" ")))?);
    let mut out = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut out, schema, Arc::new(WriterProperties::default()))?;
    let mut group = writer.next_row_group()?;
    let table: Vec<[String; 22]> = rows.iter().map(cells).collect();
    for (i, name) in COLUMNS.iter().enumerate() {
        let Some(mut column) = group.next_column()? else { break };
        match *name {
            "score" | "seconds" | "constant" | "low" | "high" => {
                let value = |r: &StoredResult| match *name {
                    "score" => Some(r.result.score),
                    "seconds" => Some(r.result.provenance.seconds),
                    "low" => r.result.interval.map(|i| i.low),
                    "high" => r.result.interval.map(|i| i.high),
                    _ => r.result.constant,
                };
                let values: Vec<f64> = rows.iter().filter_map(value).collect();
                let levels: Vec<i16> = rows.iter().map(|r| i16::from(value(r).is_some())).collect();
                let levels = kind(name).starts_with("optional").then_some(&levels[..]);
                column.typed::<DoubleType>().write_batch(&values, levels, None)?;
            }
            "run" | "seed" | "finished_at" | "test_samples" => {
                let value = |r: &StoredResult| match *name {
                    "run" => r.run,
                    "seed" => Some(r.result.provenance.seed as i64),
                    "finished_at" => Some(r.result.provenance.finished_at),
                    _ => Some(r.result.provenance.test_samples as i64),
                };
                let values: Vec<i64> = rows.iter().filter_map(value).collect();
                let levels: Vec<i16> = rows.iter().map(|r| i16::from(value(r).is_some())).collect();
                let levels = (*name == "run").then_some(&levels[..]);
                column.typed::<Int64Type>().write_batch(&values, levels, None)?;
            }
            _ => {
                let values: Vec<ByteArray> = table.iter().map(|r| ByteArray::from(r[i].as_str())).collect();
                column.typed::<ByteArrayType>().write_batch(&values, None, None)?;
            }
        }
        column.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(out)
}

/// Everything behind the score of a run as one archive: `result.json` with its provenance,
/// `epochs.csv`, the head and the per-sample results.
pub async fn evidence(store: &Store, data: &Path, run: i64) -> Result<Vec<u8>, ExportError> {
    let (stored, epochs) = store.run(run).await?.ok_or(ExportError::NoRun(run))?;
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
    add("result.json", &serde_json::to_vec_pretty(&stored)?)?;
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["epoch", "train_loss", "test_metric"])?;
    for e in epochs {
        let metric = e.test_metric.map_or_else(String::new, |m| m.to_string());
        table.write_record([e.epoch.to_string(), e.train_loss.to_string(), metric])?;
    }
    add("epochs.csv", &table.into_inner().map_err(|e| ExportError::Csv(e.into_error().into()))?)?;
    for (name, file) in [("head.safetensors", &stored.head), ("predictions.json.zst", &stored.predictions)] {
        if !file.is_empty() {
            let path = data.join(file);
            let bytes = std::fs::read(&path).map_err(|source| ExportError::Io { path, source })?;
            add(name, &bytes)?;
        }
    }
    Ok(zip.finish()?.into_inner())
}
