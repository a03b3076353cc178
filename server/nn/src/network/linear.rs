//! The linear probe: embedding to class logits.

use crate::Result;
use crate::parameters::Parameters;
use candle_core::{Device, Tensor};

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
        let mut parameters = Parameters::new(seed, device);
        let (weight, bias) = parameters.layer("linear", &[classes, input])?;
        Ok(Self { parameters, weight, bias })
    }

    /// A fixed layer from `classes x E` and `classes`.
    #[must_use]
    pub fn from_tensors(weight: Tensor, bias: Tensor) -> Self {
        let parameters = Parameters::new(0, weight.device());
        Self { parameters, weight, bias }
    }

    /// Logits of a batch of embeddings.
    pub fn forward(&self, embedding: &Tensor) -> Result<Tensor> {
        Ok(embedding.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)?)
    }

    /// Takes a standardisation of the input, `(x - mean) / std`, into the weights: the head
    /// trained on standardised embeddings then takes plain ones.
    pub fn fold_standardisation(&self, mean: &Tensor, std: &Tensor) -> Result<()> {
        fold(&self.parameters, "linear", mean, std)
    }

    /// Its named tensors.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

/// Takes `(x - mean) / std` of the input into the layer `name`, `O x I` or `O x I x 1 x 1`.
pub(super) fn fold(parameters: &Parameters, name: &str, mean: &Tensor, std: &Tensor) -> Result<()> {
    let (Some(weight), Some(bias)) =
        (parameters.get(&format!("{name}.weight")), parameters.get(&format!("{name}.bias")))
    else {
        return Ok(());
    };
    let flat = weight.as_tensor().flatten_from(1)?;
    let folded = flat.broadcast_div(std)?;
    bias.set(&(bias.as_tensor() - folded.broadcast_mul(mean)?.sum(1)?)?)?;
    weight.set(&folded.reshape(weight.dims())?)?;
    Ok(())
}
