//! `virboard evaluate`.

use super::Failure;
use super::bars::Bars;
use crate::service::Settings;
use crate::service::cost::{Grid, Rates};
use crate::service::estimate::{estimate, pictures_per_second};
use crate::service::evaluation::{self, Done, Evaluated, EvaluationError, Request, Workshop};
use crate::service::virb_config::{self, TaskPlan};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use virboard_core::catalogue::task::{OutputKind, TaskRole};
use virboard_core::catalogue::{TASKS, encoder};
use virboard_core::protocol::Protocol;
use virboard_lab::registry::Registry;
use virboard_lab::train::Selection;

/// Options of an evaluation.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Evaluate {
    /// Keys of encoders, or all for those whose weights are here
    #[arg(long, value_delimiter = ',', required_unless_present = "experiment_list")]
    encoders: Vec<String>,
    /// ViRB's YAML list of encoders and their checkpoints
    #[arg(long, conflicts_with = "encoders")]
    experiment_list: Option<PathBuf>,
    /// Keys of tasks, or all for those whose data is here
    #[arg(long, value_delimiter = ',', required_unless_present = "config")]
    tasks: Vec<String>,
    /// ViRB's YAML of tasks and training configurations, instead of the published ones
    #[arg(long, conflicts_with = "tasks")]
    config: Option<PathBuf>,
    /// Seed of everything random; several give a run each
    #[arg(long, value_delimiter = ',', default_value = "0")]
    seed: Vec<u64>,
    /// As common practice has it, or with every departure of ViRB's program
    #[arg(long, default_value = "standard")]
    protocol: ProtocolName,
    /// What is reported: the last epoch, or the best on held-out training samples
    #[arg(long)]
    selection: Option<SelectionName>,
    /// Encode so many augmented views of each picture and see them in turns, instead of a new one
    /// every epoch: tasks about pixels take less time and more disk
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    views: Option<u32>,
    /// Leave out samples that cannot be read, and report them
    #[arg(long)]
    skip_broken: bool,
    /// Only heads, no nearest neighbours and no logistic regression
    #[arg(long)]
    no_probes: bool,
    /// Do again what has scores already
    #[arg(long)]
    again: bool,
    /// Only say what would be done, what is missing, how long it would take and how much it would store
    #[arg(long)]
    plan: bool,
    /// Print results as JSON
    #[arg(long)]
    json: bool,
}

/// Names of protocols.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ProtocolName {
    /// Common practice
    Standard,
    /// ViRB's program
    Virb,
}

