//! Everything behind one score, as `virboard export --evidence` writes it.

use super::{ImportError, Imported, Settings, Taken, TextRow, Wish, below, taken};
use crate::store::{Arrival, Replace, Store};
use crate::table::read::from_text;
use serde_json::{Map, Value};
use std::io::{Read, Write};
use std::path::Path;
use virboard_core::catalogue::Catalogue;
use virboard_nn::files::write_atomically;
use zip::ZipArchive;

/// No file of an archive is larger.
const LARGEST: u64 = 1 << 30;

/// Imports an archive: the score, its curve, its head and its per-sample results.
pub async fn bundle(
    settings: &Settings,
    store: &Store,
    catalogue: &Catalogue,
    path: &Path,
    wish: Wish,
) -> Result<Imported, ImportError> {
    let bad = |reason: String| ImportError::Bundle { path: path.to_path_buf(), reason };
    let file = std::fs::File::open(path).map_err(|source| ImportError::Io { path: path.to_path_buf(), source })?;
    let mut zip = ZipArchive::new(file).map_err(|e| bad(e.to_string()))?;
    let mut entry = |name: &str| -> Result<Option<Vec<u8>>, ImportError> {
        let entry = match zip.by_name(name) {
            Ok(entry) => entry,
            Err(zip::result::ZipError::FileNotFound) => return Ok(None),
            Err(e) => return Err(bad(format!("{name}: {e}"))),
        };
        let mut bytes = Vec::new();
        entry.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| bad(format!("{name}: {e}")))?;
        if bytes.len() as u64 > LARGEST { Err(bad(format!("{name} is too large"))) } else { Ok(Some(bytes)) }
    };
    let result = entry("result.json")?
        .ok_or_else(|| bad("it has no result.json; of a spreadsheet save the table as CSV".to_owned()))?;
    let mut texts = from_text(&result).map_err(|e| bad(format!("result.json: {e}")))?;
    if let (Some(epochs), [row]) = (entry("epochs.csv")?, &mut texts.rows[..]) {
        let table = from_text(&epochs).map_err(|e| bad(format!("epochs.csv: {e}")))?;
        let object = |line: TextRow| {
            let cells = line.cells.into_iter().map(Value::from);
            Value::Object(table.columns.iter().cloned().zip(cells).collect::<Map<_, _>>())
        };
        row.epochs = table.rows.into_iter().map(object).collect();
    }
    let Taken { places, mut runs, notes } = taken(&texts, catalogue, path)?;
    let [run] = &mut runs[..] else { return Err(bad("result.json has several scores".to_owned())) };
    let mut imported = Imported { notes, ..Imported::default() };
    let mut files = Vec::new();
    for (name, file) in
        [("head.safetensors", &mut run.score.head), ("predictions.json.zst", &mut run.score.predictions)]
    {
        let Some(bytes) = entry(name)? else {
            file.clear();
            continue;
        };
        let target = below(&settings.data, file).ok_or_else(|| bad(format!("{name} is to lie at `{file}`")))?;
        let other = std::fs::read(&target).is_ok_and(|there| there != bytes);
        if other && !wish.replace {
            imported.notes.push(format!(
                "{name} is left out: another one lies at {}, which `--replace` overwrites",
                target.display()
            ));
            file.clear();
            continue;
        }
        files.push((name, target, bytes));
    }
    let replace = if wish.replace { Replace::Always } else { Replace::Never };
    let arrivals = store.take_in(&runs, replace, |_| false).await?;
    imported.count(places.iter().map(String::as_str), &runs, &arrivals);
    let taken = !arrivals.iter().any(|a| matches!(a, Arrival::Conflict(_)));
    imported.heads = usize::from(taken && files.iter().any(|f| f.0 == "head.safetensors"));
    if wish.dry_run {
        return Ok(imported);
    }
    if !taken {
        return Err(ImportError::Conflicts { path: path.to_path_buf(), conflicts: imported.conflicts });
    }
    // Whoever sees the score finds its files.
    for (_, target, bytes) in files {
        write_atomically(&target, |file| file.write_all(&bytes).map_err(virboard_lab::Error::io(&target)))?;
    }
    store.take_in(&runs, replace, |_| true).await?;
    Ok(imported)
}
