//! What is trained: a head, alone or with its encoder.

use super::configuration::Configuration;
use super::fine_tuning::FineTuning;
use crate::Result;
use crate::head::Head;
use candle_core::{Tensor, Var};
use std::collections::BTreeMap;
use std::fmt;
use virboard_core::run::Epoch;
use virboard_nn::encoder::Features;
use virboard_nn::optimiser::{Group, Optimiser};
use virboard_nn::trainable::{Normalising, Trainable};

/// One configuration with what it trains.
pub struct Member {
    /// How.
    pub configuration: Configuration,
    /// What.
    pub head: Head,
    /// What else: the encoder, where it is fine-tuned.
    encoder: Option<Box<dyn Trainable>>,
    pub(crate) optimiser: Optimiser,
    pub(crate) curve: Vec<Epoch>,
    pub(crate) best: Option<Best>,
}

/// The weights that did best on the validation samples so far.
#[derive(Debug)]
pub(crate) struct Best {
    pub epoch: u32,
    pub metric: f64,
    pub tensors: BTreeMap<String, Tensor>,
}

/// What precedes the names of an encoder's tensors among those of a member.
const ENCODER: &str = "encoder/";

impl Member {
    /// A head that has not been trained yet.
    #[must_use]
    pub fn new(configuration: Configuration, head: Head) -> Self {
        let optimiser = Optimiser::new(configuration.optimiser, head.parameters().trainable().clone());
        Self { configuration, head, encoder: None, optimiser, curve: Vec::new(), best: None }
    }

    /// A head that has not been trained yet and an encoder that goes on from its weights. Biases
    /// and the weights of normalisations have no weight decay.
    #[must_use]
    pub fn fine_tuned(
        configuration: Configuration,
        tuning: &FineTuning,
        head: Head,
        encoder: Box<dyn Trainable>,
    ) -> Self {
        let mut vars = head.parameters().trainable().clone();
        vars.extend(encoder.parameters().trainable().iter().map(|(name, var)| (inside(name), var.clone())));
        let group = |name: &str, tensor: &Tensor| {
            let group = Group::by_dimensions(tensor.dims());
            match name.strip_prefix(ENCODER) {
                Some(name) => group.at_rate(tuning.rate(encoder.above(name)) / configuration.learning_rate),
                None => group,
            }
        };
        let optimiser = Optimiser::new(configuration.optimiser, vars).grouped(group);
        Self { configuration, head, encoder: Some(encoder), optimiser, curve: Vec::new(), best: None }
    }

    /// Its epochs so far.
    #[must_use]
    pub fn curve(&self) -> &[Epoch] {
        &self.curve
    }

    /// The best metric on the validation samples, where there are any.
    #[must_use]
    pub fn validation(&self) -> Option<f64> {
        self.best.as_ref().map(|b| b.metric)
    }

    /// What it has learned so far.
    #[must_use]
    pub fn trained(&self) -> Trained<'_> {
        Trained { head: &self.head, encoder: self.encoder.as_deref() }
    }

    /// The encoder that is trained along, if one is.
    #[must_use]
    pub fn encoder(&self) -> Option<&dyn Trainable> {
        self.encoder.as_deref()
    }

    /// Everything that makes up what it has learned, by name: the head's tensors, and behind
    /// `encoder/` those of the encoder that is trained along.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = (String, &Var)> {
        let head = self.head.parameters().all().map(|(name, var)| (name.clone(), var));
        let encoder = self.encoder.iter().flat_map(|e| e.parameters().all()).map(|(name, var)| (inside(name), var));
        head.chain(encoder)
    }
}

fn inside(name: &str) -> String {
    format!("{ENCODER}{name}")
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("configuration", &self.configuration)
            .field("head", &self.head)
            .field("encoder", &self.encoder.as_ref().map(|e| e.description()))
            .field("curve", &self.curve)
            .finish_non_exhaustive()
    }
}

/// What is tested: a head on features, or a head with its encoder on pictures.
#[derive(Clone, Copy)]
pub struct Trained<'a> {
    /// The head.
    pub head: &'a Head,
    encoder: Option<&'a dyn Trainable>,
}

impl<'a> Trained<'a> {
    /// A head on the features of a frozen encoder.
    #[must_use]
    pub fn frozen(head: &'a Head) -> Self {
        Self { head, encoder: None }
    }

    /// The raw output of a batch, as [`Head::run`] has it. An encoder that is trained along gets
    /// its pictures one after the other, `N x H x W x 3` each; its batch normalisations, as the
    /// head's, use and gather the batch's statistics in training.
    pub(crate) fn run(self, inputs: &[Tensor], size: (usize, usize), training: bool) -> Result<Tensor> {
        let Some(encoder) = self.encoder else { return self.head.run(inputs, size, training) };
        let normalising = if training { Normalising::TRAIN } else { Normalising::EVAL };
        let features = |picture: &Tensor| -> Result<Features> {
            if self.head.needs_maps() {
                return Ok(encoder.features(picture, normalising)?);
            }
            Ok(Features { maps: Vec::new(), embedding: encoder.embedding(picture, normalising)? })
        };
        let images = inputs.iter().map(features).collect::<Result<Vec<_>>>()?;
        self.head.run(&self.head.inputs(&images)?, size, training)
    }
}
