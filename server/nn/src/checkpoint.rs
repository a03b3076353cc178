//! Reading checkpoints of every published layout, without executing anything.

mod layout;
pub mod pickle;
mod torch;
pub mod weights;

pub use layout::Layout;

use crate::checkpoint::weights::Weights;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use layout::{Choice, bad, no_network};
use std::collections::BTreeMap;
use std::path::Path;
use virboard_core::catalogue::encoder::Format;

/// Opens a checkpoint: PyTorch's zip and legacy pickles, or safetensors; told from its
/// bytes. Which of `layouts` it has is told from the tensors' names. Only the tensors of the
/// encoder and of the checkpoint's own classification layer are read, as `f32`.
pub fn open(path: &Path, format: Option<Format>, layouts: &[Layout]) -> Result<Weights> {
    read(path, format, layouts, |choice| choice.names.clone())
}

/// Whether a checkpoint has a classification layer of its own; nothing else is read.
pub fn has_classifier(path: &Path, layouts: &[Layout]) -> Result<bool> {
    Ok(read(path, None, layouts, Choice::classifier_names)?.take_classifier().is_some())
}

/// Reads those tensors of a checkpoint that `wanted` names.
fn read(
    path: &Path,
    format: Option<Format>,
    layouts: &[Layout],
    wanted: impl FnOnce(&Choice) -> Vec<String>,
) -> Result<Weights> {
    let mut start = [0u8; 9];
    {
        use std::io::Read;
        let mut file = std::fs::File::open(path).map_err(Error::io(path))?;
        let n = file.read(&mut start).map_err(Error::io(path))?;
        if n < start.len() {
            return Err(bad(path, "it is empty or cut off"));
        }
    }
    let choose = |names: &[String]| -> Result<(Choice, Vec<String>)> {
        let choice = Choice::of(names, format, layouts).ok_or_else(|| no_network(path, names, layouts))?;
        let wanted = wanted(&choice);
        Ok((choice, wanted))
    };
    let (choice, tensors) =
        if start[8] == b'{' { safetensors(path, choose)? } else { torch::read(path, format, choose)? };
    let mut tensors = tensors.into_iter().map(|(name, t)| (name[choice.prefix.len()..].to_owned(), t)).collect();
    let classifier = choice.classifier(&mut tensors);
    Ok(Weights::new(path.to_path_buf(), choice.prefix.to_owned(), tensors).with_classifier(classifier))
}

/// All tensors of a PyTorch file under their own names, as `f32`: for files that are no
/// networks, such as ViRB's heads.
pub fn open_raw(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    torch::all(path)
}

/// Reads the tensors that `choose` names, given the names of all; passes on what else it says.
fn safetensors<C>(
    path: &Path,
    choose: impl FnOnce(&[String]) -> Result<(C, Vec<String>)>,
) -> Result<(C, BTreeMap<String, Tensor>)> {
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    // SAFETY: the file is only read; who changes it while it is loaded gets wrong weights, as with any file.
    let map = unsafe { memmap2::Mmap::map(&file) }.map_err(Error::io(path))?;
    let parsed = safetensors::SafeTensors::deserialize(&map).map_err(|e| bad(path, e))?;
    let names: Vec<String> = parsed.names().into_iter().map(str::to_owned).collect();
    let (choice, chosen) = choose(&names)?;
    let mut tensors = BTreeMap::new();
    for name in chosen {
        let view = parsed.tensor(&name).map_err(|e| bad(path, e))?;
        let dtype = DType::try_from(view.dtype()).map_err(|e| bad(path, e))?;
        let tensor = Tensor::from_raw_buffer(view.data(), dtype, view.shape(), &Device::Cpu)?.to_dtype(DType::F32)?;
        tensors.insert(name, tensor);
    }
    Ok((choice, tensors))
}
