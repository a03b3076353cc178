//! Results and heads of other programs: ViRB's `out/` folder, or a table.

use super::Settings;
use crate::store::{Store, StoreError};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use virboard_core::catalogue::Catalogue;
use virboard_core::catalogue::task::Task;
use virboard_core::protocol::Protocol;
use virboard_core::run::{Evidence, Origin, Run, Score};
use virboard_lab::data::{self, Broken};
use virboard_lab::registry::Registry;
use virboard_lab::virb_head;
use virboard_lab::work::key;

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lab failed.
    #[error(transparent)]
    Lab(#[from] virboard_lab::Error),
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not as it should be.
    #[error("{path}: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
}

/// What an import brought.
#[derive(Debug, Default)]
pub struct Imported {
    /// New scores.
    pub results: u64,
    /// Heads that can be tried now.
    pub heads: u64,
    /// What was left out, a sentence each.
    pub notes: Vec<String>,
}

/// ViRB's `results.json`.
#[derive(Debug, Deserialize)]
struct Results {
    test_accuracy: f64,
}

/// One folder `EXPERIMENT/TASK-CONFIGURATION`.
struct Found {
    encoder: String,
    task: Arc<Task>,
    configuration: String,
    folder: PathBuf,
    score: f64,
    finished_at: i64,
}

/// Imports ViRB's `out/` folder: `EXPERIMENT/TASK-CONFIGURATION/{results.json,model_head.pt}`.
/// The best configuration of each encoder and task is its answer, as in ViRB's charts. Heads
/// are taken over where the encoder's weights are here.
pub async fn virb_tree(
    settings: &Settings,
    store: &Store,
    registry: &Registry,
    folder: &Path,
) -> Result<Imported, ImportError> {
    let catalogue = registry.catalogue();
    let mut imported = Imported::default();
    let mut found = Vec::new();
    for experiment in folders(folder)? {
        let name = file_name(&experiment);
        let Some(encoder) = catalogue.encoder(&name) else {
            imported.notes.push(format!("{name} is no encoder of the catalogue and is left out"));
            continue;
        };
        for run in folders(&experiment)? {
            let name = file_name(&run);
            let Some((task, configuration)) = split(&catalogue, &name) else {
                imported.notes.push(format!("{} begins with no task that is known and is left out", run.display()));
                continue;
            };
            let path = run.join("results.json");
            let text = match std::fs::read(&path) {
                Ok(text) => text,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    imported.notes.push(format!("{} is not there; its run did not end", path.display()));
                    continue;
                }
                Err(source) => return Err(ImportError::Io { path, source }),
            };
            let results: Results = serde_json::from_slice(&text).map_err(|e| ImportError::Content {
                path: path.clone(),
                reason: format!("it is not ViRB's results.json: {e}"),
            })?;
            if !results.test_accuracy.is_finite() {
                imported.notes.push(format!("{} has no score", path.display()));
                continue;
            }
            found.push(Found {
                encoder: encoder.key.clone(),
                task,
                configuration,
                score: results.test_accuracy,
                finished_at: modified(&path),
                folder: run,
            });
        }
    }
    if found.is_empty() {
        let reason = "it holds no EXPERIMENT/TASK-CONFIGURATION/results.json of a known encoder and task".to_owned();
        return Err(ImportError::Content { path: folder.to_path_buf(), reason });
    }
    let mut best: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (i, f) in found.iter().enumerate() {
        let slot = best.entry((&*f.encoder, &*f.task.key)).or_insert(i);
        if f.task.metric.is_better(f.score, found[*slot].score) {
            *slot = i;
        }
    }
    let mut rows = Vec::new();
    for (i, f) in found.iter().enumerate() {
        let chosen = best.get(&(&*f.encoder, &*f.task.key)) == Some(&i);
        let mut head = String::new();
        if chosen {
            match take_head(settings, registry, f) {
                Ok(true) => {
                    imported.heads += 1;
                    head = format!("heads/{}/{}.safetensors", f.encoder, f.task.key);
                }
                Ok(false) => imported.notes.push(format!(
                    "the head of {} on {} is left out: no weights of {} are here",
                    f.encoder, f.task.key, f.encoder
                )),
                Err(error) => imported.notes.push(error.to_string()),
            }
        }
        let configuration = serde_json::json!({ "name": f.configuration, "from": f.folder.display().to_string() });
        let sha256 = registry.checkpoint(&f.encoder).and_then(|p| virboard_nn::files::sha256_file(&p).ok());
        let evidence = self::imported(&configuration, f.finished_at, sha256.unwrap_or_default(), chosen);
        let (encoder, task) = (f.encoder.clone(), f.task.key.clone());
        let score = Score { encoder, task, value: f.score, evidence, head, ..Score::default() };
        rows.push(Run { score, epochs: Vec::new() });
    }
    imported.results = store.add_runs(&rows).await?;
    Ok(imported)
}

/// What an imported score says of itself; its encoder's weights may not be known.
fn imported(settings: &serde_json::Value, finished_at: i64, encoder_sha256: String, selected: bool) -> Evidence {
    let configuration = settings.to_string();
    Evidence {
        source: Origin::Imported,
        encoder_sha256,
        protocol: Protocol::Virb,
        selected,
        key: key::of_settings(&configuration),
        configuration,
        device: "unknown".to_owned(),
        version: "imported".to_owned(),
        finished_at,
        ..Evidence::default()
    }
}

