//! `virboard miniature`: the paper's encoders on a small scale, trained and measured here.

use super::Failure;
use super::bars::Bars;
use super::pretrain::train;
use crate::service::Settings;
use crate::service::miniature::{List, Planned, cost};
use clap::{Args, Subcommand};
use std::collections::BTreeSet;
use virboard_lab::Error;
use virboard_lab::work::pretrain::Trained;

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
}

impl Miniature {
    /// Does one step, in a folder of its own below the data folder, with the data folder's data sets.
    pub async fn run(self, mut settings: Settings) -> Result<(), Failure> {
        // The encoders that ship would have the same keys.
        settings.anew = true;
        tokio::task::spawn_blocking(move || match self.step {
            Step::List => list(&settings),
            Step::Pretrain { only } => pretrain(&settings, &only),
        })
        .await?
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

fn pretrain(settings: &Settings, only: &[String]) -> Result<(), Failure> {
    let all = planned(settings)?;
    let keys: BTreeSet<&str> = all.iter().map(|p| &*p.row.key).collect();
    if let Some(stranger) = only.iter().find(|key| !keys.contains(&***key)) {
        return Err(format!("the miniature has no encoder `{stranger}`; `virboard miniature list` names them").into());
    }
    let mut elsewhere = 0;
    for planned in all.iter().filter(|p| only.is_empty() || only.contains(&p.row.key)) {
        if settings.catalogue().encoder(&planned.row.key).is_some() {
            continue;
        }
        match train(settings, &planned.work, |trained| planned.declared(trained), &Bars::default()) {
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
