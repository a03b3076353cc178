//! Training on the classes of pictures.

use super::loss::cross_entropy;
use super::projection::{Projected, ProjectionForm};
use super::saved::State;
use super::{Batch, Method, Start};
use crate::{Error, Result};
use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use virboard_nn::trainable::{Normalising, Trainable};

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
    fn trainable(&self) -> BTreeMap<String, Var> {
        self.network.network.trainable()
    }

    fn state(&self) -> Result<State> {
        let mut state = State::new();
        self.network.network.save("", &mut state)?;
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.network.network.restore("", state)
    }

    fn encoder(&self) -> Result<State> {
        self.network.network.checkpoint()
    }

    fn network(&self) -> &dyn Trainable {
        &*self.network.network.encoder
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
