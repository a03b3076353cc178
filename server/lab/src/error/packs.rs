//! Why a small data set cannot be made of its original.

use std::path::PathBuf;

/// An error about the original of a small data set.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// No small data set is called so.
    #[error("no data set `{name}` can be made of its original{hint}; those that can are {known}")]
    Unknown {
        /// The name as it was given.
        name: String,
        /// What may have been meant, as the end of a sentence.
        hint: String,
        /// The names that there are.
        known: String,
    },
    /// The folder of the original is none.
    #[error("{folder} is no folder; name the one into which the original of {name} was unpacked ({get})")]
    NoFolder {
        /// What was given.
        folder: PathBuf,
        /// Name of the data set.
        name: String,
        /// Where the original is got.
        get: String,
    },
    /// Files of the index have no original.
    #[error(
        "{missing} of the {wanted} files of {name} are not below {folder}: {examples}. Unpack the original again ({get}), or leave such samples out with --skip-missing; nothing was added"
    )]
    Missing {
        /// Name of the data set.
        name: String,
        /// Where they were looked for.
        folder: PathBuf,
        /// How many are missing.
        missing: usize,
        /// How many there should be.
        wanted: usize,
        /// Some of them, with what they are called in the original.
        examples: String,
        /// Where the original is got.
        get: String,
    },
    /// The index that ships cannot be used.
    #[error("{path} is no usable index ({reason}); install Virboard again")]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A picture that is too long to be written.
    #[error("{path}: {width} x {height} pixels fit no JPEG; is this the original picture?")]
    NotJpeg {
        /// The original.
        path: PathBuf,
        /// Width of the reduced picture in pixels.
        width: u32,
        /// Height of the reduced picture in pixels.
        height: u32,
    },
}
