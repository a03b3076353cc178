//! The head over several images: their embeddings side by side, one hidden layer, classes
//! (paper, section 3.3: egomotion from 2 images, actions from 6).

use super::linear::fold;
use crate::Result;
use crate::layer::relu;
use crate::parameters::Parameters;
use candle_core::{Device, Tensor};

/// Units of the hidden layer.
pub const HIDDEN: usize = 512;

/// `N x (K * E)` to `N x classes`: linear, ReLU, linear.
#[derive(Debug)]
pub struct MultiEmbedding {
    parameters: Parameters,
    hidden: (Tensor, Tensor),
    output: (Tensor, Tensor),
}

impl MultiEmbedding {
    /// Layers with PyTorch's default initialisation; `input` is K * E.
    pub fn new(input: usize, hidden: usize, classes: usize, seed: u64, device: &Device) -> Result<Self> {
        let mut parameters = Parameters::new(seed, device);
        let first = parameters.layer("hidden", &[hidden, input])?;
        let output = parameters.layer("output", &[classes, hidden])?;
        Ok(Self { parameters, hidden: first, output })
    }

    /// Logits of a batch of embeddings, the K of a sample side by side.
    pub fn forward(&self, embeddings: &Tensor) -> Result<Tensor> {
        let hidden = relu(&embeddings.matmul(&self.hidden.0.t()?)?.broadcast_add(&self.hidden.1)?)?;
        Ok(hidden.matmul(&self.output.0.t()?)?.broadcast_add(&self.output.1)?)
    }

    /// Takes a standardisation of the input, `(x - mean) / std`, into the first layer.
    pub fn fold_standardisation(&self, mean: &Tensor, std: &Tensor) -> Result<()> {
        fold(&self.parameters, "hidden", mean, std)
    }

    /// Its named tensors.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
