//! NYU Depth v2: distances, and where one can walk. `nyu/{train,test}/{images,depths,walkable}/`.

use super::listing::{Entry, Listing, Truth, stem};
use super::{Split, Target, coloured, raster};
use crate::{Error, Result};
use std::path::Path;
use virboard_core::protocol::Protocol;

/// Metres: none is negative or infinite.
fn distances(path: &Path) -> Result<Target> {
    let target = raster::tiff(path)?;
    if let Target::Values { values, .. } = &target
        && let Some(strange) = values.iter().find(|v| **v < 0.0 || v.is_infinite())
    {
        return Err(Error::Truth {
            path: path.to_path_buf(),
            reason: format!(
                "it holds {strange}, and distances are metres from 0 on; unpack the data set again, or leave such samples out with --skip-broken"
            ),
        });
    }
    Ok(target)
}

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

fn list(listing: &mut Listing, truths: &str, ending: &str) {
    for (split, name) in [(Split::Train, "train"), (Split::Test, "test")] {
        for file in listing.files(&format!("{name}/images"), 0, &[".png"]) {
            let truth = listing.root.join(name).join(truths).join(format!("{}{ending}", stem(&file)));
            listing.add(split, Entry { pictures: vec![file], truth: Truth::File(truth) }, None);
        }
    }
}

/// Lists the folder for distances.
pub fn depth(listing: &mut Listing, protocol: Protocol) -> Result<()> {
    list(listing, "depths", ".tiff");
    listing.read = distances.into();
    listing.after = (protocol == Protocol::Virb).then_some(raster::virb_bicubic);
    Ok(())
}

/// Lists the folder for where one can walk.
pub fn walkable_area(listing: &mut Listing, protocol: Protocol) -> Result<()> {
    list(listing, "walkable", ".png");
    let virb = protocol == Protocol::Virb;
    listing.read = if virb { walkable_values.into() } else { walkable.into() };
    listing.after = virb.then_some(virb_walkable);
    listing.labels = coloured(&[("other", "#4b5563"), ("walkable", "#10b981")]);
    Ok(())
}
