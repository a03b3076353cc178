//! `virboard dataset pack`: a small data set made of its original.

use super::{print, print_findings};
use crate::cli::Failure;
use crate::cli::bars::Bars;
use crate::service::Settings;
use crate::service::packs::{PackingError, make};
use clap::Args;
use std::path::{Path, PathBuf};
use virboard_core::words::counted;
use virboard_lab::data::pack::origins::Origin;

/// Options of packing.
#[derive(Debug, Args)]
pub struct Pack {
    /// Name of the data set, such as caltech-101; docs/DATASETS.md has all
    name: String,
    /// The folder into which its original was unpacked
    folder: PathBuf,
    /// Leave out samples whose pictures are missing, and say how many
    #[arg(long)]
    skip_missing: bool,
}

impl Pack {
    /// Makes the data set and says what came of it.
    pub fn run(self, settings: &Settings) -> Result<(), Failure> {
        packed(settings, Origin::named(&self.name)?, &self.folder, self.skip_missing)
    }
}

/// Makes a small data set and prints what came of it, or what is wrong.
pub fn packed(settings: &Settings, origin: &'static Origin, folder: &Path, skip_missing: bool) -> Result<(), Failure> {
    let (checked, packed) = make(settings, origin, folder, skip_missing, &Bars::default()).inspect_err(|error| {
        if let PackingError::Problems { findings, .. } = error {
            print_findings(findings);
        }
    })?;
    print(&checked);
    if packed.left_out > 0 {
        println!(
            "  left out  {} whose files are missing, such as {}",
            counted(packed.left_out, "sample"),
            packed.missing.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ")
        );
    }
    println!(
        "{}: {} of {} in {}",
        origin.name,
        counted(packed.rows, "sample"),
        counted(packed.files, "file"),
        checked.set.folder.display()
    );
    Ok(())
}
