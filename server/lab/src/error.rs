//! What can go wrong in minutes of work, each with what failed and what to do.

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
    #[error("there is no {what} called `{key}`; known are {known}")]
    Unknown {
        /// `encoder` or `task`.
        what: &'static str,
        /// The key as it was given.
        key: String,
        /// The keys that would do.
        known: String,
    },
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

    /// Whether the disk is full, which ends every other work too.
    #[must_use]
    pub const fn is_disk_full(&self) -> bool {
        matches!(self, Self::Network(virboard_nn::Error::DiskFull { .. }))
    }
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        virboard_nn::Error::from(error).into()
    }
}
