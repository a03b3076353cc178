//! One run: an encoder, a task and a training configuration give a head and a score.

use crate::dataset::{self, Dataset, Split};
use crate::encoder::LoadedEncoder;
use crate::encoder::registry::Registry;
use crate::feature_cache::{FeatureSet, Kind};
use crate::head::{Architecture, Head, HeadSpec, pixelwise};
use crate::progress::Progress;
use crate::train::{Configuration, Part, Score, Targets, train};
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use virboard_core::catalog;
use virboard_core::catalog::task::{OutputKind, Task};

/// Where a run finds and leaves files.
#[derive(Debug, Clone)]
pub struct Folders {
    /// What ships with Virboard: photographs, sample encoders and heads.
    pub samples: PathBuf,
    /// Cached features.
    pub features: PathBuf,
    /// Trained heads, `ENCODER/TASK.safetensors`.
    pub heads: PathBuf,
}

/// What a run found out.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Test metric of the head and of the best constant.
    pub score: Score,
    /// SHA-256 of the encoder's weights.
    pub encoder_sha256: String,
    /// SHA-256 of the data set.
    pub dataset_sha256: String,
    /// Test samples.
    pub test_samples: u64,
    /// The head's file.
    pub head: PathBuf,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// The published configuration of a task, with `seed`.
///
/// # Errors
/// [`Error::Unsupported`] for a task that is only tested, never trained.
pub fn configuration(task: &Task, seed: u64) -> Result<Configuration> {
    let (Some(epochs), Some(learning_rate), Some(batch_size)) = (task.epochs, task.learning_rate, task.batch_size)
    else {
        return Err(Error::Unsupported(format!("{} is a test of another task's head; it is not trained", task.key)));
    };
    let sample = task.role == catalog::task::TaskRole::Sample;
    let batch_size = batch_size as usize;
    Ok(Configuration { epochs, learning_rate, batch_size, cosine: sample, standardise: sample, seed })
}

/// The file of a head below a folder.
#[must_use]
pub fn head_path(heads: &Path, encoder: &str, task: &str) -> PathBuf {
    heads.join(encoder).join(format!("{task}.safetensors"))
}

/// Trains a head and scores it.
pub fn evaluate(
    registry: &Registry,
    folders: &Folders,
    encoder: &str,
    task: &str,
    configuration: &Configuration,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let started = std::time::Instant::now();
    let dataset = dataset::open(task, &folders.samples)?;
    let entry = catalog::task(task).ok_or_else(|| Error::Unsupported(format!("{task} is not in the catalogue")))?;
    let encoder = registry.get(encoder)?;
    let device = registry.device();
    let kind = if entry.kind == OutputKind::Classification { Kind::Embedding } else { Kind::Maps };
    let side = encoder.network.preprocessing().width;
    let part = |split| -> Result<Part> {
        let features =
            FeatureSet::open_or_encode(&folders.features, &encoder, &*dataset, split, kind, device, progress)?;
        Ok(Part { features, targets: Targets::collect(&*dataset, split, side)? })
    };
    let (train_part, test_part) = (part(Split::Train)?, part(Split::Test)?);
    let head = Head::new(spec(&encoder, entry, &*dataset, configuration.seed), device)?;
    let score = train(&head, configuration, &train_part, &test_part, device, progress)?;
    let path = head_path(&folders.heads, &encoder.key, task);
    head.save(&path)?;
    Ok(Outcome {
        score,
        encoder_sha256: encoder.provenance.sha256.clone(),
        dataset_sha256: dataset.sha256(),
        test_samples: dataset.len(Split::Test) as u64,
        head: path,
        seconds: started.elapsed().as_secs_f64(),
    })
}

fn spec(encoder: &LoadedEncoder, task: &Task, dataset: &dyn Dataset, seed: u64) -> HeadSpec {
    let architecture = if task.kind == OutputKind::Classification {
        Architecture::Linear { input: encoder.network.embedding_len() }
    } else {
        let channels = encoder.network.maps().iter().map(|m| m.channels).collect();
        let slim = (task.head == "pixel-wise, slim").then(|| pixelwise::SLIM.to_vec());
        Architecture::Pixelwise { channels, slim }
    };
    HeadSpec {
        task: task.key.to_owned(),
        encoder: encoder.key.clone(),
        encoder_sha256: encoder.provenance.sha256.clone(),
        kind: task.kind,
        architecture,
        labels: dataset.labels(),
        unit: task.unit.to_owned(),
        // Brings scene depths (up to 20 m) near the size of the decoder's first outputs.
        scale: if task.kind == OutputKind::Depth { 5.0 } else { 1.0 },
        seed,
    }
}
