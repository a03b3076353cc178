//! From a checkpoint to a network that runs.

use crate::checkpoint::weights::Weights;
use crate::checkpoint::{Layout, Wanted};
use crate::encoder::{Description, Encoder, Precision};
use crate::guard::{self, Placed};
use crate::network::{FAMILIES, resnet};
use crate::parameters::Gradients;
use crate::trainable::{Trainable, training};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use virboard_core::catalogue::architecture::Architecture;

/// Where an encoder's weights come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// SHA-256 of the checkpoint file, or of the recipe for seeded weights.
    pub sha256: String,
    /// The file's name, or the recipe.
    pub source: String,
}

/// A network with its weights, ready to run.
pub struct LoadedEncoder {
    /// Key in the catalogue.
    pub key: String,
    /// The network.
    pub network: Box<dyn Encoder>,
    /// Where the weights come from.
    pub provenance: Provenance,
    /// The checkpoint's own classification layer (`classes x E` and `classes`), if any.
    pub classifier: Option<(Tensor, Tensor)>,
    /// Size of the weights in memory.
    pub bytes: usize,
    /// How exactly it computes.
    pub precision: Precision,
    /// Where it computes, as results record it.
    pub device: String,
    /// Its checkpoint; none for seeded weights.
    pub file: Option<std::path::PathBuf>,
    /// What precedes the names of its tensors there.
    pub prefix: String,
}

/// What an architecture is, before any weights are there. Of one whose sizes its checkpoint
/// tells, all but these is true.
///
/// # Errors
/// [`Error::Unsupported`] if nothing here runs it.
pub fn describe(architecture: Architecture) -> Result<Description> {
    FAMILIES.iter().find_map(|family| (family.describe)(architecture.key())).ok_or_else(|| {
        Error::Unsupported(format!(
            "{architecture} (`{}`) is in the catalogue, but nothing runs it",
            architecture.key()
        ))
    })
}

/// Opens a checkpoint of any known network; see [`checkpoint::open`](crate::checkpoint::open).
pub fn open(path: &Path, wanted: Option<&Wanted>) -> Result<Weights> {
    crate::checkpoint::open(path, wanted, &layouts())
}

/// Whether a checkpoint has a classification layer of its own, without reading its other tensors.
pub fn has_classifier(path: &Path, wanted: Option<&Wanted>) -> Result<bool> {
    crate::checkpoint::has_classifier(path, wanted, &layouts())
}

fn layouts() -> Vec<Layout> {
    FAMILIES.iter().flat_map(|family| family.layouts).copied().collect()
}

impl LoadedEncoder {
    /// Where scores are computed whose heads are on `device`: there, and where the encoder is if
    /// that is elsewhere.
    #[must_use]
    pub fn computed_beside(&self, device: &Device) -> String {
        let heads = crate::device::name(device);
        if self.device == heads { heads } else { format!("{heads}, the encoder on {}", self.device) }
    }

    /// What the network is.
    #[must_use]
    pub fn description(&self) -> &Description {
        self.network.description()
    }

    /// The last block of a ResNet as its checkpoint has it, for heads that train a copy of it:
    /// torchvision's names below `layer4.`. `None` for networks without such a block.
    pub fn last_block(&self) -> Result<Option<BTreeMap<String, Tensor>>> {
        let Some(block) = self.description().last_block else { return Ok(None) };
        Ok(Some(self.weights()?.below(block.names)))
    }

    /// The same network with the same weights, to be trained whole on a device.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if its architecture cannot be, and whatever is wrong with its
    /// checkpoint by now.
    pub fn trainable(&self, device: &Device) -> Result<Box<dyn Trainable>> {
        let mut weights = self.weights()?;
        weights.take_classifier();
        (training(self.description())?.build)(&mut weights, device, Gradients::Wanted)
    }

    /// Writes its checkpoint as a packed file (see [`packed`](crate::checkpoint::packed)), which can stand in its place.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it has no checkpoint, [`Error::Overwrites`] if that would be overwritten.
    pub fn pack(&self, out: &Path) -> Result<()> {
        let Some(file) = &self.file else {
            let reason = "is made of a seed: it has no checkpoint that could be packed, and needs none";
            return Err(Error::Unsupported(format!("{} {reason}", self.key)));
        };
        crate::files::refuse_overwriting(out, [file.as_path()])?;
        crate::checkpoint::pack(file, Some(&Wanted::Prefix(self.prefix.clone())), &layouts(), out)
    }

    /// Its weights as its checkpoint has them.
    fn weights(&self) -> Result<Weights> {
        match &self.file {
            Some(file) => open(file, Some(&Wanted::Prefix(self.prefix.clone()))),
            None => resnet::random_weights(&resnet::Config::resnet50(), RANDOM_SEED),
        }
    }
}

