//! Tables as people have them: comma-separated values as spreadsheets of any language write
//! them, JSON of this program or of Python's, and Parquet. All become texts.

mod json;

use json::from_json;
pub use json::json;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A table's file may have so many bytes.
const LARGEST: u64 = 1 << 30;

/// A table, as texts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Texts {
    /// What one of its rows is called where it is counted.
    pub unit: &'static str,
    /// Names of columns as they stand there.
    pub columns: Vec<String>,
    /// Rows that are not empty.
    pub rows: Vec<TextRow>,
    /// Rows that are no rows, a sentence each.
    pub problems: Vec<String>,
}

/// A row with a text for each column.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TextRow {
    /// Its number: the line in the file, or its place from 1.
    pub number: u64,
    /// Without spaces around them; empty for nothing.
    pub cells: Vec<String>,
    /// What JSON has under `epochs`, which is no text.
    pub epochs: Vec<Value>,
}

/// Why a file is no table.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It has no content.
    #[error("it is empty; if a program is still writing it, try again when that has ended")]
    Empty,
    /// It is too large.
    #[error("its {0} bytes are more than a table of scores can have")]
    TooLarge(u64),
    /// It is something else.
    #[error("it is {0}")]
    Other(&'static str),
    /// It is no text.
    #[error("line {0} is not UTF-8; save the table as UTF-8")]
    NotText(usize),
    /// It is no table of text.
    #[error("it is no comma-separated table: {0}")]
    Csv(#[from] csv::Error),
    /// It is no Parquet.
    #[error(
        "its Parquet cannot be read: {0}; if it is whole, save it without compression (in Python: `compression=None`)"
    )]
    Parquet(#[from] ParquetError),
    /// It ends too early.
    #[error("its JSON ends in the middle; if a program is still writing it, try again when that has ended")]
    Cut,
    /// It is no JSON.
    #[error("its JSON cannot be read: {0}")]
    Json(serde_json::Error),
    /// It is JSON of another shape.
    #[error("its JSON is no list of results")]
    NoList,
}

/// First bytes of files that are no tables, and what they are.
const OTHERS: [(&[u8], &str); 6] = [
    (b"PK\x03\x04", "an archive or a spreadsheet's own format; save the table as CSV"),
    (b"\x1f\x8b", "compressed; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed; unpack it first"),
    (b"SQLite format 3", "a database; write its scores with `virboard export`"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet's own format; save the table as CSV"),
    (b"<", "a page or another document of angle brackets; save the table as CSV"),
];

/// Reads a table of any of the formats, which its first bytes tell.
pub fn read(path: &Path) -> Result<Texts, ReadError> {
    let io = |source| ReadError::Io { path: path.to_path_buf(), source };
    let size = std::fs::metadata(path).map_err(io)?.len();
    if size > LARGEST {
        return Err(ReadError::TooLarge(size));
    }
    let bytes = std::fs::read(path).map_err(io)?;
    if bytes.starts_with(b"PAR1") { from_parquet(std::fs::File::open(path).map_err(io)?) } else { from_text(&bytes) }
}

/// Reads a table of text, or JSON.
pub fn from_text(bytes: &[u8]) -> Result<Texts, ReadError> {
    if let Some((_, what)) = OTHERS.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err(ReadError::Other(what));
    }
    // One kind of line ends, so that lines are counted as an editor does.
    let text = decoded(bytes)?.replace("\r\n", "\n").replace('\r', "\n");
    match text.trim_start().chars().next() {
        None => Err(ReadError::Empty),
        Some('[' | '{') => from_json(&text),
        Some(_) => from_csv(&text),
    }
}

/// UTF-8 or UTF-16 as text, without its mark.
fn decoded(bytes: &[u8]) -> Result<String, ReadError> {
    let wide = |rest: &[u8], pair: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.chunks_exact(2).map(|c| pair([c[0], c[1]])).collect();
        String::from_utf16(&units).map_err(|_| ReadError::NotText(1))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => {
            let text = std::str::from_utf8(bytes)
                .map_err(|e| ReadError::NotText(bytes[..e.valid_up_to()].split(|b| *b == b'\n').count()))?;
            Ok(text.trim_start_matches('\u{feff}').to_owned())
        }
    }
}

