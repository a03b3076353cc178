//! ViRB's `out/` folder: `EXPERIMENT/TASK-CONFIGURATION/{results.json,model_head.pt}`.

use super::cell::{fits, number};
use super::{ImportError, Imported, Settings, Wish, modified};
use crate::store::{Arrival, Replace, Store};
use crate::table::read::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use virboard_core::catalogue::Catalogue;
use virboard_core::catalogue::task::Task;
use virboard_core::protocol::Protocol;
use virboard_core::run::{Evidence, Origin, Run, Score};
use virboard_lab::data::{self, Broken};
use virboard_lab::head::Head;
use virboard_lab::registry::Registry;
use virboard_lab::virb_head;
use virboard_lab::work::key;

/// One folder `EXPERIMENT/TASK-CONFIGURATION` with a score.
struct Found {
    encoder: String,
    task: Arc<Task>,
    configuration: String,
    folder: PathBuf,
    score: f64,
    finished_at: i64,
}

/// Imports ViRB's `out/` folder. The best configuration of each encoder and task is its answer,
/// as in ViRB's charts. Heads are taken over where the encoder's weights are here. A run whose
/// results cannot be read is left out with a note; one that went on since it was last imported
/// takes the place of its older self.
pub async fn virb_tree(
    settings: &Settings,
    store: &Store,
    registry: &Registry,
    folder: &Path,
    wish: Wish,
) -> Result<Imported, ImportError> {
    let mut imported = Imported::default();
    let found = search(&registry.catalogue(), folder, &mut imported.notes)?;
    if found.is_empty() {
        return Err(ImportError::Nothing { path: folder.to_path_buf(), notes: imported.notes });
    }
    let best = best(&found);
    let mut heads = BTreeMap::new();
    let mut runs = Vec::with_capacity(found.len());
    for (i, f) in found.iter().enumerate() {
        let mut run = f.run(best.contains(&i));
        if best.contains(&i)
            && let Some(head) = head(settings, store, registry, f, wish, &mut imported.notes).await?
        {
            run.score.head = settings.folders().below(&settings.folders().head(&f.encoder, &f.task.key));
            heads.insert(i, head);
        }
        runs.push(run);
    }
    let replace = if wish.replace { Replace::Always } else { Replace::Newer };
    let arrivals = store.take_in(&runs, replace, |_| false).await?;
    let places: Vec<String> = found.iter().map(|f| f.folder.display().to_string()).collect();
    imported.count(places.iter().map(String::as_str), &runs, &arrivals);
    heads.retain(|i, _| !matches!(arrivals[*i], Arrival::Conflict(_)));
    imported.heads = heads.len();
    if !wish.dry_run {
        // Whoever sees a score finds its head.
        for (i, head) in heads {
            head.save(&settings.folders().head(&found[i].encoder, &found[i].task.key))?;
        }
        store.take_in(&runs, replace, |_| true).await?;
    }
    Ok(imported)
}

/// All runs with a score. What is no run, or has none, is noted.
fn search(catalogue: &Catalogue, folder: &Path, notes: &mut Vec<String>) -> Result<Vec<Found>, ImportError> {
    let mut found = Vec::new();
    for experiment in folders(folder, notes)? {
        let name = file_name(&experiment);
        let encoder = match catalogue.encoder_named(&name) {
            Ok(encoder) => encoder,
            Err(unknown) => {
                let perhaps = unknown.nearest.map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
                notes.push(format!("{name} is no encoder of the catalogue and is left out{perhaps}"));
                continue;
            }
        };
        let runs = match folders(&experiment, notes) {
            Ok(runs) => runs,
            Err(error) => {
                notes.push(format!("{error}; its runs are left out"));
                continue;
            }
        };
        for run in runs {
            let Some((task, configuration)) = split(catalogue, &file_name(&run)) else {
                notes.push(format!("{} begins with no task that is known and is left out", run.display()));
                continue;
            };
            let path = run.join("results.json");
            match score(&path, &task) {
                Ok(score) => found.push(Found {
                    encoder: encoder.key.clone(),
                    task,
                    configuration,
                    score,
                    finished_at: modified(&path),
                    folder: run,
                }),
                Err(reason) => notes.push(format!("{} is left out: {reason}", path.display())),
            }
        }
    }
    Ok(found)
}

