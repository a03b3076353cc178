//! SUN397: `SUN397/{train,test}/SCENE/*.jpg`.

use super::Source;
use super::listing::Listing;
use crate::Result;
use std::path::Path;

/// Where it comes from.
pub const SOURCE: Source = Source {
    folder: "SUN397",
    url: "https://vision.princeton.edu/projects/2010/SUN/",
    licence: "research only",
    note: "SUN397.tar (38 GB); ViRB divides it into 87,003 training and 21,751 test pictures, in SUN397/train/SCENE/ and SUN397/test/SCENE/.",
};

/// Lists the folder.
pub fn list(datasets: &Path) -> Result<Listing> {
    let mut listing = Listing::new("SUN397", datasets.join(SOURCE.folder))?;
    listing.class_folders("train", "test", &[".jpg"]);
    Ok(listing)
}
