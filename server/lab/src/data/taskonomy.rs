//! Taskonomy depth: `taskonomy/{train,test}/rgb/BUILDING/*.png` with 16-bit `depth_zbuffer/BUILDING/*.png`.

use super::listing::{Entry, Listing, Truth, parent_name, stem};
use super::{Split, Target, raster};
use crate::{Error, Result};
use image::DynamicImage;
use std::path::Path;
use virboard_core::protocol::Protocol;

/// Clipped at 10000, divided by the picture's largest value, minus its smallest.
fn normalised(target: Target) -> Target {
    let Target::Values { width, height, channels, mut values } = target else { return target };
    for v in &mut values {
        *v = v.min(10_000.0);
    }
    let most = values.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    for v in &mut values {
        *v /= most;
    }
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    for v in &mut values {
        *v -= least;
    }
    Target::Values { width, height, channels, values }
}

fn virb(target: Target) -> Target {
    normalised(raster::virb_bicubic(target))
}

/// Taskonomy's distances have 16 bits; in 8 most of them are gone.
fn depth(path: &Path) -> Result<Target> {
    match raster::decode(path)? {
        DynamicImage::ImageLuma16(_) => raster::sixteen_bit(path),
        other => Err(Error::Damaged {
            path: path.to_path_buf(),
            reason: format!("distances are 16-bit grey, this is {:?}", other.color()),
        }),
    }
}

/// Lists the folder.
pub fn list(listing: &mut Listing, protocol: Protocol) -> Result<()> {
    listing.read = depth.into();
    for (split, name) in [(Split::Train, "train"), (Split::Test, "test")] {
        for file in listing.files(&format!("{name}/rgb"), 1, &[".png"]) {
            let building = parent_name(&file).unwrap_or_default();
            let view = stem(&file).trim_end_matches("_rgb").to_owned();
            let folder = listing.root.join(name).join("depth_zbuffer").join(building);
            // Taskonomy's names end in the domain; some copies have one name for both.
            let depth = [format!("{view}_depth_zbuffer.png"), format!("{view}.png")]
                .map(|name| folder.join(name))
                .into_iter()
                .find(|p| p.is_file())
                .unwrap_or_else(|| folder.join(format!("{view}_depth_zbuffer.png")));
            listing.add(split, Entry { pictures: vec![file], truth: Truth::File(depth) }, None);
        }
    }
    listing.after = Some(if protocol == Protocol::Virb { virb } else { normalised });
    Ok(())
}
