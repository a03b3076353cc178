//! `virboard pretrain`.

use super::Failure;
use super::bars::Bars;
use super::desk::Desk;
use crate::service::Settings;
use crate::service::declared::Keep;
use crate::service::kinds::{Declared, declare};
use clap::Args;
use std::path::PathBuf;
use tokio::runtime::Handle;
use virboard_core::catalogue::encoder::Encoder;
use virboard_lab::pretrain::settings;
use virboard_lab::progress::Progress;
use virboard_lab::work::pretrain::{self, Trained};
use virboard_lab::work::{Job, Record, Work};

/// Options of a pre-training.
#[derive(Debug, Args)]
pub struct Pretrain {
    /// Settings in YAML; published ones and small ones ship in `server/samples/pretraining`
    #[arg(long)]
    config: PathBuf,
    /// Begin with the weights of this encoder instead of random ones
    #[arg(long, value_name = "ENCODER")]
    from: Option<String>,
    /// Seed of weights, order, views and what the method draws, instead of the settings' one
    #[arg(long)]
    seed: Option<u64>,
    /// Key of the encoder that is made; by default the settings' file name
    #[arg(long, value_name = "KEY")]
    out: Option<String>,
    /// Print what came of it as JSON
    #[arg(long)]
    json: bool,
}

impl Pretrain {
    /// Trains and declares the encoder.
    pub async fn run(self, settings: Settings) -> Result<(), Failure> {
        tokio::task::spawn_blocking(move || self.train(&settings)).await?
    }

    fn train(self, settings: &Settings) -> Result<(), Failure> {
        let mut read = settings::Settings::read(&self.config)?;
        read.seed = self.seed.unwrap_or(read.seed);
        let stem = self.config.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let work = pretrain::Pretrain { settings: read, encoder: self.out.unwrap_or(stem), from: self.from };
        let trained = train(settings, &work, |encoder, file| Ok((encoder, file, Keep::Copy)), &Bars::default())?;
        let trained = trained.ok_or_else(|| format!("{} is being pre-trained by another process", work.title()))?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&trained)?);
        } else {
            trained
                .curve
                .iter()
                .for_each(|epoch| println!("{}", epoch.line(trained.settings.epochs, trained.pictures)));
            println!("{}", trained.waiting());
        }
        Ok(())
    }
}

/// Trains, and declares what comes of it: for each encoder, of its row and checkpoint, what `declared` makes of them.
/// Nothing where another process is at it. Blocks.
pub(super) fn train(
    settings: &Settings,
    work: &pretrain::Pretrain,
    declared: impl Fn(Encoder, PathBuf) -> Result<Declared, Failure>,
    progress: &dyn Progress,
) -> Result<Option<Trained>, Failure> {
    let _names = work.try_lock_names(&settings.folders())?;
    let lab = settings.lab()?;
    let job = Job::of(work)?;
    let Some(_lock) = job.try_lock(&lab.folders)? else { return Ok(None) };
    let runtime = Handle::current();
    let desk = runtime.block_on(Desk::open(settings))?;
    let conclude = |record: &Record| declare(settings, &lab, record, progress, &declared);
    let record = desk.worker(&lab, progress).run_one(&job, &conclude);
    runtime.block_on(desk.close());
    Ok(Some(serde_json::from_value(record?.found)?))
}
