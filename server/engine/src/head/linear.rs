//! The linear probe: embedding to class logits.

use super::Parameters;
use crate::Result;
use candle_core::{Device, Tensor, Var};

/// `N x E` to `N x classes`.
#[derive(Debug)]
pub struct Linear {
    parameters: Parameters,
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// A layer with PyTorch's default initialisation.
    pub fn new(input: usize, classes: usize, seed: u64, device: &Device) -> Result<Self> {
        let mut parameters = Parameters::default();
        let (weight, bias) = parameters.layer("linear", &[classes, input], seed, device)?;
        Ok(Self { parameters, weight, bias })
    }

    /// A fixed layer from `classes x E` and `classes`.
    #[must_use]
    pub fn from_tensors(weight: Tensor, bias: Tensor) -> Self {
        Self { parameters: Parameters::default(), weight, bias }
    }

    /// Logits of a batch of embeddings.
    pub fn forward(&self, embedding: &Tensor) -> Result<Tensor> {
        Ok(embedding.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)?)
    }

    /// Takes a standardisation of the input, `(x - mean) / std`, into the weights: the head
    /// trained on standardised embeddings then takes plain ones.
    pub fn fold_standardisation(&self, mean: &Tensor, std: &Tensor) -> Result<()> {
        let weight = self.weight.broadcast_div(std)?;
        let bias = (&self.bias - weight.broadcast_mul(mean)?.sum(1)?)?;
        self.set(&weight, &bias)
    }

    fn set(&self, weight: &Tensor, bias: &Tensor) -> Result<()> {
        let var = |name: &str| -> Option<&Var> { self.parameters.0.get(name) };
        if let (Some(w), Some(b)) = (var("linear.weight"), var("linear.bias")) {
            w.set(weight)?;
            b.set(bias)?;
        }
        Ok(())
    }

    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
