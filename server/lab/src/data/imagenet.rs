//! ImageNet-1k: `imagenet/{train,val}/WNID/*.JPEG`.

use super::Source;
use super::listing::Listing;
use crate::Result;
use std::path::Path;

/// Where it comes from.
pub const SOURCE: Source = Source {
    folder: "imagenet",
    url: "https://www.image-net.org/download",
    licence: "ImageNet terms of access: non-commercial research and education",
    note: "Needs a registration. ILSVRC2012_img_train.tar holds one archive a class: unpack each into imagenet/train/WNID/. Sort ILSVRC2012_img_val.tar into imagenet/val/WNID/.",
};

/// Lists the folder.
pub fn list(datasets: &Path) -> Result<Listing> {
    let mut listing = Listing::new("Imagenet", datasets.join(SOURCE.folder))?;
    listing.class_folders("train", "val", &[".JPEG"]);
    Ok(listing)
}
