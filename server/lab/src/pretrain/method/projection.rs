//! What stands between an encoder's embedding and a loss, and is thrown away afterwards.

use super::Start;
use super::loss::normalised;
use super::saved::{self, State};
use crate::Result;
use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use virboard_nn::layer::{BatchNorm, relu};
use virboard_nn::parameters::Parameters;
use virboard_nn::trainable::{Gradients, Normalising, Trainable};

/// A projection as settings write it: one linear layer, or two with ReLU between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectionForm {
    /// Width between the two layers; one layer if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<usize>,
    /// Width of what comes out.
    pub out: usize,
    /// Whether a batch normalisation follows the first of two layers.
    #[serde(default)]
    pub batch_norm: bool,
}

impl ProjectionForm {
    /// One linear layer.
    #[must_use]
    pub const fn linear(out: usize) -> Self {
        Self { hidden: None, out, batch_norm: false }
    }

    /// What is wrong with it, a sentence each.
    #[must_use]
    pub fn mistakes(&self) -> Vec<String> {
        let mut said = Vec::new();
        if self.out == 0 || self.hidden == Some(0) {
            said.push("a width of `projection` is 0; give the number of outputs of each layer".to_owned());
        }
        if self.batch_norm && self.hidden.is_none() {
            said.push(
                "`batch_norm` of `projection` stands between two layers; give `hidden`, or leave it out".to_owned(),
            );
        }
        said
    }
}

/// `x W^T + b`, as `torch.nn.Linear`.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Adds `NAME.weight`, `out x input`, and `NAME.bias` with PyTorch's default values.
    pub fn new(parameters: &mut Parameters, name: &str, input: usize, out: usize) -> Result<Self> {
        let (weight, bias) = parameters.layer(name, &[out, input])?;
        Ok(Self { weight, bias })
    }

    /// `N x input` to `N x out`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)?)
    }
}

/// A projection with its tensors: `projection.out`, and with two layers `projection.hidden` and
/// `projection.norm`.
#[derive(Debug)]
pub struct Projection {
    hidden: Option<Linear>,
    norm: Option<BatchNorm>,
    out: Linear,
}

impl Projection {
    /// Adds the tensors of a projection of embeddings of length `input`.
    pub fn new(parameters: &mut Parameters, form: &ProjectionForm, input: usize) -> Result<Self> {
        let hidden = form.hidden.map(|width| Linear::new(parameters, "projection.hidden", input, width)).transpose()?;
        let norm = match form.hidden {
            // PyTorch's defaults.
            Some(width) if form.batch_norm => Some(BatchNorm::new(parameters, "projection.norm", width, 1e-5, 0.1)?),
            _ => None,
        };
        let out = Linear::new(parameters, "projection.out", form.hidden.unwrap_or(input), form.out)?;
        Ok(Self { hidden, norm, out })
    }

    /// `N x E` to `N x out`.
    pub fn forward(&self, x: &Tensor, normalising: Normalising) -> Result<Tensor> {
        let Some(hidden) = &self.hidden else { return self.out.forward(x) };
        let x = hidden.forward(x)?;
        let x = match &self.norm {
            Some(norm) => {
                let (count, width) = x.dims2()?;
                let x = x.reshape((count, 1, 1, width))?;
                let Normalising { statistics, groups } = normalising;
                norm.forward_in_groups(&x, statistics, true, groups)?.reshape((count, width))?
            }
            None => relu(&x)?,
        };
        self.out.forward(&x)
    }
}

/// An encoder with heads behind it, whose tensors are called `encoder.NAME` and by their own
/// names.
pub struct Network {
    /// The encoder.
    pub encoder: Box<dyn Trainable>,
    /// The tensors of what stands behind it.
    pub heads: Parameters,
}

/// What stands before the names of an encoder's tensors.
const ENCODER: &str = "encoder.";