/// Converts `model_head.pt` into a head that Try finds. `false` without the encoder's weights.
fn take_head(settings: &Settings, registry: &Registry, found: &Found) -> Result<bool, ImportError> {
    let path = found.folder.join("model_head.pt");
    if !path.is_file() || !registry.available(&found.encoder) {
        return Ok(false);
    }
    let encoder = registry.get(&found.encoder)?;
    // Names of classes come from the data set, if that is here.
    let folders = settings.folders();
    let labels = data::open(&found.task.key, &folders.places, Protocol::Virb, Broken::Skip, &()).map(|d| d.labels());
    let head = virb_head::load(&path, &found.task, &encoder, labels.unwrap_or_default(), registry.device())?;
    head.save(&folders.head(&found.encoder, &found.task.key))?;
    Ok(true)
}

/// A row of an imported table.
#[derive(Debug, Deserialize)]
struct Line {
    encoder: String,
    task: String,
    score: f64,
    #[serde(default)]
    configuration: String,
    #[serde(default)]
    protocol: String,
    #[serde(default)]
    selected: Option<bool>,
}

/// Imports a CSV table with the columns `encoder`, `task` and `score`, and perhaps
/// `configuration`, `protocol` (`virb`, or `standard`) and `selected`; all rows or none.
pub async fn table(store: &Store, catalogue: &Catalogue, path: &Path) -> Result<Imported, ImportError> {
    let bad = |reason: String| ImportError::Content { path: path.to_path_buf(), reason };
    let mut reader = csv::Reader::from_path(path).map_err(|e| bad(e.to_string()))?;
    let mut rows = Vec::new();
    let finished_at = modified(path);
    for (i, line) in reader.deserialize::<Line>().enumerate() {
        let line = line.map_err(|e| bad(format!("{e}; the columns encoder, task and score are needed")))?;
        let number = i + 2;
        let encoder = catalogue.encoder_named(&line.encoder).map_err(|e| {
            bad(format!("line {number}: {e}; `virboard encoder add` declares one, also without its weights"))
        })?;
        let task = catalogue.task_named(&line.task).map_err(|e| bad(format!("line {number}: {e}")))?;
        if !line.score.is_finite() || (task.metric.is_share() && !(0.0..=1.0).contains(&line.score)) {
            return Err(bad(format!(
                "line {number}: {} is no {}; shares are from 0 to 1",
                line.score,
                task.metric.name()
            )));
        }
        let configuration = serde_json::json!({ "name": line.configuration, "from": path.display().to_string() });
        let mut evidence = imported(&configuration, finished_at, String::new(), line.selected.unwrap_or(true));
        if !line.protocol.is_empty() {
            evidence.protocol = Protocol::of(&line.protocol)
                .ok_or_else(|| bad(format!("line {number}: the protocol is `standard` or `virb`")))?;
        }
        let (encoder, task) = (encoder.key.clone(), task.key.clone());
        let score = Score { encoder, task, value: line.score, evidence, ..Score::default() };
        rows.push(Run { score, epochs: Vec::new() });
    }
    if rows.is_empty() {
        return Err(bad("it has no rows".to_owned()));
    }
    Ok(Imported { results: store.add_runs(&rows).await?, ..Imported::default() })
}

/// Task and configuration of a folder's name: the longest task that it begins with.
fn split(catalogue: &Catalogue, name: &str) -> Option<(Arc<Task>, String)> {
    let names = catalogue.tasks().iter().flat_map(|t| t.aliases.iter().chain([&t.key]).map(move |name| (name, t)));
    let of = |key: &str| name.strip_prefix(key).and_then(|rest| rest.strip_prefix('-')).map(str::to_owned);
    let found = names.filter_map(|(name, task)| Some((name.len(), task, of(name)?)));
    found.max_by_key(|(length, ..)| *length).map(|(_, task, rest)| (task.clone(), rest))
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>, ImportError> {
    let entries = std::fs::read_dir(folder).map_err(|source| ImportError::Io { path: folder.to_path_buf(), source })?;
    let mut folders: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect();
    folders.sort();
    Ok(folders)
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}

fn modified(path: &Path) -> i64 {
    let time = std::fs::metadata(path).and_then(|m| m.modified()).ok();
    time.and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_split_at_the_longest_task() {
        let of = |name: &str| split(&Catalogue::builtin(), name).map(|(task, c)| (task.key.clone(), c));
        assert_eq!(of("CalTech-101-adam-0.0001"), Some(("CalTech-101".to_owned(), "adam-0.0001".to_owned())));
        assert_eq!(of("Pets-Detection-adam-0.0001"), Some(("PetsDetection".to_owned(), "adam-0.0001".to_owned())));
        assert_eq!(of("Imagenetv2-adam"), Some(("Imagenetv2".to_owned(), "adam".to_owned())));
        assert_eq!(of("Imagenet-sgd-0.01-StepLR"), Some(("Imagenet".to_owned(), "sgd-0.01-StepLR".to_owned())));
        assert_eq!(of("COCODetection-adam"), None);
    }
}
