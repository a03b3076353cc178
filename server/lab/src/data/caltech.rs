//! Caltech-101: `caltech-101/CATEGORY/*.jpg` with ViRB's lists of training and test pictures.

use super::listing::{Entry, Listing, Truth, alike, labels, parent_name};
use super::{Split, json};
use crate::Result;
use virboard_core::protocol::Protocol;

/// Lists the folder.
pub fn list(listing: &mut Listing, _protocol: Protocol) -> Result<()> {
    let files = listing.files("", 1, &[".jpg"]);
    let mut categories: Vec<String> = files.iter().filter_map(|f| parent_name(f)).collect();
    categories.dedup();
    for (split, name) in [(Split::Train, "caltech101_train.json"), (Split::Test, "caltech101_test.json")] {
        let path = listing.root.join(name);
        let names: Vec<String> = json(&path)?;
        let place = path.display().to_string();
        for name in &names {
            let file = listing.root.join(name.trim_start_matches('/'));
            match parent_name(&file).and_then(|c| categories.iter().position(|k| *k == c)) {
                Some(category) => {
                    let entry = Entry { pictures: vec![file], truth: Truth::Class(category) };
                    listing.add(split, entry, Some(&place));
                }
                None => listing.problems.push(format!(
                    "{}, which {place} names, is in no category with .jpg files; unpack the data set again",
                    file.display()
                )),
            }
        }
        listing.lists.push(path);
    }
    listing.warnings.extend(alike(&categories));
    listing.labels = labels(&categories);
    Ok(())
}
