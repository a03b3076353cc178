//! `virboard miniature`: the paper's encoders on a small scale, trained and measured here.

mod compare;
mod keep;

use super::Failure;
use super::bars::Bars;
use super::evaluate::{evaluate, table};
use super::pretrain::train;
use crate::service::Settings;
use crate::service::declared::Keep;
use crate::service::miniature::{List, Planned, cost};
use crate::service::plan::{self, Request};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use virboard_core::catalogue::MINIATURE;
use virboard_core::protocol::Protocol;
use virboard_lab::Error;
use virboard_lab::pretrain::leaks::{self, Leak};
use virboard_lab::work::pretrain::Trained;
use virboard_nn::device;
use virboard_nn::encoder::Precision;
use virboard_nn::load::load_any;

/// Options of the miniature.
#[derive(Debug, Args)]
pub struct Miniature {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Say what is trained on what, and what that took where it is done
    List,
    /// Train all encoders that are not there yet; several processes may share the work
    Pretrain {
        /// Keys of encoders, instead of all
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
    /// Train heads on all encoders that are there, twice, and score them; several processes may share the work
    Evaluate {
        /// Keys of encoders, instead of all
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// Keys of tasks, instead of all
        #[arg(long, value_delimiter = ',')]
        tasks: Vec<String>,
        /// Seeds of heads
        #[arg(long, value_delimiter = ',', default_values_t = [0, 1])]
        seeds: Vec<u64>,
    },
    /// Compare what was made with what ships: weights to the bit, scores within what seeds change
    Compare,
    /// Put what was made among what ships
    Keep {
        /// The folder of what ships; by default that of --samples-dir
        #[arg(long)]
        to: Option<PathBuf>,
    },
}

impl Miniature {
    /// Does one step, in a folder of its own below the data folder, with the data folder's data sets.
    pub async fn run(self, mut settings: Settings) -> Result<(), Failure> {
        // The encoders that ship would have the same keys.
        settings.anew = true;
        match self.step {
            Step::List => list(&settings),
            Step::Pretrain { only } => tokio::task::spawn_blocking(move || pretrain(&settings, &only)).await?,
            Step::Evaluate { only, tasks, seeds } => measure(settings, &only, &tasks, &seeds).await,
            Step::Compare => compare::compare(&settings).await,
            Step::Keep { to } => keep::keep(&settings, &to.unwrap_or_else(|| settings.samples.clone())).await,
        }
    }
}

fn planned(settings: &Settings) -> Result<Vec<Planned>, Failure> {
    Ok(List::read(&settings.samples)?.planned(&settings.catalogue(), &settings.samples)?)
}

fn list(settings: &Settings) -> Result<(), Failure> {
    let mut seconds = 0.0;
    for Planned { work, row, .. } in planned(settings)? {
        let s = &work.settings;
        let record = work.record(&settings.folders());
        let done = if record.is_file() {
            let trained: Trained = serde_json::from_slice(&std::fs::read(&record)?)?;
            seconds += trained.seconds;
            format!("{} pictures, {}", trained.pictures, cost(&trained))
        } else {
            "not yet".to_owned()
        };
        let data = format!("{} ({})", s.data.sources.join(" + "), s.data.subset.name());
        println!("{:34} {:11} {:3} epochs of {data}: {done}", row.key, s.method.name(), s.epochs);
    }
    println!("{:.2} hours so far", seconds / 3600.0);
    Ok(())
}

/// Those of some keys, or of all if there are none.
///
/// # Errors
/// For a key that is not among them.
fn chosen<'a>(all: &[&'a str], only: &'a [String], what: &str) -> Result<Vec<&'a str>, Failure> {
    if let Some(stranger) = only.iter().find(|key| !all.contains(&key.as_str())) {
        return Err(format!("the miniature has no {what} `{stranger}`; these are there: {}", all.join(", ")).into());
    }
    Ok(if only.is_empty() { all.to_vec() } else { only.iter().map(String::as_str).collect() })
}

