//! Describable Textures: `dtd/{train,test}/TEXTURE/*.jpg`.

use super::Source;
use super::listing::Listing;
use crate::Result;
use std::path::Path;

/// Where it comes from.
pub const SOURCE: Source = Source {
    folder: "dtd",
    url: "https://www.robots.ox.ac.uk/~vgg/data/dtd/",
    licence: "research only",
    note: "dtd-r1.0.1.tar.gz (0.6 GB); train1.txt with val1.txt (3,760 pictures) go to dtd/train/TEXTURE/, test1.txt to dtd/test/TEXTURE/.",
};

/// Lists the folder.
pub fn list(datasets: &Path) -> Result<Listing> {
    let mut listing = Listing::new("dtd", datasets.join(SOURCE.folder))?;
    listing.class_folders("train", "test", &[".jpg"]);
    Ok(listing)
}
