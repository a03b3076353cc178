//! Which heads are here, and the loaded ones.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use virboard_core::catalogue::Catalogue;
use virboard_core::catalogue::encoder::Encoder;
use virboard_lab::head::{Head, OWN_TASK};
use virboard_lab::registry::{Registry, wanted};
use virboard_lab::work::head_path;
use virboard_nn::device::Device;
use virboard_nn::files::sha256_file;
use virboard_nn::load::{LoadedEncoder, has_classifier};

/// Head files, own ones before those that ship with Virboard.
pub struct Heads {
    folders: Vec<PathBuf>,
    registry: Arc<Registry>,
    /// Which checkpoints have a classification layer of their own, as of when they were changed.
    own: Mutex<HashMap<PathBuf, (SystemTime, bool)>>,
    loaded: Mutex<HashMap<(String, String), Loaded>>,
    versions: Mutex<HashMap<PathBuf, (SystemTime, String)>>,
}

struct Loaded {
    version: String,
    head: Arc<Head>,
}

impl Heads {
    /// Heads below `folders`, as `ENCODER/TASK.safetensors`, for the encoders of `registry`.
    #[must_use]
    pub fn new(folders: Vec<PathBuf>, registry: Arc<Registry>) -> Self {
        Self { folders, registry, own: Mutex::default(), loaded: Mutex::default(), versions: Mutex::default() }
    }

    /// Keys of the tasks for which `encoder` has a head, its own classification layer included.
    #[must_use]
    pub fn tasks(&self, encoder: &Encoder, catalogue: &Catalogue) -> Vec<String> {
        let mut tasks = BTreeSet::new();
        if self.has_own_head(&encoder.key) {
            tasks.insert(OWN_TASK.to_owned());
        }
        for folder in &self.folders {
            for entry in std::fs::read_dir(folder.join(&encoder.key)).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let Some(task) = name.to_str().and_then(|n| n.strip_suffix(".safetensors")) else { continue };
                if catalogue.task(task).is_some() {
                    tasks.insert(task.to_owned());
                }
            }
        }
        // In the catalogue's order.
        let order = |key: &String| catalogue.tasks().iter().position(|t| t.key == *key);
        let mut tasks: Vec<String> = tasks.into_iter().collect();
        tasks.sort_by_key(order);
        tasks
    }

    /// A short name for the head's weights; changes when the head is trained again.
    #[must_use]
    pub fn version(&self, encoder: &str, task: &str) -> Option<String> {
        let Some(path) = self.path(encoder, task) else {
            return (task == OWN_TASK && self.has_own_head(encoder)).then(|| "own".to_owned());
        };
        let modified = std::fs::metadata(&path).and_then(|m| m.modified()).ok()?;
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((time, version)) = versions.get(&path)
            && *time == modified
        {
            return Some(version.clone());
        }
        let version = sha256_file(&path).ok()?[..12].to_owned();
        versions.insert(path, (modified, version.clone()));
        Some(version)
    }

    /// The head for a task on a loaded encoder; loaded at first use and when it changes.
    pub fn get(&self, encoder: &LoadedEncoder, task: &str, device: &Device) -> virboard_lab::Result<Option<Arc<Head>>> {
        let Some(version) = self.version(&encoder.key, task) else { return Ok(None) };
        let key = (encoder.key.clone(), task.to_owned());
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = loaded.get(&key)
            && there.version == version
        {
            return Ok(Some(there.head.clone()));
        }
        let head = match self.path(&encoder.key, task) {
            Some(path) => Head::load(&path, device)?,
            None => match Head::own(encoder) {
                Some(head) => head,
                None => return Ok(None),
            },
        };
        let head = Arc::new(head);
        loaded.insert(key, Loaded { version, head: head.clone() });
        Ok(Some(head))
    }

    fn path(&self, encoder: &str, task: &str) -> Option<PathBuf> {
        self.folders.iter().map(|folder| head_path(folder, encoder, task)).find(|path| path.is_file())
    }

    /// Whether the encoder's checkpoint is here and has a classification layer.
    fn has_own_head(&self, encoder: &str) -> bool {
        let Some(path) = self.registry.checkpoint(encoder) else { return false };
        let Ok(modified) = std::fs::metadata(&path).and_then(|m| m.modified()) else { return false };
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((time, has)) = own.get(&path)
            && *time == modified
        {
            return *has;
        }
        // What is wrong with a file is said when it is loaded.
        let row = self.registry.catalogue().encoder(encoder).cloned();
        let wanted = row.as_deref().and_then(wanted);
        let has = has_classifier(&path, wanted.as_ref()).unwrap_or(false);
        own.insert(path, (modified, has));
        has
    }
}
