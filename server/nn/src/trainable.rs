//! Networks that are trained whole: from settings or a checkpoint to one with gradients.

use crate::checkpoint::weights::Weights;
use crate::encoder::{Description, Training};
pub use crate::encoder::{Form, Normalising, Trainable};
use crate::network::FAMILIES;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;
use std::path::PathBuf;

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
        (training(&self.describe()?)?.build)(weights, device)
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

/// The tensors of a network as its checkpoint names them, on the CPU.
///
/// # Errors
/// If they cannot be brought there.
pub fn tensors(network: &dyn Trainable) -> Result<BTreeMap<String, Tensor>> {
    let take = |(name, var): (&String, &candle_core::Var)| {
        // Copied: the network's own will change.
        Ok((name.clone(), var.as_tensor().detach().to_device(&Device::Cpu)?.to_dtype(DType::F32)?.copy()?))
    };
    network.parameters().all().map(take).collect()
}

/// The same as weights from which networks are built.
///
/// # Errors
/// If they cannot be brought to the CPU.
pub fn weights(network: &dyn Trainable) -> Result<Weights> {
    Ok(Weights::new(PathBuf::from("a network that is trained"), String::new(), tensors(network)?))
}
