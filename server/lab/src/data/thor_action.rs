//! AI2-THOR: which action leads from one view to the next.

use super::listing::{Entry, Listing, Truth, labels};
use super::{Source, Split, lines};
use crate::Result;
use std::path::Path;

/// Where it comes from.
pub const SOURCE: Source = Source {
    folder: "thor_action_prediction",
    url: "https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/thor_egomotion.zip",
    licence: "AI2-THOR: Apache-2.0",
    note: "thor_egomotion.zip (1.3 GB) as it unpacks, renamed to thor_action_prediction: {train,val}_labels.txt with lines of a path and an action, and PATH_rgb_a.jpg, PATH_rgb_b.jpg.",
};

/// The actions in label order.
const ACTIONS: [&str; 5] = ["MoveAhead", "RotateLeft", "RotateRight", "LookUp", "LookDown"];

/// Lists the folder.
pub fn list(datasets: &Path) -> Result<Listing> {
    let mut listing = Listing::new("THORActionPrediction", datasets.join(SOURCE.folder))?;
    for (split, name) in [(Split::Train, "train"), (Split::Test, "val")] {
        let path = listing.root.join(format!("{name}_labels.txt"));
        for (number, [pair, action]) in lines(&path)? {
            let place = format!("{} line {number}", path.display());
            let Some(action) = ACTIONS.iter().position(|a| *a == action) else {
                listing.problems.push(format!("{place}: `{action}` is none of {}", ACTIONS.join(", ")));
                continue;
            };
            let pictures = ["a", "b"].map(|view| listing.root.join(format!("{pair}_rgb_{view}.jpg"))).to_vec();
            listing.add(split, Entry { pictures, truth: Truth::Class(action) }, Some(&place));
        }
        listing.lists.push(path);
    }
    listing.labels = labels(&ACTIONS);
    Ok(listing)
}
