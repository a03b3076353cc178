//! EuroSAT RGB: `eurosat/{train,test}/CLASS/*.jpg`.

use super::Source;
use super::listing::Listing;
use crate::Result;
use std::path::Path;

/// Where it comes from.
pub const SOURCE: Source = Source {
    folder: "eurosat",
    url: "https://github.com/phelber/EuroSAT",
    licence: "MIT (pictures: Copernicus Sentinel data)",
    note: "EuroSAT.zip (90 MB); ViRB divides it into 21,600 training and 5,400 test pictures, in eurosat/train/CLASS/ and eurosat/test/CLASS/.",
};

/// Lists the folder.
pub fn list(datasets: &Path) -> Result<Listing> {
    let mut listing = Listing::new("Eurosat", datasets.join(SOURCE.folder))?;
    listing.class_folders("train", "test", &[".jpg"]);
    Ok(listing)
}
