//! Networks that are trained whole: from settings or a checkpoint to one with gradients.

use crate::checkpoint::weights::Weights;
use crate::encoder::{Description, Training};
pub use crate::encoder::{Form, Normalising, Trainable};
use crate::network::FAMILIES;
pub use crate::parameters::Gradients;
use crate::{Error, Result};
use candle_core::Device;

impl Form {
    /// What the network is.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for an architecture that is not known or has no such sizes.
    pub fn describe(&self) -> Result<Description> {
        FAMILIES.iter().find_map(|family| (family.sized)(self)).unwrap_or_else(|| {
            let known = FAMILIES.iter().flat_map(|f| f.trained).copied().collect::<Vec<_>>().join(", ");
            Err(Error::Unsupported(format!(
                "`{}` is no architecture that can be trained; these are: {known}",
                self.architecture
            )))
        })
    }

    /// Weights to begin with, from a seed.
    ///
    /// # Errors
    /// As [`Self::describe`].
    pub fn random(&self, seed: u64) -> Result<Weights> {
        (training(&self.describe()?)?.random)(seed)
    }

    /// The network with these weights.
    ///
    /// # Errors
    /// As [`Self::describe`], and for weights of another network.
    pub fn build(&self, weights: &mut Weights, device: &Device) -> Result<Box<dyn Trainable>> {
        self.build_with(Gradients::Wanted, weights, device)
    }

    /// The same, with or without gradients.
    pub fn build_with(
        &self,
        gradients: Gradients,
        weights: &mut Weights,
        device: &Device,
    ) -> Result<Box<dyn Trainable>> {
        (training(&self.describe()?)?.build)(weights, device, gradients)
    }
}

/// How a network is trained whole.
///
/// # Errors
/// [`Error::Unsupported`] if it cannot be.
pub fn training(description: &Description) -> Result<&Training> {
    description
        .training
        .as_ref()
        .ok_or_else(|| Error::Unsupported(format!("{} can be run, but not trained whole", description.architecture)))
}
