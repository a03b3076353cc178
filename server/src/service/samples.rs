//! What ships with Virboard: photographs to try, and the scores of the sample heads.

use super::Virboard;
use crate::store::Store;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Deserialize;
use std::io::Read;
use std::path::{Path, PathBuf};
use virboard_app::api::SamplePhoto;
use virboard_core::run::Run;
use virboard_lab::work::key;
use virboard_nn::files::write_atomically;

/// File below the samples' folder that holds the scores.
pub const SCORES: &str = "results.json.gz";
/// The scores of encoders that differ from others in the seed of their training alone.
pub const SEEDS: &str = "seeds.json.gz";
/// Bytes of scores that are read at most.
const MOST: u64 = 1 << 28;

/// Why the shipped scores cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct ScoresError {
    path: PathBuf,
    reason: String,
}

/// The scores of a file that ships with Virboard, with the curves of their runs.
///
/// # Errors
/// [`ScoresError`].
pub fn shipped(path: &Path) -> Result<Vec<Run>, ScoresError> {
    let parsed = std::fs::read(path).map_err(|e| e.to_string()).and_then(|packed| {
        let mut json = Vec::new();
        GzDecoder::new(&*packed).take(MOST).read_to_end(&mut json).map_err(|e| e.to_string())?;
        serde_json::from_slice::<Vec<Run>>(&json).map_err(|e| e.to_string())
    });
    let mut runs = parsed.map_err(|reason| ScoresError { path: path.to_path_buf(), reason })?;
    // Some shipped before there were keys.
    for evidence in runs.iter_mut().map(|r| &mut r.score.evidence).filter(|e| e.key.is_empty()) {
        evidence.key = key::of_settings(&evidence.configuration);
    }
    Ok(runs)
}

/// Writes scores as they ship.
///
/// # Errors
/// [`virboard_lab::Error`] for a file that cannot be written.
pub fn ship(path: &Path, runs: &[Run]) -> virboard_lab::Result<()> {
    write_atomically(path, |file| {
        let io = virboard_lab::Error::io(path);
        let mut packed = GzEncoder::new(file, Compression::best());
        let written = serde_json::to_writer(&mut packed, runs).map_err(std::io::Error::from);
        written.and_then(|()| packed.finish().map(drop)).map_err(io)
    })
}

/// Puts the shipped scores into the store, unless they are there.
pub async fn import_scores(store: &Store, samples: &Path) {
    let file = samples.join(SCORES);
    let runs = match tokio::task::spawn_blocking(move || shipped(&file)).await {
        Ok(Ok(runs)) => runs,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the shipped scores cannot be read; the leaderboard goes without them");
            return;
        }
        Err(error) => {
            tracing::warn!(%error, "the shipped scores cannot be read; the leaderboard goes without them");
            return;
        }
    };
    match store.add_runs(&runs).await {
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
    /// Whether it is no photograph but a rendered scene.
    #[serde(default)]
    rendered: bool,
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
                    rendered: photo.rendered,
                    thumbnail: format!("/samples/thumbnails/{stem}.webp"),
                }),
                Err(error) => tracing::warn!(file = photo.file, %error, "a sample photograph cannot be used"),
            }
        }
        photos
    }
}