/// The score in ViRB's `results.json`, or why there is none.
fn score(path: &Path, task: &Task) -> Result<f64, String> {
    let bytes = std::fs::read(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => "it is not there; its run did not end".to_owned(),
        _ => e.to_string(),
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is no text".to_owned())?;
    if text.trim().is_empty() {
        return Err("it is empty; import again when its run has ended".to_owned());
    }
    let results = json(text).map_err(|e| e.to_string())?;
    let said = results.get("test_accuracy").ok_or("it has no `test_accuracy`")?;
    let said = said.as_str().map_or_else(|| said.to_string(), str::to_owned);
    let score = number(&said, false).map_err(|e| format!("in `test_accuracy` {e}"))?;
    let score = score.ok_or_else(|| format!("it has no score, `test_accuracy` is {said}"))?;
    fits(task.metric, score)?;
    Ok(score)
}

/// Which of the runs are the answers of their encoders on their tasks.
fn best(found: &[Found]) -> Vec<usize> {
    let mut best: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (i, f) in found.iter().enumerate() {
        let slot = best.entry((&*f.encoder, &*f.task.key)).or_insert(i);
        if f.task.metric.is_better(f.score, found[*slot].score) {
            *slot = i;
        }
    }
    best.into_values().collect()
}

impl Found {
    /// The run, without its head. With which weights ViRB computed it is not known.
    fn run(&self, selected: bool) -> Run {
        let settings = serde_json::json!({ "name": self.configuration, "from": self.folder.display().to_string() });
        let configuration = settings.to_string();
        let evidence = Evidence {
            source: Origin::Imported,
            protocol: Protocol::Virb,
            selected,
            key: key::of_settings(&configuration),
            configuration,
            device: "unknown".to_owned(),
            version: "imported".to_owned(),
            finished_at: self.finished_at,
            ..Evidence::default()
        };
        let (encoder, task) = (self.encoder.clone(), self.task.key.clone());
        Run { score: Score { encoder, task, value: self.score, evidence, ..Score::default() }, epochs: Vec::new() }
    }
}

/// `model_head.pt` as a head that Try finds; `None`, with a note, where it cannot be taken.
async fn head(
    settings: &Settings,
    store: &Store,
    registry: &Registry,
    found: &Found,
    wish: Wish,
    notes: &mut Vec<String>,
) -> Result<Option<Head>, ImportError> {
    let Found { encoder, task, .. } = found;
    let path = found.folder.join("model_head.pt");
    let folders = settings.folders();
    let mut left_out = |why: String| {
        notes.push(format!("the head of {encoder} on {} is left out: {why}", task.key));
        Ok(None)
    };
    if !path.is_file() {
        return left_out(format!("{} is not there", path.display()));
    }
    if !registry.available(encoder) {
        return left_out(format!("no weights of {encoder} are here"));
    }
    let measured = store.has_measured_file(&folders.below(&folders.head(encoder, &task.key))).await?;
    if measured && !wish.replace {
        return left_out("one that was trained here is in its place, which `--replace` overwrites".to_owned());
    }
    let convert = || {
        let loaded = registry.get(encoder)?;
        // Names of classes come from the data set, if that is here.
        let labels = data::open(&task.key, &folders.places, Protocol::Virb, Broken::Skip, &()).map(|d| d.labels());
        virb_head::load(&path, task, &loaded, labels.unwrap_or_default(), registry.device())
    };
    match convert() {
        Ok(head) => Ok(Some(head)),
        Err(error) => left_out(error.to_string()),
    }
}

/// Task and configuration of a folder's name: the longest task that it begins with.
fn split(catalogue: &Catalogue, name: &str) -> Option<(Arc<Task>, String)> {
    let names = catalogue.tasks().iter().flat_map(|t| t.aliases.iter().chain([&t.key]).map(move |name| (name, t)));
    let of = |key: &str| name.strip_prefix(key).and_then(|rest| rest.strip_prefix('-')).map(str::to_owned);
    let found = names.filter_map(|(name, task)| Some((name.len(), task, of(name)?)));
    found.max_by_key(|(length, ..)| *length).map(|(_, task, rest)| (task.clone(), rest))
}

/// The folders in a folder, by name. An entry that cannot be read is noted; names that begin with
/// a dot are no runs.
fn folders(folder: &Path, notes: &mut Vec<String>) -> Result<Vec<PathBuf>, ImportError> {
    let entries = std::fs::read_dir(folder).map_err(|source| ImportError::Io { path: folder.to_path_buf(), source })?;
    let mut folders = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => folders.push(entry.path()),
            Err(error) => notes.push(format!("an entry of {} cannot be read: {error}", folder.display())),
        }
    }
    folders.retain(|p| p.is_dir() && !file_name(p).starts_with('.'));
    folders.sort();
    Ok(folders)
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
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