/// What separates columns, most often seen outside of quotes in the first line.
fn delimiter(line: &str) -> u8 {
    let mut counts = [(b'\t', 0), (b';', 0), (b',', 0)];
    let mut quoted = false;
    for byte in line.bytes() {
        quoted ^= byte == b'"';
        if let Some((_, count)) = counts.iter_mut().find(|(d, _)| *d == byte && !quoted) {
            *count += 1;
        }
    }
    // Of equals the first: commas stand in words and numbers, too.
    let seen = counts.iter().rev().filter(|(_, count)| *count > 0);
    seen.max_by_key(|(_, count)| *count).map_or(b',', |(d, _)| *d)
}

fn from_csv(text: &str) -> Result<Texts, ReadError> {
    // A spreadsheet's note of its separator.
    let first = text.lines().next().unwrap_or_default();
    let said = first.trim().strip_prefix("sep=").and_then(|s| s.bytes().next());
    let (table, skipped) = match said {
        Some(_) => (&text[(first.len() + 1).min(text.len())..], 1),
        None => (text, 0),
    };
    let header = table.lines().find(|l| !l.trim().is_empty()).unwrap_or_default();
    let separator = said.unwrap_or_else(|| delimiter(header));
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(table.as_bytes());
    let mut texts = Texts { unit: "line", ..Texts::default() };
    let (mut at, mut line) = (0, 1 + skipped);
    for record in reader.records() {
        let record = record?;
        let byte = record.position().map_or(at, |p| p.byte() as usize).max(at);
        // The reader passes empty lines before it begins with the record.
        let empty = table.as_bytes()[byte..].iter().take_while(|b| **b == b'\n').count();
        line += table.as_bytes()[at..byte + empty].split(|b| *b == b'\n').count() as u64 - 1;
        at = byte + empty;
        let mut cells: Vec<String> = record.iter().map(str::to_owned).collect();
        if cells.iter().all(String::is_empty) {
            continue;
        }
        if texts.columns.is_empty() {
            while cells.last().is_some_and(String::is_empty) {
                cells.pop();
            }
            texts.columns = cells;
            continue;
        }
        let columns = texts.columns.len();
        if cells.len() < columns || cells[columns..].iter().any(|c| !c.is_empty()) {
            texts.problems.push(format!(
                "line {line}: it has {} fields and the first line has {columns}; is the file whole? A text with a separator stands in quotes",
                cells.len()
            ));
            continue;
        }
        cells.truncate(columns);
        texts.rows.push(TextRow { number: line, cells, epochs: Vec::new() });
    }
    if texts.columns.is_empty() { Err(ReadError::Empty) } else { Ok(texts) }
}

