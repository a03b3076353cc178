//! Use cases: what the pages, the REST interface and the command line all call.

pub mod alignments;
pub mod backend;
pub mod batcher;
pub mod blobs;
pub mod contents;
pub mod cost;
pub mod datasets;
pub mod declared;
pub mod decoders;
pub mod doctor;
pub mod engine;
pub mod error;
pub mod estimate;
pub mod export;
pub mod extract;
pub mod fetch;
pub mod heads;
pub mod import;
pub mod jobs;
pub mod kinds;
pub mod metrics;
pub mod miniature;
#[cfg(test)]
mod mutations;
pub mod open_data;
pub mod own_data;
pub mod packs;
pub mod people;
pub mod pictures;
pub mod places;
pub mod plan;
pub mod precision;
pub mod predictions;
pub mod queue;
pub mod runs;
pub mod samples;
mod trainings;
pub mod uploads;
pub mod virb_config;
pub mod worker;
pub mod working;

use crate::store::{Store, StoreError};
use batcher::Batcher;
use blobs::Blobs;
use decoders::Decoders;
use engine::{Engine, Local};
pub use error::{Result, ServiceError};
use heads::Heads;
use people::People;
use precision::Choice;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use uploads::{Upload, Uploads};
use virboard_app::api::{EncoderState, SamplePhoto};
use virboard_core::catalogue::Catalogue;
use virboard_lab::data::Places;
use virboard_lab::features::Cache;
use virboard_lab::registry::Registry;
use virboard_lab::work::{Folders, Lab};
use virboard_nn::device::Device;

/// Where everything lies.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Checkpoints, features, heads, uploads and the database.
    pub data: PathBuf,
    /// What ships with Virboard: sample encoders, heads, photographs and their scores.
    pub samples: PathBuf,
    /// Whether the encoders that ship are left out, since they are made again.
    pub anew: bool,
    /// Static files: sample photographs, icons.
    pub public: PathBuf,
    /// `auto`, `cpu` or `cuda:N`.
    pub device: String,
    /// How exactly encoders compute.
    pub precision: Choice,
    /// Bytes of encoder weights that stay loaded.
    pub memory: usize,
    /// Predictions that may wait for the device.
    pub queue: usize,
    /// Most bytes of cached features.
    pub cache_limit: u64,
    /// Checkpoints that lie elsewhere than in the data folder, by their encoders' keys.
    pub checkpoints: Vec<(String, PathBuf)>,
}

impl Settings {
    /// Folders for the lab.
    #[must_use]
    pub fn folders(&self) -> Folders {
        Folders {
            places: Places {
                samples: self.samples.clone(),
                datasets: self.data.join("datasets"),
                hashes: self.data.join("features"),
            },
            cache: Cache { folder: self.data.join("features"), limit: self.cache_limit },
            data: self.data.clone(),
        }
    }

    /// What work has at hand.
    pub fn lab(&self) -> virboard_lab::Result<Lab> {
        let (folders, registry) = (self.folders(), Arc::new(self.registry()?));
        Ok(Lab { folders, registry, version: crate::VERSION.to_owned() })
    }

