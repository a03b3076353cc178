//! The command line.

pub mod bars;
pub mod cache;
pub mod cka;
pub mod dataset;
mod desk;
pub mod doctor;
pub mod encode;
pub mod encoder;
pub mod evaluate;
pub mod export;
pub mod fetch;
mod finetune;
pub mod import;
pub mod jobs;
pub mod miniature;
pub mod pretrain;
pub mod scene;
pub mod serve;
pub mod user;
pub mod worker;

use crate::service::Settings;
use crate::service::precision::Choice;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use virboard_nn::encoder::Precision;

/// Which frozen image encoder should you use?
#[derive(Debug, Parser)]
#[command(name = "virboard", version = crate::VERSION, about)]
pub struct Cli {
    /// What to do; without one, the server starts.
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    common: Common,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Folder of checkpoints, data sets, features, heads, uploads and the database
    #[arg(long, global = true, default_value = "data", env = "VIRBOARD_DATA_DIR")]
    data_dir: PathBuf,
    /// Folder of what ships with Virboard
    #[arg(long, global = true, default_value = "server/samples", env = "VIRBOARD_SAMPLES_DIR")]
    samples_dir: PathBuf,
    /// Folder of static files
    #[arg(long, global = true, default_value = "public", env = "VIRBOARD_PUBLIC_DIR")]
    public_dir: PathBuf,
    /// Where to compute: auto, cpu or cuda:N
    #[arg(long, global = true, default_value = "auto", env = "VIRBOARD_DEVICE")]
    device: String,
    /// How exactly encoders compute: f32 (of what is scored, unless you say otherwise), bf16, f16 (on a GPU), or auto:
    /// what `virboard doctor` measures to be fastest here without harm (when serving and encoding, unless you say otherwise)
    #[arg(long, global = true, env = "VIRBOARD_PRECISION", value_parser = Choice::of)]
    precision: Option<Choice>,
    /// Megabytes of encoder weights to keep loaded
    #[arg(long, global = true, default_value_t = 2000, env = "VIRBOARD_MEMORY_MB")]
    memory_mb: usize,
    /// Gigabytes that cached features may take; the least recently used leave first
    #[arg(long, global = true, default_value_t = 500, env = "VIRBOARD_CACHE_LIMIT_GB")]
    cache_limit: u64,
}

impl Common {
    /// The settings of the services, with a precision where none is asked for.
    #[must_use]
    pub fn settings(&self, precision: Choice) -> Settings {
        Settings {
            data: self.data_dir.clone(),
            samples: self.samples_dir.clone(),
            anew: false,
            public: self.public_dir.clone(),
            device: self.device.clone(),
            precision: self.precision.unwrap_or(precision),
            memory: self.memory_mb << 20,
            queue: 128,
            cache_limit: self.cache_limit.saturating_mul(1_000_000_000),
            checkpoints: Vec::new(),
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
enum Command {
    /// Serve pages and the REST interface
    Serve(serve::Serve),
    /// Show what this machine computes with and what is here, and measure which precision to take
    Doctor(doctor::Doctor),
    /// Encode a folder of pictures with any checkpoint
    Encode(encode::Encode),
    /// Train heads on frozen encoders and score them
    Evaluate(evaluate::Evaluate),
    /// Do jobs that wait in the queue of the data folder
    Worker(worker::Worker),
    /// List jobs, cancel one, or let one be tried again
    Jobs(jobs::Jobs),
    /// Pre-train an encoder of your own: MoCo v1 and v2, SwAV, PIRL, SimCLR or with labels
    Pretrain(pretrain::Pretrain),
    /// Declare encoders of your own, list all, pack a checkpoint, or take a declaration back
    Encoder(encoder::EncoderCommand),
    /// Add your own data sets, and list, check or remove data sets
    #[command(alias = "datasets")]
    Dataset(dataset::Dataset),
    /// Fetch checkpoints and open data sets from their authors
    Fetch(fetch::Fetch),
    /// Take over ViRB's out folder (scores and heads), a table of scores, or the evidence behind one
    Import(import::Import),
    /// Write all results as CSV, JSON or Parquet, those that were replaced, or everything behind one of them
    Export(export::Export),
    /// Show or prune cached features
    Cache(cache::CacheCommand),
    /// Compare the layers of one or two encoders (linear CKA)
    Cka(cka::Cka),
    /// The paper's encoders on a small scale: trained from scratch on small pictures
    Miniature(miniature::Miniature),
    /// Add, list and disable users of the server, and make tokens for programs
    User(user::UserCommand),
    /// Render a scene with its true mask and depth
    Scene(scene::SceneCommand),
}

/// A failure that ends the program: one sentence.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Names from the command line, each once and without spaces around it; `None` for `all`.
fn named(names: &[String]) -> Result<Option<Vec<String>>, Failure> {
    let mut found: Vec<String> = Vec::new();
    for name in names.iter().map(|n| n.trim()) {
        if name.is_empty() {
            return Err("a name between commas is empty; take a comma out".into());
        }
        if name.eq_ignore_ascii_case("all") {
            return Ok(None);
        }
        if !found.iter().any(|f| f == name) {
            found.push(name.to_owned());
        }
    }
    Ok(Some(found))
}

/// Runs the command line.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    // What is scored is comparable with others' only in full precision.
    let precision = match cli.command {
        None | Some(Command::Serve(_) | Command::Encode(_)) => Choice::Auto,
        _ => Choice::Exactly(Precision::F32),
    };
    let settings = cli.common.settings(precision);
    if matches!(
        cli.command,
        Some(
            Command::Encode(_)
                | Command::Evaluate(_)
                | Command::Cka(_)
                | Command::Pretrain(_)
                | Command::Miniature(_)
                | Command::Worker(_)
        )
    ) {
        virboard_lab::memory::keep_freed();
    }
    match cli.command.unwrap_or_else(|| Command::Serve(serve::Serve::default())) {
        Command::Serve(serve) => serve.run(settings).await,
        Command::Doctor(doctor) => doctor.run(settings).await,
        Command::Encode(encode) => encode.run(settings).await,
        Command::Evaluate(evaluate) => evaluate.run(settings).await,
        Command::Worker(worker) => worker.run(settings).await,
        Command::Jobs(jobs) => jobs.run(settings).await,
        Command::Pretrain(pretrain) => pretrain.run(settings).await,
        Command::Encoder(encoder) => encoder.run(settings).await,
        Command::Dataset(dataset) => dataset.run(settings).await,
        Command::Fetch(fetch) => fetch.run(settings).await,
        Command::Import(import) => import.run(settings).await,
        Command::Export(export) => export.run(settings).await,
        Command::Cache(cache) => cache.run(&settings),
        Command::Cka(cka) => cka.run(settings).await,
        Command::Miniature(miniature) => miniature.run(settings).await,
        Command::User(user) => user.run(settings).await,
        Command::Scene(scene) => scene.run(),
    }
}
