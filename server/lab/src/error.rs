//! What can go wrong in minutes of work, each with what failed and what to do.

mod packs;
mod pictures;

pub use packs::PackError;
pub use pictures::PicturesError;

use std::path::{Path, PathBuf};

/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error that names the file, data set or sample it is about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A network, a checkpoint, the device or the disk.
    #[error(transparent)]
    Network(#[from] virboard_nn::Error),
    /// A file that Virboard wrote itself cannot be used.
    #[error("{path} is no usable {what}: {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What it should be, such as `feature cache`.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Features would not fit the cache.
    #[error("the features need {bytes} bytes and the cache {folder} may hold {limit}; raise --cache-limit")]
    CacheLimit {
        /// What they need.
        bytes: u64,
        /// What is allowed.
        limit: u64,
        /// The cache.
        folder: PathBuf,
    },
    /// An image cannot be used.
    #[error(transparent)]
    Image(#[from] crate::image::ImageError),
    /// A picture's file cannot be used.
    #[error("{path}: {source}")]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: crate::image::ImageError,
    },
    /// Pictures that an encoder is to be trained on cannot be used.
    #[error(transparent)]
    TrainingPictures(#[from] PicturesError),
    /// A small data set cannot be made of its original.
    #[error(transparent)]
    Packing(Box<PackError>),
    /// A data set's folder is not as it should be.
    #[error("data set {dataset}: {reason}")]
    Dataset {
        /// Key of the task.
        dataset: String,
        /// What is wrong and where.
        reason: String,
    },
    /// A head file cannot be used with this encoder.
    #[error("head {path}: {reason}")]
    Head {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No weights for this encoder are here.
    #[error("no weights for encoder {key}: put its checkpoint at {path}")]
    NoWeights {
        /// Key of the encoder.
        key: String,
        /// Where a checkpoint would be found.
        path: PathBuf,
    },
    /// A key that the catalogue does not have.
    #[error(transparent)]
    NotCatalogued(#[from] virboard_core::catalogue::Unknown),
    /// A name that is not among those that there are.
    #[error("there is no {what} called `{key}`; known are {known}")]
    Unknown {
        /// What it should name, such as `layer`.
        what: &'static str,
        /// The name as it was given.
        key: String,
        /// The names that would do.
        known: String,
    },
    /// A training went astray.
    #[error("the loss of {task} on {encoder} is no longer a number in epoch {epoch}; lower the learning rate")]
    Diverged {
        /// Key of the task.
        task: String,
        /// Key of the encoder.
        encoder: String,
        /// The epoch, from 1.
        epoch: u32,
    },
    /// An encoder cannot be trained along with a head.
    #[error(
        "{encoder} cannot be fine-tuned: {architecture} can be run, but not trained whole; ResNets with batch normalisations and the vision transformers of timm and DINO can be"
    )]
    NotTrainable {
        /// Key of the encoder.
        encoder: String,
        /// What it is.
        architecture: String,
    },
    /// A task that trains no head of its own.
    #[error("{task} has nothing to fine-tune on: it tests a head that another task trains; name that one instead")]
    NothingTrained {
        /// Key of the task.
        task: String,
    },
    /// A setting of a fine-tuning.
    #[error("the {setting} of a fine-tuning is {value}; it must be {range}")]
    FineTuning {
        /// Which.
        setting: &'static str,
        /// What was said.
        value: String,
        /// What it can be.
        range: &'static str,
    },
    /// A layer has what is no number.
    #[error("the layer {layer} of {encoder} puts out numbers that are not finite; are its weights damaged?")]
    NotFiniteLayer {
        /// Key of the encoder.
        encoder: String,
        /// The layer.
        layer: String,
    },
    /// A layer is the same on all pictures, so that it cannot be compared with another.
    #[error(
        "the layer {layer} of {encoder} is the same on all {images} pictures, and what does not vary cannot be compared; take pictures that differ"
    )]
    NothingToAlign {
        /// Key of the encoder.
        encoder: String,
        /// The layer; `img` is the pictures themselves.
        layer: String,
        /// Number of pictures.
        images: usize,
    },
    /// A head answers with what is no number.
    #[error("the head of {task} puts out numbers that are not finite; train it again")]
    NotFinite {
        /// Key of the task.
        task: String,
    },
    /// An encoder makes of a picture what is no number.
    #[error(
        "{layer} of {picture} has numbers that are not finite, so that nothing was written; the checkpoint is damaged or its training went astray: take another one"
    )]
    NotFiniteFeatures {
        /// Name of the layer.
        layer: String,
        /// The picture.
        picture: PathBuf,
    },
    /// An embedding has no direction, so that nothing can be compared with it.
    #[error(
        "the embedding of {picture} is 0 throughout, so that nothing can be compared with it; take other pictures, or another checkpoint if it is so of all"
    )]
    ZeroEmbedding {
        /// The picture.
        picture: PathBuf,
    },
    /// A head belongs to other weights than are here.
    #[error(
        "the head for {task} was trained on other weights of {encoder} than are here; train it again with `virboard evaluate --encoders {encoder} --tasks {task}`"
    )]
    OtherWeights {
        /// Key of the task.
        task: String,
        /// Key of the encoder.
        encoder: String,
    },
    /// Too few samples are there for one batch.
    #[error("{samples} training samples of {task} make no batch of {batch}; choose a smaller batch_size")]
    NoBatch {
        /// Key of the task.
        task: String,
        /// Training samples, repeats included.
        samples: usize,
        /// Samples of a batch.
        batch: usize,
    },
    /// Nothing of a test set counts.
    #[error(
        "{metric} of {encoder} on {task} has no value: no labelled test sample is left to score (ViRB's protocol leaves out test batches that are not full; a smaller test_batch_size fills them)"
    )]
    NoValue {
        /// Name of the metric.
        metric: &'static str,
        /// Key of the encoder.
        encoder: String,
        /// Key of the task.
        task: String,
    },
    /// A folder has nothing to encode.
    #[error("{folder} holds no pictures (.jpg, .png, .webp, ...)")]
    NoPictures {
        /// The folder.
        folder: PathBuf,
    },
    /// Samples, truth and head do not fit together.
    #[error("the data do not fit the task: {0}")]
    Unfit(String),
    /// The combination cannot be evaluated here.
    #[error("{0}")]
    Unsupported(String),
    /// A file of a data set is damaged.
    #[error("{path} cannot be read ({reason}); unpack it again, or leave such samples out with --skip-broken")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A truth says something that its data set does not know.
    #[error("{path}: {reason}")]
    Truth {
        /// The file.
        path: PathBuf,
        /// What it says, and how to allow it.
        reason: String,
    },
    /// Something that is sent or kept as JSON is not as it should be.
    #[error("{what} cannot be written or read as JSON: {source}")]
    Json {
        /// What it is, such as `settings`.
        what: &'static str,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A pre-training's loss or weights are no numbers any more.
    #[error(
        "the training diverged in epoch {epoch} at step {step} (loss {value}, learning rate {learning_rate:e}); take a lower learning rate or a longer warm-up. The last good state is kept"
    )]
    RunDiverged {
        /// The epoch, from 1.
        epoch: u32,
        /// The step of the epoch, from 1.
        step: u64,
        /// The loss.
        value: f64,
        /// The learning rate.
        learning_rate: f64,
    },
    /// An encoder cannot be called so.
    #[error("an encoder cannot be called `{key}`: {reason}; choose another with --out")]
    NotDeclarable {
        /// The key.
        key: String,
        /// Why.
        reason: String,
    },
    /// Two pre-trainings at once would make an encoder of one name.
    #[error(
        "`{key}` is being pre-trained by another process; wait until that has ended, or choose another name with --out"
    )]
    NameBusy {
        /// Key of the encoder.
        key: String,
    },
    /// A pre-training should begin with the weights of another network.
    #[error("{from} is a {found}, and the settings ask for a {asked}; mend `network`, or begin with another encoder")]
    OtherNetwork {
        /// Key of the encoder.
        from: String,
        /// What it is.
        found: String,
        /// What the settings say.
        asked: String,
    },
    /// A file of settings is not as it should be.
    #[error("{path}{place}: {reason}")]
    Settings {
        /// The file.
        path: PathBuf,
        /// Where in it, as the end of a name, such as `, line 4, column 3`; empty for the whole.
        place: String,
        /// What is wrong with it, and what may have been meant.
        reason: String,
    },
    /// Pictures have no classes where classes are learned.
    #[error(
        "supervised pre-training learns the classes of pictures, and these have none; take sources with a folder for each class, or another method"
    )]
    NoClasses,
    /// A method of pre-training got another number of views than it takes.
    #[error("{method} takes {wanted} views of a picture and got {given}; mend `views` of the settings")]
    WrongViews {
        /// Name of the method.
        method: &'static str,
        /// Views that it takes.
        wanted: usize,
        /// Views that came.
        given: usize,
    },
    /// What was saved of a pre-training belongs to another one.
    #[error(
        "the saved state of the pre-training cannot be taken up: `{name}` {reason}; begin anew, or take the settings that it was saved with"
    )]
    SavedState {
        /// The tensor's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The caller asked to stop.
    #[error("stopped on request")]
    Cancelled,
}

impl Error {
    /// An I/O error with its path.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let io = virboard_nn::Error::io(path);
        move |source| io(source).into()
    }

    /// An error of JSON with what it is of.
    pub fn json(what: &'static str) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| Self::Json { what, source }
    }

    /// Whether the disk is full, which ends every other work too.
    #[must_use]
    pub const fn is_disk_full(&self) -> bool {
        matches!(self, Self::Network(virboard_nn::Error::DiskFull { .. }))
    }
}

impl From<PackError> for Error {
    fn from(error: PackError) -> Self {
        // It holds more texts than the others, and every result would be as large.
        Self::Packing(Box::new(error))
    }
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        virboard_nn::Error::from(error).into()
    }
}
