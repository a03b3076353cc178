//! Heads: the trainable part behind a frozen encoder, and the file that holds one.

use crate::{Error, Result};
use candle_core::{DType, Device, Tensor, Var};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;
use virboard_core::catalogue::task::OutputKind;
use virboard_nn::checkpoint::{TensorFile, packed};
use virboard_nn::encoder::Features;
use virboard_nn::files::write_atomically;
use virboard_nn::load::LoadedEncoder;
use virboard_nn::network::deeplab::{self, DeepLab};
use virboard_nn::network::linear::Linear;
use virboard_nn::network::multi_embedding::MultiEmbedding;
use virboard_nn::network::pixelwise::Pixelwise;
use virboard_nn::parameters::Parameters;

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "head", rename_all = "snake_case")]
pub enum Architecture {
    /// Embedding to classes.
    Linear {
        /// Length of the embedding.
        input: usize,
    },
    /// Several images' embeddings to classes.
    MultiEmbedding {
        /// Length of an embedding times the number of images.
        input: usize,
        /// Units of the hidden layer.
        hidden: usize,
    },
    /// Decoder over all maps of one image, or of two side by side (siamese).
    Pixelwise {
        /// Channels of the maps, the finest first; of both images together.
        channels: Vec<usize>,
        /// Channels to which a 1x1 convolution brings each map first (siamese or slim).
        slim: Option<Vec<usize>>,
    },
    /// Atrous pyramid and decoder over two maps.
    DeepLab(deeplab::Shape),
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
    /// Images that make one sample.
    #[serde(default = "one")]
    pub images: usize,
    /// Numbers per pixel or sample where they are not one a label: 1 for a mask of one class
    /// (then there are two labels, the first for what is not it), 1 for depth, 2 for flow.
    #[serde(default)]
    pub channels: Option<usize>,
    /// Width and height of the pictures in whose pixels flow is measured; none if it is in
    /// the pixels of each picture itself.
    #[serde(default)]
    pub reference: Option<(u32, u32)>,
}

const fn one() -> usize {
    1
}

impl HeadSpec {
    /// Number of output channels.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.channels.unwrap_or(if self.kind == OutputKind::Depth { 1 } else { self.labels.len() })
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
    MultiEmbedding(MultiEmbedding),
    Pixelwise(Pixelwise),
    DeepLab(Box<DeepLab>),
}

/// What a head puts out for a batch.
#[derive(Debug)]
pub enum RawOutput {
    /// Class logits, `N x classes`.
    Logits(Tensor),
    /// Class logits per pixel, `N x classes x H x W`; a mask of one class has one plane, whose
    /// pixels above 0 belong to it.
    PixelLogits(Tensor),
    /// Depth per pixel in the head's unit, `N x H x W`.
    Depth(Tensor),
    /// Displacement per pixel in the head's unit (right and down), `N x channels x H x W`.
    Flow(Tensor),
}

const METADATA: &str = "virboard_head";

impl Head {
    /// A new head with PyTorch's default initialisation from the seed of `spec`.
    pub fn new(spec: HeadSpec, device: &Device) -> Result<Self> {
        let (outputs, seed) = (spec.outputs(), spec.seed);
        let network = match &spec.architecture {
            Architecture::Linear { input } => Network::Linear(Linear::new(*input, outputs, seed, device)?),
            Architecture::MultiEmbedding { input, hidden } => {
                Network::MultiEmbedding(MultiEmbedding::new(*input, *hidden, outputs, seed, device)?)
            }
            Architecture::Pixelwise { channels, slim } => {
                Network::Pixelwise(Pixelwise::new(channels, slim.as_deref(), outputs, seed, device)?)
            }
            Architecture::DeepLab(shape) => Network::DeepLab(Box::new(DeepLab::new(*shape, outputs, seed, device)?)),
        };
        Ok(Self { spec, network })
    }

