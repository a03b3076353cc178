//! Evaluating encoders on tasks, job by job, into the store.

use super::virb_config::{ConfigError, TaskPlan, published};
use super::{OpenError, Settings};
use crate::store::{Epoch, NewRun, Store, StoreError, StoredResult, now};
use std::path::Path;
use std::sync::Mutex;
use virboard_core::catalogue::encoder::Encoder;
use virboard_core::catalogue::{ENCODERS, TASKS, encoder as encoder_of, task, task::TaskRole};
use virboard_core::protocol::Protocol;
use virboard_core::results::{Provenance, ResultCell, Source};
use virboard_lab::data;
use virboard_lab::progress::{EpochReport, Progress};
use virboard_lab::registry::Registry;
use virboard_lab::train::Configuration;
use virboard_lab::work::evaluate::{Bench, Folders, Job, Outcome};
use virboard_nn::encoder::Precision;
use virboard_nn::load::describe;

/// What an evaluation fails with.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// The lab failed.
    #[error(transparent)]
    Lab(#[from] virboard_lab::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Virboard's folders could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The thread that evaluates ended before its work.
    #[error("the evaluation ended unexpectedly: {0}; what was finished is kept, start it again")]
    Ended(#[from] tokio::task::JoinError),
    /// Nothing is left to do.
    #[error("{0}")]
    Nothing(String),
}

impl From<virboard_nn::Error> for EvaluationError {
    fn from(error: virboard_nn::Error) -> Self {
        virboard_lab::Error::from(error).into()
    }
}

/// Marks the runs of killed processes and removes their unfinished files. Jobs on which
/// another process works are left alone.
pub async fn clean_up(settings: &Settings, store: &Store) -> Result<(), OpenError> {
    let folders = settings.folders();
    for (job, runs) in store.running_jobs().await? {
        let lock = folders.runs.join(format!("{job}.lock"));
        if virboard_nn::files::try_lock(&lock)?.is_some() {
            store.interrupt_job(&job).await?;
            tracing::warn!(job, runs, "a killed process left this job; `virboard evaluate` takes it up again");
        }
    }
    for folder in [&folders.cache.folder, &folders.heads, &folders.runs, &folders.predictions] {
        clean(folder, 2);
    }
    Ok(())
}

fn clean(folder: &Path, depth: usize) {
    match virboard_nn::files::remove_unfinished(folder) {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, folder = %folder.display(), "unfinished files were removed"),
        Err(error) => tracing::warn!(%error, "unfinished files could not be removed"),
    }
    if depth > 0 {
        let inner = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
        inner.filter(|p| p.is_dir()).for_each(|p| clean(&p, depth - 1));
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the evaluation")]
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
    /// Whether jobs are done again that have scores already.
    pub again: bool,
}

/// The published configurations of tasks; `None` for all.
pub fn published_tasks(
    keys: Option<&[String]>,
    seed: u64,
    protocol: Protocol,
) -> Result<Vec<TaskPlan>, virboard_lab::Error> {
    let Some(keys) = keys else { return Ok(TASKS.iter().map(|t| published(t, seed, protocol)).collect()) };
    keys.iter()
        .map(|key| {
            let task = super::virb_config::task_of(key).ok_or_else(|| virboard_lab::Error::Unknown {
                what: "task",
                key: key.clone(),
                known: TASKS.iter().map(|t| t.key).collect::<Vec<_>>().join(", "),
            })?;
            Ok(published(task, seed, protocol))
        })
        .collect()
}

/// What will be done, and what cannot be.
#[derive(Debug, Default)]
pub struct Plan {
    /// The jobs, in order.
    pub jobs: Vec<Job>,
    /// Encoders without weights and tasks without data, a sentence each.
    pub missing: Vec<String>,
    /// Training and test samples of each task.
    pub samples: Vec<(&'static str, usize, usize)>,
}

/// Plans the grid of encoders and tasks. What was named but is not there is an error, what
/// came in with `all` is listed as missing.
pub fn plan(settings: &Settings, registry: &Registry, request: &Request) -> Result<Plan, EvaluationError> {
    let mut plan = Plan::default();
    let encoders: Vec<String> = if let Some(keys) = &request.encoders {
        for key in keys {
            registry.check(key)?;
        }
        keys.clone()
    } else {
        let (here, absent): (Vec<&Encoder>, Vec<&Encoder>) = ENCODERS.iter().partition(|e| registry.available(e.key));
        if !absent.is_empty() {
            let keys: Vec<&str> = absent.iter().map(|e| e.key).collect();
            plan.missing.push(format!(
                "no weights for {} encoders ({}); `virboard fetch encoder all` gets them",
                keys.len(),
                keys.join(", ")
            ));
        }
        here.iter().map(|e| e.key.to_owned()).collect()
    };
    let folders = settings.folders();
    let mut usable = Vec::new();
    for task in &request.tasks {
        let protocol = task.configurations.first().map_or_else(Protocol::default, |c| c.protocol);
        match sizes(&folders, task.task.key, protocol, request.skip_broken) {
            Ok((train, test)) => {
                plan.samples.push((task.task.key, train, test));
                usable.push(task);
            }
            Err(error) if request.skip_missing => plan.missing.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    for encoder in &encoders {
        for task in &usable {
            plan.jobs.push(Job {
                encoder: encoder.clone(),
                task: task.task.key.to_owned(),
                configurations: with_precision(&task.configurations, encoder, registry.precision()),
                skip_broken: request.skip_broken,
                probes: request.probes,
            });
        }
    }
    if plan.jobs.is_empty() {
        return Err(EvaluationError::Nothing(format!("nothing can be evaluated: {}", plan.missing.join("; "))));
    }
    Ok(plan)
}

/// Configurations that say how exactly their encoder computes.
fn with_precision(configurations: &[Configuration], encoder: &str, precision: Precision) -> Vec<Configuration> {
    let description = encoder_of(encoder).and_then(|e| describe(e.architecture).ok());
    let precision = description.map_or(precision, |d| d.precision(precision));
    configurations.iter().map(|c| Configuration { precision, ..c.clone() }).collect()
}

/// Samples of a task's splits, without reading their files.
fn sizes(
    folders: &Folders,
    key: &str,
    protocol: Protocol,
    skip_broken: bool,
) -> Result<(usize, usize), virboard_lab::Error> {
    if let Some(listing) = data::list(key, &folders.places.datasets, protocol)? {
        if let Some(problem) = listing.problems.first().filter(|_| !skip_broken) {
            return Err(listing.bad(format!(
                "{problem} ({} problems; `virboard datasets {key}` lists them)",
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

/// Keys of the sample tasks.
#[must_use]
pub fn sample_tasks() -> Vec<String> {
    TASKS.iter().filter(|t| t.role == TaskRole::Sample).map(|t| t.key.to_owned()).collect()
}

/// Listens to jobs, for progress bars.
pub trait Listener: Progress {
    /// A job begins.
    fn job(&self, _number: usize, _of: usize, _encoder: &str, _task: &str) {}
    /// A job is left out because its scores are there already.
    fn done_before(&self, _encoder: &str, _task: &str) {}
}

impl Listener for () {}

/// A finished run.
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// The score with its provenance.
    pub result: ResultCell,
    /// Its curve.
    pub epochs: Vec<Epoch>,
}

/// What came of all jobs.
#[derive(Debug, Default)]
pub struct Done {
    /// Scores.
    pub finished: Vec<Evaluated>,
    /// A sentence for every job that failed.
    pub failures: Vec<String>,
}

impl Done {
    /// Takes in a job's end. Only what would end every other job too is passed on.
    fn add(&mut self, job: Result<Vec<Evaluated>, EvaluationError>) -> Result<(), EvaluationError> {
        use virboard_lab::Error as Lab;
        match job {
            Ok(finished) => self.finished.extend(finished),
            Err(EvaluationError::Lab(e)) if !matches!(e, Lab::Cancelled) && !e.is_disk_full() => {
                self.failures.push(e.to_string());
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Passes epochs on to the store and the listener.
struct Recorder<'a> {
    listener: &'a dyn Listener,
    runs: Vec<i64>,
    sender: Mutex<tokio::sync::mpsc::UnboundedSender<(i64, Epoch)>>,
}

impl Progress for Recorder<'_> {
    fn begin(&self, step: &str, total: u64) {
        self.listener.begin(step, total);
    }

    fn advance(&self, done: u64) {
        self.listener.advance(done);
    }

    fn epoch(&self, member: usize, report: &EpochReport) {
        if let (Some(run), Ok(sender)) = (self.runs.get(member), self.sender.lock()) {
            let _ = sender.send((*run, epoch(report)));
        }
        self.listener.epoch(member, report);
    }

    fn cancelled(&self) -> bool {
        self.listener.cancelled()
    }
}

fn epoch(report: &EpochReport) -> Epoch {
    Epoch { epoch: report.epoch, train_loss: report.train_loss, test_metric: report.test_metric }
}

/// Where jobs run.
pub struct Workshop<'a> {
    /// Where everything lies.
    pub settings: &'a Settings,
    /// The database.
    pub store: &'a Store,
    /// The encoders.
    pub registry: &'a Registry,
    /// For the store's calls.
    pub runtime: &'a tokio::runtime::Handle,
    /// Whoever watches.
    pub listener: &'a dyn Listener,
}

impl Workshop<'_> {
    /// Does all jobs. Jobs on which another process works are left for the end and then
    /// waited for; those with scores are left out, unless they are asked for `again`. A job
    /// that fails does not stop the others; its sentence is among the failures.
    /// Blocks; call it on a thread of its own.
    pub fn run_all(&self, jobs: &[Job], again: bool) -> Result<Done, EvaluationError> {
        let folders = self.settings.folders();
        let mut done = Done::default();
        let mut busy = Vec::new();
        for (i, job) in jobs.iter().enumerate() {
            match job.try_lock(&folders)? {
                Some(_lock) => done.add(self.run(&folders, job, i + 1, jobs.len(), again))?,
                None => busy.push((i, job)),
            }
        }
        for (i, job) in busy {
            let path = folders.runs.join(format!("{}.lock", job.name()));
            let _lock = virboard_nn::files::lock(&path)?;
            // What the other process finished is not done again.
            done.add(self.run(&folders, job, i + 1, jobs.len(), false))?;
        }
        Ok(done)
    }

    /// Does one job, whose lock is held.
    fn run(
        &self,
        folders: &Folders,
        job: &Job,
        number: usize,
        of: usize,
        again: bool,
    ) -> Result<Vec<Evaluated>, EvaluationError> {
        let (listener, store) = (self.listener, self.store);
        self.runtime.block_on(store.interrupt_job(&job.name()))?;
        let bench = Bench::open(self.registry, folders, job, listener)?;
        let hashes = (bench.encoder_sha256(), bench.dataset_sha256());
        let configurations = bench.configurations()?;
        let has = store.has_results(&job.encoder, &job.task, (&hashes.0, &hashes.1), &configurations);
        if !again && self.runtime.block_on(has)? {
            listener.done_before(&job.encoder, &job.task);
            job.finish(folders);
            return Ok(Vec::new());
        }
        listener.job(number, of, &job.encoder, &job.task);
        let device = virboard_nn::device::name(self.registry.device());
        let name = job.name();
        let mut runs = Vec::new();
        for (i, json) in configurations.iter().enumerate() {
            let seed = job.configurations.get(i).map_or(0, |c| c.seed);
            let run = NewRun { job: &name, encoder: &job.encoder, task: &job.task, configuration: json, seed, device };
            runs.push(self.runtime.block_on(store.begin_run(run))?);
        }
        // Epochs go to the store while training goes on.
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<(i64, Epoch)>();
        let writer = self.runtime.spawn({
            let store = store.clone();
            async move {
                while let Some((run, epoch)) = receiver.recv().await {
                    if let Err(error) = store.add_epoch(run, epoch).await {
                        tracing::warn!(%error, "an epoch could not be stored");
                    }
                }
            }
        });
        let recorder = Recorder { listener, runs: runs.clone(), sender: Mutex::new(sender) };
        let outcomes = bench.run(&recorder);
        drop(recorder);
        if let Err(error) = self.runtime.block_on(writer) {
            tracing::warn!(%error, "the writer of epochs failed");
        }
        match outcomes {
            Ok(outcomes) => {
                let rows: Vec<StoredResult> =
                    outcomes.iter().enumerate().map(|(i, o)| self.row(job, runs.get(i).copied(), device, o)).collect();
                self.runtime.block_on(store.finish_job(&runs, &rows))?;
                job.finish(folders);
                Ok(rows
                    .into_iter()
                    .zip(outcomes)
                    .map(|(row, o)| Evaluated { result: row.result, epochs: o.curve.iter().map(epoch).collect() })
                    .collect())
            }
            Err(error @ virboard_lab::Error::Cancelled) => Err(error.into()),
            Err(error) => {
                for run in runs {
                    self.runtime.block_on(store.fail_run(run, &error.to_string()))?;
                }
                Err(error.into())
            }
        }
    }

    fn row(&self, job: &Job, run: Option<i64>, device: &str, outcome: &Outcome) -> StoredResult {
        let below = |path: &Path| path.strip_prefix(&self.settings.data).unwrap_or(path).to_string_lossy().into_owned();
        StoredResult {
            run,
            head: outcome.head.as_deref().map(below).unwrap_or_default(),
            predictions: below(&outcome.predictions),
            result: ResultCell {
                encoder: job.encoder.clone(),
                task: job.task.clone(),
                score: outcome.value,
                interval: outcome.interval,
                constant: outcome.constant,
                provenance: Provenance {
                    source: Source::Measured,
                    encoder_sha256: outcome.encoder_sha256.clone(),
                    dataset_sha256: outcome.dataset_sha256.clone(),
                    probe: outcome.probe,
                    protocol: job.configurations.first().map_or_else(Protocol::default, |c| c.protocol),
                    selected: outcome.selected,
                    configuration: outcome.configuration.clone(),
                    seed: outcome.seed,
                    device: device.to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    finished_at: now(),
                    seconds: outcome.seconds,
                    test_samples: outcome.test_samples,
                },
            },
        }
    }
}

/// The unit of a task's metric, as people read it.
#[must_use]
pub fn shown(key: &str, value: f64) -> String {
    task(key).map_or_else(String::new, |task| {
        let unit = if task.metric.is_share() { "%" } else { task.unit };
        format!("{} {unit}", task.metric.format(value))
    })
}
