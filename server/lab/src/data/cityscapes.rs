//! Cityscapes fine: 19 classes of streets, and 0 for everything else.

use super::listing::{Entry, Listing, Truth, parent_name, stem};
use super::{Split, Target, coloured, raster};
use crate::Result;
use std::path::Path;
use virboard_core::protocol::Protocol;

/// The classes that are trained, by their Cityscapes id, name and colour.
const CLASSES: [(u8, &str, &str); 19] = [
    (7, "road", "#804080"),
    (8, "sidewalk", "#f423e8"),
    (11, "building", "#464646"),
    (12, "wall", "#66669c"),
    (13, "fence", "#be9999"),
    (17, "pole", "#999999"),
    (19, "traffic light", "#faaa1e"),
    (20, "traffic sign", "#dcdc00"),
    (21, "vegetation", "#6b8e23"),
    (22, "terrain", "#98fb98"),
    (23, "sky", "#4682b4"),
    (24, "person", "#dc143c"),
    (25, "rider", "#ff0000"),
    (26, "car", "#00008e"),
    (27, "truck", "#000046"),
    (28, "bus", "#003c64"),
    (31, "train", "#005064"),
    (32, "motorcycle", "#0000e6"),
    (33, "bicycle", "#770b20"),
];

/// Ids that are not trained: 0 to 33, and that of licence plates, -1.
const LAST: u8 = 33;
const PLATE: u8 = 255;

fn read(path: &Path) -> Result<Target> {
    let class = |id: u8| CLASSES.iter().position(|(known, ..)| *known == id).map_or(0, |i| i as u8 + 1);
    let known = |id: u8| id <= LAST || id == PLATE;
    Ok(raster::mask(&raster::classes_of(path, known, "Cityscapes' ids are 0 to 33")?, class))
}

/// Lists the folder.
pub fn list(listing: &mut Listing, _protocol: Protocol) -> Result<()> {
    listing.read = read.into();
    for (split, name) in [(Split::Train, "train"), (Split::Test, "val")] {
        for file in listing.files(&format!("leftImg8bit/{name}"), 1, &["_leftImg8bit.png"]) {
            let city = parent_name(&file).unwrap_or_default();
            let frame = stem(&file).trim_end_matches("_leftImg8bit").to_owned();
            let label = listing.root.join(format!("gtFine/{name}/{city}/{frame}_gtFine_labelIds.png"));
            listing.add(split, Entry { pictures: vec![file], truth: Truth::File(label) }, None);
        }
    }
    let named: Vec<(&str, &str)> = CLASSES.iter().map(|(_, name, colour)| (*name, *colour)).collect();
    listing.labels = coloured(&[&[("void", "#000000")], named.as_slice()].concat());
    Ok(())
}
