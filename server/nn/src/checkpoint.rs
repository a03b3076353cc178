//! Reading checkpoints of every published layout, without executing anything.

mod layout;
mod other;
pub mod packed;
pub mod pickle;
mod tensor_file;
mod torch;
pub mod weights;

pub use layout::{Layout, Wanted};
pub use tensor_file::TensorFile;

use crate::checkpoint::weights::Weights;
use crate::{Error, Result};
use candle_core::Tensor;
use layout::{Choice, bad};
use std::collections::BTreeMap;
use std::path::Path;

/// Opens a checkpoint: PyTorch's zip and legacy pickles, or safetensors, packed ones too (see [`packed`]); told from its
/// bytes. Where in it a network of one of `layouts` lies is told from the tensors' names. Only the tensors of
/// the encoder and of the checkpoint's own classification layer are read, as `f32`; all are finite.
pub fn open(path: &Path, wanted: Option<&Wanted>, layouts: &[Layout]) -> Result<Weights> {
    let weights = read(path, wanted, layouts, true, |choice| choice.names.clone())?.weights(path);
    if !weights.others().is_empty() {
        let (taken, left) = (weights.prefix(), weights.others().join(", "));
        tracing::warn!(
            checkpoint = %path.display(),
            "it holds several whole networks: the one under `{taken}` is taken, {left} left (--prefix takes another)"
        );
    }
    Ok(weights)
}

/// Whether a checkpoint has a classification layer of its own; nothing else is read.
pub fn has_classifier(path: &Path, wanted: Option<&Wanted>, layouts: &[Layout]) -> Result<bool> {
    let mut weights = read(path, wanted, layouts, false, Choice::classifier_names)?.weights(path);
    Ok(weights.take_classifier().is_some())
}

/// Writes the encoder of a checkpoint, with its classification layer, as a packed file (see [`packed`]) under the names and
/// with the metadata that it has: what [`open`] takes of the one it takes of the other.
///
/// # Errors
/// As [`open`] and [`packed::write`].
pub fn pack(path: &Path, wanted: Option<&Wanted>, layouts: &[Layout], out: &Path) -> Result<()> {
    let read = read(path, wanted, layouts, true, |choice| choice.names.clone())?;
    packed::write(out, &read.tensors, &read.entries)
}

/// An entry of the metadata of a file of tensors (safetensors); `None` where it has no such entry. No tensor is read.
///
/// # Errors
/// [`Error::Checkpoint`] for another kind of file, and one that is cut off.
pub fn entry(path: &Path, name: &str) -> Result<Option<String>> {
    entry_of(&map(path)?, name).map_err(|e| bad(path, e))
}

/// The same of the bytes of such a file.
pub fn entry_of(bytes: &[u8], name: &str) -> std::result::Result<Option<String>, safetensors::SafeTensorError> {
    let (_, metadata) = safetensors::SafeTensors::read_metadata(bytes)?;
    Ok(metadata.metadata().as_ref().and_then(|m| m.get(name)).cloned())
}

/// What was read of a checkpoint.
struct Read {
    choice: Choice,
    /// Tensors by their names in the file.
    tensors: BTreeMap<String, Tensor>,
    /// The entries of the file's metadata; PyTorch's files have none.
    entries: BTreeMap<String, String>,
}

impl Read {
    fn weights(self, path: &Path) -> Weights {
        let Self { choice, tensors, .. } = self;
        let mut tensors = tensors.into_iter().map(|(name, t)| (name[choice.prefix.len()..].to_owned(), t)).collect();
        let classifier = choice.classifier(&mut tensors);
        Weights::new(path.to_path_buf(), choice.prefix, tensors).with_classifier(classifier).with_others(choice.others)
    }
}

