//! Uploaded pictures and the pictures made of them.

use super::Result;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use std::path::Path;
use std::sync::Arc;

/// What is written to see whether there is room.
const PROBE: &str = "originals/probe";
/// As large as a small photo.
const PROBE_BYTES: usize = 1 << 16;

/// A store of bytes by name. A name appears with all its bytes or not at all.
#[derive(Debug, Clone)]
pub struct Blobs(Arc<dyn ObjectStore>);

impl Blobs {
    /// Blobs as files below `folder`; where that cannot be made because nothing may be written, there are none.
    pub fn open(folder: &Path, read_only: bool) -> std::result::Result<Self, object_store::Error> {
        if read_only && !folder.is_dir() {
            return Ok(Self(Arc::new(InMemory::new())));
        }
        std::fs::create_dir_all(folder)
            .map_err(|e| object_store::Error::Generic { store: "local", source: Box::new(e) })?;
        // A killed upload leaves the store's staging file, `NAME#1`; nobody reads it.
        for entry in std::fs::read_dir(folder.join("originals")).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().contains('#') {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(Self(Arc::new(LocalFileSystem::new_with_prefix(folder)?)))
    }

    /// Writes a blob.
    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<()> {
        self.0.put(&Key::from(key), PutPayload::from(bytes)).await?;
        Ok(())
    }

    /// Reads a blob.
    pub async fn get(&self, key: &str) -> Result<Vec<u8>> {
        Ok(self.0.get(&Key::from(key)).await?.bytes().await?.to_vec())
    }

    /// Writes something and takes it away again, to see whether there is room.
    pub async fn probe(&self) -> Result<()> {
        self.put(PROBE, vec![0; PROBE_BYTES]).await?;
        match self.0.delete(&Key::from(PROBE)).await {
            // Another one was quicker.
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a blob is there.
    pub async fn has(&self, key: &str) -> bool {
        self.0.head(&Key::from(key)).await.is_ok()
    }
}
