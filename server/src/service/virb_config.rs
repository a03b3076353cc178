//! ViRB's own YAML: `configs/virb_configs/*.yaml` and `configs/experiment_lists/*.yaml`.

mod fields;

use fields::{Fields, unknown};
use serde_json::{Map, Value};
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

/// What a file asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tasks {
    /// The tasks, in the catalogue's order.
    pub plans: Vec<TaskPlan>,
    /// What is not read, a sentence each.
    pub notes: Vec<String>,
}

/// Keys of a task.
const TASK: [&str; 8] = [
    "task",
    "training_configs",
    "num_epochs",
    "batch_size",
    "test_batch_size",
    "num_dataset_repeats",
    "pre_encode",
    "task_head_weights_path",
];

/// Keys of every training configuration.
const TRAINING: [&str; 3] = ["optimizer", "lr", "scheduler"];

/// Optimisers, and the keys that each adds.
const OPTIMISERS: [(&str, &[&str]); 2] = [("adam", &[]), ("sgd", &["momentum"])];

/// Schedulers, and the keys that each needs.
const SCHEDULERS: [(&str, &[&str]); 3] =
    [("StepLR", &["step_size", "gamma"]), ("OneCycle", &[]), ("Poly", &["exponent"])];

/// How a file's configurations are to be trained.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Seed of everything random.
    pub seed: u64,
    /// The protocol.
    pub protocol: Protocol,
    /// What is reported; by the protocol if it is not said.
    pub selection: Option<Selection>,
}

/// A mistake: the training configuration in which it is, if it is in one, and a sentence.
struct Mistake(Option<String>, String);

impl From<String> for Mistake {
    fn from(sentence: String) -> Self {
        Self(None, sentence)
    }
}

/// The entries of a file, by name.
fn tables(path: &Path) -> Result<BTreeMap<String, Value>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Io { path: path.to_path_buf(), source })?;
    let yaml = |reason: String| ConfigError::Yaml { path: path.to_path_buf(), reason };
    match serde_saphyr::from_str(&text).map_err(|e| yaml(e.to_string()))? {
        Value::Object(map) => Ok(map.into_iter().collect()),
        Value::Null => Err(yaml("it is empty".to_owned())),
        _ => Err(yaml("it is no table of names".to_owned())),
    }
}

/// Reads a file of tasks. Schedulers, optimisers and repeats are taken as they are; under
/// [`Protocol::Standard`] schedulers are stepped and, with several configurations, a
/// validation split chooses. A key or a value that is not understood is an error that names it.
pub fn tasks(catalogue: &Catalogue, path: &Path, rules: Rules) -> Result<Tasks, ConfigError> {
    let mut tasks = Tasks::default();
    for (name, entry) in tables(path)? {
        match (entry, TASK.contains(&name.as_str())) {
            (Value::Object(map), _) => {
                let plan = plan(catalogue, &map, rules).map_err(|Mistake(inside, reason)| ConfigError::Entry {
                    path: path.to_path_buf(),
                    entry: inside.map_or_else(|| name.clone(), |i| format!("{name}/{i}")),
                    reason,
                })?;
                tasks.plans.push(plan);
            }
            // ViRB's `imagenetv2.yaml` has a `batch_size` there, which its runner does not read.
            (_, true) if name != "task" => tasks.notes.push(format!(
                "{}: `{name}` stands beside the tasks and is not read; indent it to put it into one",
                path.display()
            )),
            (_, _) => {
                let reason = "it is no task; a task is a table with the key `task`, indented below its name";
                return Err(ConfigError::Entry { path: path.to_path_buf(), entry: name, reason: reason.to_owned() });
            }
        }
    }
    if tasks.plans.is_empty() {
        return Err(ConfigError::Yaml { path: path.to_path_buf(), reason: "it names no task".to_owned() });
    }
    // In the catalogue's order, so that ImageNet comes before what tests its head.
    tasks.plans.sort_by_key(|p| catalogue.tasks().iter().position(|t| t.key == p.task.key));
    Ok(tasks)
}

