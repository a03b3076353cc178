//! Networks that are trained whole: the encoders of [`crate::encoder`] with gradients, from
//! seeded weights or from a checkpoint.

use crate::Result;
use crate::encoder::{Description, Features};
use crate::layer::batch_norm::Statistics;
use crate::parameters::Parameters;
use candle_core::Tensor;

/// Where the batch normalisations of one pass take their statistics from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Normalising {
    /// The batch's or the running ones.
    pub statistics: Statistics,
    /// Parts of the batch, one after the other, that are normalised each on its own, as on so
    /// many GPUs (MoCo). The running statistics follow the mean over the parts. The batch must
    /// be a multiple of it.
    pub groups: usize,
}

impl Normalising {
    /// PyTorch's `train()`.
    pub const TRAIN: Self = Self { statistics: Statistics::Batch, groups: 1 };
    /// PyTorch's `eval()`.
    pub const EVAL: Self = Self { statistics: Statistics::Running, groups: 1 };
}

/// A network whose tensors are trained. Without batch normalisations it does the same whatever
/// the statistics.
pub trait Trainable: Send + Sync {
    /// What it is.
    fn description(&self) -> &Description;
    /// Its named tensors, under the names of its checkpoints.
    fn parameters(&self) -> &Parameters;
    /// All maps, `N x C x h x w`, and the embedding, `N x E`, of a batch `N x H x W x 3`, with
    /// gradients.
    fn features(&self, x: &Tensor, normalising: Normalising) -> Result<Features>;
    /// The embedding alone.
    fn embedding(&self, x: &Tensor, normalising: Normalising) -> Result<Tensor> {
        Ok(self.features(x, normalising)?.embedding)
    }
}
