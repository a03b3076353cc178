//! The named tensors of a head or of a network that is trained whole.

use crate::Result;
use crate::seeded::Stream;
use candle_core::{Device, Tensor, Var};
use std::collections::BTreeMap;

/// Whether what is computed with tensors can be differentiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gradients {
    /// It can: what a backward pass needs is kept until there has been one.
    Wanted,
    /// It cannot, and nothing is kept: each value is free as soon as the next layers have it. For
    /// networks that follow another one, or are only looked at.
    None,
}

/// Named tensors: those that are trained, and those that only follow the data (the running
/// statistics of batch normalisations).
#[derive(Debug)]
pub struct Parameters {
    trainable: BTreeMap<String, Var>,
    buffers: BTreeMap<String, Var>,
    seed: u64,
    device: Device,
    gradients: Gradients,
}

impl Parameters {
    /// None yet; random ones will come from `seed`.
    #[must_use]
    pub fn new(seed: u64, device: &Device) -> Self {
        Self::with(Gradients::Wanted, seed, device)
    }

    /// The same for layers that compute with or without gradients. Without them its tensors can be
    /// set all the same, and the layers see it.
    #[must_use]
    pub fn with(gradients: Gradients, seed: u64, device: &Device) -> Self {
        let (trainable, buffers) = (BTreeMap::new(), BTreeMap::new());
        Self { trainable, buffers, seed, device: device.clone(), gradients }
    }

    /// Adds `NAME.weight` of `shape` (outputs first), uniform in +-1/sqrt(inputs): PyTorch's
    /// default for linear layers and convolutions.
    pub fn weight(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.uniform(format!("{name}.weight"), shape, shape)
    }

    /// Adds `NAME.weight` as [`Self::weight`] and `NAME.bias` with the same bound.
    pub fn layer(&mut self, name: &str, shape: &[usize]) -> Result<(Tensor, Tensor)> {
        Ok((self.weight(name, shape)?, self.uniform(format!("{name}.bias"), &shape[..1], shape)?))
    }

    fn uniform(&mut self, name: String, shape: &[usize], layer: &[usize]) -> Result<Tensor> {
        let bound = 1.0 / (layer[1..].iter().product::<usize>() as f64).sqrt();
        let mut stream = Stream::new(self.seed, &name);
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| ((stream.uniform() * 2.0 - 1.0) * bound) as f32).collect();
        self.add(name, &Tensor::from_vec(values, shape, &self.device)?)
    }

    /// Adds a trainable vector with equal values.
    pub fn constant(&mut self, name: &str, len: usize, value: f32) -> Result<Tensor> {
        let tensor = Tensor::full(value, len, &self.device)?;
        self.add(name.to_owned(), &tensor)
    }

    /// Adds a trainable tensor with these values, on the parameters' device.
    pub fn add(&mut self, name: String, tensor: &Tensor) -> Result<Tensor> {
        let var = Var::from_tensor(&tensor.to_device(&self.device)?)?;
        let tensor = match self.gradients {
            Gradients::Wanted => var.as_tensor().clone(),
            Gradients::None => var.as_detached_tensor(),
        };
        self.trainable.insert(name, var);
        Ok(tensor)
    }

    /// Adds a vector that is kept with the head but not trained.
    pub fn buffer(&mut self, name: &str, len: usize, value: f32) -> Result<Var> {
        let var = Var::from_tensor(&Tensor::full(value, len, &self.device)?)?;
        self.buffers.insert(name.to_owned(), var.clone());
        Ok(var)
    }

    /// What is trained, by name.
    #[must_use]
    pub fn trainable(&self) -> &BTreeMap<String, Var> {
        &self.trainable
    }

    /// Everything that makes up the head, by name.
    pub fn all(&self) -> impl Iterator<Item = (&String, &Var)> {
        self.trainable.iter().chain(&self.buffers)
    }

    /// A tensor by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Var> {
        self.trainable.get(name).or_else(|| self.buffers.get(name))
    }
}