/// Scores what is there of the encoders, and the suite's references.
async fn measure(settings: Settings, only: &[String], tasks: &[String], seeds: &[u64]) -> Result<(), Failure> {
    let (all, catalogue) = (planned(&settings)?, settings.catalogue());
    let suite = catalogue.suite(MINIATURE).ok_or("the catalogue has no suite of the miniature")?;
    let made = all.iter().map(|p| &*p.row.key).filter(|key| catalogue.encoder(key).is_some());
    let made: Vec<&str> = made.chain(suite.references.iter().map(String::as_str)).collect();
    let encoders: Vec<String> = chosen(&made, only, "encoder")?.into_iter().map(str::to_owned).collect();
    let rows = catalogue.tasks_of(MINIATURE);
    let keys: Vec<&str> = rows.iter().map(|task| &*task.key).collect();
    let keys: Vec<String> = chosen(&keys, tasks, "task")?.into_iter().map(str::to_owned).collect();
    let mut failures = Vec::new();
    for seed in seeds.iter().copied() {
        let request = Request {
            encoders: Some(encoders.clone()),
            tasks: plan::published_tasks(&catalogue, Some(&keys), seed, Protocol::Standard)?,
            skip_missing: false,
            skip_broken: false,
            // Neighbours and the regression have no seed: they are read with the first.
            probes: seed == 0,
        };
        let done = evaluate(settings.clone(), request, false).await?;
        print!("{}", table(&catalogue, &done.runs));
        failures.extend(done.failures);
    }
    match failures.as_slice() {
        [] => Ok(()),
        failures => Err(format!("{} jobs failed: {}", failures.len(), failures.join("; ")).into()),
    }
}

fn pretrain(settings: &Settings, only: &[String]) -> Result<(), Failure> {
    let all = planned(settings)?;
    let keys: Vec<&str> = all.iter().map(|p| &*p.row.key).collect();
    let only = chosen(&keys, only, "encoder")?;
    compare_with_tests(settings)?;
    let mut elsewhere = 0;
    for planned in all.iter().filter(|p| only.contains(&&*p.row.key)) {
        if settings.catalogue().encoder(&planned.row.key).is_some() {
            continue;
        }
        // What ships is in 8 bits, so that is what is measured.
        let packed = |trained, checkpoint: PathBuf| {
            let folder = settings.data.join("packed");
            std::fs::create_dir_all(&folder)?;
            let packed = folder.join(format!("{}.safetensors", planned.row.key));
            load_any(&checkpoint, None, &device::open("cpu")?, Precision::F32)?.pack(&packed)?;
            Ok((planned.declared(trained), packed, Keep::Refer))
        };
        match train(settings, &planned.work, packed, &Bars::default()) {
            Ok(Some(trained)) => eprintln!("{}: {}", planned.row.key, cost(&trained)),
            Ok(None) => elsewhere += 1,
            Err(e) if matches!(e.downcast_ref(), Some(Error::NameBusy { .. })) => elsewhere += 1,
            Err(e) => return Err(e),
        }
    }
    if elsewhere > 0 {
        eprintln!("{elsewhere} are being trained by other processes");
    }
    Ok(())
}

/// Refuses to train on pictures that a task is tested on.
fn compare_with_tests(settings: &Settings) -> Result<(), Failure> {
    let (sources, catalogue) = (List::read(&settings.samples)?.sources(), settings.catalogue());
    let tasks: Vec<String> = catalogue.tasks_of(MINIATURE).iter().map(|task| task.key.clone()).collect();
    let compared = leaks::compare(&settings.folders().places, &sources, &tasks, &Bars::default())?;
    let Some(Leak { task, test, training }) = compared.leaks.first() else {
        eprintln!("none of {} training pictures is among {} test pictures", compared.training, compared.test);
        return Ok(());
    };
    Err(format!(
        "{} of the pictures are for tests; {}, which {task} is tested on, is the same as {}",
        compared.leaks.len(),
        test.display(),
        training.display()
    )
    .into())
}
