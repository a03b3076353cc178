//! What the methods have in common: views in, a loss out.

pub mod bank;
pub mod form;
pub mod loss;
pub mod moco;
pub mod pirl;
pub mod projection;
pub mod queue;
pub mod saved;
pub mod simclr;
pub mod sinkhorn;
pub mod supervised;
pub mod swav;

pub use form::MethodForm;

use crate::{Error, Result};
use candle_core::{Device, Tensor, Var};
use projection::Network;
use saved::State;
use std::collections::BTreeMap;
use virboard_nn::trainable::{Gradients, Trainable};

/// One batch of views.
#[derive(Debug)]
pub struct Batch {
    /// The views in the order in which the method's settings ask for them, each `N x S x S x 3`,
    /// standardised as the network's preprocessing says.
    pub views: Vec<Tensor>,
    /// Which pictures they are of, by their numbers in the run's list: N numbers.
    pub pictures: Vec<usize>,
    /// The pictures' classes, where they are known: N numbers, or none.
    pub classes: Vec<u32>,
    /// The epoch, from 0.
    pub epoch: u32,
    /// Batches before this one, over all epochs.
    pub step: u64,
}

impl Batch {
    /// The views of a method that takes K of them.
    ///
    /// # Errors
    /// [`Error::WrongViews`] if there are more or fewer.
    pub fn views<const K: usize>(&self, method: &'static str) -> Result<&[Tensor; K]> {
        let given = self.views.len();
        self.views.as_slice().try_into().map_err(|_| Error::WrongViews { method, wanted: K, given })
    }
}

/// What a method begins with.
pub struct Start<'a> {
    /// Makes the encoder, with or without gradients; each call gives one with the same weights and
    /// tensors of its own.
    pub encoder: &'a dyn Fn(Gradients) -> Result<Box<dyn Trainable>>,
    /// Pictures of the run.
    pub pictures: usize,
    /// Classes of the pictures; 0 where they have none.
    pub classes: usize,
    /// Seed of everything random.
    pub seed: u64,
    /// Where the encoder computes.
    pub device: &'a Device,
}

/// A method of pre-training, with its networks.
pub trait Method: Send {
    /// The encoder that is trained, with what stands behind it.
    fn trained(&self) -> &Network;
    /// The loss of a batch: a number with gradients, the mean over the batch. Queues and banks
    /// take up the batch, which belongs into one call.
    fn loss(&mut self, batch: &Batch) -> Result<Tensor>;
    /// Comes after every step of the optimiser.
    fn stepped(&mut self) -> Result<()> {
        Ok(())
    }
    /// Adds copies of what a later step depends on beside [`Self::trained`] and the optimiser:
    /// momentum encoders, queues and banks.
    fn save(&self, _state: &mut State) -> Result<()> {
        Ok(())
    }
    /// Takes up what [`Self::save`] added.
    fn take_up(&mut self, _state: &State) -> Result<()> {
        Ok(())
    }

    /// What its optimiser moves, by name: the encoder's tensors as `encoder.NAME`, and those of
    /// its projection and of what else it trains.
    fn trainable(&self) -> BTreeMap<String, Var> {
        self.trained().trainable()
    }
    /// Everything that a later step depends on beside the optimiser, by name: the tensors above,
    /// running statistics, and what [`Self::save`] adds. They are copies, which later steps leave
    /// alone.
    fn state(&self) -> Result<State> {
        let mut state = State::new();
        self.trained().save("", &mut state)?;
        self.save(&mut state)?;
        Ok(state)
    }
    /// Takes up a state of [`Self::state`].
    ///
    /// # Errors
    /// [`Error::SavedState`] if it is of another run.
    fn restore(&mut self, state: &State) -> Result<()> {
        self.trained().restore("", state)?;
        self.take_up(state)
    }
    /// The encoder's own tensors, as its checkpoint names them: copies.
    fn encoder(&self) -> Result<State> {
        self.trained().checkpoint()
    }
}