    /// What can be compared on what: built-in rows, and those that files declare. Files with mistakes are told in
    /// the log.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        let declared = self.declared();
        for refused in &declared.refused {
            tracing::warn!("left out: {}", refused.reason);
        }
        declared.catalogue
    }

    /// The folder of what ships, if the encoders that ship are in the catalogue.
    fn shipped(&self) -> Option<&Path> {
        (!self.anew).then_some(self.samples.as_path())
    }

    /// Everything that files declare, and what is wrong with some.
    pub(crate) fn declared(&self) -> declared::Declared {
        self.declared_without(None)
    }

    /// The same as it is beside one of the data sets.
    pub(crate) fn declared_without(&self, dataset: Option<&str>) -> declared::Declared {
        let mut declared = declared::read(&self.data, self.shipped());
        own_data::join(&mut declared, &self.folders().places, dataset);
        declared
    }

    /// Checkpoints and sample encoders, ready to be loaded.
    pub fn registry(&self) -> virboard_lab::Result<Registry> {
        self.registry_on(virboard_nn::device::open(&self.device)?)
    }

    /// The same on a device that is open.
    pub(crate) fn registry_on(&self, device: Device) -> virboard_lab::Result<Registry> {
        let precision = self.precision.resolve(&device, &self.data)?;
        let folders = vec![self.data.join("checkpoints"), self.samples.join("encoders")];
        let registry =
            Registry::new(self.catalogue(), folders, device, self.memory).with_files(self.checkpoints.clone());
        registry.with_precision(precision)
    }

    /// The database in the data folder, which is made if need be.
    pub async fn store(&self) -> std::result::Result<Store, OpenError> {
        std::fs::create_dir_all(&self.data).map_err(|source| OpenError::Folder { path: self.data.clone(), source })?;
        Ok(Store::open(&self.data.join("virboard.db"), &self.catalogue()).await?)
    }

    /// The queue of jobs beside that database.
    #[must_use]
    pub fn engine(&self, store: &Store) -> Engine {
        Engine::Local(Local::new(store.clone()))
    }
}

