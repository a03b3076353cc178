//! Loaded encoders, each loaded once and kept within a memory budget.

use crate::{Error, Result};
use candle_core::Device;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use virboard_core::catalogue::encoder::Encoder;
use virboard_core::catalogue::{Catalogue, Unknown};
use virboard_nn::checkpoint::Wanted;
use virboard_nn::encoder::{AtSide, Precision};
use virboard_nn::load::{self, LoadedEncoder};

/// File name endings of checkpoints, the preferred one first.
pub const ENDINGS: [&str; 5] = ["safetensors", "pt", "pth.tar", "pth", "torch"];

/// Finds checkpoints and keeps loaded encoders, the least recently used leaving first.
pub struct Registry {
    /// What is declared may change while the program runs.
    catalogue: RwLock<Arc<Catalogue>>,
    folders: Vec<PathBuf>,
    device: Device,
    precision: Precision,
    budget: usize,
    /// Checkpoints that lie elsewhere.
    files: Vec<(String, PathBuf)>,
    /// The most recently used at the end.
    loaded: Mutex<Vec<Arc<LoadedEncoder>>>,
}

impl Registry {
    /// Knows the encoders of `catalogue`; looks for checkpoints in `folders`, in this order; keeps at most `budget` bytes of
    /// weights loaded (always at least the one in use).
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>, folders: Vec<PathBuf>, device: Device, budget: usize) -> Self {
        let catalogue = RwLock::new(catalogue);
        let loaded = Mutex::new(Vec::new());
        Self { catalogue, folders, device, precision: Precision::F32, budget, files: Vec::new(), loaded }
    }

    /// What can be compared on what.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes another catalogue. Encoders of which it says something else are loaded anew when they are next asked for.
    pub fn replace(&self, catalogue: Arc<Catalogue>) {
        let before =
            std::mem::replace(&mut *self.catalogue.write().unwrap_or_else(PoisonError::into_inner), catalogue.clone());
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|e| before.encoder(&e.key) == catalogue.encoder(&e.key));
    }

    /// The same with checkpoints that lie elsewhere, which come before those in the folders.
    #[must_use]
    pub fn with_files(self, files: Vec<(String, PathBuf)>) -> Self {
        Self { files, ..self }
    }

    /// The same with ResNets in another precision.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the device cannot have it.
    pub fn with_precision(self, precision: Precision) -> Result<Self> {
        precision.check(&self.device)?;
        Ok(Self { precision, ..self })
    }

    /// How exactly ResNets compute.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The device on which encoders run.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The checkpoint of `key`, if there is one. `Random` needs none.
    #[must_use]
    pub fn checkpoint(&self, key: &str) -> Option<PathBuf> {
        let named = self.files.iter().find(|(k, _)| k == key).map(|(_, path)| path.clone());
        let declared = || self.catalogue().encoder(key)?.checkpoint.as_ref().map(PathBuf::from).filter(|p| p.is_file());
        named.or_else(declared).or_else(|| self.folders.iter().find_map(|folder| checkpoint_in(folder, key)))
    }

    /// How exactly an encoder computes here. One whose architecture is not declared is loaded for it.
    ///
    /// # Errors
    /// Whatever is wrong with its checkpoint.
    pub fn precision_of(&self, encoder: &Encoder) -> Result<Precision> {
        match encoder.architecture {
            Some(architecture) => Ok(load::describe(architecture)?.precision(self.precision)),
            None if self.precision.is_default() => Ok(self.precision),
            None => Ok(self.get(&encoder.key)?.precision),
        }
    }

    /// Whether `key` can be run here.
    #[must_use]
    pub fn available(&self, key: &str) -> bool {
        self.catalogue().encoder(key).is_some_and(|e| e.needs_no_file() || self.checkpoint(key).is_some())
    }

    /// Complains unless `key` can be run here.
    ///
    /// # Errors
    /// [`Error::NotCatalogued`] or [`Error::NoWeights`].
    pub fn check(&self, key: &str) -> Result<()> {
        self.entry(key)?;
        if self.available(key) { Ok(()) } else { Err(self.no_weights(key)) }
    }

    fn no_weights(&self, key: &str) -> Error {
        let folder = self.folders.first().cloned().unwrap_or_default();
        Error::NoWeights { key: key.to_owned(), path: folder.join(format!("{key}.safetensors")) }
    }

    /// The catalogue's row of `key`.
    ///
    /// # Errors
    /// [`Error::NotCatalogued`], which says what may have been meant.
    pub fn entry(&self, key: &str) -> Result<Arc<Encoder>> {
        let catalogue = self.catalogue();
        if let Some(entry) = catalogue.encoder(key) {
            return Ok(entry.clone());
        }
        Err(Unknown::encoder(&catalogue, key).into())
    }

    /// The encoder `key`, loaded at first use.
    ///
    /// # Errors
    /// [`Error::NotCatalogued`], [`Error::NoWeights`] or whatever is wrong with the checkpoint.
    pub fn get(&self, key: &str) -> Result<Arc<LoadedEncoder>> {
        let entry = self.entry(key)?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = loaded.iter().position(|e| e.key == key) {
            let encoder = loaded.remove(at);
            loaded.push(encoder.clone());
            return Ok(encoder);
        }
        let started = std::time::Instant::now();
        let encoder = if entry.needs_no_file() {
            load::random(key, &self.device, self.precision)?
        } else {
            let path = self.checkpoint(key).ok_or_else(|| self.no_weights(key))?;
            self.load(&entry, &path)?
        };
        tracing::info!(
            encoder = key,
            megabytes = encoder.bytes >> 20,
            seconds = started.elapsed().as_secs_f32(),
            "encoder loaded"
        );
        let encoder = Arc::new(encoder);
        loaded.push(encoder.clone());
        while loaded.len() > 1 && loaded.iter().map(|e| e.bytes).sum::<usize>() > self.budget {
            let old = loaded.remove(0);
            tracing::info!(encoder = old.key, "encoder unloaded to stay within the memory budget");
        }
        Ok(encoder)
    }

    /// The encoder of a row with the weights of a checkpoint, whatever weights it has here; it is not kept.
    ///
    /// # Errors
    /// Whatever is wrong with the checkpoint.
    pub fn load(&self, entry: &Encoder, checkpoint: &Path) -> Result<LoadedEncoder> {
        let wanted = wanted(entry);
        let loaded = if let Some(architecture) = entry.architecture {
            load::load(&entry.key, architecture, checkpoint, wanted.as_ref(), &self.device, self.precision)?
        } else {
            let loaded = load::load_any(checkpoint, wanted.as_ref(), &self.device, self.precision)?;
            LoadedEncoder { key: entry.key.clone(), ..loaded }
        };
        Ok(match entry.side {
            Some(side) => LoadedEncoder { network: Box::new(AtSide::new(loaded.network, side)), ..loaded },
            None => loaded,
        })
    }
}

/// Which network of its checkpoint an encoder is, where its row says so.
#[must_use]
pub fn wanted(encoder: &Encoder) -> Option<Wanted> {
    Wanted::of(None, encoder.prefix.as_deref())
}

fn checkpoint_in(folder: &Path, key: &str) -> Option<PathBuf> {
    ENDINGS.iter().map(|ending| folder.join(format!("{key}.{ending}"))).find(|path| path.is_file())
}
