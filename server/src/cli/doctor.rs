//! `virboard doctor`: what this machine computes with, how fast, and whether it computes right.

use super::Failure;
use crate::service::{Settings, doctor};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use virboard_lab::{agreement, throughput};
use virboard_nn::device::{self, Device};

/// Options of the examination.
#[derive(Debug, Args)]
pub struct Doctor {
    #[command(subcommand)]
    part: Option<Part>,
    /// Print as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Compare every architecture, every kind of head and training on the device with the CPU (minutes)
    Agreement(Vectors),
    /// Measure pictures a second by network, batch and precision (minutes)
    Throughput(Vectors),
}

#[derive(Debug, Args)]
struct Vectors {
    /// Folder of the architectures' names, from which seeded weights are made
    #[arg(long, default_value = "server/nn/tests/vectors")]
    vectors: PathBuf,
}

impl Doctor {
    /// Prints what was found; fails if something that was compared differs.
    pub async fn run(self, settings: Settings) -> Result<(), Failure> {
        tokio::task::spawn_blocking(move || {
            let Some(part) = self.part else {
                let report = doctor::report(&settings)?;
                print(&report, self.json)?;
                return Ok(());
            };
            let device = device::open(&settings.device)?;
            match part {
                Part::Agreement(Vectors { vectors }) => agreement_of(&device, &vectors, self.json),
                Part::Throughput(Vectors { vectors }) => throughput_of(&settings, &device, &vectors, self.json),
            }
        })
        .await?
    }
}

fn print<T: serde::Serialize + std::fmt::Display>(report: &T, json: bool) -> Result<(), Failure> {
    if json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        println!("{report}");
    }
    Ok(())
}

fn agreement_of(device: &Device, vectors: &std::path::Path, json: bool) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut keep = |row: agreement::Row| {
        let error = row.error.map_or_else(|| "-".to_owned(), |e| format!("{e:.1e}"));
        let outcome = if row.passed() { "agrees" } else { "DIFFERS" };
        let why = row.failure.as_deref().unwrap_or_default();
        eprintln!("{:<62} {:<5} {error:>8} of {:.0e} {outcome} {why}", row.what, row.setting, row.bound);
        rows.push(row);
    };
    agreement::architectures(device, vectors, &mut keep)?;
    agreement::heads(device).into_iter().chain(agreement::training(device)).for_each(&mut keep);
    let failed = rows.iter().filter(|r| !r.passed()).count();
    if json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        println!("{} of {} comparisons agree on {}", rows.len() - failed, rows.len(), device::name(device));
    }
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} comparisons differ", rows.len()).into()) }
}

fn throughput_of(settings: &Settings, device: &Device, vectors: &std::path::Path, json: bool) -> Result<(), Failure> {
    let photo = settings.public.join("samples/china.jpg");
    let jpeg = std::fs::read(&photo).map_err(|e| format!("{}: {e}", photo.display()))?;
    let mut rows = Vec::new();
    throughput::throughput(device, vectors, &jpeg, &mut |row| {
        let rate = row.pictures_per_second.map_or_else(|| "-".to_owned(), |r| format!("{r:.1}"));
        let why = row.failure.as_deref().unwrap_or_default();
        eprintln!(
            "{:<10} {:<10} {:<5} batch {:<4} {rate:>9} pictures/s {why}",
            row.network, row.work, row.setting, row.batch
        );
        rows.push(row);
    })?;
    if json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    }
    Ok(())
}
