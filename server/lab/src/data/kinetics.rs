//! Kinetics-400: the action in a clip, from six of its frames.

use super::left_out::Why;
use super::listing::{Entry, Listing, Truth, labels, stem};
use super::{Split, json};
use crate::Result;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use virboard_core::protocol::Protocol;

/// Frames of a sample.
const FRAMES: usize = 6;

#[derive(Deserialize)]
struct Clip {
    annotations: Annotation,
}

#[derive(Deserialize)]
struct Annotation {
    label: String,
}

/// Lists the folder. Clips with fewer than six frames are left out, as ViRB does; of more the
/// first six by name are taken.
pub fn list(listing: &mut Listing, _protocol: Protocol) -> Result<()> {
    let mut actions: Vec<String> = Vec::new();
    for (split, name) in [(Split::Train, "train"), (Split::Test, "validate")] {
        let path = listing.root.join(format!("annotations/{name}.json"));
        let clips: BTreeMap<String, Clip> = json(&path)?;
        if split == Split::Train {
            actions = clips.values().map(|c| c.annotations.label.clone()).collect();
            actions.sort();
            actions.dedup();
        }
        let mut frames: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for file in listing.files(name, 1, &[".jpg", ".jpeg", ".png"]) {
            if let Some((clip, _)) = stem(&file).rsplit_once('_') {
                frames.entry(clip.to_owned()).or_default().push(file);
            }
        }
        for (id, clip) in clips {
            let Some(action) = actions.iter().position(|a| *a == clip.annotations.label) else {
                listing.problems.push(format!(
                    "{}: the label `{}` is not among the training labels",
                    path.display(),
                    clip.annotations.label
                ));
                continue;
            };
            let Some(mut pictures) = frames.remove(&id) else { continue };
            if pictures.len() < FRAMES {
                listing.left_out.add(Why::ShortClip, &pictures[0]);
                continue;
            }
            pictures.truncate(FRAMES);
            listing.add(split, Entry { pictures, truth: Truth::Class(action) }, None);
        }
        frames.values().flatten().for_each(|frame| listing.left_out.add(Why::StrangeFrame, frame));
        listing.lists.push(path);
    }
    listing.labels = labels(&actions);
    Ok(())
}
