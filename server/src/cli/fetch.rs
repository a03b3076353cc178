//! `virboard fetch`.

use super::bars::Bars;
use super::{Failure, named};
use crate::service::Settings;
use crate::service::fetch::{FetchError, Patience, fetch};
use crate::service::open_data::{fetch_dataset, fetchable};
use clap::{Args, Subcommand};
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
    /// Data sets that need no registration, by the keys of their tasks, or all
    Dataset {
        /// Keys, or all
        #[arg(required = true)]
        keys: Vec<String>,
    },
}

impl Fetch {
    /// Fetches one after the other; a failure does not stop the others.
    pub async fn run(self, settings: Settings) -> Result<(), Failure> {
        let work = move || match self.what {
            What::Encoder { keys, mirror } => encoders(&settings, &keys, mirror.as_deref()),
            What::Dataset { keys } => datasets(&settings, &keys),
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
        let url = mirror.map_or_else(|| url.clone(), |m| format!("{}/{name}", m.trim_end_matches('/')));
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

fn datasets(settings: &Settings, keys: &[String]) -> Result<Vec<String>, Failure> {
    let catalogue = settings.catalogue();
    let tasks: Vec<_> = match named(keys)? {
        None => catalogue.tasks().iter().filter(|t| fetchable(&t.key)).collect(),
        Some(keys) => keys.iter().map(|name| catalogue.task_named(name)).collect::<Result<_, _>>()?,
    };
    let mut failures = Vec::new();
    for task in tasks {
        match fetch_dataset(settings, task, Patience::default(), &Bars::default()) {
            Ok(folder) => println!("{}: {}", task.key, folder.display()),
            Err(error @ FetchError::Cancelled) => return Err(error.into()),
            Err(error) => failures.push(error.to_string()),
        }
    }
    Ok(failures)
}
