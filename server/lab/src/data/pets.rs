//! Oxford-IIIT Pet by breed: `pets/{train,test}/BREED/*.jpg`.

use super::Source;
use super::listing::Listing;
use crate::Result;
use std::path::Path;

/// Where it comes from.
pub const SOURCE: Source = Source {
    folder: "pets",
    url: "https://www.robots.ox.ac.uk/~vgg/data/pets/",
    licence: "CC BY-SA 4.0",
    note: "images.tar.gz (0.8 GB); sort images/ into pets/train/BREED/ and pets/test/BREED/ by annotations/trainval.txt and test.txt.",
};

/// Lists the folder.
pub fn list(datasets: &Path) -> Result<Listing> {
    let mut listing = Listing::new("Pets", datasets.join(SOURCE.folder))?;
    listing.class_folders("train", "test", &[".jpg"]);
    Ok(listing)
}
