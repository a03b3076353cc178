//! SimCLR: a simple framework for contrastive learning (Chen et al. 2020, arXiv 2002.05709).

use super::loss::{mistaken_temperature, normalised, nt_xent};
use super::projection::{Network, Projected, ProjectionForm};
use super::{Batch, Method, Start};
use crate::Result;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use virboard_nn::trainable::Normalising;

/// Settings of SimCLR. The authors' program doubles the loss of the paper's equation 1, which is
/// taken here, and ends its projection in one more batch normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimClrForm {
    /// What stands behind the embedding.
    pub projection: ProjectionForm,
    /// What cosines are divided by, above 0.
    pub temperature: f64,
}

impl SimClrForm {
    /// What is wrong with it in batches of `batch` pictures, a sentence each.
    #[must_use]
    pub fn mistakes(&self, batch: usize) -> Vec<String> {
        let mut said = self.projection.mistakes();
        said.extend(mistaken_temperature(self.temperature));
        if batch < 2 {
            said.push(format!("a batch of {batch} has no other picture to tell one from; take at least 2"));
        }
        said
    }
}

/// Two views of each picture, which are to be alike and unlike those of all other pictures of the
/// batch.
pub struct SimClr {
    temperature: f64,
    network: Projected,
}

impl SimClr {
    /// Begins.
    pub fn new(form: &SimClrForm, start: &Start<'_>) -> Result<Self> {
        Ok(Self { temperature: form.temperature, network: Projected::new(&form.projection, start)? })
    }
}

impl Method for SimClr {
    fn trained(&self) -> &Network {
        &self.network.network
    }

    fn loss(&mut self, batch: &Batch) -> Result<Tensor> {
        let [first, second] = batch.views("SimCLR")?;
        // Both in one pass: they share the statistics of their batch normalisations.
        let views = Tensor::cat(&[first, second], 0)?;
        let rows = normalised(&self.network.forward(&views, Normalising::TRAIN)?)?;
        nt_xent(&rows, self.temperature)
    }
}
