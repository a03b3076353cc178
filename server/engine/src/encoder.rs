//! Frozen encoders: named feature maps and an embedding, whatever the architecture.

pub mod efficientnet_lite;
pub mod registry;
pub mod resnet;
pub mod weights;

use crate::preprocess::Preprocessing;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use std::path::Path;
use virboard_core::catalog::encoder::{Architecture, Format};

/// A feature map that an encoder offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapSpec {
    /// Name, such as `block3`.
    pub name: String,
    /// Input pixels per map pixel, in both directions.
    pub stride: usize,
    /// Channels.
    pub channels: usize,
}

/// How exactly a ResNet computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As PyTorch does by default.
    #[default]
    F32,
    /// Weights and activations in half precision, on a GPU.
    F16,
    /// Weights and activations in bfloat16, sums in `f32`.
    Bf16,
}

impl Precision {
    /// Whether it is the default, which is said nowhere.
    #[must_use]
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    pub fn is_default(&self) -> bool {
        *self == Self::F32
    }

    /// The precision of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        [Self::F32, Self::F16, Self::Bf16].into_iter().find(|p| p.name() == name)
    }

    /// What of it a network can have: only ResNets have another one than the default.
    #[must_use]
    pub fn of_network(self, architecture: Architecture) -> Self {
        if architecture == Architecture::EfficientNetLite0 { Self::F32 } else { self }
    }

    /// Complains if it cannot be had on a device.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for half precision on the CPU, or bfloat16 on a processor without it.
    pub fn check(self, device: &Device) -> Result<()> {
        match self {
            Self::Bf16 if device.is_cpu() => crate::kernel::bf16::check(),
            Self::F16 if device.is_cpu() => {
                let reason = "half precision is for GPUs; use `--precision bf16` or `--precision f32` on the CPU";
                Err(Error::Unsupported(reason.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// The type of candle's tensors.
    #[must_use]
    pub const fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }

    /// `f32`, `f16` or `bf16`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }
}

/// What an encoder makes of a batch.
#[derive(Debug, Clone)]
pub struct Features {
    /// One tensor a [`MapSpec`], `N x C x H/stride x W/stride`, the finest first; its values may
    /// lie in another order.
    pub maps: Vec<Tensor>,
    /// `N x E`.
    pub embedding: Tensor,
}

impl Features {
    /// The embeddings of several images side by side, `N x (K * E)`.
    pub fn embeddings(images: &[Self]) -> Result<Tensor> {
        let all: Vec<&Tensor> = images.iter().map(|i| &i.embedding).collect();
        Ok(Tensor::cat(&all, 1)?)
    }

    /// The maps of several images side by side on channels, each `N x H x W x (K * C)`.
    pub fn maps_nhwc(images: &[Self]) -> Result<Vec<Tensor>> {
        let levels = images.first().map_or(0, |i| i.maps.len());
        (0..levels)
            .map(|level| {
                let all: Vec<&Tensor> = images.iter().map(|i| &i.maps[level]).collect();
                Ok(Tensor::cat(&all, 1)?.permute((0, 2, 3, 1))?.contiguous()?)
            })
            .collect()
    }
}

/// A frozen network.
pub trait Encoder: Send + Sync {
    /// The maps in the order of [`Features::maps`].
    fn maps(&self) -> &[MapSpec];
    /// Length E of the embedding.
    fn embedding_len(&self) -> usize;
    /// How pictures become its input.
    fn preprocessing(&self) -> &Preprocessing;
    /// All maps and the embedding of a batch `N x 3 x H x W`.
    fn features(&self, input: &Tensor) -> Result<Features>;
    /// The embedding alone, `N x E`, which costs less than with the maps.
    fn embedding(&self, input: &Tensor) -> Result<Tensor> {
        Ok(self.features(input)?.embedding)
    }
    /// As [`Self::features`], but without any maps unless they are wanted.
    fn features_with(&self, input: &Tensor, maps: bool) -> Result<Features> {
        if maps { self.features(input) } else { Ok(Features { maps: Vec::new(), embedding: self.embedding(input)? }) }
    }
}

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
        if self.architecture == Architecture::EfficientNetLite0 {
            return Ok(None);
        }
        let weights = match &self.file {
            Some(file) => crate::checkpoint::open(file, None)?,
            None => resnet::random_weights(&resnet::Config::resnet50(), RANDOM_SEED)?,
        };
        Ok(Some(weights.below("layer4.")))
    }
}

/// Seed of the `Random` encoder.
pub const RANDOM_SEED: u64 = 0;

/// Builds `Random`: torchvision's initialisation of a ResNet-50 from a fixed seed.
pub fn random(key: &str, device: &Device, precision: Precision) -> Result<LoadedEncoder> {
    let config = resnet::Config::resnet50();
    let weights = resnet::random_weights(&config, RANDOM_SEED)?;
    let source = format!("torchvision's default initialisation, seed {RANDOM_SEED}");
    let provenance = Provenance { sha256: crate::files::sha256(source.as_bytes()), source };
    build(key, Architecture::ResNet50, config, weights, provenance, None, (device, precision))
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
    let config = match architecture {
        Architecture::OpenNsfw => resnet::Config::open_nsfw(),
        Architecture::ResNet50 | Architecture::EfficientNetLite0 => resnet::Config::resnet50(),
    };
    build(key, architecture, config, weights, provenance, Some(path), (device, precision))
}

/// Loads any checkpoint at `path`, telling the architecture from its tensors: a bottleneck
/// ResNet of any width and depth, EfficientNet-Lite0, or open_nsfw.
pub fn load_any(path: &Path, format: Option<Format>, device: &Device, precision: Precision) -> Result<LoadedEncoder> {
    let (weights, provenance) = read(path, format)?;
    let architecture = if weights.shape("_conv_stem.weight").is_some() {
        Architecture::EfficientNetLite0
    } else if weights.shape("conv1.bias").is_some() {
        Architecture::OpenNsfw
    } else {
        Architecture::ResNet50
    };
    let config = match architecture {
        Architecture::OpenNsfw => resnet::Config::open_nsfw(),
        Architecture::ResNet50 | Architecture::EfficientNetLite0 => resnet::Config::of(&weights),
    };
    let key = provenance.source.clone();
    build(&key, architecture, config, weights, provenance, Some(path), (device, precision))
}

/// The tensors of a checkpoint and where they come from.
fn read(path: &Path, format: Option<Format>) -> Result<(weights::Weights, Provenance)> {
    let weights = crate::checkpoint::open(path, format)?;
    let sha256 = crate::files::sha256_file(path)?;
    let source = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    Ok((weights, Provenance { sha256, source }))
}

fn build(
    key: &str,
    architecture: Architecture,
    config: resnet::Config,
    mut weights: weights::Weights,
    provenance: Provenance,
    file: Option<&Path>,
    (device, precision): (&Device, Precision),
) -> Result<LoadedEncoder> {
    let precision = precision.of_network(architecture);
    let classifier = match architecture {
        Architecture::EfficientNetLite0 => Some((
            weights.take("_fc.weight", &[1000, architecture.embedding()])?.to_device(device)?,
            weights.take("_fc.bias", &[1000])?.to_device(device)?,
        )),
        Architecture::ResNet50 | Architecture::OpenNsfw => None,
    };
    let network: Box<dyn Encoder> = match architecture {
        Architecture::EfficientNetLite0 => Box::new(efficientnet_lite::EfficientNetLite0::new(&mut weights, device)?),
        Architecture::ResNet50 | Architecture::OpenNsfw => {
            Box::new(resnet::ResNet::with(config, &mut weights, device, precision)?)
        }
    };
    let bytes = weights.bytes_taken();
    weights.finish()?;
    let file = file.map(Path::to_path_buf);
    Ok(LoadedEncoder { key: key.to_owned(), network, provenance, classifier, bytes, precision, architecture, file })
}

/// The catalogue's entry, or an error that lists what there is.
pub fn catalogued(key: &str) -> Result<&'static virboard_core::catalog::encoder::Encoder> {
    virboard_core::catalog::encoder(key).ok_or_else(|| Error::Unknown {
        what: "encoder",
        key: key.to_owned(),
        known: virboard_core::catalog::ENCODERS.iter().map(|e| e.key).collect::<Vec<_>>().join(", "),
    })
}

