//! `index.csv`: which picture belongs to which split, and what is true of it.

use super::perhaps;
use std::path::Path;

/// The columns of an index, in any order; all but the first two may be absent.
pub const COLUMNS: [&str; 12] =
    ["split", "image", "second", "third", "fourth", "fifth", "sixth", "label", "mask", "depth", "flow", "group"];

/// Where the columns of pictures begin and end.
const PICTURES: std::ops::Range<usize> = 1..7;

/// One line of an index, or one picture of a class folder. Paths are relative to the data set's folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// The line, counted from 1; none for a picture of a class folder.
    pub line: Option<u64>,
    /// Name of the split.
    pub split: String,
    /// The pictures up to the first empty column.
    pub pictures: Vec<String>,
    /// The class in words; empty where there is none.
    pub label: String,
    /// The file of classes; empty where there is none.
    pub mask: String,
    /// The file of distances; empty where there is none.
    pub depth: String,
    /// The file of motion; empty where there is none.
    pub flow: String,
    /// What should be on one side of the split only: a video, a person, a place.
    pub group: String,
}

/// Numbers of lines. The reader's own are one too small behind `\r\n`, since it ends a record at the first of the two.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line, from 1, on which the record begins that the reader takes to begin at `byte`; in the order of the file.
    fn of(&mut self, byte: usize) -> u64 {
        let ends = self.text[byte..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let passed = self.text[self.at..byte + ends].split(|b| *b == b'\n').count() - 1;
        self.at = byte + ends;
        self.line += passed as u64;
        self.line
    }
}

/// What stands between fields: some spreadsheets take semicolons or tabs where numbers have a comma.
fn delimiter(text: &[u8]) -> u8 {
    let header = text.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    let there = |mark: &u8| header.contains(mark);
    [b',', b';', b'\t'].into_iter().find(there).unwrap_or(b',')
}

/// Reads an index, or says everything that is wrong with its form, a sentence each.
pub fn read(path: &Path) -> Result<Vec<Row>, Vec<String>> {
    let bytes = std::fs::read(path).map_err(|e| vec![format!("{} cannot be read: {e}", path.display())])?;
    parse(path, &bytes)
}

/// The same of bytes that stand in the file `path`, whatever they are packed in there.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Row>, Vec<String>> {
    let shown = path.display();
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = bytes[..e.valid_up_to()].split(|b| *b == b'\n').count();
        vec![format!("{shown} line {line}: this is not UTF-8; save the table as UTF-8")]
    })?;
    let text = text.trim_start_matches('\u{feff}').as_bytes();
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader.has_headers(false).flexible(true).delimiter(delimiter(text)).from_reader(text);
    let mut lines = Lines { text, at: 0, line: 1 };
    let mut records = reader.records();
    let header = match records.next() {
        Some(Ok(header)) => header,
        Some(Err(e)) => return Err(vec![format!("{shown}: {e}; save it as a comma-separated table")]),
        None => return Err(vec![format!("{shown} is empty; its first line names the columns {}", COLUMNS.join(","))]),
    };
    let mut problems = Vec::new();
    let mut places = [None; COLUMNS.len()];
    for (at, name) in header.iter().map(str::trim).enumerate() {
        match COLUMNS.iter().position(|c| *c == name) {
            None => problems.push(format!(
                "{shown} line 1: `{name}` is no column of an index{}; known are {}",
                perhaps(name, COLUMNS.into_iter()),
                COLUMNS.join(", ")
            )),
            Some(column) if places[column].is_some() => {
                problems.push(format!("{shown} line 1: the column `{name}` is there twice; remove one of them"));
            }
            Some(column) => places[column] = Some(at),
        }
    }
    for needed in [0, 1].into_iter().filter(|c| places[*c].is_none()) {
        problems.push(format!("{shown} line 1: the column `{}` is missing; add it", COLUMNS[needed]));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut rows = Vec::new();
    for record in records {
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                problems.push(format!("{shown}: {e}; save it as a comma-separated table"));
                continue;
            }
        };
        let line = record.position().map_or(0, |p| lines.of(p.byte() as usize));
        if record.len() != header.len() {
            problems.push(format!(
                "{shown} line {line}: it has {} fields and the first line has {}; put a name with a comma into quotes",
                record.len(),
                header.len()
            ));
            continue;
        }
        let field = |column: usize| places[column].and_then(|at| record.get(at)).unwrap_or_default().trim().to_owned();
        let pictures: Vec<String> = PICTURES.map(field).collect();
        let used = pictures.iter().position(String::is_empty).unwrap_or(pictures.len());
        let row = Row {
            line: Some(line),
            split: field(0),
            label: field(7),
            mask: field(8),
            depth: field(9),
            flow: field(10),
            group: field(11),
            pictures: pictures[..used].to_vec(),
        };
        if let Some(after) = pictures[used..].iter().find(|p| !p.is_empty()) {
            problems.push(format!(
                "{shown} line {line}: `{after}` stands behind an empty column of pictures; fill the columns from `image` on"
            ));
        } else if row.split.is_empty() || row.pictures.is_empty() {
            let column = if row.split.is_empty() { "split" } else { "image" };
            problems.push(format!("{shown} line {line}: the column `{column}` is empty; fill it or take the line out"));
        } else {
            rows.push(row);
        }
    }
    if problems.is_empty() { Ok(rows) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    fn problems(text: &str) -> String {
        read(file(text).path()).expect_err("refused").join("\n")
    }

    #[test]
    fn columns_come_in_any_order_with_a_mark_and_other_line_ends() {
        let text = "\u{feff}label,image,split,second\r\n\"a, b\",1.jpg,train,2.jpg\r\n,3.jpg,test,\r\n";
        let rows = read(file(text).path()).expect("read");
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].label.as_str(), rows[0].split.as_str(), rows[0].line), ("a, b", "train", Some(2)));
        assert_eq!(rows[0].pictures, ["1.jpg", "2.jpg"]);
        assert_eq!((rows[1].pictures.len(), rows[1].mask.as_str(), rows[1].line), (1, "", Some(3)));
    }

    #[test]
    fn spreadsheets_put_semicolons_or_tabs_between_fields() {
        let plain = read(file("split,image,label\ntrain,1.jpg,\"a, b\"\n").path()).expect("read");
        for mark in [";", "\t"] {
            let text = ["split,image,label".replace(',', mark), format!("train{mark}1.jpg{mark}a, b"), String::new()];
            assert_eq!(read(file(&text.join("\r\n")).path()).expect("read"), plain);
        }
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let said = problems("split,imag,label\ntrain,1.jpg,a\n");
        assert!(said.contains("line 1: `imag` is no column") && said.contains("did you mean `image`?"), "{said}");
        assert!(said.contains("the column `image` is missing"), "{said}");
        assert!(problems("split,image\ntrain,a.jpg\ntrain,a,b.jpg\n").contains("line 3: it has 3 fields"));
        assert!(problems("split,image\n,a.jpg\n").contains("line 2: the column `split` is empty"));
        assert!(problems("split,image,third\ntrain,a.jpg,c.jpg\n,\n").contains("line 3"));
        assert!(problems("split,image,second,third\ntrain,a.jpg,,c.jpg\n").contains("line 2: `c.jpg` stands behind"));
        assert!(problems("split,image,image\n").contains("twice"));
        assert!(problems("").contains("is empty"));
        let latin = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(latin.path(), b"split,image\ntrain,caf\xe9.jpg\n").expect("written");
        assert!(read(latin.path()).expect_err("refused")[0].contains("line 2: this is not UTF-8"));
    }
}
