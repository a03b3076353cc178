//! AI2-THOR depth: `thor_depth_prediction/{train,test}/SCENE/*rgb.jpg` with `*depth.jpg`.

use super::listing::{Entry, Listing, Truth, stem};
use super::{Split, Target, raster};
use crate::Result;
use image::{Rgb, RgbImage};
use std::path::Path;
use virboard_core::protocol::Protocol;
use virboard_nn::preprocess::{Filter, resize};

/// Grey values / 255, minus 0.5, over 0.25: ViRB's normalised depth.
fn read(path: &Path) -> Result<Target> {
    let grey = raster::grey(path)?;
    let values = grey.as_raw().iter().map(|v| (f32::from(*v) / 255.0 - 0.5) / 0.25).collect();
    Ok(raster::numbers(grey.width(), grey.height(), values))
}

/// ViRB's resize, bilinear in 8 bits, before the normalisation.
fn virb(target: Target) -> Target {
    let Target::Values { width, height, values, .. } = target else { return target };
    let byte = |v: f32| ((v * 0.25 + 0.5) * 255.0).round() as u8;
    let picture = RgbImage::from_fn(width, height, |x, y| Rgb([byte(values[(y * width + x) as usize]); 3]));
    let small = resize(&picture, 224, 224, Filter::Bilinear);
    let values = small.pixels().map(|p| (f32::from(p.0[0]) / 255.0 - 0.5) / 0.25).collect();
    raster::numbers(224, 224, values)
}

/// Lists the folder.
pub fn list(listing: &mut Listing, protocol: Protocol) -> Result<()> {
    listing.read = read.into();
    for (split, name) in [(Split::Train, "train"), (Split::Test, "test")] {
        for file in listing.files(name, 1, &["rgb.jpg"]) {
            let depth = file.with_file_name(format!("{}depth.jpg", stem(&file).trim_end_matches("rgb")));
            listing.add(split, Entry { pictures: vec![file], truth: Truth::File(depth) }, None);
        }
    }
    listing.after = (protocol == Protocol::Virb).then_some(virb);
    Ok(())
}
