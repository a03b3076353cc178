//! What an evaluation will do: the grid of encoders and tasks, a job each.

use super::Settings;
use super::virb_config::{ConfigError, TaskPlan};
use std::sync::Arc;
use virboard_core::catalogue::Catalogue;
use virboard_core::catalogue::encoder::Encoder;
use virboard_core::catalogue::task::Task;
use virboard_core::protocol::Protocol;
use virboard_lab::data;
use virboard_lab::registry::Registry;
use virboard_lab::train::Configuration;
use virboard_lab::work::Folders;
use virboard_lab::work::evaluate::Evaluate;
use virboard_nn::encoder::Precision;

/// Why nothing can be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// An encoder or a data set is not as it should be.
    #[error(transparent)]
    Lab(#[from] virboard_lab::Error),
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing is left to do.
    #[error("nothing can be evaluated: {0}")]
    Nothing(String),
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Keys of encoders; `None` for all whose weights are here.
    pub encoders: Option<Vec<String>>,
    /// Tasks with their configurations.
    pub tasks: Vec<TaskPlan>,
    /// Whether tasks without data are left out instead of refused.
    pub skip_missing: bool,
    /// Whether broken samples are left out instead of ending a job.
    pub skip_broken: bool,
    /// Whether image-level tasks also get neighbours and a regression.
    pub probes: bool,
}

/// The published configurations of tasks; `None` for all.
pub fn published_tasks(
    catalogue: &Catalogue,
    keys: Option<&[String]>,
    seed: u64,
    protocol: Protocol,
) -> Result<Vec<TaskPlan>, virboard_lab::Error> {
    let published = |task: &Arc<Task>| TaskPlan {
        task: task.clone(),
        configurations: vec![Configuration::published(task, seed, protocol)],
    };
    let Some(keys) = keys else { return Ok(catalogue.tasks().iter().map(published).collect()) };
    let mut tasks: Vec<&Arc<Task>> = Vec::new();
    for key in keys {
        let task = catalogue.task_named(key)?;
        // The same under two names is one.
        if !tasks.iter().any(|t| t.key == task.key) {
            tasks.push(task);
        }
    }
    Ok(tasks.into_iter().map(published).collect())
}

/// What will be done, and what cannot be.
#[derive(Debug, Default)]
pub struct Plan {
    /// An encoder on a task each, in order.
    pub work: Vec<Evaluate>,
    /// Encoders without weights and tasks without data, a sentence each.
    pub missing: Vec<String>,
    /// Training and test samples of each task.
    pub samples: Vec<(String, usize, usize)>,
}

/// Plans the grid of encoders and tasks. What was named but is not there is an error, what
/// came in with `all` is listed as missing.
pub fn plan(settings: &Settings, registry: &Registry, request: &Request) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let catalogue = registry.catalogue();
    let encoders: Vec<String> = if let Some(keys) = &request.encoders {
        let named = |name: &String| -> Result<String, virboard_lab::Error> {
            let key = catalogue.encoder_named(name)?.key.clone();
            registry.check(&key)?;
            Ok(key)
        };
        let mut found: Vec<String> = Vec::new();
        for key in keys.iter().map(named) {
            let key = key?;
            if !found.contains(&key) {
                found.push(key);
            }
        }
        found
    } else {
        let (here, absent): (Vec<&Encoder>, Vec<&Encoder>) =
            catalogue.encoders().iter().map(|e| &**e).partition(|e| registry.available(&e.key));
        if !absent.is_empty() {
            let keys: Vec<&str> = absent.iter().map(|e| &*e.key).collect();
            plan.missing.push(format!(
                "no weights for {} encoders ({}); `virboard fetch encoder all` gets them",
                keys.len(),
                keys.join(", ")
            ));
        }
        here.iter().map(|e| e.key.clone()).collect()
    };
    let folders = settings.folders();
    let mut usable = Vec::new();
    for task in &request.tasks {
        let protocol = task.configurations.first().map_or_else(Protocol::default, |c| c.protocol);
        match sizes(&folders, &task.task.key, protocol, request.skip_broken) {
            Ok((train, test)) => {
                plan.samples.push((task.task.key.clone(), train, test));
                usable.push(task);
            }
            Err(error) if request.skip_missing => plan.missing.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    for encoder in &encoders {
        let entry = registry.entry(encoder)?;
        let precision = registry.precision_of(&entry)?;
        for task in &usable {
            let work = Evaluate {
                encoder: encoder.clone(),
                task: task.task.key.clone(),
                configurations: with_precision(&task.configurations, precision),
                skip_broken: request.skip_broken,
                probes: request.probes,
            };
            match work.check(registry) {
                Ok(()) => plan.work.push(work),
                Err(error) if request.skip_missing || request.encoders.is_none() => {
                    plan.missing.push(error.to_string());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    if plan.work.is_empty() {
        return Err(PlanError::Nothing(plan.missing.join("; ")));
    }
    Ok(plan)
}

/// Configurations that say how exactly their encoder computes.
fn with_precision(configurations: &[Configuration], precision: Precision) -> Vec<Configuration> {
    let exactly = |c: &Configuration| match c.fine_tuning {
        // What is trained computes in full precision.
        Some(_) => c.clone(),
        None => Configuration { precision, ..c.clone() },
    };
    configurations.iter().map(exactly).collect()
}

/// Samples of a task's splits, without reading their files.
fn sizes(
    folders: &Folders,
    key: &str,
    protocol: Protocol,
    skip_broken: bool,
) -> Result<(usize, usize), virboard_lab::Error> {
    if let Some(listing) = data::list(key, &folders.places, protocol)? {
        if let Some(problem) = listing.problems.first().filter(|_| !skip_broken) {
            return Err(listing.bad(format!(
                "{problem} ({} problems; `virboard dataset list {key}` lists them)",
                listing.problems.len()
            )));
        }
        if listing.test.is_empty() {
            return Err(listing.bad(format!("no usable test samples are in {}", listing.root.display())));
        }
        return Ok((listing.train.len(), listing.test.len()));
    }
    let dataset = data::open(key, &folders.places, protocol, data::Broken::Refuse, &())?;
    Ok((dataset.len(data::Split::Train), dataset.len(data::Split::Test)))
}