/// Why Virboard could not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder cannot be used.
    #[error("the data folder {path} cannot be used: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lab cannot be used.
    #[error(transparent)]
    Lab(#[from] virboard_lab::Error),
    /// The queue of jobs cannot be used.
    #[error(transparent)]
    Engine(#[from] engine::EngineError),
    /// The uploads folder cannot be used.
    #[error("the uploads folder cannot be used: {0}")]
    Blobs(#[from] object_store::Error),
    /// The device's thread cannot be started.
    #[error("the thread that computes could not be started: {0}")]
    Thread(std::io::Error),
}

impl From<virboard_nn::Error> for OpenError {
    fn from(error: virboard_nn::Error) -> Self {
        virboard_lab::Error::from(error).into()
    }
}

/// The application: cheap to clone, shared by all requests.
#[derive(Clone)]
pub struct Virboard {
    store: Store,
    engine: Engine,
    blobs: Blobs,
    registry: Arc<Registry>,
    heads: Arc<Heads>,
    batcher: Batcher,
    decoders: Decoders,
    uploads: Uploads,
    photos: Arc<Vec<SamplePhoto>>,
    contents: Arc<contents::Contents>,
    explorer: Arc<runs::Explorer>,
    alignments: Vec<PathBuf>,
    people: People,
    /// Where files declare encoders and data sets.
    settings: Settings,
}

impl Virboard {
    /// Opens the data folder, cleans up after killed processes and starts the device's thread.
    pub async fn open(settings: &Settings) -> std::result::Result<Self, OpenError> {
        let store = settings.store().await?;
        let engine = settings.engine(&store);
        if !store.is_read_only() {
            worker::clean_up(settings, &store, &engine).await?;
        }
        let blobs = Blobs::open(&settings.data.join("uploads"), store.is_read_only())?;
        // A precision may have to be measured first.
        let of = settings.clone();
        let registry = tokio::task::spawn_blocking(move || of.registry()).await.map_err(std::io::Error::other);
        let registry = Arc::new(registry.map_err(OpenError::Thread)??);
        let folders = vec![settings.data.join("heads"), settings.samples.join("heads")];
        let heads = Arc::new(Heads::new(folders, registry.clone()));
        let batcher = Batcher::start(registry.clone(), heads.clone(), settings.queue).map_err(OpenError::Thread)?;
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let mut app = Self {
            people: People::new(store.clone()),
            store,
            engine,
            blobs,
            registry,
            heads,
            batcher,
            decoders: Decoders::new(cores),
            uploads: Uploads::default(),
            photos: Arc::default(),
            contents: Arc::default(),
            explorer: Arc::default(),
            alignments: vec![alignments::folder(&settings.data), alignments::folder(&settings.samples)],
            settings: settings.clone(),
        };
        if !app.store.is_read_only() {
            samples::import_scores(&app.store, &settings.samples).await;
        }
        app.photos = Arc::new(app.import_sample_photos(&settings.public.join("samples")).await);
        Ok(app)
    }

    /// Whether the server can answer, in a word: the database does, the device's thread is there, and there is room for
    /// photos.
    pub async fn ready(&self) -> Result<&'static str> {
        self.store.ping().await?;
        if !self.batcher.is_alive() {
            return Err(ServiceError::Stopped);
        }
        if self.store.is_read_only() {
            return Ok("ready, read-only");
        }
        self.blobs.probe().await?;
        Ok("ready")
    }

    /// Ends the device's thread by a defect, as tests need it.
    #[cfg(test)]
    pub(crate) async fn end_device(&mut self) {
        self.batcher = Batcher::ended().await;
    }

    /// Begins an upload, which takes room as its bytes arrive.
    pub fn admit(&self) -> Upload {
        self.uploads.begin()
    }

    /// What the server measures of itself, in Prometheus' text format.
    #[must_use]
    pub fn metrics(&self) -> String {
        let computed = self.batcher.computed();
        metrics::render(computed.batches.load(Relaxed), computed.pictures.load(Relaxed), self.uploads.count())
    }

    /// Loads up to `most` encoders that have heads, with their heads, and runs each once, so
    /// that nobody's first photo waits for them.
    pub async fn warm(&self, most: usize) {
        let states = match self.encoder_states().await {
            Ok(states) => states,
            Err(error) => {
                tracing::warn!(%error, "nothing could be warmed");
                return;
            }
        };
        let catalogue = self.catalogue();
        for state in states.into_iter().filter(|s| !s.heads.is_empty()).take(most) {
            let one = |task: &String| catalogue.task(task).is_some_and(|t| t.images == 1);
            let tasks = state.heads.into_iter().filter(one).collect();
            let Some(encoder) = catalogue.encoder(&state.key) else { continue };
            let input = match self.preprocessing(encoder).await {
                Ok(preprocessing) => preprocessing.blank(),
                Err(error) => {
                    tracing::warn!(encoder = state.key, %error, "could not be warmed");
                    continue;
                }
            };
            match self.batcher.predict(&state.key, tasks, vec![input]).await {
                Ok(answer) => {
                    tracing::info!(encoder = state.key, milliseconds = answer.costs.encoder, "warm");
                }
                Err(error) => tracing::warn!(encoder = state.key, %error, "could not be warmed"),
            }
        }
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The queue of jobs.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Users, and who asks.
    #[must_use]
    pub fn people(&self) -> &People {
        &self.people
    }

    /// What can be compared on what.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.registry.catalogue()
    }

    /// Reads again what files declare, and takes it over if it is another.
    async fn reread(&self) -> Result<()> {
        let settings = self.settings.clone();
        let declared = tokio::task::spawn_blocking(move || settings.declared()).await?;
        if declared.catalogue == self.catalogue() {
            return Ok(());
        }
        for refused in &declared.refused {
            tracing::warn!("left out: {}", refused.reason);
        }
        self.store.sync(&declared.catalogue).await?;
        self.registry.replace(declared.catalogue);
        tracing::info!("the catalogue has changed");
        Ok(())
    }

    /// What is here of each encoder of the catalogue.
    #[must_use]
    pub fn encoders(&self) -> Vec<EncoderState> {
        let catalogue = self.catalogue();
        catalogue
            .encoders()
            .iter()
            .map(|e| {
                let weights = self.registry.available(&e.key);
                let heads = if weights { self.heads.tasks(e, &catalogue) } else { Vec::new() };
                EncoderState { key: e.key.clone(), name: e.name.clone(), weights, heads }
            })
            .collect()
    }

    /// The same, on a thread that may wait for files.
    pub async fn encoder_states(&self) -> Result<Vec<EncoderState>> {
        let app = self.clone();
        Ok(tokio::task::spawn_blocking(move || app.encoders()).await?)
    }

    /// Photographs that one can try.
    #[must_use]
    pub fn photos(&self) -> Vec<SamplePhoto> {
        self.photos.to_vec()
    }
}
