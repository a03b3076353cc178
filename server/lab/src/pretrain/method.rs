//! What the methods have in common: views in, a loss out.

use crate::Result;
use candle_core::{Tensor, Var};
use std::collections::BTreeMap;

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

/// A method of pre-training, with its networks.
pub trait Method: Send {
    /// What its optimiser moves, by name: the encoder's tensors as `encoder.NAME`, and those of
    /// its projection and of what else it trains.
    fn trainable(&self) -> BTreeMap<String, Var>;
    /// Everything that a later step depends on beside the optimiser, by name: the tensors above,
    /// running statistics, momentum encoders, queues, banks and prototypes.
    fn state(&self) -> Result<BTreeMap<String, Tensor>>;
    /// Takes up a state of [`Self::state`].
    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()>;
    /// The encoder's own tensors, as its checkpoint names them.
    fn encoder(&self) -> Result<BTreeMap<String, Tensor>>;
    /// The loss of a batch: a number with gradients.
    fn loss(&mut self, batch: &Batch) -> Result<Tensor>;
    /// Comes after every step of the optimiser.
    fn stepped(&mut self) -> Result<()> {
        Ok(())
    }
}
