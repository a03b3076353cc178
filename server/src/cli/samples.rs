//! `virboard samples`: the heads and scores that ship with Virboard.

use super::Failure;
use super::evaluate::{evaluate, table};
use crate::service::Settings;
use crate::service::evaluation::{self, Evaluated, Request};
use crate::service::samples::{SCORES, ShippedScore};
use clap::Args;
use virboard_core::catalogue::{ENCODERS, encoder::EncoderRole, encoder::Method, task};
use virboard_core::protocol::Protocol;
use virboard_core::results::{Probe, ResultCell};
use virboard_lab::work::evaluate::head_path;
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
        let encoders: Vec<String> = ENCODERS
            .iter()
            .filter(|e| e.role == EncoderRole::Sample || e.method == Method::Random)
            .map(|e| e.key.to_owned())
            .collect();
        let heads = settings.folders().heads;
        let store = settings.store().await?;
        let tasks = evaluation::published_tasks(Some(&evaluation::sample_tasks()), 0, Protocol::Standard)?;
        let request = Request {
            encoders: Some(encoders),
            tasks,
            skip_missing: false,
            skip_broken: false,
            probes: true,
            again: false,
        };
        let done = evaluate(settings, request, false).await?;
        if let Some(failure) = done.failures.first() {
            return Err(failure.clone().into());
        }
        // What was trained before an interruption counts too, but not what an earlier recipe left.
        let current = store.current_results().await?;
        let counts = |r: &ResultCell| r.provenance.probe != Probe::Head || current.contains(r);
        let mut done = Vec::new();
        for row in store.all_results().await?.into_iter().filter(|row| counts(&row.result)) {
            if let Some(run) = row.run {
                let epochs =
                    if row.result.provenance.probe == Probe::Head { store.epochs_of(run).await? } else { Vec::new() };
                done.push(Evaluated { result: row.result, epochs });
            } else {
                done.push(Evaluated { result: row.result, epochs: Vec::new() });
            }
        }
        print!("{}", table(&done));
        if self.write {
            for d in done.iter().filter(|d| d.result.provenance.probe == Probe::Head) {
                let (from, to) = (
                    head_path(&heads, &d.result.encoder, &d.result.task),
                    head_path(&shipped_at.join("heads"), &d.result.encoder, &d.result.task),
                );
                if let Some(folder) = to.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                std::fs::copy(from, to)?;
            }
            let scores: Vec<ShippedScore> =
                done.into_iter().map(|d| ShippedScore { result: d.result, epochs: d.epochs }).collect();
            let json = serde_json::to_vec_pretty(&scores)?;
            write_atomically(&shipped_at.join(SCORES), |file| {
                use std::io::Write;
                file.write_all(&json).map_err(virboard_lab::Error::io(SCORES))
            })?;
            return Ok(());
        }
        let shipped: Vec<ShippedScore> = serde_json::from_slice(&std::fs::read(shipped_at.join(SCORES))?)?;
        let mut off = Vec::new();
        for d in &done {
            let same = |s: &&ShippedScore| {
                let key = |r: &ResultCell| (r.encoder.clone(), r.task.clone(), r.provenance.configuration.clone());
                key(&s.result) == key(&d.result)
            };
            let (Some(old), Some(task)) = (shipped.iter().find(same), task(&d.result.task)) else {
                off.push(format!("{} on {} has no shipped score", d.result.encoder, d.result.task));
                continue;
            };
            let scale = if task.metric.is_share() { 1.0 } else { old.result.score };
            if (d.result.score - old.result.score).abs() > TOLERANCE * scale {
                off.push(format!(
                    "{} on {}: {} instead of {}",
                    d.result.encoder,
                    d.result.task,
                    task.metric.format(d.result.score),
                    task.metric.format(old.result.score)
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
