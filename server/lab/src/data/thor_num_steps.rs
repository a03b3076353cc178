//! AI2-THOR: how many steps forward until something is in the way.

use super::listing::{Entry, Listing, Truth, labels};
use super::{Source, Split, lines};
use crate::Result;
use std::path::Path;

/// Where it comes from.
pub const SOURCE: Source = Source {
    folder: "thor_num_steps",
    url: "https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/thor_num_steps.zip",
    licence: "AI2-THOR: Apache-2.0",
    note: "thor_num_steps.zip (0.7 GB) as it unpacks: {train,val}/SCENE/*_rgb.jpg and {train,val}_labels.txt with lines of a picture's path without `_rgb.jpg` and its number of steps.",
};

/// Lists the folder. The class is the number of steps, from 0 to the largest that occurs.
pub fn list(datasets: &Path) -> Result<Listing> {
    let mut listing = Listing::new("THORNumSteps", datasets.join(SOURCE.folder))?;
    let mut most = 0;
    for (split, name) in [(Split::Train, "train"), (Split::Test, "val")] {
        let path = listing.root.join(format!("{name}_labels.txt"));
        for (number, [picture, steps]) in lines(&path)? {
            let place = format!("{} line {number}", path.display());
            let Ok(steps) = steps.parse::<usize>() else {
                listing.problems.push(format!("{place}: `{steps}` is no number of steps"));
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
    Ok(listing)
}
