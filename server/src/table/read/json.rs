//! Lists of results as JSON: this program's own, and what Python writes.

use super::{ReadError, TextRow, Texts};
use serde_json::Value;

/// JSON as Python writes it: numbers become texts, so that each is read to its last digit, and
/// so do `NaN` and `Infinity`.
pub fn json(text: &str) -> Result<Value, ReadError> {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' => string(rest),
            c if is_bare(c) => rest.find(|c| !is_bare(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        if is_bare(c) && token.parse::<f64>().is_ok() {
            out.push('"');
            out.push_str(token);
            out.push('"');
        } else {
            out.push_str(token);
        }
        rest = behind;
    }
    serde_json::from_str(&out).map_err(|e| if e.is_eof() { ReadError::Cut } else { ReadError::Json(e) })
}

/// Whether a letter may stand in a number or a word.
fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+-.".contains(c)
}

/// Length of the string at the beginning, with its quotes; all there is if it does not end.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The entries of a list, or of an object with `items`, or one object, as rows.
pub(super) fn from_json(text: &str) -> Result<Texts, ReadError> {
    let entries = match json(text)? {
        Value::Array(entries) => entries,
        Value::Object(mut one) => match one.remove("items") {
            Some(Value::Array(entries)) => entries,
            Some(_) => return Err(ReadError::NoList),
            None => vec![Value::Object(one)],
        },
        _ => return Err(ReadError::NoList),
    };
    let mut texts = Texts { unit: "entry", ..Texts::default() };
    for (i, entry) in entries.into_iter().enumerate() {
        let number = i as u64 + 1;
        let mut row = TextRow { number, ..TextRow::default() };
        if !entry.is_object() {
            texts.problems.push(format!("entry {number}: it is no object"));
            continue;
        }
        flatten(entry, &mut texts.columns, &mut row);
        texts.rows.push(row);
    }
    for row in &mut texts.rows {
        row.cells.resize(texts.columns.len(), String::new());
    }
    Ok(texts)
}

/// Objects within an entry whose fields are columns like its own.
const NESTED: [&str; 3] = ["result", "provenance", "interval"];

fn flatten(entry: Value, columns: &mut Vec<String>, row: &mut TextRow) {
    let Value::Object(fields) = entry else { return };
    for (name, value) in fields {
        let text = match value {
            Value::Object(_) if NESTED.contains(&name.as_str()) => {
                flatten(value, columns, row);
                continue;
            }
            Value::Array(epochs) if name == "epochs" => {
                row.epochs = epochs;
                continue;
            }
            Value::Null => String::new(),
            Value::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        };
        let at = columns.iter().position(|c| *c == name).unwrap_or_else(|| {
            columns.push(name);
            columns.len() - 1
        });
        if row.cells.len() <= at {
            row.cells.resize(at + 1, String::new());
        }
        row.cells[at] = text;
    }
}
