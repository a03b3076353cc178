//! Tables as files: comma-separated values and Apache Parquet.

pub mod read;

use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::sync::Arc;

/// Why a table was not written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// As comma-separated values.
    #[error("the table could not be written: {0}")]
    Csv(#[from] csv::Error),
    /// As Parquet.
    #[error("the table could not be written: {0}")]
    Parquet(#[from] ParquetError),
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellKind {
    /// Text.
    Text,
    /// `true` or `false`; text in files.
    Flag,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Real,
}

/// The head of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: CellKind,
    /// Whether a cell may be empty.
    pub optional: bool,
}

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Text.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Empty.
    Nothing,
}

impl Cell {
    /// As it stands in a file of text.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Flag(flag) => flag.to_string(),
            Self::Integer(number) => number.to_string(),
            Self::Real(number) => number.to_string(),
            Self::Nothing => String::new(),
        }
    }

    /// The number in it.
    fn integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(*number) } else { None }
    }

    /// The number in it.
    fn real(&self) -> Option<f64> {
        if let Self::Real(number) = self { Some(*number) } else { None }
    }
}

/// Text as comma-separated values with a header line; nothing at all for a table without
/// columns.
pub fn csv(columns: &[String], rows: impl IntoIterator<Item = Vec<String>>) -> Result<Vec<u8>, TableError> {
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns)?;
    for row in rows {
        writer.write_record(row)?;
    }
    writer.into_inner().map_err(|e| csv::Error::from(e.into_error()).into())
}

/// A table as Parquet. Every row has a cell for each heading, of its kind.
pub fn parquet(name: &str, headings: &[Heading], rows: &[Vec<Cell>]) -> Result<Vec<u8>, TableError> {
    let field = |h: &Heading| {
        // Names in the schema's language cannot hold hyphens.
        let plain = h.name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let presence = if h.optional { "optional" } else { "required" };
        match h.kind {
            CellKind::Text | CellKind::Flag => format!("{presence} binary {plain} (UTF8);"),
            CellKind::Integer => format!("{presence} int64 {plain};"),
            CellKind::Real => format!("{presence} double {plain};"),
        }
    };
    let fields: Vec<String> = headings.iter().map(field).collect();
    let schema = Arc::new(parse_message_type(&format!("message {name} {{ {} }}", fields.join(" ")))?);
    let mut out = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut out, schema, Arc::new(WriterProperties::default()))?;
    let mut group = writer.next_row_group()?;
    for (i, heading) in headings.iter().enumerate() {
        let Some(mut column) = group.next_column()? else { break };
        let cells = || rows.iter().map(|r| &r[i]);
        let levels: Vec<i16> = cells().map(|c| i16::from(*c != Cell::Nothing)).collect();
        let levels = heading.optional.then_some(&levels[..]);
        match heading.kind {
            CellKind::Integer => {
                let values: Vec<i64> = cells().filter_map(Cell::integer).collect();
                column.typed::<Int64Type>().write_batch(&values, levels, None)?;
            }
            CellKind::Real => {
                let values: Vec<f64> = cells().filter_map(Cell::real).collect();
                column.typed::<DoubleType>().write_batch(&values, levels, None)?;
            }
            CellKind::Text | CellKind::Flag => {
                let written = cells().filter(|c| **c != Cell::Nothing || !heading.optional);
                let values: Vec<ByteArray> = written.map(|c| ByteArray::from(c.text().as_str())).collect();
                column.typed::<ByteArrayType>().write_batch(&values, levels, None)?;
            }
        }
        column.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(out)
}
