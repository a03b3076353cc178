//! What a use case can fail with, as sentences that a person can act on.

use crate::store::{Refused, StoreError};
use virboard_core::people::Role;
use virboard_lab::image::ImageError;

/// The result of a use case.
pub type Result<T> = std::result::Result<T, ServiceError>;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The picture cannot be used.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The uploaded file has too many bytes.
    #[error("The file has more than 20 MB. Save it smaller or with stronger compression.")]
    TooManyBytes,
    /// Too many requests are waiting.
    #[error("Virboard is busy. Try again in a few seconds.")]
    Busy,
    /// The device's thread has ended.
    #[error(
        "The part of the server that computes has stopped, which was logged. It answers again when it is restarted."
    )]
    Stopped,
    /// The upload stood still.
    #[error("The upload stood still for too long and was ended. Check the connection and send it again.")]
    Stalled,
    /// There is no room for what has to be kept.
    #[error("The disk of the server is full, so that nothing new can be kept. What it has is still shown.")]
    DiskFull,
    /// The data folder cannot be written.
    #[error(
        "The data folder of this server is read-only, so that nothing new can be kept. What it has is still shown."
    )]
    ReadOnly,
    /// The work took too long.
    #[error("This took too long and was stopped. Try a smaller picture.")]
    Timeout,
    /// No such encoder.
    #[error("There is no encoder called “{0}”. See the list of encoders on the leaderboard.")]
    UnknownEncoder(String),
    /// No such task.
    #[error("There is no task called “{0}”. See the list of tasks on the leaderboard.")]
    UnknownTask(String),
    /// The encoder has no weights here.
    #[error("The weights of {0} are not here yet. Its page says how to get them.")]
    NoWeights(String),
    /// There is no head for this pair.
    #[error(
        "There is no head for {task} on {encoder} yet. Train it with `virboard evaluate --encoders {encoder} --tasks {task}`."
    )]
    NoHead {
        /// Key of the encoder.
        encoder: String,
        /// Key of the task.
        task: String,
    },
    /// The head belongs to other weights.
    #[error(
        "The head for {task} was trained on other weights of {encoder} than are here. Train it again with `virboard evaluate --encoders {encoder} --tasks {task}`."
    )]
    OtherWeights {
        /// Key of the encoder.
        encoder: String,
        /// Key of the task.
        task: String,
    },
    /// No such stored thing.
    #[error("{0}")]
    NotFound(&'static str),
    /// Nobody has signed in, and this is not for everybody.
    #[error("This needs an account on this server. Sign in, or send a token.")]
    SignIn,
    /// Who has signed in may not do this.
    #[error("This needs the role “{}”. Ask an admin of this server.", .0.name())]
    NotAllowed(Role),
    /// The name, the password or both are not right.
    #[error("The name or the password is wrong.")]
    WrongPassword,
    /// Too many tries to sign in; after so many seconds there is another.
    #[error("Too many tries to sign in. Try again in {0} seconds.")]
    TooManyTries(u64),
    /// A link that is good once was used, or is too old.
    #[error(
        "This link was used already or is too old. Start the server again for another, or run `virboard user add`."
    )]
    LinkSpent,
    /// There are no users, and this server does not listen to its own machine alone.
    #[error("This server has no admin yet. Whoever started it was shown a link that makes the first one.")]
    NoAdmin,
    /// What is asked for contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// The request itself is wrong.
    #[error("{0}")]
    Request(String),
    /// Something of ours failed; details go to the log only.
    #[error("Something went wrong on the server. It was logged; try again.")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ServiceError {
    /// Wraps a failure that the sender of the request cannot help.
    pub fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }
}

/// What a disk refuses to keep.
fn of_disk(error: &(dyn std::error::Error + 'static)) -> Option<ServiceError> {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let causes = std::iter::successors(Some(error), |e| e.source());
    causes.filter_map(|e| e.downcast_ref::<std::io::Error>()).find_map(|e| match e.kind() {
        StorageFull | QuotaExceeded => Some(ServiceError::DiskFull),
        ReadOnlyFilesystem | PermissionDenied => Some(ServiceError::ReadOnly),
        _ => None,
    })
}

/// Says in the log what a disk refuses, which answers tell without details.
fn logged(found: ServiceError, error: &dyn std::error::Error) -> ServiceError {
    tracing::error!(%error, "nothing new can be kept");
    found
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error.refused() {
            Some(Refused::Full) => logged(Self::DiskFull, &error),
            Some(Refused::ReadOnly) => logged(Self::ReadOnly, &error),
            None => Self::internal(error),
        }
    }
}

impl From<object_store::Error> for ServiceError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::NotFound("This picture is not stored here."),
            other => match of_disk(&other) {
                Some(found) => logged(found, &other),
                None => Self::internal(other),
            },
        }
    }
}

impl From<virboard_lab::Error> for ServiceError {
    fn from(error: virboard_lab::Error) -> Self {
        match error {
            virboard_lab::Error::Image(error) => Self::Image(error),
            virboard_lab::Error::NoWeights { key, .. } => Self::NoWeights(key),
            virboard_lab::Error::OtherWeights { task, encoder } => Self::OtherWeights { encoder, task },
            other => Self::internal(other),
        }
    }
}

impl From<tokio::task::JoinError> for ServiceError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::internal(error)
    }
}