    /// The classification layer that came with the encoder's own checkpoint, if it has one.
    #[must_use]
    pub fn own(encoder: &LoadedEncoder) -> Option<Self> {
        let (weight, bias) = encoder.classifier.clone()?;
        let labels = virboard_core::catalogue::imagenet_classes()
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
            images: 1,
            channels: None,
            reference: None,
        };
        Some(Self { spec, network: Network::Linear(Linear::from_tensors(weight, bias)) })
    }

    /// Runs the head on an encoder's features. `images` are the sample's images, each with
    /// features of the same batch; `size` is the input's height and width.
    pub fn forward(&self, images: &[Features], size: (usize, usize)) -> Result<RawOutput> {
        if images.len() != self.spec.images {
            return Err(Error::Unfit(format!(
                "the head of {} needs {} images at a time, not {}",
                self.spec.task,
                self.spec.images,
                images.len()
            )));
        }
        let out = self.run(&self.inputs(images)?, size, false)?;
        let planes =
            || -> Result<Tensor> { Ok((out.permute((0, 3, 1, 2))?.contiguous()? * f64::from(self.spec.scale))?) };
        Ok(match self.spec.kind {
            OutputKind::Classification => RawOutput::Logits(out),
            OutputKind::Segmentation => RawOutput::PixelLogits(planes()?),
            OutputKind::Depth => RawOutput::Depth(planes()?.squeeze(1)?),
            OutputKind::Flow => RawOutput::Flow(planes()?),
        })
    }

    /// What [`Self::run`] takes: the embeddings side by side, or the maps as `N x H x W x C`
    /// with the images side by side on channels.
    pub fn inputs(&self, images: &[Features]) -> Result<Vec<Tensor>> {
        Ok(if self.needs_maps() { Features::maps_nhwc(images)? } else { vec![Features::embeddings(images)?] })
    }

    /// Whether the head works on maps, not on embeddings.
    #[must_use]
    pub fn needs_maps(&self) -> bool {
        matches!(self.network, Network::Pixelwise(_) | Network::DeepLab(_))
    }

    /// The raw output: `N x classes`, or `N x H x W x outputs`. In training, batch
    /// normalisations use and gather the batch's statistics.
    pub fn run(&self, inputs: &[Tensor], size: (usize, usize), training: bool) -> Result<Tensor> {
        Ok(match &self.network {
            Network::Linear(linear) => linear.forward(&inputs[0])?,
            Network::MultiEmbedding(head) => head.forward(&inputs[0])?,
            Network::Pixelwise(decoder) => decoder.forward(inputs, size)?,
            Network::DeepLab(head) => head.forward(inputs, size, training)?,
        })
    }

    /// Whether inputs can be standardised for training and that be folded into the head.
    #[must_use]
    pub fn takes_standardisation(&self) -> bool {
        match &self.spec.architecture {
            Architecture::Linear { .. } | Architecture::MultiEmbedding { .. } => true,
            Architecture::Pixelwise { slim, .. } => slim.is_some(),
            Architecture::DeepLab(_) => false,
        }
    }

    /// Takes a standardisation of the inputs, `(x - mean) / std` a channel, into the head.
    pub fn fold_standardisation(&self, statistics: &[(Tensor, Tensor)]) -> Result<()> {
        match (&self.network, statistics) {
            (Network::Linear(linear), [(mean, std), ..]) => linear.fold_standardisation(mean, std)?,
            (Network::MultiEmbedding(head), [(mean, std), ..]) => head.fold_standardisation(mean, std)?,
            (Network::Pixelwise(decoder), statistics) => decoder.fold_standardisation(statistics)?,
            _ => {}
        }
        Ok(())
    }

    /// Gives a DeepLab head's trained block the encoder's last block; others have none.
    pub fn copy_block4(&self, layer4: &BTreeMap<String, Tensor>) -> Result<()> {
        match &self.network {
            Network::DeepLab(head) => Ok(head.copy_block4(layer4)?),
            _ => Ok(()),
        }
    }

    /// The head's tensors.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        match &self.network {
            Network::Linear(linear) => linear.parameters(),
            Network::MultiEmbedding(head) => head.parameters(),
            Network::Pixelwise(decoder) => decoder.parameters(),
            Network::DeepLab(head) => head.parameters(),
        }
    }

    /// The trainable tensors in the order of their names.
    #[must_use]
    pub fn trainable(&self) -> Vec<Var> {
        self.parameters().trainable().values().cloned().collect()
    }

    /// Writes the head as half-precision safetensors, atomically.
    pub fn save(&self, path: &Path) -> Result<()> {
        let fail = |e: &dyn std::fmt::Display| Error::Head { path: path.to_path_buf(), reason: e.to_string() };
        let tensors: BTreeMap<String, Tensor> = self
            .parameters()
            .all()
            .map(|(name, var)| Ok((name.clone(), var.as_tensor().to_dtype(DType::F16)?.to_device(&Device::Cpu)?)))
            .collect::<Result<_>>()?;
        let spec = serde_json::to_string(&self.spec).map_err(|e| fail(&e))?;
        let metadata = HashMap::from([(METADATA.to_owned(), spec)]);
        let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(|e| fail(&e))?;
        write_atomically(path, |file| file.write_all(&bytes).map_err(Error::io(path)))
    }

    /// Reads a head, packed or not.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        let fail = |reason: String| Error::Head { path: path.to_path_buf(), reason };
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let file = TensorFile::open(path, &bytes)?;
        let head = Self::new(spec_of(&file, path)?, device)?;
        let mut tensors = file.all()?;
        for (name, var) in head.parameters().all() {
            let tensor = tensors.remove(name).ok_or_else(|| fail(format!("it has no tensor `{name}`")))?;
            if tensor.dims() != var.dims() {
                return Err(fail(format!("tensor `{name}` has shape {:?}, not {:?}", tensor.dims(), var.dims())));
            }
            var.set(&tensor.to_device(device)?)?;
        }
        Ok(head)
    }

    /// Complains if the head was trained on other weights than `encoder` has.
    pub fn check(&self, encoder: &LoadedEncoder) -> Result<()> {
        if self.spec.encoder_sha256 == encoder.provenance.sha256 {
            return Ok(());
        }
        Err(Error::OtherWeights { task: self.spec.task.clone(), encoder: encoder.key.clone() })
    }
}

/// The task that a checkpoint's own classification layer solves.
pub const OWN_TASK: &str = "Imagenet";

/// Writes the head of a file as a packed one (see [`packed`]), which is the same head but for what 8 bits lose. Both may be
/// the same file.
///
/// # Errors
/// [`Error::Head`] for a file that is no head's.
pub fn pack(path: &Path, out: &Path) -> Result<()> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let file = TensorFile::open(path, &bytes)?;
    spec_of(&file, path)?;
    Ok(packed::write(out, &file.all()?, &file.entries())?)
}

fn spec_of(file: &TensorFile<'_>, path: &Path) -> Result<HeadSpec> {
    let fail = |reason: String| Error::Head { path: path.to_path_buf(), reason };
    let entries = file.entries();
    let spec = entries.get(METADATA).ok_or_else(|| fail("it does not say which head it is".to_owned()))?;
    serde_json::from_str(spec).map_err(|e| fail(format!("its description cannot be read: {e}")))
}
