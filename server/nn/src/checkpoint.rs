//! Reading checkpoints of every published layout, without executing anything.

pub mod pickle;
mod torch;
pub mod weights;

use crate::checkpoint::weights::Weights;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;
use std::path::Path;
use virboard_core::catalogue::encoder::Format;

/// Prefixes of a layout's tensor names to try, the longest and most telling first. Without
/// a layout, and in safetensors, all of them.
fn prefixes(format: Option<Format>) -> &'static [&'static str] {
    match format {
        None | Some(Format::Safetensors) => {
            &["module.encoder_q.", "module.encoder.", "_feature_blocks.", "model.", "module.", ""]
        }
        Some(Format::Virb) => &["model."],
        Some(Format::Swav) => &["module."],
        Some(Format::Moco) => &["module.encoder_q."],
        Some(Format::Pirl) => &["_feature_blocks."],
        Some(Format::SimClr) => &["module.encoder."],
        Some(Format::Torchvision) => &[""],
    }
}

/// Tensors that tell where a network begins.
const FIRST: [&str; 2] = ["conv1.weight", "_conv_stem.weight"];
/// Parts of a checkpoint that are not the backbone, by the start of their names.
const NOT_BACKBONE: [&str; 6] = ["fc.", "projection_head", "prototypes", "queue", "head.", "predictor."];

/// Opens a checkpoint: PyTorch's zip and legacy pickles, or safetensors; told from its
/// bytes. Without a `format` the layout is told from the tensors' names. Only the backbone's
/// tensors are read, as `f32`.
pub fn open(path: &Path, format: Option<Format>) -> Result<Weights> {
    let mut start = [0u8; 9];
    {
        use std::io::Read;
        let mut file = std::fs::File::open(path).map_err(Error::io(path))?;
        let n = file.read(&mut start).map_err(Error::io(path))?;
        if n < start.len() {
            return Err(bad(path, "it is empty or cut off"));
        }
    }
    if start[8] == b'{' {
        return safetensors(path, format);
    }
    torch::open(path, format)
}

/// All tensors of a PyTorch file under their own names, as `f32`: for files that are no
/// networks, such as ViRB's heads.
pub fn open_raw(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    torch::all(path)
}

fn safetensors(path: &Path, format: Option<Format>) -> Result<Weights> {
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    // SAFETY: the file is only read; who changes it while it is loaded gets wrong weights, as with any file.
    let map = unsafe { memmap2::Mmap::map(&file) }.map_err(Error::io(path))?;
    let parsed = safetensors::SafeTensors::deserialize(&map).map_err(|e| bad(path, e))?;
    let names: Vec<String> = parsed.names().into_iter().map(str::to_owned).collect();
    let prefix = prefix(&names, format).ok_or_else(|| no_network(path, &names))?;
    let mut tensors = BTreeMap::new();
    for name in backbone(&names, prefix) {
        let view = parsed.tensor(name).map_err(|e| bad(path, e))?;
        let dtype = DType::try_from(view.dtype()).map_err(|e| bad(path, e))?;
        let tensor = Tensor::from_raw_buffer(view.data(), dtype, view.shape(), &Device::Cpu)?.to_dtype(DType::F32)?;
        tensors.insert(name[prefix.len()..].to_owned(), tensor);
    }
    Ok(Weights::new(path.to_path_buf(), prefix.to_owned(), tensors))
}

/// The first prefix under which a network begins.
fn prefix(names: &[String], format: Option<Format>) -> Option<&'static str> {
    let begins = |p: &&&str| names.iter().any(|n| n.strip_prefix(**p).is_some_and(|rest| FIRST.contains(&rest)));
    prefixes(format).iter().find(begins).copied()
}

/// Names under `prefix` that belong to the backbone.
fn backbone<'a>(names: &'a [String], prefix: &'a str) -> impl Iterator<Item = &'a String> {
    names.iter().filter(move |name| {
        name.strip_prefix(prefix).is_some_and(|rest| {
            !rest.ends_with("num_batches_tracked") && !NOT_BACKBONE.iter().any(|other| rest.starts_with(other))
        })
    })
}

fn bad(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::Checkpoint { path: path.to_path_buf(), reason: reason.to_string() }
}

fn no_network(path: &Path, names: &[String]) -> Error {
    let shown = names.iter().take(3).map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    bad(path, format!("no `conv1.weight` or `_conv_stem.weight` under any known prefix; it begins with {shown}"))
}
