//! Caltech-101: `caltech-101/CATEGORY/*.jpg` with ViRB's lists of training and test pictures.

use super::listing::{Entry, Listing, Truth, labels, parent_name};
use super::{Source, Split, json};
use crate::Result;
use std::path::Path;

/// Where it comes from.
pub const SOURCE: Source = Source {
    folder: "caltech-101",
    url: "https://data.caltech.edu/records/mzrjq-6wc02",
    licence: "CC BY 4.0",
    note: "101_ObjectCategories.tar.gz (0.1 GB), renamed to caltech-101, with caltech101_train.json and caltech101_test.json from https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/ beside the categories.",
};

/// Lists the folder.
pub fn list(datasets: &Path) -> Result<Listing> {
    let mut listing = Listing::new("CalTech-101", datasets.join(SOURCE.folder))?;
    let files = listing.files("", 1, &[".jpg"]);
    let mut categories: Vec<String> = files.iter().filter_map(|f| parent_name(f)).collect();
    categories.dedup();
    for (split, name) in [(Split::Train, "caltech101_train.json"), (Split::Test, "caltech101_test.json")] {
        let path = listing.root.join(name);
        let names: Vec<String> = json(&path)?;
        for name in &names {
            let file = listing.root.join(name.trim_start_matches('/'));
            let category = parent_name(&file).and_then(|c| categories.iter().position(|k| *k == c));
            let entry = Entry { pictures: vec![file], truth: Truth::Class(category.unwrap_or(0)) };
            listing.add(split, entry, Some(&path.display().to_string()));
        }
        listing.lists.push(path);
    }
    listing.labels = labels(&categories);
    Ok(listing)
}
