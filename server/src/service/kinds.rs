//! What kinds of work need beside their run, where a job is done for whoever asked for it.

use super::declared::{DeclareError, Keep, add, file_of};
use super::{Settings, alignments};
use std::fs::File;
use std::path::PathBuf;
use virboard_core::analysis::Alignment;
use virboard_core::catalogue::encoder::Encoder;
use virboard_lab::progress::Progress;
use virboard_lab::work::cka::Cka;
use virboard_lab::work::evaluate::Evaluate;
use virboard_lab::work::pretrain::{Pretrain, Trained};
use virboard_lab::work::{Folders, Job, Lab, Record, Work};
use virboard_nn::encoder::Precision;

/// What came of a job could not be put where it belongs.
#[derive(Debug, thiserror::Error)]
pub enum ConcludeError {
    /// An encoder was not declared.
    #[error(transparent)]
    Declare(#[from] DeclareError),
    /// An alignment was not kept.
    #[error("the alignment could not be kept: {0}")]
    Keep(#[from] std::io::Error),
    /// The record is not what this kind of work leaves.
    #[error("the record of a job cannot be read: {0}")]
    Record(#[from] serde_json::Error),
}

/// What a kind of work needs beside its run.
struct Around {
    kind: &'static str,
    /// Takes what it must have for itself, beside its lock.
    before: fn(&Job, &Folders) -> virboard_lab::Result<Vec<File>>,
    /// Puts what came of it where it belongs.
    after: fn(&Settings, &Lab, &Record, &dyn Progress) -> Result<(), ConcludeError>,
}

const AROUND: [Around; 2] = [
    Around {
        kind: Pretrain::KIND,
        before: |job, folders| job.work::<Pretrain>()?.try_lock_names(folders),
        after: |settings, lab, record, progress| {
            declare(settings, lab, record, progress, |encoder, file| Ok((encoder, file, Keep::Copy)))
        },
    },
    Around {
        kind: Cka::KIND,
        before: |_, _| Ok(Vec::new()),
        after: |settings, _, record, _| {
            let alignment: Alignment = serde_json::from_value(record.found.clone())?;
            alignments::keep(&alignments::folder(&settings.data), &alignment)?;
            Ok(())
        },
    },
];

fn around(kind: &str) -> Option<&'static Around> {
    AROUND.iter().find(|around| around.kind == kind)
}

/// Takes what a job must have for itself beside its lock, until what is returned is dropped.
///
/// # Errors
/// [`virboard_lab::Error::NameBusy`] while another process has it.
pub fn before(job: &Job, folders: &Folders) -> virboard_lab::Result<Vec<File>> {
    around(&job.kind).map_or_else(|| Ok(Vec::new()), |around| (around.before)(job, folders))
}

/// Puts what came of a job where it belongs: encoders are declared, alignments kept.
pub fn after(
    settings: &Settings,
    lab: &Lab,
    job: &Job,
    record: &Record,
    progress: &dyn Progress,
) -> Result<(), ConcludeError> {
    around(&job.kind).map_or(Ok(()), |around| (around.after)(settings, lab, record, progress))
}

/// How exactly encoders have to compute for a job.
#[must_use]
pub fn precision(job: &Job) -> Precision {
    let configurations = if job.kind == Evaluate::KIND { job.work::<Evaluate>().ok() } else { None };
    let precisions = configurations.iter().flat_map(|work| &work.configurations).map(|c| c.precision);
    precisions.into_iter().find(|p| !p.is_default()).unwrap_or(Precision::F32)
}

/// A row and its checkpoint, and how that is kept.
pub type Declared = (Encoder, PathBuf, Keep);

/// Declares what came of a pre-training: for each encoder, of its row and checkpoint, what `declared` makes of them.
pub fn declare<E: From<DeclareError> + From<serde_json::Error>>(
    settings: &Settings,
    lab: &Lab,
    record: &Record,
    progress: &dyn Progress,
    declared: impl Fn(Encoder, PathBuf) -> Result<Declared, E>,
) -> Result<(), E> {
    let trained: Trained = serde_json::from_value(record.found.clone())?;
    for (encoder, file) in &trained.encoders {
        // What is there already was declared before this run was interrupted.
        if lab.registry.catalogue().encoder(&encoder.key).is_none() {
            let (row, checkpoint, keep) = declared(encoder.clone(), settings.data.join(file))?;
            add(settings, row, Some(&checkpoint), keep)?;
        }
        let file = file_of(&settings.data, &encoder.key);
        progress.say(&format!("{} is declared in {}", encoder.key, file.display()));
    }
    Ok(())
}
