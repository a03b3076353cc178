//! What ships with Virboard: photographs to try, and the scores of the sample heads.

use super::Virboard;
use crate::store::{Epoch, Store, StoredResult};
use serde::{Deserialize, Serialize};
use std::path::Path;
use virboard_app::api::SamplePhoto;
use virboard_core::results::ResultCell;

/// File below the samples' folder that holds the scores.
pub const SCORES: &str = "results.json";

/// A score that ships with Virboard, with the curve of its run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShippedScore {
    /// The score.
    pub result: ResultCell,
    /// Its run's epochs.
    pub epochs: Vec<Epoch>,
}

/// Puts the shipped scores into the store, unless they are there.
pub async fn import_scores(store: &Store, samples: &Path) {
    let path = samples.join(SCORES);
    let read = std::fs::read(&path).map_err(|e| e.to_string());
    let parsed = read.and_then(|bytes| serde_json::from_slice::<Vec<ShippedScore>>(&bytes).map_err(|e| e.to_string()));
    let shipped = match parsed {
        Ok(shipped) => shipped,
        Err(error) => {
            tracing::warn!(path = %path.display(), error, "the shipped scores cannot be read; the leaderboard goes without them");
            return;
        }
    };
    let row = |s: ShippedScore| {
        (StoredResult { run: None, result: s.result, head: String::new(), predictions: String::new() }, s.epochs)
    };
    let rows: Vec<_> = shipped.into_iter().map(row).collect();
    match store.add_results(&rows).await {
        Ok(0) => {}
        Ok(added) => tracing::info!(added, "shipped scores were added"),
        Err(error) => tracing::warn!(%error, "the shipped scores could not be added"),
    }
}

/// A line of `public/samples/photos.json`.
#[derive(Debug, Deserialize)]
struct Listed {
    file: String,
    /// File of a second view of the same.
    second: Option<String>,
    title: String,
    credit: String,
}

impl Virboard {
    /// Takes in the photographs that ship with Virboard, so that each has an address.
    pub(super) async fn import_sample_photos(&self, folder: &Path) -> Vec<SamplePhoto> {
        let list = folder.join("photos.json");
        let listed = std::fs::read(&list).map_err(|e| e.to_string());
        let listed: Vec<Listed> = match listed.and_then(|b| serde_json::from_slice(&b).map_err(|e| e.to_string())) {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(path = %list.display(), error, "the sample photographs cannot be listed");
                return Vec::new();
            }
        };
        let mut photos = Vec::new();
        for photo in listed {
            let Ok(bytes) = tokio::fs::read(folder.join(&photo.file)).await else {
                tracing::warn!(file = photo.file, "a sample photograph is missing");
                continue;
            };
            let stem = photo.file.split('.').next().unwrap_or_default();
            let second = match &photo.second {
                Some(file) => match tokio::fs::read(folder.join(file)).await {
                    Ok(bytes) => self.add_photo(bytes).await.ok().map(|info| info.sha256),
                    Err(_) => None,
                },
                None => None,
            };
            match self.add_photo(bytes).await {
                Ok(info) => photos.push(SamplePhoto {
                    sha256: info.sha256,
                    second,
                    title: photo.title,
                    credit: photo.credit,
                    thumbnail: format!("/samples/thumbnails/{stem}.webp"),
                }),
                Err(error) => tracing::warn!(file = photo.file, %error, "a sample photograph cannot be used"),
            }
        }
        photos
    }
}
