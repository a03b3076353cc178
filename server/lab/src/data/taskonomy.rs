//! Taskonomy depth: `taskonomy/{train,test}/rgb/BUILDING/*.png` with 16-bit `depth_zbuffer/BUILDING/*.png`.

use super::listing::{Entry, Listing, Truth, parent_name, stem};
use super::{Source, Split, Target, raster};
use crate::Result;
use std::path::Path;
use virboard_core::protocol::Protocol;

/// Where it comes from.
pub const SOURCE: Source = Source {
    folder: "taskonomy",
    url: "http://taskonomy.stanford.edu/",
    licence: "Taskonomy licence: research only, with a registration",
    note: "rgb and depth_zbuffer of the buildings that https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/taskonomy_scenes.txt lists (48 GB), in {train,test}/{rgb,depth_zbuffer}/BUILDING/.",
};

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

/// Lists the folder.
pub fn list(datasets: &Path, protocol: Protocol) -> Result<Listing> {
    let mut listing = Listing::new("TaskonomyDepth", datasets.join(SOURCE.folder))?;
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
            listing.add(split, Entry { pictures: vec![file], truth: Truth::File(depth, raster::sixteen_bit) }, None);
        }
    }
    listing.after = Some(if protocol == Protocol::Virb { virb } else { normalised });
    Ok(listing)
}
