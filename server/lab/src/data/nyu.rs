//! NYU Depth v2: distances, and where one can walk. `nyu/{train,test}/{images,depths,walkable}/`.

use super::listing::{Entry, Listing, Truth, stem};
use super::{Source, Split, Target, coloured, raster};
use crate::Result;
use std::path::Path;
use virboard_core::protocol::Protocol;

/// Where it comes from.
pub const SOURCE: Source = Source {
    folder: "nyu",
    url: "https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/nyu.zip",
    licence: "research only",
    note: "nyu.zip (5.6 GB) as it unpacks: images/*.png, depths/*.tiff and walkable/*.png in train and test. NYU Depth and NYU Walkable share it.",
};

fn walkable(path: &Path) -> Result<Target> {
    Ok(raster::mask(&raster::grey(path)?, |v| u8::from(v != 0)))
}

/// The grey values, which ViRB resizes before it tells zero from the rest.
fn walkable_values(path: &Path) -> Result<Target> {
    Ok(raster::mask(&raster::grey(path)?, |v| v))
}

fn virb_walkable(target: Target) -> Target {
    match raster::virb_bicubic(target) {
        Target::Mask { width, height, classes } => {
            Target::Mask { width, height, classes: classes.into_iter().map(|v| u8::from(v != 0)).collect() }
        }
        other => other,
    }
}

fn list(
    task: &'static str,
    datasets: &Path,
    truths: &str,
    ending: &str,
    read: fn(&Path) -> Result<Target>,
) -> Result<Listing> {
    let mut listing = Listing::new(task, datasets.join(SOURCE.folder))?;
    for (split, name) in [(Split::Train, "train"), (Split::Test, "test")] {
        for file in listing.files(&format!("{name}/images"), 0, &[".png"]) {
            let truth = listing.root.join(name).join(truths).join(format!("{}{ending}", stem(&file)));
            listing.add(split, Entry { pictures: vec![file], truth: Truth::File(truth, read) }, None);
        }
    }
    Ok(listing)
}

/// Lists the folder for distances.
pub fn depth(datasets: &Path, protocol: Protocol) -> Result<Listing> {
    let mut listing = list("NYUDepth", datasets, "depths", ".tiff", raster::tiff)?;
    listing.after = (protocol == Protocol::Virb).then_some(raster::virb_bicubic);
    Ok(listing)
}

/// Lists the folder for where one can walk.
pub fn walkable_area(datasets: &Path, protocol: Protocol) -> Result<Listing> {
    let virb = protocol == Protocol::Virb;
    let read = if virb { walkable_values } else { walkable };
    let mut listing = list("NYUWalkable", datasets, "walkable", ".png", read)?;
    listing.after = virb.then_some(virb_walkable);
    listing.labels = coloured(&[("other", "#4b5563"), ("walkable", "#10b981")]);
    Ok(listing)
}
