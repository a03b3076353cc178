//! What ships of the miniature: weights, declarations, records, heads and scores.

use super::planned;
use crate::cli::Failure;
use crate::cli::samples::collected;
use crate::service::Settings;
use crate::service::declared::file_of;
use crate::service::miniature::SUITE;
use std::collections::BTreeSet;
use std::path::Path;
use virboard_core::catalogue::encoder::Encoder;
use virboard_core::catalogue::rows;
use virboard_core::run::{Probe, Run};
use virboard_lab::head;
use virboard_lab::work::head_path;
use virboard_nn::files::write_atomically;

/// File below the samples' folder with the scores of the encoders that differ in their seed alone.
const SEEDS: &str = "miniature_seeds.json";

/// Puts all that was made in the data folder among what ships, below `to`. Encoders that differ in the seed alone leave
/// their scores.
pub async fn keep(settings: &Settings, to: &Path) -> Result<(), Failure> {
    let (all, catalogue) = (planned(settings)?, settings.catalogue());
    let suite = catalogue.suite(SUITE).ok_or("the catalogue has no suite of the miniature")?;
    let folders = settings.folders();
    let mut shown: BTreeSet<String> = suite.references.iter().cloned().collect();
    let (mut repeated, mut kept) = (BTreeSet::new(), 0);
    for planned in &all {
        let key = &planned.row.key;
        let file = file_of(&settings.data, key);
        if !file.is_file() {
            eprintln!("{key} is not there yet");
        } else if planned.repeats {
            repeated.insert(key.clone());
        } else {
            let row = rows::encoder(&std::fs::read_to_string(&file)?)?;
            ship(&row, &planned.work.record(&folders), &to.join("encoders"))?;
            shown.insert(key.clone());
            kept += 1;
        }
    }
    let tasks: BTreeSet<String> = catalogue.tasks_of(SUITE).iter().map(|task| task.key.clone()).collect();
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
    write(&to.join(SEEDS), &seeds)?;
    write(&to.join("miniature_results.json"), &board)?;
    eprintln!("{kept} encoders, {} heads and {} scores are below {}", there.len(), board.len(), to.display());
    Ok(())
}

/// An encoder with its weights and the record of its training.
fn ship(row: &Encoder, record: &Path, to: &Path) -> Result<(), Failure> {
    let weights = row.checkpoint.as_ref().ok_or_else(|| format!("{} has no checkpoint of its own", row.key))?;
    std::fs::create_dir_all(to)?;
    std::fs::copy(weights, to.join(format!("{}.safetensors", row.key)))?;
    std::fs::copy(record, to.join(format!("{}.json", row.key)))?;
    let row = Encoder { checkpoint: None, record: Some(format!("encoders/{}.json", row.key)), ..row.clone() };
    std::fs::write(to.join(format!("{}.toml", row.key)), rows::written(&row))?;
    Ok(())
}

fn write(path: &Path, runs: &[Run]) -> Result<(), Failure> {
    let json = serde_json::to_vec(runs)?;
    write_atomically(path, |file| {
        use std::io::Write;
        file.write_all(&json).map_err(virboard_lab::Error::io(path))
    })?;
    Ok(())
}