fn from_parquet(file: std::fs::File) -> Result<Texts, ReadError> {
    let reader = SerializedFileReader::new(file)?;
    let fields = reader.metadata().file_metadata().schema().get_fields().iter();
    let columns = fields.map(|f| f.name().to_owned()).collect();
    let mut texts = Texts { unit: "row", columns, ..Texts::default() };
    for (i, row) in reader.get_row_iter(None)?.enumerate() {
        let row = row?;
        let text = |field: &Field| match field {
            Field::Null => String::new(),
            Field::Str(text) => text.trim().to_owned(),
            Field::Double(number) => number.to_string(),
            Field::Float(number) => number.to_string(),
            other => other.to_string(),
        };
        let cells = row.get_column_iter().map(|(_, field)| text(field)).collect();
        texts.rows.push(TextRow { number: i as u64 + 1, cells, epochs: Vec::new() });
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Cell, CellKind, Heading, parquet};

    fn cells(text: &str) -> Vec<Vec<String>> {
        let texts = from_text(text.as_bytes()).expect("read");
        assert!(texts.problems.is_empty(), "{:?}", texts.problems);
        [texts.columns].into_iter().chain(texts.rows.into_iter().map(|r| r.cells)).collect()
    }

    #[test]
    fn spreadsheets_of_any_language_are_read_alike() {
        let wanted = [["a", "b, c"], ["1", "2,5"]];
        for text in [
            "a,\"b, c\"\n1,\"2,5\"\n",
            "\u{feff}a,\"b, c\"\r\n 1 ,\"2,5\" ,,\r\n,,,\r\n",
            "a;b, c\n1;2,5",
            "sep=;\na;b, c\n1;2,5\n;\n",
            "a\tb, c\r1\t2,5\r",
            "\n\na;\"b, c\";;\n1;2,5;;\n",
        ] {
            assert_eq!(cells(text), wanted, "{text:?}");
        }
        let wide: Vec<u8> = "\u{feff}a\tb, c\r\n1\t2,5".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(from_text(&wide).expect("read").rows[0].cells, wanted[1]);
    }

    #[test]
    fn rows_are_counted_as_an_editor_counts_lines() {
        let text = "sep=,\r\na,b\r\n1,2\r\n\r\n\r\n\"3\r\n3\",4\r\n5\r\n6,7\r\n";
        let texts = from_text(text.as_bytes()).expect("read");
        assert_eq!(texts.rows.iter().map(|r| r.number).collect::<Vec<_>>(), [3, 6, 9]);
        assert_eq!(texts.problems.len(), 1);
        assert!(texts.problems[0].starts_with("line 8: it has 1 fields and the first line has 2"), "{texts:?}");
    }

    #[test]
    fn json_of_python_is_read_to_the_last_digit() {
        let text = "[{\"score\": 0.30000000000000004, \"low\": NaN, \"note\": \"NaN, 1\\\"2\", \"on\": true, \"x\": null,
                    \"provenance\": {\"seed\": 18446744073709551615, \"loss\": -Infinity}, \"epochs\": [{\"epoch\": 1}]}]";
        let texts = from_text(text.as_bytes()).expect("read");
        let of = |name: &str| {
            let at = texts.columns.iter().position(|c| c == name).expect(name);
            texts.rows[0].cells[at].as_str()
        };
        assert_eq!((of("score"), of("low"), of("note")), ("0.30000000000000004", "NaN", "NaN, 1\"2"));
        assert_eq!((of("on"), of("x"), of("seed"), of("loss")), ("true", "", "18446744073709551615", "-Infinity"));
        assert_eq!(texts.rows[0].epochs.len(), 1);
    }

    #[test]
    fn parquet_is_read_back() {
        let heading = |name: &str, kind, optional| Heading { name: name.to_owned(), kind, optional };
        let headings = [
            heading("name", CellKind::Text, false),
            heading("score", CellKind::Real, true),
            heading("seed", CellKind::Integer, false),
        ];
        let rows = [
            vec![Cell::Text("a".to_owned()), Cell::Real(0.1 + 0.2), Cell::Integer(7)],
            vec![Cell::Text(String::new()), Cell::Nothing, Cell::Integer(-1)],
        ];
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), parquet("t", &headings, &rows).expect("made")).expect("written");
        let texts = read(file.path()).expect("read");
        assert_eq!((texts.unit, texts.columns.join(",")), ("row", "name,score,seed".to_owned()));
        assert_eq!(texts.rows[0].cells, ["a", "0.30000000000000004", "7"]);
        assert_eq!(texts.rows[1].cells, ["", "", "-1"]);
    }

    #[test]
    fn files_that_are_no_tables_are_told_by_name() {
        let say = |bytes: &[u8]| from_text(bytes).expect_err("refused").to_string();
        assert!(say(b"").contains("empty") && say(b"\xef\xbb\xbf \r\n").contains("empty"));
        assert!(say(b"PK\x03\x04").contains("save the table as CSV"));
        assert!(say(b"\x1f\x8b\x08").contains("unpack"));
        assert!(say(b"<!DOCTYPE html>").contains("page"));
        assert!(say(b"a,b\n1,\xe9\n").contains("line 2 is not UTF-8"));
        assert!(say(b"[{\"a\": 0.").contains("ends in the middle"));
        assert!(say(b"{\"items\": 3}").contains("no list"));
        assert!(say(b"[{\"a\": b}]").contains("cannot be read"));
        let cut = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(cut.path(), b"PAR1 and no more").expect("written");
        assert!(read(cut.path()).expect_err("refused").to_string().contains("Parquet cannot be read"));
    }
}
