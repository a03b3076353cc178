//! Records of pre-trainings, as pages show them.

use std::path::PathBuf;
use virboard_app::content::Training;
use virboard_core::run::Epoch;
use virboard_lab::pretrain::curve::EpochRecord;
use virboard_lab::work::pretrain::Trained;

/// The record in the first of these files that is there. What cannot be read is told in the log.
pub fn read(paths: &[PathBuf]) -> Option<Training> {
    let path = paths.iter().find(|path| path.is_file()).or(paths.first())?;
    let read = std::fs::read(path).map_err(|e| e.to_string());
    let trained: Result<Trained, String> =
        read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|e| e.to_string()));
    let trained =
        trained.inspect_err(|error| tracing::warn!(path = %path.display(), error, "could not be read")).ok()?;
    Some(Training {
        epochs: trained.curve.iter().map(shown).collect(),
        neighbours: trained.settings.neighbours.map(|n| n.task),
        seconds: trained.seconds,
        device: trained.device,
    })
}

fn shown(record: &EpochRecord) -> Epoch {
    Epoch { epoch: record.epoch, train_loss: record.loss, test_metric: record.neighbours }
}
