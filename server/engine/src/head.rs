//! Heads: the trainable part behind a frozen encoder, and the file that holds one.

pub mod linear;
pub mod pixelwise;

use crate::encoder::{Features, LoadedEncoder};
use crate::files::write_atomically;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor, Var};
use linear::Linear;
use pixelwise::Pixelwise;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;
use virboard_core::catalog::task::OutputKind;

/// A class of a head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Name of the class.
    pub name: String,
    /// `#rrggbb`; empty where colours have no meaning.
    #[serde(default)]
    pub colour: String,
}

/// How the head is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "head", rename_all = "snake_case")]
pub enum Architecture {
    /// Embedding to classes.
    Linear {
        /// Length of the embedding.
        input: usize,
    },
    /// Decoder over all maps.
    Pixelwise {
        /// Channels of the encoder's maps, the finest first.
        channels: Vec<usize>,
        /// Channels to which a 1x1 convolution reduces each map first (the slim variant).
        slim: Option<Vec<usize>>,
    },
}

/// Everything about a head but its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeadSpec {
    /// Key of the task.
    pub task: String,
    /// Key of the encoder that it was trained on.
    pub encoder: String,
    /// SHA-256 of that encoder's weights; with others the head is worthless.
    pub encoder_sha256: String,
    /// What it puts out.
    pub kind: OutputKind,
    /// How it is built.
    pub architecture: Architecture,
    /// Classes in label order; empty for depth.
    pub labels: Vec<Label>,
    /// Unit of a depth; empty for classes.
    pub unit: String,
    /// Factor from the head's raw output to `unit`; 1 for classes.
    pub scale: f32,
    /// Seed of the training.
    pub seed: u64,
}

impl HeadSpec {
    /// Number of output channels.
    #[must_use]
    pub fn outputs(&self) -> usize {
        if self.kind == OutputKind::Depth { 1 } else { self.labels.len() }
    }
}

/// A head with its weights.
#[derive(Debug)]
pub struct Head {
    /// Everything but the weights.
    pub spec: HeadSpec,
    network: Network,
}

#[derive(Debug)]
enum Network {
    Linear(Linear),
    Pixelwise(Pixelwise),
}

/// What a head puts out for a batch.
#[derive(Debug)]
pub enum RawOutput {
    /// Class logits, `N x classes`.
    Logits(Tensor),
    /// Class logits per pixel, `N x classes x H x W`.
    PixelLogits(Tensor),
    /// Depth per pixel in the head's unit, `N x H x W`.
    Depth(Tensor),
}

const METADATA: &str = "virboard_head";

impl Head {
    /// A new head with PyTorch's default initialisation from the seed of `spec`.
    pub fn new(spec: HeadSpec, device: &Device) -> Result<Self> {
        let network = match &spec.architecture {
            Architecture::Linear { input } => Network::Linear(Linear::new(*input, spec.outputs(), spec.seed, device)?),
            Architecture::Pixelwise { channels, slim } => {
                Network::Pixelwise(Pixelwise::new(channels, slim.as_deref(), spec.outputs(), spec.seed, device)?)
            }
        };
        Ok(Self { spec, network })
    }

    /// The classification layer that came with the encoder's own checkpoint, if it has one.
    #[must_use]
    pub fn own(encoder: &LoadedEncoder) -> Option<Self> {
        let (weight, bias) = encoder.classifier.clone()?;
        let labels = virboard_core::catalog::imagenet_classes()
            .map(|name| Label { name: name.to_owned(), colour: String::new() })
            .collect();
        let spec = HeadSpec {
            task: OWN_TASK.to_owned(),
            encoder: encoder.key.clone(),
            encoder_sha256: encoder.provenance.sha256.clone(),
            kind: OutputKind::Classification,
            architecture: Architecture::Linear { input: encoder.network.embedding_len() },
            labels,
            unit: String::new(),
            scale: 1.0,
            seed: 0,
        };
        Some(Self { spec, network: Network::Linear(Linear::from_tensors(weight, bias)) })
    }

    /// Runs the head on an encoder's features.
    pub fn forward(&self, features: &Features) -> Result<RawOutput> {
        Ok(match &self.network {
            Network::Linear(linear) => RawOutput::Logits(linear.forward(&features.embedding)?),
            Network::Pixelwise(decoder) => {
                let out = decoder.forward(&features.maps)?;
                if self.spec.kind == OutputKind::Depth {
                    RawOutput::Depth((out.squeeze(1)? * f64::from(self.spec.scale))?)
                } else {
                    RawOutput::PixelLogits(out)
                }
            }
        })
    }

    /// The linear head inside, if it is one.
    #[must_use]
    pub fn as_linear(&self) -> Option<&Linear> {
        match &self.network {
            Network::Linear(linear) => Some(linear),
            Network::Pixelwise(_) => None,
        }
    }

