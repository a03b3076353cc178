//! EgoHands: whose hands are where, in pictures of two people from one's own eyes.

use super::left_out::Why;
use super::listing::{Entry, Listing, Truth, parent_name, stem};
use super::{Split, Target, coloured, raster};
use crate::Result;
use std::path::Path;
use virboard_core::protocol::Protocol;

/// The videos, in the order of their names, that the data set's paper (ICCV 2015) tests on.
const TEST: [usize; 8] = [0, 10, 12, 19, 30, 33, 37, 43];
/// Those that it sets aside for validation.
const VALIDATION: [usize; 4] = [6, 13, 27, 46];
const VIDEOS: usize = 48;

fn read(path: &Path) -> Result<Target> {
    Ok(raster::mask(&raster::classes_of(path, |v| v <= 4, "EgoHands' classes are 0 to 4")?, |v| v))
}

/// Lists the folder.
pub fn list(listing: &mut Listing, _protocol: Protocol) -> Result<()> {
    listing.read = read.into();
    let files = listing.files("images", 1, &[".jpg"]);
    let mut videos: Vec<String> = files.iter().filter_map(|f| parent_name(f)).collect();
    videos.dedup();
    if videos.len() > VIDEOS {
        listing.problems.push(format!("{} videos are there, the data set has {VIDEOS}", videos.len()));
    }
    for file in files {
        let video = parent_name(&file).unwrap_or_default();
        let number = videos.iter().position(|v| *v == video).unwrap_or(VIDEOS);
        if VALIDATION.contains(&number) {
            listing.left_out.add(Why::Validation, &file);
            continue;
        }
        let split = if TEST.contains(&number) { Split::Test } else { Split::Train };
        let label = listing.root.join(format!("labels/{video}/{}.png", stem(&file)));
        listing.add(split, Entry { pictures: vec![file], truth: Truth::File(label) }, None);
    }
    listing.labels = coloured(&[
        ("background", "#4b5563"),
        ("your left hand", "#ef4444"),
        ("your right hand", "#f59e0b"),
        ("my left hand", "#3b82f6"),
        ("my right hand", "#10b981"),
    ]);
    Ok(())
}
