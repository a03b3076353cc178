//! What was made here beside what ships: the same bits, or scores as far apart as those of several seeds.

use super::keep::collected;
use super::planned;
use crate::cli::Failure;
use crate::service::Settings;
use crate::service::declared::file_of;
use crate::service::miniature::Planned;
use crate::service::samples::{SCORES, SEEDS, shipped};
use std::collections::BTreeMap;
use virboard_core::catalogue::rows;
use virboard_core::catalogue::task::Task;
use virboard_core::run::{Probe, Run};
use virboard_core::statistics::mean;
use virboard_core::words::counted;
use virboard_nn::files::sha256_file;

/// How many times as far apart as the seeds of one encoder, at most, two scores may lie: the spread is known of few
/// seeds alone.
const ALLOWED: f64 = 2.0;

/// Means over the seeds of heads, by encoder and task.
type Means = BTreeMap<(String, String), f64>;

fn means(runs: &[Run]) -> Means {
    let mut values: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    for score in runs.iter().map(|run| &run.score).filter(|score| score.evidence.probe == Probe::Head) {
        values.entry((score.encoder.clone(), score.task.clone())).or_default().push(score.value);
    }
    values.into_iter().filter_map(|(of, all)| Some((of, mean(&all)?))).collect()
}

/// The largest difference, by task, between encoders that differ in the seed of their training alone.
fn spreads(all: &[Planned], means: &Means) -> BTreeMap<String, f64> {
    let mut between: BTreeMap<(&str, &str), (f64, f64)> = BTreeMap::new();
    for ((encoder, task), value) in means {
        let Some(planned) = all.iter().find(|p| p.row.key == *encoder) else { continue };
        let (low, high) = between.entry((&planned.first, task)).or_insert((*value, *value));
        (*low, *high) = (low.min(*value), high.max(*value));
    }
    let mut spreads = BTreeMap::new();
    for ((_, task), (low, high)) in between {
        let spread: &mut f64 = spreads.entry(task.to_owned()).or_default();
        *spread = spread.max(high - low);
    }
    spreads
}

/// Compares all encoders that are here, and their scores, with those that ship.
pub async fn compare(settings: &Settings) -> Result<(), Failure> {
    let (all, catalogue) = (planned(settings)?, settings.catalogue());
    let before = shipped(&settings.samples.join(SCORES))?;
    let seeds = shipped(&settings.samples.join(SEEDS))?;
    let here = means(&collected(&settings.store().await?).await?);
    let shipped = means(&[before, seeds].concat());
    let spreads = spreads(&all, &shipped);
    let (mut compared, mut off) = (0, Vec::new());
    for planned in all.iter().filter(|p| !p.repeats()) {
        let (key, file) = (&planned.row.key, file_of(&settings.data, &planned.row.key));
        let ships = settings.samples.join("encoders").join(format!("{key}.safetensors"));
        if !file.is_file() || !ships.is_file() {
            continue;
        }
        compared += 1;
        let row = rows::encoder(&std::fs::read_to_string(&file)?)?;
        let weights = row.checkpoint.ok_or_else(|| format!("{key} has no checkpoint of its own"))?;
        let same = sha256_file(&settings.data.join(weights))? == sha256_file(&ships)?;
        println!("{key}: {}", if same { "the same weights to the bit" } else { "other weights" });
        for ((_, task), value) in here.iter().filter(|((encoder, _), _)| encoder == key) {
            let Some(task) = catalogue.task(task) else { continue };
            let Some(old) = shipped.get(&(key.clone(), task.key.clone())) else {
                off.push(format!("{key} on {} has no shipped score", task.key));
                continue;
            };
            let spread = spreads.get(&task.key).copied().unwrap_or_default();
            println!("  {}", line(task, *value, *old, spread));
            let differs = (value - old).abs();
            if !differs.is_finite() || differs > ALLOWED * spread {
                off.push(format!("{key} on {}", line(task, *value, *old, spread)));
            }
        }
    }
    if compared == 0 {
        return Err("nothing of the miniature is here; make it with `virboard miniature pretrain`".into());
    }
    if off.is_empty() {
        println!("{} agree with what ships", counted(compared, "encoder"));
        return Ok(());
    }
    Err(format!("{} differ by more than seeds do: {}", counted(off.len(), "score"), off.join("; ")).into())
}

fn line(task: &Task, value: f64, old: f64, spread: f64) -> String {
    let format = |value| task.metric.format(value);
    format!("{}: {}, shipped {}, seeds differ by up to {}", task.key, format(value), format(old), format(spread))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_of_one_encoder_say_how_far_scores_may_differ() {
        let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
        let list = crate::service::miniature::List::read(&samples).expect("it ships");
        let catalogue = virboard_core::catalogue::Catalogue::builtin();
        let all = list.planned(&catalogue, &samples).expect("it can be followed");
        let of = |encoder: &str, value| ((encoder.to_owned(), "T".to_owned()), value);
        let means: Means = [
            of("Mini_SWAV_200", 0.50),
            of("Mini_SWAV_200_seed1", 0.53),
            of("Mini_SWAV_200_seed2", 0.51),
            of("Mini_MoCov2_200", 0.90),
            of("Mini_MoCov2_200_seed1", 0.91),
            of("Mini_Random", 0.10),
        ]
        .into();
        let spreads = spreads(&all, &means);
        assert!((spreads["T"] - 0.03).abs() < 1e-9, "{spreads:?}");
    }
}