/// Reads those tensors of a checkpoint that `pick` names; a `thorough` reading compares checksums of the whole file.
fn read(
    path: &Path,
    wanted: Option<&Wanted>,
    layouts: &[Layout],
    thorough: bool,
    pick: impl FnOnce(&Choice) -> Vec<String>,
) -> Result<Read> {
    let map = map(path)?;
    let bytes: &[u8] = &map;
    let choose = |names: &[String]| Choice::of(path, names, wanted, layouts);
    let read = if is_safetensors(bytes) {
        let file = TensorFile::open(path, bytes)?;
        let choice = choose(&file.names())?;
        Read { tensors: file.named(&pick(&choice))?, entries: file.entries(), choice }
    } else {
        let opened = torch::Opened::new(path, bytes, thorough)?;
        let choice = choose(&opened.names()?)?;
        Read { tensors: opened.read(&pick(&choice))?, entries: BTreeMap::new(), choice }
    };
    for (name, tensor) in &read.tensors {
        sound(path, name, tensor)?;
    }
    Ok(read)
}

/// All tensors of a PyTorch file under their own names, as `f32`: for files that are no
/// networks, such as ViRB's heads.
pub fn open_raw(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let map = map(path)?;
    let opened = torch::Opened::new(path, &map, true)?;
    let names: Vec<String> = opened.names()?.into_iter().filter(|n| !n.ends_with("num_batches_tracked")).collect();
    let tensors = opened.read(&names)?;
    for (name, tensor) in &tensors {
        sound(path, name, tensor)?;
    }
    // What all of them lie in together says nothing.
    let shared = ["state_dict.", "model_state_dict.", "model."];
    let shared =
        shared.into_iter().find(|start| tensors.keys().all(|name| name.starts_with(start))).unwrap_or_default();
    Ok(tensors.into_iter().map(|(name, tensor)| (name[shared.len()..].to_owned(), tensor)).collect())
}

/// A file as bytes, unless it is known to be something else.
fn map(path: &Path) -> Result<memmap2::Mmap> {
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    let metadata = file.metadata().map_err(Error::io(path))?;
    if metadata.is_dir() {
        return Err(bad(path, "it is a folder; name the checkpoint that is in it"));
    }
    if metadata.len() == 0 {
        return Err(bad(path, "it is empty or cut off"));
    }
    // SAFETY: the file is only read; who changes it while it is loaded gets wrong weights, as with any file.
    let map = unsafe { memmap2::Mmap::map(&file) }.map_err(Error::io(path))?;
    if !is_safetensors(&map)
        && let Some(error) = other::told(path, &map)
    {
        return Err(error);
    }
    if map.len() < 9 {
        return Err(bad(path, "it is empty or cut off"));
    }
    Ok(map)
}

/// The longest list of tensors that safetensors allows; as text it would be a far larger number.
const LONGEST_HEADER: u64 = 100_000_000;

fn is_safetensors(bytes: &[u8]) -> bool {
    let length = bytes.first_chunk().map(|b| u64::from_le_bytes(*b));
    bytes.get(8) == Some(&b'{') && length.is_some_and(|n| n <= LONGEST_HEADER)
}

/// Complains of numbers that no network has: infinite ones, none, and negative variances, as they come out when bytes
/// are taken in the wrong order.
fn sound(path: &Path, name: &str, tensor: &Tensor) -> Result<()> {
    let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
    let variance = name.ends_with("running_var");
    match values.iter().find(|v| !v.is_finite() || (variance && **v < 0.0)) {
        Some(value) => {
            let count = values.iter().filter(|v| !v.is_finite()).count();
            let found = if value.is_finite() {
                format!("the variance {value}")
            } else {
                format!("{count} of {} numbers that are not finite", values.len())
            };
            Err(Error::UnsoundTensor { path: path.to_path_buf(), name: name.to_owned(), found })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use std::collections::HashMap;

    #[test]
    fn entries_are_read_and_other_files_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kept.safetensors");
        let tensors = BTreeMap::from([("weight", Tensor::zeros((3, 4), DType::F32, &Device::Cpu).expect("zeros"))]);
        let metadata = HashMap::from([("made_by".to_owned(), "a run".to_owned())]);
        let bytes = safetensors::serialize(&tensors, Some(metadata)).expect("serialized");
        std::fs::write(&path, &bytes).expect("written");
        assert_eq!(entry(&path, "made_by").expect("read"), Some("a run".to_owned()));
        assert_eq!(entry(&path, "other").expect("read"), None);
        for wrong in [&bytes[..bytes.len() - 1], b"no tensors in here", b""] {
            std::fs::write(&path, wrong).expect("written");
            let error = entry(&path, "made_by").expect_err("refused");
            assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
        }
    }
}
