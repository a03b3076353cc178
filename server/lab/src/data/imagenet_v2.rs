//! ImageNet v2: `imagenetv2/CLASS NUMBER/*.jpeg`, tested with the head that ImageNet trains.

use super::Split;
use super::listing::{Entry, Listing, Truth, labels, parent_name};
use crate::Result;
use virboard_core::protocol::Protocol;

/// Lists the folder.
pub fn list(listing: &mut Listing, _protocol: Protocol) -> Result<()> {
    for file in listing.files("", 1, &[".jpeg", ".jpg"]) {
        match parent_name(&file).and_then(|name| name.parse().ok()).filter(|class: &usize| *class < 1000) {
            Some(class) => {
                listing.add(Split::Test, Entry { pictures: vec![file], truth: Truth::Class(class) }, None);
            }
            None => listing.problems.push(format!("{} is in no folder from 0 to 999", file.display())),
        }
    }
    listing.labels = labels(&virboard_core::catalogue::imagenet_classes().collect::<Vec<_>>());
    Ok(())
}