/// One task with its configurations.
fn plan(catalogue: &Catalogue, map: &Map<String, Value>, rules: Rules) -> Result<TaskPlan, Mistake> {
    let fields = Fields::of(map, &TASK)?;
    let named = fields.text("task")?.ok_or_else(|| "`task` is missing".to_owned())?;
    let task = catalogue.task_named(named).map_err(|e| e.to_string())?.clone();
    let size = |key: &str| fields.count(key).map(|n| n.map_or(BATCH, |n| n as usize));
    let (batch_size, test_batch_size) = (size("batch_size")?, size("test_batch_size")?);
    let (epochs, repeats) = (fields.count("num_epochs")?, fields.count("num_dataset_repeats")?.unwrap_or(1));
    // ViRB's cache of features and its place of heads; this program has its own.
    let _: (Option<bool>, Option<&str>) = (fields.flag("pre_encode")?, fields.text("task_head_weights_path")?);
    let trained = fields.map("training_configs")?;
    let Rules { seed, protocol, selection } = rules;
    if task.epochs.is_none() {
        if trained.is_some_and(|t| !t.is_empty()) {
            return Err(
                format!("{} only tests a head that another task trains; remove training_configs", task.key).into()
            );
        }
        let configuration = Configuration { test_batch_size, ..Configuration::published(&task, seed, protocol) };
        return Ok(TaskPlan { task, configurations: vec![configuration] });
    }
    let trained = match trained {
        Some(trained) if !trained.is_empty() => trained,
        Some(_) => return Err("`training_configs` is empty".to_owned().into()),
        None => return Err("`training_configs` is missing".to_owned().into()),
    };
    let several = trained.len() > 1;
    let selection = selection.unwrap_or(match (protocol, several) {
        (Protocol::Standard, true) => Selection::Validation,
        _ => Selection::LastEpoch,
    });
    let epochs = epochs.ok_or_else(|| "`num_epochs` is missing".to_owned())?;
    let mut configurations = Vec::with_capacity(trained.len());
    // By name, whatever their order in the file.
    for (name, entry) in trained.iter().collect::<BTreeMap<_, _>>() {
        let (optimiser, learning_rate, schedule) =
            training(entry).map_err(|reason| Mistake(Some(name.clone()), reason))?;
        let plain = Configuration::untrained(name.clone(), seed, protocol);
        configurations.push(Configuration {
            epochs,
            batch_size,
            test_batch_size,
            optimiser,
            learning_rate,
            schedule,
            repeats,
            selection,
            ..plain
        });
    }
    Ok(TaskPlan { task, configurations })
}

/// One training configuration.
fn training(entry: &Value) -> Result<(Kind, f64, Schedule), String> {
    let map = entry.as_object().ok_or("it has to be a table with `optimizer` and `lr`")?;
    let every: Vec<&str> = TRAINING.into_iter().chain(OPTIMISERS.iter().flat_map(|o| o.1).copied()).collect();
    let said = Fields::of(map, &every)?.text("optimizer")?.ok_or("`optimizer` is missing")?;
    let (optimiser, keys) = OPTIMISERS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(said))
        .ok_or_else(|| format!("the optimizer {}", unknown(said, &OPTIMISERS.map(|o| o.0))))?;
    let own: Vec<&str> = TRAINING.iter().chain(*keys).copied().collect();
    let fields = Fields::of(map, &own).map_err(|reason| format!("with {optimiser} {reason}"))?;
    let rate = fields.real("lr", "a learning rate above 0", |n| n > 0.0)?.ok_or("`lr` is missing")?;
    let momentum = if keys.contains(&"momentum") {
        fields.real("momentum", "a number from 0 to less than 1", |n| (0.0..1.0).contains(&n))?
    } else {
        None
    };
    let kind = if *optimiser == "adam" {
        Kind::Adam
    } else {
        Kind::Sgd { momentum: momentum.unwrap_or(0.0), weight_decay: 0.0 }
    };
    let schedule = fields.map("scheduler")?.map_or(Ok(Schedule::Constant), schedule)?;
    Ok((kind, rate, schedule))
}

/// A scheduler.
fn schedule(map: &Map<String, Value>) -> Result<Schedule, String> {
    let within = |reason: String| format!("in `scheduler` {reason}");
    let every: Vec<&str> = ["type"].into_iter().chain(SCHEDULERS.iter().flat_map(|s| s.1).copied()).collect();
    let said = Fields::of(map, &every).map_err(within)?.text("type").map_err(within)?;
    let said = said.ok_or_else(|| within("`type` is missing".to_owned()))?;
    let (name, keys) = SCHEDULERS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(said))
        .ok_or_else(|| within(format!("the type {}", unknown(said, &SCHEDULERS.map(|s| s.0)))))?;
    let own: Vec<&str> = ["type"].iter().chain(*keys).copied().collect();
    let fields = Fields::of(map, &own).map_err(|reason| within(format!("of type {name} {reason}")))?;
    let missing = |key: &str| within(format!("`{key}` is missing"));
    let positive = |key: &str| {
        let value = fields.real(key, "a number above 0", |n| n > 0.0).map_err(within)?;
        value.ok_or_else(|| missing(key))
    };
    Ok(match *name {
        "StepLR" => Schedule::StepLr {
            step_size: fields.count("step_size").map_err(within)?.ok_or_else(|| missing("step_size"))?,
            gamma: positive("gamma")?,
        },
        "OneCycle" => Schedule::OneCycle,
        _ => Schedule::Poly { exponent: positive("exponent")? },
    })
}

/// Reads an experiment list: names of encoders with their checkpoints' paths.
pub fn experiments(path: &Path) -> Result<BTreeMap<String, PathBuf>, ConfigError> {
    let mut list = BTreeMap::new();
    for (name, value) in tables(path)? {
        let Some(checkpoint) = value.as_str().filter(|c| !c.trim().is_empty()) else {
            let reason = "it has to be the path of a checkpoint".to_owned();
            return Err(ConfigError::Entry { path: path.to_path_buf(), entry: name, reason });
        };
        list.insert(name, PathBuf::from(checkpoint));
    }
    Ok(list)
}

#[cfg(test)]
mod tests;
