//! CLEVR v1.0: how many objects a rendered scene holds.

use super::listing::{Entry, Listing, Truth, labels};
use super::{Split, json};
use crate::Result;
use serde::Deserialize;
use virboard_core::protocol::Protocol;

#[derive(Deserialize)]
struct Scenes {
    scenes: Vec<Scene>,
}

#[derive(Deserialize)]
struct Scene {
    image_filename: String,
    objects: Vec<serde::de::IgnoredAny>,
}

/// Lists the folder. The class is the number of objects, from 0 to the largest that occurs.
pub fn list(listing: &mut Listing, _protocol: Protocol) -> Result<()> {
    let mut most = 0;
    for (split, name) in [(Split::Train, "train"), (Split::Test, "val")] {
        let path = listing.root.join(format!("scenes/CLEVR_{name}_scenes.json"));
        let scenes: Scenes = json(&path)?;
        for scene in scenes.scenes {
            let file = listing.root.join("images").join(name).join(&scene.image_filename);
            most = most.max(scene.objects.len());
            let entry = Entry { pictures: vec![file], truth: Truth::Class(scene.objects.len()) };
            listing.add(split, entry, Some(&path.display().to_string()));
        }
        listing.lists.push(path);
    }
    listing.labels = labels(&(0..=most).map(|n| n.to_string()).collect::<Vec<_>>());
    Ok(())
}
