//! From a checkpoint to a network that runs.

use crate::Result;
use crate::checkpoint::weights::Weights;
use crate::encoder::{Encoder, Precision};
use crate::network::{efficientnet_lite, resnet};
use crate::preprocess::Preprocessing;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::path::Path;
use virboard_core::catalogue::architecture::Architecture;
use virboard_core::catalogue::encoder::Format;

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
    /// Which network it is.
    pub architecture: Architecture,
    /// Its checkpoint; none for seeded weights.
    pub file: Option<std::path::PathBuf>,
}

impl LoadedEncoder {
    /// The last block of a ResNet as its checkpoint has it, for heads that train a copy of it:
    /// torchvision's names below `layer4.`. `None` for other networks.
    pub fn layer4(&self) -> Result<Option<std::collections::BTreeMap<String, Tensor>>> {
        if self.architecture == Architecture::of("efficientnet_lite0") {
            return Ok(None);
        }
        let weights = match &self.file {
            Some(file) => crate::checkpoint::open(file, None)?,
            None => resnet::random_weights(&resnet::Config::resnet50(), RANDOM_SEED)?,
        };
        Ok(Some(weights.below("layer4.")))
    }
}

const OPEN_NSFW: Architecture = Architecture::of("open_nsfw");
const EFFICIENTNET: Architecture = Architecture::of("efficientnet_lite0");

/// Seed of the `Random` encoder.
pub const RANDOM_SEED: u64 = 0;

/// Builds `Random`: torchvision's initialisation of a ResNet-50 from a fixed seed.
pub fn random(key: &str, device: &Device, precision: Precision) -> Result<LoadedEncoder> {
    let config = resnet::Config::resnet50();
    let weights = resnet::random_weights(&config, RANDOM_SEED)?;
    let source = format!("torchvision's default initialisation, seed {RANDOM_SEED}");
    let provenance = Provenance { sha256: crate::files::sha256(source.as_bytes()), source };
    build(key, Architecture::of("resnet50"), config, weights, provenance, None, (device, precision))
}

/// Loads the checkpoint at `path` as encoder `key`. Strict: every tensor must be there
/// with its exact shape and no other may be, but for those that the format is known to add.
pub fn load(
    key: &str,
    architecture: Architecture,
    path: &Path,
    format: Option<Format>,
    device: &Device,
    precision: Precision,
) -> Result<LoadedEncoder> {
    let (weights, provenance) = read(path, format)?;
    let config = if architecture == OPEN_NSFW { resnet::Config::open_nsfw() } else { resnet::Config::resnet50() };
    build(key, architecture, config, weights, provenance, Some(path), (device, precision))
}

/// Loads any checkpoint at `path`, telling the architecture from its tensors: a bottleneck
/// ResNet of any width and depth, EfficientNet-Lite0, or open_nsfw.
pub fn load_any(path: &Path, format: Option<Format>, device: &Device, precision: Precision) -> Result<LoadedEncoder> {
    let (weights, provenance) = read(path, format)?;
    let architecture = if weights.shape("_conv_stem.weight").is_some() {
        EFFICIENTNET
    } else if weights.shape("conv1.bias").is_some() {
        OPEN_NSFW
    } else {
        Architecture::of("resnet50")
    };
    let config = if architecture == OPEN_NSFW { resnet::Config::open_nsfw() } else { resnet::Config::of(&weights) };
    let key = provenance.source.clone();
    build(&key, architecture, config, weights, provenance, Some(path), (device, precision))
}

/// The tensors of a checkpoint and where they come from.
fn read(path: &Path, format: Option<Format>) -> Result<(Weights, Provenance)> {
    let weights = crate::checkpoint::open(path, format)?;
    let sha256 = crate::files::sha256_file(path)?;
    let source = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    Ok((weights, Provenance { sha256, source }))
}

fn build(
    key: &str,
    architecture: Architecture,
    config: resnet::Config,
    mut weights: Weights,
    provenance: Provenance,
    file: Option<&Path>,
    (device, precision): (&Device, Precision),
) -> Result<LoadedEncoder> {
    let precision = precision.of_network(architecture);
    let classifier = if architecture == EFFICIENTNET {
        let weight = weights.take("_fc.weight", &[1000, efficientnet_lite::EMBEDDING])?;
        Some((weight.to_device(device)?, weights.take("_fc.bias", &[1000])?.to_device(device)?))
    } else {
        None
    };
    let network: Box<dyn Encoder> = if architecture == EFFICIENTNET {
        Box::new(efficientnet_lite::EfficientNetLite0::new(&mut weights, device)?)
    } else {
        Box::new(resnet::ResNet::with(config, &mut weights, device, precision)?)
    };
    let bytes = weights.bytes_taken();
    weights.finish()?;
    let file = file.map(Path::to_path_buf);
    Ok(LoadedEncoder { key: key.to_owned(), network, provenance, classifier, bytes, precision, architecture, file })
}

/// How pictures become the input of an architecture, known before any weights are loaded.
#[must_use]
pub fn preprocessing(architecture: Architecture) -> Preprocessing {
    if architecture == EFFICIENTNET {
        efficientnet_lite::PREPROCESSING
    } else if architecture == OPEN_NSFW {
        resnet::Config::open_nsfw().preprocessing
    } else {
        resnet::Config::resnet50().preprocessing
    }
}
