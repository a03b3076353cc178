//! What ships of the miniature: weights, declarations, records, heads and scores.

use super::planned;
use crate::cli::Failure;
use crate::service::declared::file_of;
use crate::service::samples::{SCORES, SEEDS, ship, shipped};
use crate::service::{Settings, alignments};
use crate::store::Store;
use std::collections::BTreeSet;
use std::path::Path;
use virboard_core::catalogue::MINIATURE;
use virboard_core::catalogue::encoder::Encoder;
use virboard_core::catalogue::rows;
use virboard_core::run::{Probe, Run, Score};
use virboard_lab::head;
use virboard_lab::work::head_path;

/// Puts all that was made in the data folder among what ships, below `to`. Encoders that differ in the seed alone leave
/// their scores.
pub async fn keep(settings: &Settings, to: &Path) -> Result<(), Failure> {
    let (all, catalogue) = (planned(settings)?, settings.catalogue());
    let suite = catalogue.suite(MINIATURE).ok_or("the catalogue has no suite of the miniature")?;
    let folders = settings.folders();
    let mut shown: BTreeSet<String> = suite.references.iter().cloned().collect();
    let (mut repeated, mut kept) = (BTreeSet::new(), 0);
    for planned in &all {
        let key = &planned.row.key;
        let file = file_of(&settings.data, key);
        if !file.is_file() {
            eprintln!("{key} is not there yet");
        } else if planned.repeats() {
            repeated.insert(key.clone());
        } else {
            let row = rows::encoder(&std::fs::read_to_string(&file)?)?;
            ship_encoder(&row, &settings.data, &planned.work.record(&folders), &to.join("encoders"))?;
            shown.insert(key.clone());
            kept += 1;
        }
    }
    let tasks: BTreeSet<String> = catalogue.tasks_of(MINIATURE).iter().map(|task| task.key.clone()).collect();
    let runs = collected(&settings.store().await?).await?;
    let runs = runs.into_iter().filter(|run| tasks.contains(&run.score.task));
    let (mut board, mut seeds) = (Vec::new(), Vec::new());
    for run in runs {
        if repeated.contains(&run.score.encoder) {
            seeds.push(run);
        } else if shown.contains(&run.score.encoder) {
            board.push(run);
        }
    }
    // Seeds share the file of a head.
    let of_heads = board.iter().filter(|run| run.score.evidence.probe == Probe::Head);
    let heads: BTreeSet<(&str, &str)> = of_heads.map(|run| (&*run.score.encoder, &*run.score.task)).collect();
    let there: Vec<_> = heads.into_iter().filter(|(encoder, task)| folders.head(encoder, task).is_file()).collect();
    for (encoder, task) in &there {
        head::pack(&folders.head(encoder, task), &head_path(&to.join("heads"), encoder, task))?;
    }
    for alignment in alignments::read_all(&[alignments::folder(&settings.data)]) {
        if shown.contains(&alignment.encoders.0) && shown.contains(&alignment.encoders.1) {
            alignments::keep(&alignments::folder(to), &alignment)?;
        }
    }
    ship_with(&to.join(SEEDS), &seeds)?;
    ship_with(&to.join(SCORES), &board)?;
    eprintln!("{kept} encoders, {} heads and {} scores are below {}", there.len(), board.len(), to.display());
    Ok(())
}

/// An encoder with its weights and the record of its training.
fn ship_encoder(row: &Encoder, data: &Path, record: &Path, to: &Path) -> Result<(), Failure> {
    let weights = row.checkpoint.as_ref().ok_or_else(|| format!("{} has no checkpoint of its own", row.key))?;
    std::fs::create_dir_all(to)?;
    std::fs::copy(data.join(weights), to.join(format!("{}.safetensors", row.key)))?;
    std::fs::copy(record, to.join(format!("{}.json", row.key)))?;
    let row = Encoder { checkpoint: None, record: Some(format!("encoders/{}.json", row.key)), ..row.clone() };
    std::fs::write(to.join(format!("{}.toml", row.key)), rows::written(&row))?;
    Ok(())
}

/// Writes scores, with those that ship already of what was not measured again.
fn ship_with(path: &Path, measured: &[Run]) -> Result<(), Failure> {
    let of = |run: &Run| (run.score.encoder.clone(), run.score.task.clone(), run.score.evidence.probe.name());
    let again: BTreeSet<_> = measured.iter().map(of).collect();
    let mut all = if path.is_file() { shipped(path)? } else { Vec::new() };
    all.retain(|run| !again.contains(&of(run)));
    all.extend_from_slice(measured);
    all.sort_by_key(|run| (of(run), run.score.evidence.seed));
    Ok(ship(path, &all)?)
}

/// All runs of the recipes that count, with every seed and the curves of heads. What was trained before an interruption
/// counts too, but not what an earlier recipe left. Neither a run's number nor its files mean anything elsewhere, so that
/// they are without.
pub async fn collected(store: &Store) -> Result<Vec<Run>, Failure> {
    let of = |s: &Score| (s.encoder.clone(), s.task.clone(), s.evidence.probe.name(), s.evidence.key.clone());
    let counting: BTreeSet<_> = store.counting_scores().await?.iter().map(of).collect();
    let mut runs = Vec::new();
    for mut score in store.all_scores().await? {
        let head = score.evidence.probe == Probe::Head;
        if head && !counting.contains(&of(&score)) {
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
