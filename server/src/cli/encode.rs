//! `virboard encode`.

use super::Failure;
use super::bars::Bars;
use crate::service::Settings;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use virboard_core::catalogue::encoder::Format;
use virboard_lab::work::{Work, encode};

/// Options of an encoding.
#[derive(Debug, Args)]
pub struct Encode {
    /// A checkpoint: PyTorch (zip or legacy) or safetensors
    #[arg(long)]
    checkpoint: PathBuf,
    /// Layout of its tensor names
    #[arg(long, default_value = "auto")]
    format: Layout,
    /// What precedes the names of the network's tensors, where several networks lie in the checkpoint
    #[arg(long, conflicts_with = "format")]
    prefix: Option<String>,
    /// Folder of pictures
    #[arg(long)]
    images: PathBuf,
    /// The safetensors file to write: a tensor per layer, rows in the order of its metadata `files`
    #[arg(long)]
    out: PathBuf,
    /// Layers: embedding, and the encoder's maps (conv and block1 to block4 of a ResNet)
    #[arg(long, value_delimiter = ',', default_value = "embedding")]
    layers: Vec<String>,
}

/// Names of layouts.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Layout {
    Auto,
    Virb,
    Swav,
    Moco,
    Pirl,
    Simclr,
    Torchvision,
    Safetensors,
}

impl Layout {
    fn format(self) -> Option<Format> {
        match self {
            Self::Auto => None,
            Self::Virb => Some(Format::Virb),
            Self::Swav => Some(Format::Swav),
            Self::Moco => Some(Format::Moco),
            Self::Pirl => Some(Format::Pirl),
            Self::Simclr => Some(Format::SimClr),
            Self::Torchvision => Some(Format::Torchvision),
            Self::Safetensors => Some(Format::Safetensors),
        }
    }
}

impl Encode {
    /// Encodes and writes the file.
    pub async fn run(self, settings: Settings) -> Result<(), Failure> {
        let format = self.format.format();
        let Self { checkpoint, prefix, images, layers, out, .. } = self;
        let work = encode::Encode { checkpoint, format, prefix, images, layers, out };
        tokio::task::spawn_blocking(move || work.run(&settings.lab()?, &Bars::default())).await??;
        Ok(())
    }
}
