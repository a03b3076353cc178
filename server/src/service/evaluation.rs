//! Evaluating encoders on tasks, run by run, into the store.

use super::{OpenError, Settings};
use crate::store::{Epoch, NewRun, Store, StoreError, now};
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Mutex;
use virboard_core::catalog::{ENCODERS, task};
use virboard_core::results::{Provenance, ResultCell, Source};
use virboard_engine::dataset::SAMPLE_TASKS;
use virboard_engine::encoder::registry::Registry;
use virboard_engine::evaluate::{Outcome, configuration, evaluate};
use virboard_engine::progress::{EpochReport, Progress};
use virboard_engine::train::Configuration;

/// What an evaluation fails with.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] virboard_engine::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Virboard's folders could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Another process evaluates.
    #[error("another `virboard evaluate` works in {0}; wait for it or give another --data-dir")]
    Locked(String),
}

/// The lock of the data folder for whoever evaluates; `None` while another process holds it.
/// The system frees it when the process ends, however it ends.
pub fn lock(data: &Path) -> Result<Option<File>, OpenError> {
    let path = data.join("evaluate.lock");
    let fail = |source| OpenError::Folder { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(fail(source)),
    }
}

/// Keys named on the command line: a list, or `all` for everything that can be run here.
pub fn expand(names: &[String], all: impl IntoIterator<Item = String>) -> Vec<String> {
    if names.iter().any(|n| n == "all") { all.into_iter().collect() } else { names.to_vec() }
}

/// Encoders that can be run here.
#[must_use]
pub fn available_encoders(registry: &Registry) -> Vec<String> {
    ENCODERS.iter().filter(|e| registry.available(e.key)).map(|e| e.key.to_owned()).collect()
}

/// Tasks whose data can be read here.
#[must_use]
pub fn available_tasks() -> Vec<String> {
    SAMPLE_TASKS.iter().map(|t| (*t).to_owned()).collect()
}

/// Listens to a run, for progress bars.
pub trait Listener: Progress {
    /// A run begins.
    fn run(&self, _encoder: &str, _task: &str) {}
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

/// Collects epochs on their way to the listener.
struct Recorder<'a> {
    listener: &'a dyn Listener,
    epochs: Mutex<Vec<Epoch>>,
    sender: tokio::sync::mpsc::UnboundedSender<Epoch>,
}

impl Progress for Recorder<'_> {
    fn begin(&self, step: &str, total: u64) {
        self.listener.begin(step, total);
    }

    fn advance(&self, done: u64) {
        self.listener.advance(done);
    }

    fn epoch(&self, report: &EpochReport) {
        let epoch = Epoch { epoch: report.epoch, train_loss: report.train_loss, test_metric: report.test_metric };
        if let Ok(mut epochs) = self.epochs.lock() {
            epochs.push(epoch);
        }
        let _ = self.sender.send(epoch);
        self.listener.epoch(report);
    }

    fn cancelled(&self) -> bool {
        self.listener.cancelled()
    }
}

/// Evaluates every pair of `encoders` and `tasks`, one after the other, each with the
/// published configuration of its task. Blocks; call it on a thread of its own.
#[expect(clippy::too_many_arguments, reason = "an evaluation is made of these")]
pub fn run_all(
    settings: &Settings,
    store: &Store,
    registry: &Registry,
    encoders: &[String],
    tasks: &[String],
    seed: u64,
    listener: &dyn Listener,
    runtime: &tokio::runtime::Handle,
) -> Result<Vec<Evaluated>, EvaluationError> {
    // Everything is checked before the first run begins.
    for key in encoders {
        registry.check(key)?;
    }
    for key in tasks {
        virboard_engine::dataset::open(key, &settings.samples)?;
    }
    let mut finished = Vec::new();
    for encoder in encoders {
        for key in tasks {
            listener.run(encoder, key);
            let Some(entry) = task(key) else { continue };
            let configuration = configuration(entry, seed)?;
            finished.push(run_one(settings, store, registry, encoder, key, &configuration, listener, runtime)?);
        }
    }
    Ok(finished)
}

#[expect(clippy::too_many_arguments, reason = "a run is made of these")]
fn run_one(
    settings: &Settings,
    store: &Store,
    registry: &Registry,
    encoder: &str,
    task: &str,
    configuration: &Configuration,
    listener: &dyn Listener,
    runtime: &tokio::runtime::Handle,
) -> Result<Evaluated, EvaluationError> {
    let json = serde_json::to_string(configuration)
        .map_err(|e| virboard_engine::Error::Unsupported(format!("the configuration cannot be written: {e}")))?;
    let device = virboard_engine::device::name(registry.device());
    let run = NewRun { encoder, task, configuration: &json, seed: configuration.seed, device };
    let id = runtime.block_on(store.begin_run(run))?;
    // Epochs go to the store while training goes on.
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<Epoch>();
    let writer = runtime.spawn({
        let store = store.clone();
        async move {
            while let Some(epoch) = receiver.recv().await {
                if let Err(error) = store.add_epoch(id, epoch).await {
                    tracing::warn!(%error, "an epoch could not be stored");
                }
            }
        }
    });
    let recorder = Recorder { listener, epochs: Mutex::default(), sender };
    let outcome = evaluate(registry, &settings.folders(), encoder, task, configuration, &recorder);
    let Recorder { epochs, sender, .. } = recorder;
    drop(sender);
    if let Err(error) = runtime.block_on(writer) {
        tracing::warn!(%error, "the writer of epochs failed");
    }
    match outcome {
        Ok(outcome) => {
            let result = result(encoder, task, json, configuration, device, &outcome);
            runtime.block_on(store.finish_run(id, &result))?;
            Ok(Evaluated { result, epochs: epochs.into_inner().unwrap_or_default() })
        }
        Err(error) => {
            runtime.block_on(store.fail_run(id, &error.to_string()))?;
            Err(error.into())
        }
    }
}

fn result(
    encoder: &str,
    task: &str,
    json: String,
    configuration: &Configuration,
    device: &str,
    outcome: &Outcome,
) -> ResultCell {
    ResultCell {
        encoder: encoder.to_owned(),
        task: task.to_owned(),
        score: outcome.score.value,
        constant: Some(outcome.score.constant).filter(|c| c.is_finite()),
        provenance: Provenance {
            source: Source::Measured,
            encoder_sha256: outcome.encoder_sha256.clone(),
            dataset_sha256: outcome.dataset_sha256.clone(),
            configuration: json,
            seed: configuration.seed,
            device: device.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            finished_at: now(),
            seconds: outcome.seconds,
            test_samples: outcome.test_samples,
        },
    }
}
