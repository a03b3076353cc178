//! ImageNet v2: `imagenetv2/CLASS NUMBER/*.jpeg`, tested with the head that ImageNet trains.

use super::listing::{Entry, Listing, Truth, labels, parent_name};
use super::{Source, Split};
use crate::Result;
use std::path::Path;

/// Where it comes from.
pub const SOURCE: Source = Source {
    folder: "imagenetv2",
    url: "https://github.com/modestyachts/ImageNetV2",
    licence: "MIT (pictures: their Flickr licences)",
    note: "imagenetv2-matched-frequency.tar.gz (1.2 GB); its folders 0 to 999 are ImageNet's classes in the order of their WNIDs.",
};

/// Lists the folder.
pub fn list(datasets: &Path) -> Result<Listing> {
    let mut listing = Listing::new("Imagenetv2", datasets.join(SOURCE.folder))?;
    for file in listing.files("", 1, &[".jpeg", ".JPEG", ".jpg"]) {
        match parent_name(&file).and_then(|name| name.parse().ok()).filter(|class: &usize| *class < 1000) {
            Some(class) => {
                listing.add(Split::Test, Entry { pictures: vec![file], truth: Truth::Class(class) }, None);
            }
            None => listing.problems.push(format!("{} is in no folder from 0 to 999", file.display())),
        }
    }
    listing.labels = labels(&virboard_core::catalogue::imagenet_classes().collect::<Vec<_>>());
    Ok(listing)
}
