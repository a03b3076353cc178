//! AI2-THOR: which action leads from one view to the next.

use super::listing::{Entry, Listing, Truth, labels};
use super::{Split, lines};
use crate::Result;
use virboard_core::protocol::Protocol;

/// The actions in label order.
const ACTIONS: [&str; 5] = ["MoveAhead", "RotateLeft", "RotateRight", "LookUp", "LookDown"];

/// Lists the folder.
pub fn list(listing: &mut Listing, _protocol: Protocol) -> Result<()> {
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
    Ok(())
}
