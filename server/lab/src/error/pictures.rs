//! What can be wrong with the pictures that an encoder is to be trained on.

use std::path::PathBuf;

/// An error about the pictures of a pre-training, or about their views.
#[derive(Debug, thiserror::Error)]
pub enum PicturesError {
    /// A source that is neither a data set nor a folder.
    #[error(
        "there are no training pictures called `{source_name}`: it is neither a data set in {datasets} nor a folder{hint}"
    )]
    NoSource {
        /// The source as it was given.
        source_name: String,
        /// The folder of data sets.
        datasets: PathBuf,
        /// What may have been meant, as the end of the sentence.
        hint: String,
    },
    /// A split or a task that a data set does not have.
    #[error("`{source_name}` names no part of its data set; known are {known}")]
    NoPart {
        /// The source as it was given.
        source_name: String,
        /// The splits and tasks that there are.
        known: String,
    },
    /// Pictures that some task is tested on.
    #[error("`{source_name}` asks for pictures on which the task {task} is tested; train on another split")]
    Tested {
        /// The source as it was given.
        source_name: String,
        /// Key of the task.
        task: String,
    },
    /// A data set whose pictures are no files.
    #[error(
        "the pictures of `{source_name}` lie packed in few files; unpack them as train/CLASS/PICTURE and name that folder"
    )]
    Packed {
        /// The source as it was given.
        source_name: String,
    },
    /// A source without enough pictures to tell any apart.
    #[error("`{source_name}` holds {pictures} training pictures (.jpg, .png, .webp, ...); at least 2 are needed")]
    TooFew {
        /// The source as it was given.
        source_name: String,
        /// Pictures that it holds: 0 or 1.
        pictures: usize,
    },
    /// The same picture twice.
    #[error("{path} is in the source `{first}` and in `{second}`; name it in one of them only")]
    Twice {
        /// The file.
        path: PathBuf,
        /// A source.
        first: String,
        /// Another source.
        second: String,
    },
    /// A picture that cannot be used.
    #[error("{path} cannot be used: {reason} Mend or remove it, or leave such pictures out with `skip_broken: true`")]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, as a sentence.
        reason: String,
    },
    /// All pictures but one or none cannot be used.
    #[error("only {left} of {of} pictures can be used; the first that cannot is {path}: {reason}")]
    NoneLeft {
        /// Pictures that can be used.
        left: usize,
        /// Pictures that there are.
        of: usize,
        /// A file that cannot be used.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A subset that needs classes, and a picture without one.
    #[error(
        "the subset `{subset}` needs classes, and {picture} has none; sort the pictures into a folder for each class, or take `half` or `quarter`"
    )]
    NoClass {
        /// Name of the subset.
        subset: &'static str,
        /// The first picture without a class.
        picture: String,
    },
    /// A subset of so few pictures that fewer than two are left.
    #[error("the subset `{subset}` of {pictures} pictures leaves {left}; at least 2 are needed")]
    SmallSubset {
        /// Name of the subset.
        subset: &'static str,
        /// Pictures that there are.
        pictures: usize,
        /// Pictures that are left.
        left: usize,
    },
    /// A batch that is larger than the data.
    #[error(
        "a batch of {batch} is more than the {pictures} training pictures; choose a smaller batch, or more pictures"
    )]
    Batch {
        /// Pictures of a batch.
        batch: usize,
        /// Training pictures.
        pictures: usize,
    },
    /// A setting that makes no sense.
    #[error("the setting `{name}` cannot be {value}; {wanted}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        wanted: &'static str,
    },
}
