//! Oxford-IIIT Pet masks: `pets/{train,test}/BREED/*.jpg` with `pets/annotations/trimaps/*.png`.

use super::listing::{Entry, Listing, Truth, stem};
use super::{Split, Target, coloured, raster};
use crate::Result;
use image::GrayImage;
use std::path::Path;
use virboard_core::protocol::Protocol;

/// Trimaps hold 1 for the animal, 2 for the background and 3 for the border. The animal is
/// class 1 here; border pixels are not the animal.
fn animal(path: &Path) -> Result<Target> {
    Ok(raster::mask(&numbers(path)?, |v| u8::from(v == 1)))
}

fn numbers(path: &Path) -> Result<GrayImage> {
    raster::classes_of(path, |v| (1..=3).contains(&v), "a trimap holds 1, 2 and 3")
}

/// The raw trimap, which ViRB resizes before it makes a mask of it.
fn trimap(path: &Path) -> Result<Target> {
    Ok(raster::mask(&numbers(path)?, |v| v))
}

/// ViRB's mask: trimap - 1, with 2 turned into 1. Class 1 is background and border.
fn everything_else(target: Target) -> Target {
    match raster::virb_bicubic(target) {
        Target::Mask { width, height, classes } => {
            Target::Mask { width, height, classes: classes.into_iter().map(|v| u8::from(v >= 2)).collect() }
        }
        other => other,
    }
}

/// Lists the folder.
pub fn list(listing: &mut Listing, protocol: Protocol) -> Result<()> {
    let (read, positive): (fn(&Path) -> Result<Target>, _) = match protocol {
        Protocol::Standard => (animal, ["background", "animal"]),
        Protocol::Virb => {
            listing.after = Some(everything_else);
            (trimap, ["animal", "background and border"])
        }
    };
    listing.read = read.into();
    for (split, name) in [(Split::Train, "train"), (Split::Test, "test")] {
        for file in listing.files(name, 1, &[".jpg"]) {
            let trimap = listing.root.join(format!("annotations/trimaps/{}.png", stem(&file)));
            listing.add(split, Entry { pictures: vec![file], truth: Truth::File(trimap) }, None);
        }
    }
    listing.labels = coloured(&[(positive[0], "#4b5563"), (positive[1], "#f59e0b")]);
    Ok(())
}
