//! `virboard encoder pack`: a checkpoint in 8 bits.

use crate::cli::Failure;
use crate::cli::bars::Bars;
use crate::service::Settings;
use clap::Args;
use std::path::PathBuf;
use virboard_lab::packing::{Packing, pack};

#[derive(Debug, Args)]
pub(super) struct Pack {
    /// Its key
    key: String,
    /// The safetensors file to write
    #[arg(long)]
    out: PathBuf,
    /// Folder of pictures whose embeddings are compared before and after; by default the photographs that ship
    #[arg(long)]
    images: Option<PathBuf>,
}

impl Pack {
    /// Packs, and prints what it saved and cost.
    pub(super) fn run(self, settings: &Settings) -> Result<(), Failure> {
        let registry = settings.registry()?;
        let key = registry.catalogue().encoder_named(&self.key)?.key.clone();
        let images = self.images.unwrap_or_else(|| settings.public.join("samples"));
        let Packing { bytes_before, bytes_after, likeness } =
            pack(&registry, &key, &self.out, &images, &Bars::default())?;
        let share = 100.0 * bytes_after as f64 / bytes_before as f64;
        println!("{key} is packed in {}", self.out.display());
        println!("bytes before: {bytes_before}");
        println!("bytes after: {bytes_after} ({share:.1} %)");
        println!("embeddings of {} pictures before and after:", likeness.pictures);
        println!("mean cosine similarity: {:.6}", likeness.cosine);
        println!("largest relative change: {:.2} %", 100.0 * likeness.largest_change);
        Ok(())
    }
}
