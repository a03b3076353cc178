//! `virboard samples`: the heads and scores that ship with Virboard.

use super::Failure;
use super::evaluate::{evaluate, table};
use crate::service::Settings;
use crate::service::plan::{self, Request};
use crate::service::samples::{SCORES, shipped};
use crate::store::Store;
use clap::Args;
use virboard_core::catalogue::encoder::EncoderRole;
use virboard_core::protocol::Protocol;
use virboard_core::run::{Probe, Run, Score};
use virboard_lab::work::head_path;
use virboard_nn::files::write_atomically;

/// Options of the retraining.
#[derive(Debug, Args)]
pub struct Samples {
    /// Keep the new heads and scores instead of comparing with the shipped ones
    #[arg(long)]
    write: bool,
}

/// Scores may move by this between machines, whose sums differ in the last bits: in points
/// of a share (0 to 1), and as a share of an error.
const TOLERANCE: f64 = 0.05;

impl Samples {
    /// Retrains every sample head in a folder of its own and compares, or keeps, the outcome.
    pub async fn run(self, mut settings: Settings) -> Result<(), Failure> {
        let shipped_at = settings.samples.clone();
        settings.data = settings.data.join("samples");
        let catalogue = settings.catalogue();
        let encoders: Vec<String> = catalogue
            .encoders()
            .iter()
            .filter(|e| e.role == EncoderRole::Sample || e.needs_no_file())
            .map(|e| e.key.clone())
            .collect();
        let folders = settings.folders();
        let store = settings.store().await?;
        let tasks = plan::published_tasks(&catalogue, Some(&plan::sample_tasks(&catalogue)), 0, Protocol::Standard)?;
        let request =
            Request { encoders: Some(encoders), tasks, skip_missing: false, skip_broken: false, probes: true };
        let done = evaluate(settings, request, false).await?;
        if let Some(failure) = done.failures.first() {
            return Err(failure.clone().into());
        }
        let runs = collected(&store).await?;
        print!("{}", table(&catalogue, &runs));
        if self.write {
            for Run { score, .. } in &runs {
                if score.evidence.probe == Probe::Head {
                    let to = head_path(&shipped_at.join("heads"), &score.encoder, &score.task);
                    if let Some(folder) = to.parent() {
                        std::fs::create_dir_all(folder)?;
                    }
                    std::fs::copy(folders.head(&score.encoder, &score.task), to)?;
                }
            }
            let json = serde_json::to_vec_pretty(&runs)?;
            write_atomically(&shipped_at.join(SCORES), |file| {
                use std::io::Write;
                file.write_all(&json).map_err(virboard_lab::Error::io(SCORES))
            })?;
            return Ok(());
        }
        let shipped = shipped(&shipped_at)?;
        let mut off = Vec::new();
        for Run { score, .. } in &runs {
            let same = |old: &&Run| {
                let identity = |s: &Score| (s.encoder.clone(), s.task.clone(), s.evidence.key.clone(), s.evidence.seed);
                identity(&old.score) == identity(score)
            };
            let (Some(old), Some(task)) = (shipped.iter().find(same), catalogue.task(&score.task)) else {
                off.push(format!("{} on {} has no shipped score", score.encoder, score.task));
                continue;
            };
            let (value, old) = (score.value, old.score.value);
            let scale = if task.metric.is_share() { 1.0 } else { old };
            if (value - old).abs() > TOLERANCE * scale {
                off.push(format!(
                    "{} on {}: {} instead of {}",
                    score.encoder,
                    score.task,
                    task.metric.format(value),
                    task.metric.format(old)
                ));
            }
        }
        if off.is_empty() {
            println!("all scores agree with the shipped ones within {TOLERANCE}");
            Ok(())
        } else {
            Err(format!("scores differ from the shipped ones: {}", off.join("; ")).into())
        }
    }
}

/// All runs of the recipes that count, with every seed and the curves of heads. What was trained before an interruption
/// counts too, but not what an earlier recipe left. Neither a run's number nor its files mean anything elsewhere, so that
/// they are without.
pub(super) async fn collected(store: &Store) -> Result<Vec<Run>, Failure> {
    let counting = store.counting_scores().await?;
    let mut runs = Vec::new();
    for mut score in store.all_scores().await? {
        let head = score.evidence.probe == Probe::Head;
        let same = |other: &Score| {
            let of = |s: &Score| (s.encoder.clone(), s.task.clone(), s.evidence.probe, s.evidence.key.clone());
            of(other) == of(&score)
        };
        if head && !counting.iter().any(same) {
            continue;
        }
        let epochs = match score.run.filter(|_| head) {
            Some(run) => store.epochs_of(run).await?,
            None => Vec::new(),
        };
        score.run = None;
        score.head.clear();
        score.predictions.clear();
        runs.push(Run { score, epochs });
    }
    Ok(runs)
}
