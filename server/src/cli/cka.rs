//! `virboard cka`: how alike the layers of encoders are.

use super::Failure;
use super::bars::Bars;
use super::desk::Desk;
use crate::service::worker::WorkError;
use crate::service::{Settings, alignments};
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use virboard_core::analysis::Alignment;
use virboard_lab::work::{Job, Record, cka};

/// Options of the comparison.
#[derive(Debug, Args)]
pub struct Cka {
    /// Keys of two encoders, or of one to compare with itself; of more, each is compared with itself
    #[arg(long, value_delimiter = ',', required = true)]
    encoders: Vec<String>,
    /// Folder of pictures
    #[arg(long)]
    images: PathBuf,
    /// Use at most this many pictures, the first by name
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2..))]
    limit: u32,
    /// Resize pictures to this many pixels squared (ViRB: 112) instead of the encoder's input size
    #[arg(long)]
    side: Option<u32>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
    /// Keep the result in the data folder, where the page of analyses finds it
    #[arg(long)]
    keep: bool,
}

impl Cka {
    /// Prints the alignment of every layer of the first with every layer of the second encoder.
    pub async fn run(self, settings: Settings) -> Result<(), Failure> {
        let mut pairs: Vec<(String, String)> = match &self.encoders[..] {
            [one, other] => vec![(one.clone(), other.clone())],
            several => several.iter().map(|e| (e.clone(), e.clone())).collect(),
        };
        pairs.dedup();
        if self.side.is_some_and(|s| !(32..=1024).contains(&s)) {
            return Err("--side is from 32 to 1024 pixels".into());
        }
        let folder = alignments::folder(&settings.data);
        let (json, keep) = (self.json, self.keep);
        let desk = Arc::new(Desk::open(&settings).await?);
        let worked = desk.clone();
        let work = move || -> Result<Vec<Record>, WorkError> {
            let (lab, bars) = (settings.lab()?, Bars::default());
            let worker = worked.worker(&lab, &bars);
            let catalogue = lab.registry.catalogue();
            let one = |(first, second): (String, String)| -> Result<Record, WorkError> {
                let key = |name: &str| {
                    catalogue.encoder_named(name).map(|e| e.key.clone()).map_err(virboard_lab::Error::from)
                };
                let (encoders, images) = ((key(&first)?, key(&second)?), self.images.clone());
                let job = Job::of(&cka::Cka { encoders, images, limit: self.limit as usize, side: self.side })?;
                let _lock = job.lock(&lab.folders)?;
                worker.run_one(&job, &|_| Ok(()))
            };
            pairs.into_iter().map(one).collect()
        };
        let records = tokio::task::spawn_blocking(work).await?;
        desk.close().await;
        for record in records? {
            let alignment: Alignment = serde_json::from_value(record.found)?;
            print(&alignment, json)?;
            if keep {
                let path = alignments::keep(&folder, &alignment)?;
                eprintln!("kept in {}", path.display());
            }
        }
        Ok(())
    }
}

fn print(a: &Alignment, json: bool) -> Result<(), Failure> {
    if json {
        println!("{}", serde_json::to_string_pretty(a)?);
        return Ok(());
    }
    let (first, second) = &a.encoders;
    println!("linear CKA over {} pictures; rows {first}, columns {second}", a.images);
    println!("{:>10} {}", "", a.columns.iter().map(|c| format!("{c:>10}")).collect::<Vec<_>>().concat());
    for (name, row) in a.rows.iter().zip(&a.cka) {
        println!("{name:>10} {}", row.iter().map(|v| format!("{v:>10.4}")).collect::<Vec<_>>().concat());
    }
    Ok(())
}
