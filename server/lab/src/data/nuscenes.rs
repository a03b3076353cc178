//! nuScenes: which action a car takes between two views.

use super::listing::{Entry, Listing, Truth, labels};
use super::{Split, json};
use crate::Result;
use serde::Deserialize;
use virboard_core::protocol::Protocol;

#[derive(Deserialize)]
struct Pair {
    img_a: String,
    img_b: String,
    label: serde_json::Value,
}

impl Pair {
    fn label(&self) -> String {
        self.label.as_str().map_or_else(|| self.label.to_string(), str::to_owned)
    }
}

/// Lists the folder. Classes are the labels of the training list in the order of their names.
pub fn list(listing: &mut Listing, _protocol: Protocol) -> Result<()> {
    let mut actions: Vec<String> = Vec::new();
    for (split, name) in [(Split::Train, "nuScenes_train.json"), (Split::Test, "nuScenes_test.json")] {
        let path = listing.root.join(name);
        let pairs: Vec<Pair> = json(&path)?;
        if split == Split::Train {
            actions = pairs.iter().map(Pair::label).collect();
            actions.sort();
            actions.dedup();
        }
        for pair in pairs {
            let place = path.display().to_string();
            let Some(action) = actions.iter().position(|a| *a == pair.label()) else {
                listing
                    .problems
                    .push(format!("{place}: the label `{}` is not among the training labels", pair.label()));
                continue;
            };
            let pictures = [pair.img_a, pair.img_b].map(|p| listing.root.join(p)).to_vec();
            listing.add(split, Entry { pictures, truth: Truth::Class(action) }, Some(&place));
        }
        listing.lists.push(path);
    }
    listing.labels = labels(&actions);
    Ok(())
}
