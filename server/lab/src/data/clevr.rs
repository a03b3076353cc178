//! CLEVR v1.0: how many objects a rendered scene holds.

use super::listing::{Entry, Listing, Truth, labels};
use super::{Source, Split, json};
use crate::Result;
use serde::Deserialize;
use std::path::Path;

/// Where it comes from.
pub const SOURCE: Source = Source {
    folder: "CLEVR",
    url: "https://dl.fbaipublicfiles.com/clevr/CLEVR_v1.0.zip",
    licence: "CC BY 4.0",
    note: "CLEVR_v1.0.zip (20 GB) as it unpacks: images/{train,val}/*.png and scenes/CLEVR_{train,val}_scenes.json. The val split is the test.",
};

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
pub fn list(datasets: &Path) -> Result<Listing> {
    let mut listing = Listing::new("CLEVRNumObjects", datasets.join(SOURCE.folder))?;
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
    Ok(listing)
}
