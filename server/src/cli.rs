//! The command line.

pub mod encode;
pub mod evaluate;
pub mod samples;
pub mod scene;
pub mod serve;

use crate::service::Settings;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Which frozen image encoder should you use?
#[derive(Debug, Parser)]
#[command(name = "virboard", version, about)]
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
    /// Megabytes of encoder weights to keep loaded
    #[arg(long, global = true, default_value_t = 2000, env = "VIRBOARD_MEMORY_MB")]
    memory_mb: usize,
}

impl Common {
    /// The settings of the services.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            data: self.data_dir.clone(),
            samples: self.samples_dir.clone(),
            public: self.public_dir.clone(),
            device: self.device.clone(),
            memory: self.memory_mb << 20,
            queue: 128,
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
enum Command {
    /// Serve pages and the REST interface
    Serve(serve::Serve),
    /// Encode a folder of pictures with any checkpoint
    Encode(encode::Encode),
    /// Train heads on frozen encoders and score them
    Evaluate(evaluate::Evaluate),
    /// Train the heads that ship with Virboard anew and compare their scores
    Samples(samples::Samples),
    /// Render a scene with its true mask and depth
    Scene(scene::SceneCommand),
}

/// A failure that ends the program: one sentence.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the command line.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let settings = cli.common.settings();
    match cli.command.unwrap_or_else(|| Command::Serve(serve::Serve::default())) {
        Command::Serve(serve) => serve.run(settings).await,
        Command::Encode(encode) => encode.run(settings).await,
        Command::Evaluate(evaluate) => evaluate.run(settings).await,
        Command::Samples(samples) => samples.run(settings).await,
        Command::Scene(scene) => scene.run(),
    }
}
