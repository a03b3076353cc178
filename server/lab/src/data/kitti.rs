//! KITTI scene flow 2015: how pixels move between two frames of a driving car.

use super::listing::{Entry, Listing, Truth, stem};
use super::{Split, Target, raster};
use crate::{Error, Result};
use image::DynamicImage;
use std::path::Path;
use virboard_core::protocol::Protocol;

/// Displacements of a 16-bit picture: (red - 2^15) / 64 to the right, (green - 2^15) / 64
/// down, in pixels, where blue is not 0.
pub(super) fn flow(path: &Path) -> Result<Target> {
    let DynamicImage::ImageRgb16(picture) = raster::decode(path)? else {
        return Err(Error::Damaged { path: path.to_path_buf(), reason: "flow should be 16-bit RGB".to_owned() });
    };
    let pixel = |v: u16| (f32::from(v) - 32768.0) / 64.0;
    let values = picture
        .pixels()
        .flat_map(|p| if p.0[2] == 0 { [f32::NAN; 2] } else { [pixel(p.0[0]), pixel(p.0[1])] })
        .collect();
    Ok(Target::Values { width: picture.width(), height: picture.height(), channels: 2, values })
}

/// ViRB's truth: the grey value / 255 of the picture that shows the flow; 0 is not labelled.
fn shown(path: &Path) -> Result<Target> {
    let grey = raster::grey(path)?;
    let value = |v: &u8| if *v == 0 { f32::NAN } else { f32::from(*v) / 255.0 };
    Ok(raster::numbers(grey.width(), grey.height(), grey.as_raw().iter().map(value).collect()))
}

/// Lists the folder.
pub fn list(listing: &mut Listing, protocol: Protocol) -> Result<()> {
    let (folder, read): (_, fn(&Path) -> Result<Target>) = match protocol {
        Protocol::Standard => ("flow_occ", flow),
        Protocol::Virb => ("viz_flow_occ", shown),
    };
    listing.read = read.into();
    let files = listing.files("training/image_2", 0, &["_10.png"]);
    let trained = files.len() * 9 / 10;
    for (i, first) in files.into_iter().enumerate() {
        let name = stem(&first);
        let second = first.with_file_name(format!("{}_11.png", name.trim_end_matches("_10")));
        let truth = listing.root.join(format!("training/{folder}/{name}.png"));
        let split = if i < trained { Split::Train } else { Split::Test };
        listing.add(split, Entry { pictures: vec![first, second], truth: Truth::File(truth) }, None);
    }
    Ok(())
}
