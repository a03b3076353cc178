//! `virboard fetch`.

use super::bars::Bars;
use super::dataset::pack::packed;
use super::{Failure, named};
use crate::service::Settings;
use crate::service::fetch::{FetchError, Patience, fetch, mirrored};
use crate::service::open_data::{fetch_dataset, fetch_original, fetchable};
use crate::service::packs::{free, is_here, place};
use clap::{Args, Subcommand};
use std::sync::Arc;
use virboard_core::catalogue::task::Task;
use virboard_lab::data::pack::origins::{ORIGINS, Origin};
use virboard_nn::device;
use virboard_nn::encoder::Precision;
use virboard_nn::load::{load, load_any};

/// Options of fetching.
#[derive(Debug, Args)]
pub struct Fetch {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Checkpoints, by the keys of their encoders, or all
    Encoder {
        /// Keys, or all
        #[arg(required = true)]
        keys: Vec<String>,
        /// Take the files from this address instead, as ADDRESS/NAME
        #[arg(long)]
        mirror: Option<String>,
    },
    /// Data sets that need no registration, by the keys of their tasks, or all; small ones by their names, too
    Dataset {
        /// Keys of tasks, names of small data sets (docs/DATASETS.md), miniature for all of these, or all
        #[arg(required = true)]
        keys: Vec<String>,
        /// Take the files from this address instead, as ADDRESS/NAME
        #[arg(long)]
        mirror: Option<String>,
    },
}

impl Fetch {
    /// Fetches one after the other; a failure does not stop the others.
    pub async fn run(self, settings: Settings) -> Result<(), Failure> {
        let work = move || match self.what {
            What::Encoder { keys, mirror } => encoders(&settings, &keys, mirror.as_deref()),
            What::Dataset { keys, mirror } => datasets(&settings, &keys, mirror.as_deref()),
        };
        let failures = tokio::task::spawn_blocking(work).await??;
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures[0].clone().into()),
            n => Err(format!("{n} could not be fetched: {}", failures.join("; ")).into()),
        }
    }
}

fn encoders(settings: &Settings, keys: &[String], mirror: Option<&str>) -> Result<Vec<String>, Failure> {
    let catalogue = settings.catalogue();
    let wanted: Vec<_> = match named(keys)? {
        None => catalogue.encoders().iter().filter(|e| e.url.is_some()).collect(),
        Some(keys) => keys.iter().map(|name| catalogue.encoder_named(name)).collect::<Result<_, _>>()?,
    };
    let registry = settings.registry()?;
    let cpu = device::open("cpu")?;
    let mut failures = Vec::new();
    for entry in wanted {
        if let Some(path) = registry.checkpoint(&entry.key) {
            println!("{} is here: {}", entry.key, path.display());
            continue;
        }
        let Some(url) = &entry.url else {
            failures.push(format!("{} has no public address; put its checkpoint into checkpoints/", entry.key));
            continue;
        };
        let name = url.rsplit('/').next().unwrap_or_default();
        let url = mirrored(url, mirror);
        let ending = ["pth.tar", "torch", "safetensors", "pth", "pt"].into_iter().find(|e| name.ends_with(e));
        let path = settings.data.join("checkpoints").join(format!("{}.{}", entry.key, ending.unwrap_or("pt")));
        // Only a file whose network can be loaded gets its name.
        let check = |part: &std::path::Path| {
            let wanted = virboard_lab::registry::wanted(entry);
            let loaded = match entry.architecture {
                Some(architecture) => load(&entry.key, architecture, part, wanted.as_ref(), &cpu, Precision::F32),
                None => load_any(part, wanted.as_ref(), &cpu, Precision::F32),
            };
            loaded.map(drop).map_err(|e| e.to_string())
        };
        match fetch(&url, &path, Patience::default(), &Bars::default(), check) {
            Ok(()) => {
                let sha256 = virboard_nn::files::sha256_file(&path)?;
                println!("{}: {} (SHA-256 {sha256})", entry.key, path.display());
            }
            Err(error @ FetchError::Cancelled) => return Err(error.into()),
            Err(error) => failures.push(error.to_string()),
        }
    }
    Ok(failures)
}

/// A data set that is to be fetched.
enum Wanted {
    /// That of a task of ViRB's.
    Task(Arc<Task>),
    /// A small one.
    Small(&'static Origin),
    /// A small one of a group, that cannot be fetched.
    Closed(&'static Origin),
}

/// The name of all small data sets.
const SMALL: &str = "miniature";

/// What the names stand for; those of small data sets come before those of tasks, which are understood whatever their
/// case.
fn wanted(settings: &Settings, keys: &[String]) -> Result<Vec<Wanted>, Failure> {
    let catalogue = settings.catalogue();
    let small = || ORIGINS.iter().map(|o| if o.is_open() { Wanted::Small(o) } else { Wanted::Closed(o) });
    let Some(keys) = named(keys)? else {
        let tasks = catalogue.tasks().iter().filter(|t| fetchable(&t.key)).cloned().map(Wanted::Task);
        return Ok(tasks.chain(small()).collect());
    };
    let mut wanted = Vec::new();
    for key in &keys {
        if key.eq_ignore_ascii_case(SMALL) {
            wanted.extend(small());
        } else if let Some(origin) = Origin::named(key).ok().or_else(|| Origin::of_task(&settings.samples, key)) {
            wanted.push(Wanted::Small(origin));
        } else {
            wanted.push(Wanted::Task(catalogue.task_named(key)?.clone()));
        }
    }
    Ok(wanted)
}

fn datasets(settings: &Settings, keys: &[String], mirror: Option<&str>) -> Result<Vec<String>, Failure> {
    let mut failures = Vec::new();
    for wanted in wanted(settings, keys)? {
        let fetched = match &wanted {
            Wanted::Task(task) => {
                let fetched = fetch_dataset(settings, task, mirror, Patience::default(), &Bars::default());
                fetched.map(|folder| println!("{}: {}", task.key, folder.display()))
            }
            Wanted::Small(origin) | Wanted::Closed(origin) if is_here(settings, origin) => {
                println!("{} is here: {}", origin.name, place(settings, origin).display());
                Ok(())
            }
            Wanted::Closed(origin) => {
                let name = origin.name;
                println!("{name} is not fetched ({}); then `virboard dataset pack {name} FOLDER`", origin.how());
                Ok(())
            }
            Wanted::Small(origin) => {
                if let Err(error) = free(settings, origin) {
                    failures.push(error.to_string());
                    continue;
                }
                let original = fetch_original(settings, origin, mirror, Patience::default(), &Bars::default());
                original.map(|folder| match packed(settings, origin, &folder, false) {
                    Ok(()) => println!("  its original stays in {}; remove it as you like", folder.display()),
                    Err(error) => failures.push(error.to_string()),
                })
            }
        };
        match fetched {
            Ok(()) => {}
            Err(error @ FetchError::Cancelled) => return Err(error.into()),
            Err(error) => failures.push(error.to_string()),
        }
    }
    Ok(failures)
}
