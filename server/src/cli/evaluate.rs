//! `virboard evaluate`.

use super::Failure;
use crate::service::Settings;
use crate::service::evaluation::{self, Evaluated, EvaluationError, Listener};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Mutex;
use virboard_core::catalog::task;
use virboard_engine::progress::{EpochReport, Progress};

/// Options of an evaluation.
#[derive(Debug, Args)]
pub struct Evaluate {
    /// Keys of encoders, or all for those whose weights are here
    #[arg(long, value_delimiter = ',', required = true)]
    encoders: Vec<String>,
    /// Keys of tasks, or all for those whose data is here
    #[arg(long, value_delimiter = ',', required = true)]
    tasks: Vec<String>,
    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print results as JSON
    #[arg(long)]
    json: bool,
}

impl Evaluate {
    /// Trains and scores every pair.
    pub async fn run(self, settings: Settings) -> Result<(), Failure> {
        let done = evaluate(settings, self.encoders, self.tasks, self.seed).await?;
        if self.json {
            let results: Vec<_> = done.iter().map(|d| &d.result).collect();
            println!("{}", serde_json::to_string_pretty(&results)?);
        } else {
            print!("{}", table(&done));
        }
        Ok(())
    }
}

/// Evaluates with progress bars, holding the data folder's lock.
pub async fn evaluate(
    settings: Settings,
    encoders: Vec<String>,
    tasks: Vec<String>,
    seed: u64,
) -> Result<Vec<Evaluated>, EvaluationError> {
    let store = settings.store().await?;
    let Some(lock) = evaluation::lock(&settings.data)? else {
        return Err(EvaluationError::Locked(settings.data.display().to_string()));
    };
    let interrupted = store.interrupt_runs().await?;
    if interrupted > 0 {
        tracing::info!(interrupted, "runs of a killed process are started again if they are asked for");
    }
    let runtime = tokio::runtime::Handle::current();
    let work = move || {
        let _lock = lock;
        let registry = settings.registry().map_err(EvaluationError::Engine)?;
        let encoders = evaluation::expand(&encoders, evaluation::available_encoders(&registry));
        let tasks = evaluation::expand(&tasks, evaluation::available_tasks());
        evaluation::run_all(&settings, &store, &registry, &encoders, &tasks, seed, &Bars::default(), &runtime)
    };
    tokio::task::spawn_blocking(work).await.map_err(|e| {
        EvaluationError::Engine(virboard_engine::Error::Unsupported(format!("the evaluation ended unexpectedly: {e}")))
    })?
}

/// Scores as a table for people.
#[must_use]
pub fn table(done: &[Evaluated]) -> String {
    use std::fmt::Write;
    let mut out = format!("{:20} {:20} {:>10} {:>10} {:>9}\n", "encoder", "task", "score", "constant", "seconds");
    for Evaluated { result, .. } in done {
        let Some(task) = task(&result.task) else { continue };
        let unit = if task.metric.is_share() { "%" } else { task.unit };
        let shown = |v: f64| format!("{} {unit}", task.metric.format(v));
        let constant = result.constant.map_or_else(|| "-".to_owned(), shown);
        let _ = writeln!(
            out,
            "{:20} {:20} {:>10} {:>10} {:>9.1}",
            result.encoder,
            result.task,
            shown(result.score),
            constant,
            result.provenance.seconds
        );
    }
    out
}

/// Progress bars on a terminal, plain lines elsewhere.
#[derive(Default)]
pub struct Bars {
    bar: Mutex<Option<ProgressBar>>,
}

impl Progress for Bars {
    fn begin(&self, step: &str, total: u64) {
        let bar = ProgressBar::new(total).with_message(step.to_owned());
        let style = ProgressStyle::with_template("{msg:60!} {bar:30} {pos:>5}/{len} {eta:>5} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        if bar.is_hidden() {
            eprintln!("{step}");
        }
        if let Ok(mut current) = self.bar.lock()
            && let Some(old) = current.replace(bar)
        {
            old.finish_and_clear();
        }
    }

    fn advance(&self, done: u64) {
        if let Ok(bar) = self.bar.lock()
            && let Some(bar) = bar.as_ref()
        {
            bar.set_position(done);
        }
    }

    fn epoch(&self, e: &EpochReport) {
        let metric = e.test_metric.map_or_else(String::new, |m| format!(", test {m:.4}"));
        let line = format!("  epoch {}/{}: loss {:.4}{metric}", e.epoch, e.of, e.train_loss);
        let Ok(bar) = self.bar.lock() else { return };
        match bar.as_ref() {
            Some(bar) if !bar.is_hidden() => bar.set_message(line),
            // Two hundred epochs of a linear head would be two hundred lines.
            _ if e.of <= 20 || e.epoch.is_multiple_of(20) => eprintln!("{line}"),
            _ => {}
        }
    }
}

impl Listener for Bars {
    fn run(&self, encoder: &str, task: &str) {
        eprintln!("{encoder} on {task}");
    }
}
