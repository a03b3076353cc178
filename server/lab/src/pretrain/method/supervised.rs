//! Training on the classes of pictures.

use super::loss::cross_entropy;
use super::projection::{Network, Projected, ProjectionForm};
use super::{Batch, Method, Start};
use crate::{Error, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use virboard_nn::trainable::Normalising;

/// Settings of supervised training: none of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisedForm {}

/// An encoder with one linear layer to the classes, which is called `projection.out`.
pub struct Supervised {
    classes: usize,
    network: Projected,
}

impl Supervised {
    /// Begins.
    ///
    /// # Errors
    /// [`Error::NoClasses`] if the pictures have none.
    pub fn new(SupervisedForm {}: &SupervisedForm, start: &Start<'_>) -> Result<Self> {
        if start.classes == 0 {
            return Err(Error::NoClasses);
        }
        let network = Projected::new(&ProjectionForm::linear(start.classes), start)?;
        Ok(Self { classes: start.classes, network })
    }
}

impl Method for Supervised {
    fn trained(&self) -> &Network {
        &self.network.network
    }

    fn loss(&mut self, batch: &Batch) -> Result<Tensor> {
        let [view] = batch.views("Supervised")?;
        if batch.classes.len() != view.dim(0)? {
            return Err(Error::NoClasses);
        }
        if let Some(class) = batch.classes.iter().find(|class| **class as usize >= self.classes) {
            return Err(Error::Unfit(format!(
                "class number {class} is not among the {} that this run began with; start a new run",
                self.classes
            )));
        }
        cross_entropy(&self.network.forward(view, Normalising::TRAIN)?, &batch.classes)
    }
}
