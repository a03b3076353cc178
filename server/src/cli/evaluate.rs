//! `virboard evaluate`.

use super::bars::Bars;
use super::desk::Desk;
use super::finetune::FineTune;
use super::{Failure, named};
use crate::service::Settings;
use crate::service::cost::{Grid, Rates};
use crate::service::estimate::{estimate, pictures_per_second};
use crate::service::plan::{self, Plan, PlanError, Request};
use crate::service::virb_config::{self, Rules, TaskPlan};
use crate::service::worker::{self, Done, WorkError};
use clap::{Args, ValueEnum};
use std::collections::BTreeSet;
use std::path::PathBuf;
use virboard_core::catalogue::Catalogue;
use virboard_core::catalogue::task::{OutputKind, TaskRole};
use virboard_core::protocol::Protocol;
use virboard_core::run::Run;
use virboard_lab::registry::Registry;
use virboard_lab::train::Selection;
use virboard_lab::work::{Job, Work};

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
    #[command(flatten)]
    finetune: FineTune,
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
            None => named(&self.encoders)?,
        };
        let keys = named(&self.tasks)?;
        let protocol = self.protocol.protocol();
        let selection = self.selection.map(|s| match s {
            SelectionName::LastEpoch => Selection::LastEpoch,
            SelectionName::Validation => Selection::Validation,
        });
        let catalogue = settings.catalogue();
        let (mut tasks, mut notes) = (Vec::new(), Vec::new());
        for seed in self.seed.iter().copied().collect::<BTreeSet<u64>>() {
            let mut plans = match &self.config {
                Some(path) => {
                    let read = virb_config::tasks(&catalogue, path, Rules { seed, protocol, selection })?;
                    notes = read.notes;
                    read.plans
                }
                None => plan::published_tasks(&catalogue, keys.as_deref(), seed, protocol)?,
            };
            for plan in &mut plans {
                if let Some(tuned) = self.finetune.configurations(&plan.task, seed, protocol) {
                    plan.configurations = tuned;
                }
            }
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
        for note in notes {
            eprintln!("note: {note}");
        }
        let request = Request {
            encoders,
            tasks,
            skip_missing: keys.is_none(),
            skip_broken: self.skip_broken,
            probes: !self.no_probes,
        };
        if self.plan {
            return show_plan(settings, request).await;
        }
        let done = evaluate(settings, request, self.again).await?;
        if self.json {
            let scores: Vec<_> = done.runs.iter().map(|r| &r.score).collect();
            println!("{}", serde_json::to_string_pretty(&scores)?);
        } else {
            print!("{}", table(&catalogue, &done.runs));
        }
        match done.failures.len() {
            0 => Ok(()),
            1 => Err(done.failures[0].clone().into()),
            n => Err(format!("{n} jobs failed: {}", done.failures.join("; ")).into()),
        }
    }
}

/// The encoders of an experiment list that the catalogue knows. Checkpoints that lie where the
/// list says are used from there.
fn listed(path: &std::path::Path, settings: &mut Settings) -> Result<Vec<String>, Failure> {
    let list = virb_config::experiments(path)?;
    let catalogue = settings.catalogue();
    let mut keys = Vec::new();
    for (key, checkpoint) in list {
        let key = match catalogue.encoder_named(&key) {
            Ok(encoder) => encoder.key.clone(),
            Err(unknown) => {
                eprintln!("{key} of {} is left out: {unknown}", path.display());
                continue;
            }
        };
        if checkpoint.is_file() {
            settings.checkpoints.push((key.clone(), checkpoint));
        } else {
            eprintln!(
                "note: {} is not there; the checkpoint of {key} in the data folder is used",
                checkpoint.display()
            );
        }
        keys.push(key);
    }
    if keys.is_empty() {
        return Err(format!("{} names no encoder of the catalogue", path.display()).into());
    }
    Ok(keys)
}