/// How pictures become the input of an architecture, known before any weights are loaded.
#[must_use]
pub const fn preprocessing(architecture: Architecture) -> Preprocessing {
    match architecture {
        Architecture::ResNet50 => resnet::Config::resnet50().preprocessing,
        Architecture::OpenNsfw => resnet::Config::open_nsfw().preprocessing,
        Architecture::EfficientNetLite0 => efficientnet_lite::PREPROCESSING,
    }
}

#[cfg(test)]
mod test_networks {
    use super::Encoder;
    use candle_core::Tensor;

    /// The values in row order.
    pub fn values(t: &Tensor) -> Vec<f32> {
        t.flatten_all().and_then(|t| t.to_vec1()).expect("values")
    }

    /// An image's embedding has the same bits alone on one thread as among those of `x`.
    pub fn same_bits_in_any_batch(network: &dyn Encoder, x: &Tensor) {
        let all: Vec<Vec<f32>> = network.embedding(x).and_then(|e| Ok(e.to_vec2()?)).expect("values");
        let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
        for (i, wanted) in all.iter().enumerate() {
            let alone = x.narrow(0, i, 1).expect("an image");
            let alone = one_thread.install(|| network.embedding(&alone)).expect("computed");
            assert_eq!(&values(&alone), wanted, "image {i}");
        }
    }
}
