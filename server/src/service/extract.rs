//! What the leaderboard shows, as a file.

use super::export::ExportError;
use crate::table::{self, Cell, CellKind, Heading, TableError};
use serde_json::{Map, Value, json};
use virboard_core::leaderboard::Extract;

/// Formats of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Numbers, comma-separated, with a header line of keys.
    Csv,
    /// A list of objects.
    Json,
    /// Apache Parquet.
    Parquet,
    /// A LaTeX `tabular`, written as it is seen.
    Latex,
    /// A Markdown table, written as it is seen.
    Markdown,
}

impl Format {
    /// Endings of file names, in the order of [`Self::ALL`].
    pub const NAMES: [&str; 5] = ["csv", "json", "parquet", "tex", "md"];

    /// All.
    pub const ALL: [Self; 5] = [Self::Csv, Self::Json, Self::Parquet, Self::Latex, Self::Markdown];

    /// The format of a file name's ending.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().zip(Self::ALL).find(|(n, _)| *n == name).map(|(_, format)| format)
    }

    /// The type that a browser is told.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Latex => "application/x-tex; charset=utf-8",
            Self::Markdown => "text/markdown; charset=utf-8",
        }
    }
}

/// The file's bytes.
pub fn file(extract: &Extract, format: Format) -> Result<Vec<u8>, ExportError> {
    match format {
        Format::Csv => Ok(csv(extract)?),
        Format::Json => Ok(serde_json::to_vec_pretty(&objects(extract))?),
        Format::Parquet => Ok(parquet(extract)?),
        Format::Latex => Ok(latex(extract).into_bytes()),
        Format::Markdown => Ok(markdown(extract).into_bytes()),
    }
}

fn csv(extract: &Extract) -> Result<Vec<u8>, TableError> {
    let names: Vec<String> = ["encoder", "name"]
        .into_iter()
        .chain(extract.columns.iter().map(|c| c.0.as_str()))
        .map(str::to_owned)
        .collect();
    let rows = extract.rows.iter().map(|(key, name, values)| {
        let numbers = values.iter().map(|v| v.0.map_or_else(String::new, |n| n.to_string()));
        [key.clone(), name.clone()].into_iter().chain(numbers).collect()
    });
    table::csv(&names, rows)
}

fn objects(extract: &Extract) -> Value {
    let row = |(key, name, values): &(String, String, Vec<virboard_core::leaderboard::Value>)| {
        let values: Map<String, Value> =
            extract.columns.iter().zip(values).map(|(c, v)| (c.0.clone(), json!(v.0))).collect();
        json!({ "encoder": key, "name": name, "values": values })
    };
    Value::Array(extract.rows.iter().map(row).collect())
}

fn parquet(extract: &Extract) -> Result<Vec<u8>, TableError> {
    let heading = |name: &str, kind, optional| Heading { name: name.to_owned(), kind, optional };
    let texts = ["encoder", "name"].map(|name| heading(name, CellKind::Text, false));
    let numbers = extract.columns.iter().map(|c| heading(&c.0, CellKind::Real, true));
    let headings: Vec<Heading> = texts.into_iter().chain(numbers).collect();
    let row = |(key, name, values): &(String, String, Vec<virboard_core::leaderboard::Value>)| {
        let texts = [key, name].map(|text| Cell::Text(text.clone()));
        texts.into_iter().chain(values.iter().map(|v| v.0.map_or(Cell::Nothing, Cell::Real))).collect()
    };
    table::parquet("leaderboard", &headings, &extract.rows.iter().map(row).collect::<Vec<Vec<Cell>>>())
}

fn latex(extract: &Extract) -> String {
    let safe = |text: &str| {
        let mut out = String::new();
        for c in text.chars() {
            match c {
                '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
                '~' => out.push_str("\\textasciitilde{}"),
                '^' => out.push_str("\\textasciicircum{}"),
                '\\' => out.push_str("\\textbackslash{}"),
                '–' => out.push_str("--"),
                '½' => out.push_str("$\\frac12$"),
                '¼' => out.push_str("$\\frac14$"),
                c => out.push(c),
            }
        }
        out
    };
    let line = |cells: Vec<String>| format!("{} \\\\\n", cells.join(" & "));
    let head = std::iter::once("Encoder".to_owned()).chain(extract.columns.iter().map(|c| safe(&c.1))).collect();
    let rows = extract
        .rows
        .iter()
        .map(|(_, name, values)| line(std::iter::once(safe(name)).chain(values.iter().map(|v| safe(&v.1))).collect()));
    format!(
        "\\begin{{tabular}}{{l{}}}\n\\hline\n{}\\hline\n{}\\hline\n\\end{{tabular}}\n",
        "r".repeat(extract.columns.len()),
        line(head),
        rows.collect::<String>()
    )
}

fn markdown(extract: &Extract) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let safe = |text: &str| text.replace('|', "\\|");
    let head = std::iter::once("Encoder".to_owned()).chain(extract.columns.iter().map(|c| safe(&c.1))).collect();
    let rule = std::iter::once("---".to_owned()).chain(extract.columns.iter().map(|_| "---:".to_owned())).collect();
    let rows = extract
        .rows
        .iter()
        .map(|(_, name, values)| line(std::iter::once(safe(name)).chain(values.iter().map(|v| safe(&v.1))).collect()));
    format!("{}{}{}", line(head), line(rule), rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    fn extract() -> Extract {
        let value = |v: Option<f64>| (v, v.map_or_else(String::new, |v| format!("{v:.1}")));
        Extract {
            columns: vec![("mean_rank".into(), "mean rank".into()), ("CIFAR-100".into(), "CIFAR-100 Cls.: %".into())],
            rows: vec![
                ("SWAV_800".into(), "SwAV | 800".into(), vec![value(Some(1.5)), value(None)]),
                ("Random".into(), "Random".into(), vec![value(Some(2.0)), value(Some(0.25))]),
            ],
        }
    }

    #[test]
    fn numbers_survive_every_format() {
        let text = |format| String::from_utf8(file(&extract(), format).expect("a file")).expect("text");
        assert_eq!(
            text(Format::Csv),
            "encoder,name,mean_rank,CIFAR-100\nSWAV_800,SwAV | 800,1.5,\nRandom,Random,2,0.25\n"
        );
        let json: Value = serde_json::from_str(&text(Format::Json)).expect("JSON");
        assert_eq!(json[1]["values"]["CIFAR-100"], 0.25);
        assert!(json[0]["values"]["CIFAR-100"].is_null());
        assert!(text(Format::Markdown).contains("| SwAV \\| 800 | 1.5 |  |\n"));
        let latex = text(Format::Latex);
        assert!(latex.contains("CIFAR-100 Cls.: \\%") && latex.contains("{lrr}"), "{latex}");
        let bytes = axum::body::Bytes::from(file(&extract(), Format::Parquet).expect("a file"));
        let reader = SerializedFileReader::new(bytes).expect("Parquet");
        let rows: Vec<_> = reader.get_row_iter(None).expect("rows").map(|r| r.expect("a row")).collect();
        assert_eq!((rows.len(), rows[1].get_double(3).expect("a number")), (2, 0.25));
        let hole = rows[0].get_column_iter().nth(3).map(|(_, field)| field);
        assert_eq!(hole, Some(&parquet::record::Field::Null));
    }
}