/// Plans, and says what is missing.
fn planned(settings: &Settings, registry: &Registry, request: &Request) -> Result<Plan, PlanError> {
    let plan = plan::plan(settings, registry, request)?;
    for missing in &plan.missing {
        eprintln!("missing: {missing}");
    }
    Ok(plan)
}

/// Says how long a plan will take.
fn announce(registry: &Registry, plan: &Plan) -> virboard_lab::Result<()> {
    let estimate = estimate(registry, plan)?;
    eprintln!("{} jobs; {estimate} on {}", plan.work.len(), virboard_nn::device::name(registry.device()));
    Ok(())
}

/// Says what would be done and what the whole grid costs.
async fn show_plan(settings: Settings, request: Request) -> Result<(), Failure> {
    let work = move || -> Result<(), Failure> {
        let registry = settings.registry()?;
        let plan = planned(&settings, &registry, &request)?;
        announce(&registry, &plan)?;
        for work in &plan.work {
            println!("{}: {} configurations", work.title(), work.configurations.len());
        }
        let pictures = pictures_per_second(&registry)?;
        println!(
            "\nThe whole grid with nothing there yet, at {pictures:.0} pictures a second here, and on one H100 at \
             rates that are assumed, not measured:\n"
        );
        println!("{}", Grid { catalogue: registry.catalogue(), here: Rates::cpu(pictures) });
        Ok(())
    };
    tokio::task::spawn_blocking(work).await?
}

/// Plans and evaluates with progress bars.
pub async fn evaluate(settings: Settings, request: Request, again: bool) -> Result<Done, Failure> {
    let desk = std::sync::Arc::new(Desk::open(&settings).await?);
    worker::clean_up(&settings, &desk.store, &desk.engine).await?;
    let worked = desk.clone();
    let work = move || -> Result<Done, Failure> {
        let lab = settings.lab()?;
        let plan = planned(&settings, &lab.registry, &request)?;
        let catalogue = lab.registry.catalogue();
        if plan.work.iter().any(|w| catalogue.task(&w.task).is_some_and(|t| t.role != TaskRole::Sample)) {
            announce(&lab.registry, &plan)?;
        }
        let jobs: Vec<Job> = plan.work.iter().map(Job::of).collect::<Result<_, _>>()?;
        Ok(worked.worker(&lab, &Bars::default()).run_all(&jobs, again)?)
    };
    let done = tokio::task::spawn_blocking(work).await.map_err(WorkError::Ended)?;
    desk.close().await;
    done
}

/// A value of a task's metric with its unit, as people read it.
fn shown(catalogue: &Catalogue, key: &str, value: f64) -> String {
    catalogue.task(key).map_or_else(String::new, |task| {
        let unit = if task.metric.is_share() { "%" } else { &task.unit };
        format!("{} {unit}", task.metric.format(value))
    })
}

/// Scores as a table for people.
#[must_use]
pub fn table(catalogue: &Catalogue, runs: &[Run]) -> String {
    use std::fmt::Write;
    let mut out = format!(
        "{:18} {:30} {:26} {:>10} {:>10} {:>9}\n",
        "encoder", "task", "configuration", "score", "constant", "seconds"
    );
    for Run { score, .. } in runs {
        let e = &score.evidence;
        let constant = score.constant.map_or_else(|| "-".to_owned(), |v| shown(catalogue, &score.task, v));
        let said: serde_json::Value = serde_json::from_str(&e.configuration).unwrap_or_default();
        let mark = if e.selected { "" } else { " (not chosen)" };
        let _ = writeln!(
            out,
            "{:18} {:30} {:26} {:>10} {:>10} {:>9.1}",
            score.encoder,
            score.task,
            format!("{}{mark}", said["name"].as_str().unwrap_or(e.probe.name())),
            shown(catalogue, &score.task, score.value),
            constant,
            e.seconds
        );
    }
    out
}