impl ProtocolName {
    /// The protocol.
    #[must_use]
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::Standard => Protocol::Standard,
            Self::Virb => Protocol::Virb,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SelectionName {
    LastEpoch,
    Validation,
}

impl Evaluate {
    /// Trains and scores every pair.
    pub async fn run(self, mut settings: Settings) -> Result<(), Failure> {
        let encoders = match &self.experiment_list {
            Some(path) => Some(listed(path, &mut settings)?),
            None => named(&self.encoders),
        };
        let protocol = self.protocol.protocol();
        let selection = self.selection.map(|s| match s {
            SelectionName::LastEpoch => Selection::LastEpoch,
            SelectionName::Validation => Selection::Validation,
        });
        let mut tasks = Vec::new();
        for seed in &self.seed {
            let mut plans = match &self.config {
                Some(path) => virb_config::tasks(path, *seed, protocol, selection)?,
                None => evaluation::published_tasks(named(&self.tasks).as_deref(), *seed, protocol)?,
            };
            if let Some(selection) = selection {
                plans.iter_mut().flat_map(|p| &mut p.configurations).for_each(|c| c.selection = selection);
            }
            if self.views.is_some() {
                let about_pixels = |p: &&mut TaskPlan| p.task.kind != OutputKind::Classification;
                let plans = plans.iter_mut().filter(about_pixels);
                plans.flat_map(|p| &mut p.configurations).for_each(|c| c.views = self.views);
            }
            tasks.extend(plans);
        }
        let request = Request {
            encoders,
            tasks,
            skip_missing: self.tasks.iter().any(|t| t == "all"),
            skip_broken: self.skip_broken,
            probes: !self.no_probes,
            again: self.again,
        };
        let done = evaluate(settings, request, self.plan).await?;
        if self.plan {
            return Ok(());
        }
        if self.json {
            let results: Vec<_> = done.finished.iter().map(|d| &d.result).collect();
            println!("{}", serde_json::to_string_pretty(&results)?);
        } else {
            print!("{}", table(&done.finished));
        }
        match done.failures.len() {
            0 => Ok(()),
            1 => Err(done.failures[0].clone().into()),
            n => Err(format!("{n} jobs failed: {}", done.failures.join("; ")).into()),
        }
    }
}

/// `None` for `all`.
fn named(keys: &[String]) -> Option<Vec<String>> {
    (!keys.iter().any(|k| k == "all")).then(|| keys.to_vec())
}

/// The encoders of an experiment list that the catalogue knows. Checkpoints that lie where the
/// list says are used from there.
fn listed(path: &std::path::Path, settings: &mut Settings) -> Result<Vec<String>, Failure> {
    let list = virb_config::experiments(path)?;
    let mut keys = Vec::new();
    for (key, checkpoint) in list {
        if encoder(&key).is_none() {
            eprintln!("{key} of {} is not in the catalogue and is left out", path.display());
            continue;
        }
        if checkpoint.is_file() {
            settings.checkpoints.push((key.clone(), checkpoint));
        }
        keys.push(key);
    }
    if keys.is_empty() {
        return Err(format!("{} names no encoder of the catalogue", path.display()).into());
    }
    Ok(keys)
}

/// Plans, says what is planned, and evaluates with progress bars.
pub async fn evaluate(settings: Settings, request: Request, only_plan: bool) -> Result<Done, EvaluationError> {
    let store = settings.store().await?;
    evaluation::clean_up(&settings, &store).await?;
    let runtime = tokio::runtime::Handle::current();
    let work = move || {
        let registry: Registry = settings.registry()?;
        let plan = evaluation::plan(&settings, &registry, &request)?;
        for missing in &plan.missing {
            eprintln!("missing: {missing}");
        }
        let paper = plan.jobs.iter().any(|j| TASKS.iter().any(|t| t.key == j.task && t.role != TaskRole::Sample));
        if only_plan || paper {
            let estimate = estimate(&registry, &plan)?;
            eprintln!("{} jobs; {estimate} on {}", plan.jobs.len(), virboard_nn::device::name(registry.device()));
        }
        if only_plan {
            for job in &plan.jobs {
                println!("{} on {}: {} configurations", job.encoder, job.task, job.configurations.len());
            }
            let pictures = pictures_per_second(&registry)?;
            println!(
                "\nThe whole grid with nothing there yet, at {pictures:.0} pictures a second here, and on one H100 as \
                 assumed in docs/benchmarks.md:\n"
            );
            println!("{}", Grid { here: Rates::cpu(pictures) });
            return Ok(Done::default());
        }
        let listener = Bars::default();
        let workshop = Workshop {
            settings: &settings,
            store: &store,
            registry: &registry,
            runtime: &runtime,
            listener: &listener,
        };
        workshop.run_all(&plan.jobs, request.again)
    };
    tokio::task::spawn_blocking(work).await?
}

/// Scores as a table for people.
#[must_use]
pub fn table(done: &[Evaluated]) -> String {
    use std::fmt::Write;
    let mut out = format!(
        "{:18} {:30} {:26} {:>10} {:>10} {:>9}\n",
        "encoder", "task", "configuration", "score", "constant", "seconds"
    );
    for Evaluated { result, .. } in done {
        let p = &result.provenance;
        let constant = result.constant.map_or_else(|| "-".to_owned(), |v| evaluation::shown(&result.task, v));
        let said: serde_json::Value = serde_json::from_str(&p.configuration).unwrap_or_default();
        let mark = if p.selected { "" } else { " (not chosen)" };
        let _ = writeln!(
            out,
            "{:18} {:30} {:26} {:>10} {:>10} {:>9.1}",
            result.encoder,
            result.task,
            format!("{}{mark}", said["name"].as_str().unwrap_or(p.probe.name())),
            evaluation::shown(&result.task, result.score),
            constant,
            p.seconds
        );
    }
    out
}