impl Network {
    /// A new encoder without heads. It and the heads to come have gradients or none.
    pub fn new(start: &Start<'_>, gradients: Gradients) -> Result<Self> {
        let encoder = (start.encoder)(gradients)?;
        Ok(Self { encoder, heads: Parameters::with(gradients, start.seed, start.device) })
    }

    /// Length of the encoder's embedding.
    #[must_use]
    pub fn embedding_len(&self) -> usize {
        self.encoder.description().embedding
    }

    /// What is trained.
    #[must_use]
    pub fn trainable(&self) -> BTreeMap<String, Var> {
        let encoder = self.encoder.parameters().trainable().iter();
        let encoder = encoder.map(|(name, var)| (format!("{ENCODER}{name}"), var.clone()));
        encoder.chain(self.heads.trainable().iter().map(|(name, var)| (name.clone(), var.clone()))).collect()
    }

    /// Adds copies of all tensors, with `prefix` before their names.
    pub fn save(&self, prefix: &str, state: &mut State) -> Result<()> {
        saved::save(self.encoder.parameters(), &format!("{prefix}{ENCODER}"), state)?;
        saved::save(&self.heads, prefix, state)
    }

    /// Takes up what [`Self::save`] added.
    pub fn restore(&self, prefix: &str, state: &State) -> Result<()> {
        saved::restore(self.encoder.parameters(), &format!("{prefix}{ENCODER}"), state)?;
        saved::restore(&self.heads, prefix, state)
    }

    /// Copies of the encoder's own tensors, as its checkpoint names them.
    pub fn checkpoint(&self) -> Result<State> {
        let mut state = State::new();
        saved::save(self.encoder.parameters(), "", &mut state)?;
        Ok(state)
    }

    /// Takes over the values of all tensors of another one of the same form.
    pub fn copy(&self, from: &Self) -> Result<()> {
        saved::copy(from.encoder.parameters(), self.encoder.parameters())?;
        saved::copy(&from.heads, &self.heads)
    }

    /// Moves the trained tensors towards those of another one, of which they take up the share
    /// `1 - momentum`.
    pub fn follow(&self, newest: &Self, momentum: f64) -> Result<()> {
        saved::follow(newest.encoder.parameters(), self.encoder.parameters(), momentum)?;
        saved::follow(&newest.heads, &self.heads, momentum)
    }
}

/// An encoder with one projection.
pub struct Projected {
    /// The encoder and the projection's tensors.
    pub network: Network,
    projection: Projection,
}

impl Projected {
    /// A new one.
    pub fn new(form: &ProjectionForm, start: &Start<'_>) -> Result<Self> {
        Self::with(Gradients::Wanted, form, start)
    }

    /// One of the same form with the same values, which only follows this one: it has no gradients.
    pub fn follower(&self, form: &ProjectionForm, start: &Start<'_>) -> Result<Self> {
        let follower = Self::with(Gradients::None, form, start)?;
        follower.network.copy(&self.network)?;
        Ok(follower)
    }

    fn with(gradients: Gradients, form: &ProjectionForm, start: &Start<'_>) -> Result<Self> {
        let mut network = Network::new(start, gradients)?;
        let embedding = network.embedding_len();
        let projection = Projection::new(&mut network.heads, form, embedding)?;
        Ok(Self { network, projection })
    }

    /// What the projection makes of views `N x S x S x 3`: `N x out`.
    pub fn forward(&self, views: &Tensor, normalising: Normalising) -> Result<Tensor> {
        self.project(&self.network.encoder.embedding(views, normalising)?, normalising)
    }

    /// What the projection makes of embeddings `N x E`: `N x out`.
    pub fn project(&self, embeddings: &Tensor, normalising: Normalising) -> Result<Tensor> {
        self.projection.forward(embeddings, normalising)
    }

    /// The same as [`Self::forward`] in rows of length 1.
    pub fn unit(&self, views: &Tensor, normalising: Normalising) -> Result<Tensor> {
        normalised(&self.forward(views, normalising)?)
    }
}