    /// The pixel-wise decoder inside, if it is one.
    #[must_use]
    pub fn as_pixelwise(&self) -> Option<&Pixelwise> {
        match &self.network {
            Network::Pixelwise(decoder) => Some(decoder),
            Network::Linear(_) => None,
        }
    }

    fn parameters(&self) -> &Parameters {
        match &self.network {
            Network::Linear(linear) => linear.parameters(),
            Network::Pixelwise(decoder) => decoder.parameters(),
        }
    }

    /// The trainable tensors in the order of their names.
    #[must_use]
    pub fn trainable(&self) -> Vec<Var> {
        self.parameters().0.values().cloned().collect()
    }

    /// Writes the head as half-precision safetensors, atomically.
    pub fn save(&self, path: &Path) -> Result<()> {
        let fail = |e: &dyn std::fmt::Display| Error::Head { path: path.to_path_buf(), reason: e.to_string() };
        let tensors: BTreeMap<String, Tensor> = self
            .parameters()
            .0
            .iter()
            .map(|(name, var)| Ok((name.clone(), var.as_tensor().to_dtype(DType::F16)?.to_device(&Device::Cpu)?)))
            .collect::<Result<_>>()?;
        let spec = serde_json::to_string(&self.spec).map_err(|e| fail(&e))?;
        let metadata = HashMap::from([(METADATA.to_owned(), spec)]);
        let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(|e| fail(&e))?;
        write_atomically(path, |file| file.write_all(&bytes).map_err(Error::io(path)))
    }

    /// Reads the description of a head without its weights.
    pub fn read_spec(path: &Path) -> Result<HeadSpec> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        spec_of(&bytes, path)
    }

    /// Reads a head.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        let fail = |e: &dyn std::fmt::Display| Error::Head { path: path.to_path_buf(), reason: e.to_string() };
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let head = Self::new(spec_of(&bytes, path)?, device)?;
        let mut tensors = candle_core::safetensors::load_buffer(&bytes, device).map_err(|e| fail(&e))?;
        for (name, var) in &head.parameters().0 {
            let tensor = tensors.remove(name).ok_or_else(|| fail(&format!("it has no tensor `{name}`")))?;
            if tensor.dims() != var.dims() {
                return Err(fail(&format!("tensor `{name}` has shape {:?}, not {:?}", tensor.dims(), var.dims())));
            }
            var.set(&tensor.to_dtype(DType::F32)?)?;
        }
        Ok(head)
    }

    /// Complains if the head was trained on other weights than `encoder` has.
    pub fn check(&self, encoder: &LoadedEncoder) -> Result<()> {
        if self.spec.encoder_sha256 == encoder.provenance.sha256 {
            return Ok(());
        }
        Err(Error::Unsupported(format!(
            "the head for {} was trained on other weights of {} than are here; train it again with `virboard evaluate --encoders {} --tasks {}`",
            self.spec.task, encoder.key, encoder.key, self.spec.task
        )))
    }
}

/// The task that a checkpoint's own classification layer solves.
pub const OWN_TASK: &str = "Imagenet";

fn spec_of(bytes: &[u8], path: &Path) -> Result<HeadSpec> {
    let fail = |reason: String| Error::Head { path: path.to_path_buf(), reason };
    let (_, metadata) = safetensors::SafeTensors::read_metadata(bytes).map_err(|e| fail(e.to_string()))?;
    let spec = metadata.metadata().as_ref().and_then(|m| m.get(METADATA));
    let spec = spec.ok_or_else(|| fail("it does not say which head it is".to_owned()))?;
    serde_json::from_str(spec).map_err(|e| fail(format!("its description cannot be read: {e}")))
}

/// Named trainable tensors.
#[derive(Debug, Default)]
pub struct Parameters(BTreeMap<String, Var>);

impl Parameters {
    /// Adds `NAME.weight` of `shape` (outputs first) and `NAME.bias`, uniform in
    /// +-1/sqrt(inputs): PyTorch's default for linear layers and convolutions.
    fn layer(&mut self, name: &str, shape: &[usize], seed: u64, device: &Device) -> Result<(Tensor, Tensor)> {
        let bound = 1.0 / (shape[1..].iter().product::<usize>() as f64).sqrt();
        let mut add = |name: String, shape: &[usize]| -> Result<Tensor> {
            let mut stream = crate::seeded::Stream::new(seed, &name);
            let count = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|_| ((stream.uniform() * 2.0 - 1.0) * bound) as f32).collect();
            let var = Var::from_tensor(&Tensor::from_vec(values, shape, device)?)?;
            let tensor = var.as_tensor().clone();
            self.0.insert(name, var);
            Ok(tensor)
        };
        Ok((add(format!("{name}.weight"), shape)?, add(format!("{name}.bias"), &shape[..1])?))
    }
}
