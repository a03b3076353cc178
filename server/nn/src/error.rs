//! What can go wrong with networks and their files, each with what failed and what to do.

use std::path::{Path, PathBuf};

/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error that names the file, tensor or device it is about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The disk is full.
    #[error(
        "{path} could not be written because the disk is full; free some space (`virboard cache prune` empties the feature cache) and start again: finished work is kept"
    )]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// A checkpoint is not what its name promises.
    #[error("{path} is not a readable checkpoint: {reason}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is something else than a checkpoint.
    #[error("{path} is no checkpoint: it is {is}; {mend}")]
    OtherFile {
        /// The file.
        path: PathBuf,
        /// What it is.
        is: String,
        /// What to do.
        mend: String,
    },
    /// A checkpoint holds several networks, and nothing tells which is wanted.
    #[error("{path} holds several whole networks, under {prefixes}; say which with --prefix")]
    SeveralNetworks {
        /// The file.
        path: PathBuf,
        /// What stands before the names of each.
        prefixes: String,
    },
    /// A tensor holds numbers that no network has.
    #[error(
        "tensor `{name}` of {path} holds {found}; the training went astray, or the file is damaged or was saved on a big-endian machine by an old PyTorch: take another checkpoint, or save it again with torch.save"
    )]
    UnsoundTensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name in the file.
        name: String,
        /// What was found.
        found: String,
    },
    /// A packed tensor cannot be unpacked.
    #[error(
        "tensor `{name}` of {path} cannot be unpacked: {mistake}. The file is damaged, or something else than Virboard wrote it; pack the encoder again with `virboard encoder pack`"
    )]
    Packed {
        /// The file.
        path: PathBuf,
        /// The tensor's name in the file.
        name: String,
        /// What is wrong with it.
        mistake: PackedMistake,
    },
    /// A file is packed in a form that is not known here.
    #[error(
        "{path} is packed in the form `{found}`, and this Virboard knows the form {known}; take a newer Virboard, or the checkpoint as it was before"
    )]
    PackedForm {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
        /// The form that is known.
        known: &'static str,
    },
    /// A tensor has the name that the scales of another one would have.
    #[error("{path} was not written: a tensor is called `{name}`, as the scales of `{of}` would be; rename it")]
    NameOfScales {
        /// The file that was to be written.
        path: PathBuf,
        /// The tensor's name.
        name: String,
        /// The tensor that would be packed.
        of: String,
    },
    /// What is to be written would overwrite what is read.
    #[error("{out} would overwrite {input}, which is read for it; choose another file to write")]
    Overwrites {
        /// The file to write.
        out: PathBuf,
        /// What is read.
        input: PathBuf,
    },
    /// A pickle names something that would run code when Python loads it.
    #[error(
        "{path} is refused: its pickle asks for `{name}`, which a checkpoint of weights does not need. It was not executed. Ask whoever made it for the weights alone: torch.save(network.state_dict(), FILE), or safetensors"
    )]
    UnsafePickle {
        /// The file.
        path: PathBuf,
        /// Module and name that it asks for.
        name: String,
    },
    /// A tensor that the architecture needs is not in the file.
    #[error("{path} has no tensor `{name}`{hint}")]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name in the file.
        name: String,
        /// A leftover with a similar name, as a clause; empty without one.
        hint: String,
    },
    /// A tensor has another shape than the architecture needs.
    #[error("tensor `{name}` of {path} has shape {found:?}; the architecture needs {wanted:?}")]
    TensorShape {
        /// The file.
        path: PathBuf,
        /// The tensor's name in the file.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape that is needed.
        wanted: Vec<usize>,
    },
    /// The file has tensors that the architecture does not know.
    #[error("{path} has tensors that this architecture does not know: {names}. Is it another network?")]
    UnknownTensors {
        /// The file.
        path: PathBuf,
        /// The first few names.
        names: String,
    },
    /// The asked device is not there.
    #[error("device {device} cannot be used: {reason}")]
    Device {
        /// As it was asked for.
        device: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// The environment asks for instructions that the processor cannot give.
    #[error("VIRBOARD_SIMD={wanted} asks for instructions, but {reason}; here it can be one of {available}")]
    Instructions {
        /// As they were asked for.
        wanted: String,
        /// Why they cannot be had.
        reason: &'static str,
        /// Those that can.
        available: String,
    },
    /// The saved state of an optimiser is not one of its own.
    #[error("the state of the optimiser cannot be taken up: `{name}` {reason}; begin the training anew")]
    OptimiserState {
        /// What is wrong with which, by its name in the state.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The network or the device cannot do what was asked.
    #[error("{0}")]
    Unsupported(String),
    /// A tensor operation failed.
    #[error("computation failed: {0}")]
    Candle(#[from] candle_core::Error),
}

/// What is wrong with a packed tensor.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PackedMistake {
    /// It has no scales.
    #[error("there is no `{called}`")]
    NoScales {
        /// What they would be called.
        called: String,
    },
    /// Its scales are others than one for each output.
    #[error("its scales are {dtype} of shape {shape:?}, not F32 of shape [{outputs}]")]
    OtherScales {
        /// Their type.
        dtype: String,
        /// Their shape.
        shape: Vec<usize>,
        /// Outputs that it has.
        outputs: usize,
    },
    /// A scale is no number that a tensor can be scaled with.
    #[error("scale {output} is {scale}; a scale is 0 or more, and at most a 128th of what `f32` holds")]
    Scale {
        /// The output, from 0.
        output: usize,
        /// Its scale.
        scale: f32,
    },
    /// It has too few dimensions to have outputs.
    #[error("its shape {shape:?} has no outputs; packed tensors have {wanted} dimensions or more")]
    Dimensions {
        /// Its shape.
        shape: Vec<usize>,
        /// The fewest dimensions.
        wanted: usize,
    },
}

impl Error {
    /// An I/O error with its path.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { path, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_that_the_disk_is_full() {
        // ENOSPC of Linux.
        let error = Error::io("features/x")(std::io::Error::from_raw_os_error(28));
        let said = error.to_string();
        assert!(said.contains("features/x") && said.contains("disk is full") && said.contains("cache prune"), "{said}");
    }
}