/// Seed of the `Random` encoder.
pub const RANDOM_SEED: u64 = 0;

/// Builds `Random`: torchvision's initialisation of a ResNet-50 from a fixed seed.
pub fn random(key: &str, device: &Device, precision: Precision) -> Result<LoadedEncoder> {
    let weights = resnet::random_weights(&resnet::Config::resnet50(), RANDOM_SEED)?;
    let source = format!("torchvision's default initialisation, seed {RANDOM_SEED}");
    let provenance = Provenance { sha256: crate::files::sha256(source.as_bytes()), source };
    let description = describe(Architecture::of("resnet50"))?;
    build(key, &description, weights, provenance, None, (device, precision))
}

/// Loads the checkpoint at `path` as encoder `key`. Strict: every tensor must be there
/// with its exact shape and no other may be, but for those that the layout is known to add.
pub fn load(
    key: &str,
    architecture: Architecture,
    path: &Path,
    wanted: Option<&Wanted>,
    device: &Device,
    precision: Precision,
) -> Result<LoadedEncoder> {
    let (weights, provenance) = read(path, wanted)?;
    let description = match architecture.embedding() {
        Some(_) => describe(architecture)?,
        None => recognise(&weights, path)?,
    };
    build(key, &description, weights, provenance, Some(path), (device, precision))
}

/// Loads any checkpoint at `path`, telling the architecture from its tensors' names and shapes:
/// a ResNet may have any width and depth.
pub fn load_any(path: &Path, wanted: Option<&Wanted>, device: &Device, precision: Precision) -> Result<LoadedEncoder> {
    let (weights, provenance) = read(path, wanted)?;
    let description = recognise(&weights, path)?;
    let key = provenance.source.clone();
    build(&key, &description, weights, provenance, Some(path), (device, precision))
}

/// What the network of a checkpoint is.
///
/// # Errors
/// [`Error::Checkpoint`] if its tensors are of none of the known networks.
pub fn recognise(weights: &Weights, path: &Path) -> Result<Description> {
    FAMILIES.iter().find_map(|family| (family.recognise)(weights)).ok_or_else(|| Error::Checkpoint {
        path: path.to_path_buf(),
        reason: "its tensors' names and shapes are those of no network that Virboard knows".to_owned(),
    })
}

/// The tensors of a checkpoint and where they come from.
fn read(path: &Path, wanted: Option<&Wanted>) -> Result<(Weights, Provenance)> {
    let weights = open(path, wanted)?;
    let sha256 = crate::files::sha256_file(path)?;
    let source = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    Ok((weights, Provenance { sha256, source }))
}

fn build(
    key: &str,
    description: &Description,
    mut weights: Weights,
    provenance: Provenance,
    file: Option<&Path>,
    (device, precision): (&Device, Precision),
) -> Result<LoadedEncoder> {
    let precision = description.precision(precision);
    let prefix = weights.prefix().to_owned();
    let classifier = match weights.take_classifier() {
        // Of another length it belongs to something that the encoder does not compute.
        Some((weight, bias)) if weight.dims().get(1) == Some(&description.embedding) => {
            Some((weight.to_device(device)?, bias.to_device(device)?))
        }
        _ => None,
    };
    let spare = (!device.is_cpu()).then(|| weights.clone());
    let network = (description.build)(&mut weights, device, precision)?;
    let bytes = weights.bytes_taken();
    weights.finish()?;
    let reference = spare.map(|mut weights| move || (description.build)(&mut weights, &Device::Cpu, Precision::F32));
    let Placed { network, precision, device } = guard::place(network, device, precision, reference)?;
    let file = file.map(Path::to_path_buf);
    let key = key.to_owned();
    Ok(LoadedEncoder { key, network, provenance, classifier, bytes, precision, device, file, prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_architecture_is_described_once_and_has_the_maps_that_heads_need() {
        for architecture in Architecture::all() {
            let families: Vec<_> = FAMILIES.iter().filter_map(|f| (f.describe)(architecture.key())).collect();
            let [d] = families.as_slice() else { panic!("{architecture:?} is described {} times", families.len()) };
            assert_eq!(d.architecture, architecture);
            assert_eq!(architecture.embedding().unwrap_or(d.embedding), d.embedding, "{architecture:?}");
            for stride in [4, 8, 16, 32] {
                assert!(d.map(stride).is_some(), "{architecture:?} has no map of stride {stride}");
            }
            assert!(d.maps.is_sorted_by_key(|m| m.stride), "{architecture:?}");
            assert!(d.precisions.contains(&Precision::F32), "{architecture:?}");
        }
    }
}
