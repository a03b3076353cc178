//! ViRB's own YAML: `configs/virb_configs/*.yaml` and `configs/experiment_lists/*.yaml`.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use virboard_core::catalogue::Catalogue;
use virboard_core::catalogue::task::Task;
use virboard_core::protocol::Protocol;
use virboard_lab::train::{BATCH, Configuration, Selection};
use virboard_nn::optimiser::Kind;
use virboard_nn::schedule::Schedule;

/// Why a file of configurations is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no YAML of the expected form.
    #[error("{path} is not a configuration as ViRB's: {reason}")]
    Yaml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// An entry asks for something that is not there.
    #[error("{path}, {entry}: {reason}")]
    Entry {
        /// The file.
        path: PathBuf,
        /// The task, and the training configuration in it.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A task with the configurations that are trained side by side for it.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskPlan {
    /// The task.
    pub task: Arc<Task>,
    /// Its configurations; for a task that is only tested, one that is not trained.
    pub configurations: Vec<Configuration>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Entry {
    Task(Box<TaskEntry>),
    /// `imagenetv2.yaml` has a `batch_size` beside its task; ViRB's runner does not read it.
    Stray(serde::de::IgnoredAny),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskEntry {
    task: String,
    training_configs: Option<BTreeMap<String, TrainingEntry>>,
    num_epochs: Option<u32>,
    batch_size: Option<usize>,
    test_batch_size: Option<usize>,
    num_dataset_repeats: Option<u32>,
    #[serde(rename = "pre_encode")]
    _pre_encode: Option<bool>,
    #[serde(rename = "task_head_weights_path")]
    _task_head_weights_path: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrainingEntry {
    optimizer: String,
    lr: f64,
    momentum: Option<f64>,
    scheduler: Option<SchedulerEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
enum SchedulerEntry {
    StepLR { step_size: u32, gamma: f64 },
    OneCycle {},
    Poly { exponent: f64 },
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Io { path: path.to_path_buf(), source })
}

/// Reads a file of tasks. Schedulers, optimisers and repeats are taken as they are; under
/// [`Protocol::Standard`] schedulers are stepped and, with several configurations, a
/// validation split chooses.
pub fn tasks(
    catalogue: &Catalogue,
    path: &Path,
    seed: u64,
    protocol: Protocol,
    selection: Option<Selection>,
) -> Result<Vec<TaskPlan>, ConfigError> {
    let yaml = |reason: String| ConfigError::Yaml { path: path.to_path_buf(), reason };
    let entries: BTreeMap<String, Entry> = serde_saphyr::from_str(&read(path)?).map_err(|e| yaml(e.to_string()))?;
    let mut plans = Vec::new();
    for (name, entry) in entries {
        let Entry::Task(entry) = entry else {
            // Something that says it is a task but does not look like one is a mistake.
            continue;
        };
        let bad = |inside: Option<&str>, reason: String| ConfigError::Entry {
            path: path.to_path_buf(),
            entry: inside.map_or_else(|| name.clone(), |i| format!("{name}/{i}")),
            reason,
        };
        let task = catalogue.task_named(&entry.task).map_err(|e| bad(None, e.to_string()))?.clone();
        let batch = entry.batch_size.unwrap_or(BATCH);
        if batch == 0 || entry.test_batch_size == Some(0) {
            return Err(bad(None, "a batch of 0 samples cannot be trained on".to_owned()));
        }
        let trained = entry.training_configs.unwrap_or_default();
        let several = trained.len() > 1;
        let selection = selection.unwrap_or(match (protocol, several) {
            (Protocol::Standard, true) => Selection::Validation,
            _ => Selection::LastEpoch,
        });
        let mut configurations = Vec::new();
        for (config, c) in trained {
            let optimiser = match c.optimizer.to_ascii_lowercase().as_str() {
                "adam" => Kind::Adam,
                "sgd" => Kind::Sgd { momentum: c.momentum.unwrap_or(0.0) },
                other => {
                    return Err(bad(Some(&config), format!("the optimizer `{other}` is neither adam nor sgd")));
                }
            };
            if !(c.lr > 0.0 && c.lr.is_finite()) {
                return Err(bad(Some(&config), format!("{} is no learning rate", c.lr)));
            }
            let Some(epochs) = entry.num_epochs else {
                return Err(bad(Some(&config), "num_epochs is missing".to_owned()));
            };
            configurations.push(Configuration {
                epochs,
                batch_size: batch,
                test_batch_size: entry.test_batch_size.unwrap_or(BATCH),
                optimiser,
                learning_rate: c.lr,
                schedule: match c.scheduler {
                    None => Schedule::Constant,
                    Some(SchedulerEntry::StepLR { step_size, gamma }) => Schedule::StepLr { step_size, gamma },
                    Some(SchedulerEntry::OneCycle {}) => Schedule::OneCycle,
                    Some(SchedulerEntry::Poly { exponent }) => Schedule::Poly { exponent },
                },
                repeats: entry.num_dataset_repeats.unwrap_or(1).max(1),
                selection,
                ..Configuration::untrained(config, seed, protocol)
            });
        }
        if configurations.is_empty() {
            if task.epochs.is_some() {
                return Err(bad(None, "training_configs is missing".to_owned()));
            }
            let test_batch_size = entry.test_batch_size.unwrap_or(BATCH);
            configurations.push(Configuration { test_batch_size, ..Configuration::published(&task, seed, protocol) });
        }
        plans.push(TaskPlan { task, configurations });
    }
    if plans.is_empty() {
        return Err(yaml("it names no task".to_owned()));
    }
    // In the catalogue's order, so that ImageNet comes before what tests its head.
    plans.sort_by_key(|p| catalogue.tasks().iter().position(|t| t.key == p.task.key));
    Ok(plans)
}

/// Reads an experiment list: names of encoders with their checkpoints' paths.
pub fn experiments(path: &Path) -> Result<BTreeMap<String, PathBuf>, ConfigError> {
    serde_saphyr::from_str(&read(path)?)
        .map_err(|e| ConfigError::Yaml { path: path.to_path_buf(), reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    /// The shape of ViRB's `imagenet_grid_search.yaml`.
    const GRID: &str = r#"
# ImageNet grid search config
Imagenet:
 task: "Imagenet"
 training_configs:
   adam-0.0001:
     optimizer: "adam"
     lr: 0.0001
   sgd-0.01-StepLR:
     optimizer: "sgd"
     lr: 0.01
     scheduler:
       type: "StepLR"
       step_size: 50
       gamma: 0.1
   sgd-0.01-OneCycle:
     optimizer: "sgd"
     lr: 0.01
     scheduler:
       type: "OneCycle"
   sgd-0.01-Poly:
     optimizer: "sgd"
     lr: 0.001
     scheduler:
       type: "Poly"
       exponent: 0.9
 num_epochs: 100
 batch_size: 32
"#;

    #[test]
    fn a_grid_search_is_read_as_it_is() {
        let plans = tasks(&Catalogue::builtin(), file(GRID).path(), 3, Protocol::Standard, None).expect("read");
        assert_eq!(plans.len(), 1);
        let c = &plans[0].configurations;
        assert_eq!(plans[0].task.key, "Imagenet");
        assert_eq!(c.len(), 4);
        assert_eq!((c[0].name.as_str(), c[0].optimiser, c[0].learning_rate), ("adam-0.0001", Kind::Adam, 1e-4));
        assert!(c.iter().any(|c| c.schedule == Schedule::StepLr { step_size: 50, gamma: 0.1 }));
        assert!(c.iter().any(|c| c.schedule == Schedule::OneCycle && c.optimiser == Kind::Sgd { momentum: 0.0 }));
        assert!(c.iter().any(|c| c.schedule == Schedule::Poly { exponent: 0.9 }));
        assert!(c.iter().all(|c| c.selection == Selection::Validation && c.epochs == 100 && c.seed == 3));
        let virb = tasks(&Catalogue::builtin(), file(GRID).path(), 0, Protocol::Virb, None).expect("read");
        assert!(virb[0].configurations.iter().all(|c| c.selection == Selection::LastEpoch));
    }

    #[test]
    fn pixel_wise_tasks_old_names_and_strays_are_read() {
        let text = "Pets-Detection:\n task: \"Pets-Detection\"\n pre_encode: false\n training_configs:\n   adam-0.0001:\n     optimizer: \"adam\"\n     lr: 0.0001\n num_epochs: 100\n batch_size: 16\n";
        let plans = tasks(&Catalogue::builtin(), file(text).path(), 0, Protocol::Virb, None).expect("read");
        assert_eq!((&*plans[0].task.key, plans[0].configurations[0].batch_size), ("PetsDetection", 16));
        let text = "Imagenetv2:\n task: \"Imagenetv2\"\n task_head_weights_path: \"out/%s/Imagenet*/model_head.pt\"\nbatch_size: 32\n";
        let plans = tasks(&Catalogue::builtin(), file(text).path(), 0, Protocol::Virb, None).expect("read");
        assert_eq!((&*plans[0].task.key, plans[0].configurations[0].epochs), ("Imagenetv2", 0));
        let list = file("####### SWAV\nSWAV_800: 'pretrained_weights/SWAV_800.pt'\n");
        assert_eq!(experiments(list.path()).expect("read")["SWAV_800"], Path::new("pretrained_weights/SWAV_800.pt"));
    }

    #[test]
    fn mistakes_are_named() {
        let say = |text: &str| {
            tasks(&Catalogue::builtin(), file(text).path(), 0, Protocol::Standard, None)
                .expect_err("refused")
                .to_string()
        };
        assert!(say("A:\n task: COCODetection\n").contains("COCODetection"));
        let adagrad = GRID.replace("\"adam\"", "\"adagrad\"");
        assert!(say(&adagrad).contains("Imagenet/adam-0.0001"), "{}", say(&adagrad));
        assert!(say("").contains("ViRB"));
        assert!(say(&GRID.replace("lr: 0.0001", "lr: -1")).contains("learning rate"));
        assert!(say(&GRID.replace("num_epochs: 100", "")).contains("num_epochs"));
    }
}
