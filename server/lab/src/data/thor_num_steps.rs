//! AI2-THOR: how many steps forward until something is in the way.

use super::listing::{Entry, Listing, Truth, labels};
use super::{Split, lines};
use crate::Result;
use virboard_core::protocol::Protocol;

/// More steps than any room has; a label is made for each number up to the largest that occurs.
const MOST: usize = 1000;

/// Lists the folder. The class is the number of steps, from 0 to the largest that occurs.
pub fn list(listing: &mut Listing, _protocol: Protocol) -> Result<()> {
    let mut most = 0;
    for (split, name) in [(Split::Train, "train"), (Split::Test, "val")] {
        let path = listing.root.join(format!("{name}_labels.txt"));
        for (number, [picture, steps]) in lines(&path)? {
            let place = format!("{} line {number}", path.display());
            let Some(steps) = steps.parse::<usize>().ok().filter(|n| *n <= MOST) else {
                listing.problems.push(format!("{place}: `{steps}` is no number of steps (0 to {MOST})"));
                continue;
            };
            most = most.max(steps);
            let entry =
                Entry { pictures: vec![listing.root.join(format!("{picture}_rgb.jpg"))], truth: Truth::Class(steps) };
            listing.add(split, entry, Some(&place));
        }
        listing.lists.push(path);
    }
    listing.labels = labels(&(0..=most).map(|n| n.to_string()).collect::<Vec<_>>());
    Ok(())
}
