//! SwAV: swapping assignments between views (Caron et al. 2020, arXiv 2006.09882).

use super::loss::{log_softmax, mistaken_temperature, normalised, soft_cross_entropy};
use super::projection::{Network, Projected, ProjectionForm};
use super::queue::Queue;
use super::saved::State;
use super::sinkhorn::sinkhorn;
use super::{Batch, Method, Start};
use crate::{Error, Result};
use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};
use virboard_nn::trainable::Normalising;

/// Settings of SwAV.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwavForm {
    /// What stands behind the embedding.
    pub projection: ProjectionForm,
    /// Prototypes, to which views are assigned.
    pub prototypes: usize,
    /// What scores are divided by in the loss, above 0.
    pub temperature: f64,
    /// What scores are divided by in the assignment, at least 0.001: the smaller, the sharper.
    pub epsilon: f64,
    /// Rounds of the assignment.
    #[serde(default = "three")]
    pub iterations: usize,
    /// Views that are assigned, the first ones; all others only have to agree with them.
    #[serde(default = "two")]
    pub assigned: usize,
    /// Epochs at the beginning in which the prototypes stay.
    #[serde(default = "first")]
    pub frozen_epochs: u32,
    /// Embeddings of earlier batches that help to share out a small one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueForm>,
}

/// A queue of embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueForm {
    /// Embeddings of each assigned view.
    pub length: usize,
    /// The first epoch that fills it, from 0; it is used once it is full.
    #[serde(default)]
    pub from_epoch: u32,
}

const fn three() -> usize {
    3
}

const fn two() -> usize {
    2
}

const fn first() -> u32 {
    1
}

impl SwavForm {
    /// What is wrong with it in batches of `batch` pictures, a sentence each.
    #[must_use]
    pub fn mistakes(&self, batch: usize) -> Vec<String> {
        let mut said = self.projection.mistakes();
        said.extend(mistaken_temperature(self.temperature));
        if !(self.epsilon.is_finite() && self.epsilon >= 0.001) {
            said.push(format!("`epsilon` is {}; give a number from 0.001, such as 0.05", self.epsilon));
        }
        if self.prototypes < 2 || self.iterations == 0 || self.assigned == 0 {
            said.push("`prototypes` has to be at least 2, `iterations` and `assigned` at least 1".to_owned());
        }
        let queue = self.queue.map_or(0, |queue| queue.length);
        if self.queue.is_some() && (queue == 0 || !queue.is_multiple_of(batch)) {
            said.push(format!(
                "`length` of `queue` is {queue}, and whole batches of {batch} have to fill it; take a multiple of the batch"
            ));
        }
        if batch + queue < self.prototypes {
            said.push(format!(
                "a batch of {batch} {} cannot be shared out over {} prototypes; give a `queue` so that both reach their number, or take fewer prototypes",
                if queue == 0 { "without a queue".to_owned() } else { format!("with a queue of {queue}") },
                self.prototypes
            ));
        }
        said
    }
}

/// An encoder whose views of one picture have to agree to which of the prototypes it belongs.
pub struct Swav {
    form: SwavForm,
    network: Projected,
    /// A queue for each assigned view.
    queues: Vec<Queue>,
}

/// Name of the prototypes, `K x D`; `prototypes.weight` with its ending.
const PROTOTYPES: &str = "prototypes";

impl Swav {
    /// Begins, with prototypes of length 1.
    pub fn new(form: &SwavForm, start: &Start<'_>) -> Result<Self> {
        let mut network = Projected::new(&form.projection, start)?;
        let width = form.projection.out;
        network.network.heads.weight(PROTOTYPES, &[form.prototypes, width])?;
        let queue =
            |view| Queue::empty(&format!("queue{view}"), form.queue.map_or(1, |q| q.length), width, start.device);
        let queues =
            if form.queue.is_some() { (0..form.assigned).map(queue).collect::<Result<_>>()? } else { Vec::new() };
        let mut swav = Self { form: *form, network, queues };
        swav.stepped()?;
        Ok(swav)
    }

    fn prototypes(&self) -> Result<&Var> {
        let name = format!("{PROTOTYPES}.weight");
        let found = self.network.network.heads.get(&name);
        found.ok_or_else(|| Error::SavedState { name, reason: "is missing".to_owned() })
    }

    /// Embeddings of all views in rows of length 1, `VN x D`. Views of one size that follow each
    /// other pass the encoder together, and all the projection, as in the authors' program.
    fn rows(&self, views: &[Tensor]) -> Result<Tensor> {
        let same_size = views.chunk_by(|a, b| a.dims() == b.dims());
        let encoded = same_size
            .map(|views| Ok(self.network.network.encoder.embedding(&Tensor::cat(views, 0)?, Normalising::TRAIN)?));
        let embeddings: Vec<Tensor> = encoded.collect::<Result<_>>()?;
        normalised(&self.network.project(&Tensor::cat(&embeddings, 0)?, Normalising::TRAIN)?)
    }

    /// Which share of each prototype the pictures of one view get, `N x K`. The queue takes up
    /// the view's embeddings.
    fn codes(&mut self, view: usize, rows: &Tensor, scores: &Tensor, epoch: u32) -> Result<Tensor> {
        let mut all = scores.detach();
        let begun = self.form.queue.is_some_and(|queue| epoch >= queue.from_epoch);
        let prototypes = self.prototypes()?.as_tensor().detach();
        if let Some(queue) = self.queues.get_mut(view).filter(|_| begun) {
            if queue.is_full()? {
                all = Tensor::cat(&[queue.rows().matmul(&prototypes.t()?)?, all], 0)?;
            }
            queue.push(rows)?;
        }
        let codes = sinkhorn(&all, self.form.epsilon, self.form.iterations)?;
        let count = scores.dim(0)?;
        Ok(codes.narrow(0, codes.dim(0)? - count, count)?)
    }
}

impl Method for Swav {
    fn trained(&self) -> &Network {
        &self.network.network
    }

    fn save(&self, state: &mut State) -> Result<()> {
        self.queues.iter().try_for_each(|queue| queue.save(state))
    }

    fn take_up(&mut self, state: &State) -> Result<()> {
        self.queues.iter_mut().try_for_each(|queue| queue.restore(state))
    }

    fn loss(&mut self, batch: &Batch) -> Result<Tensor> {
        let (count, views) = (batch.pictures.len(), batch.views.len());
        if views < 2 || views < self.form.assigned {
            let wanted = self.form.assigned.max(2);
            return Err(Error::WrongViews { method: "SwAV", wanted, given: views });
        }
        let rows = self.rows(&batch.views)?;
        let prototypes = self.prototypes()?.as_tensor();
        let frozen = batch.epoch < self.form.frozen_epochs;
        let prototypes = if frozen { prototypes.detach() } else { prototypes.clone() };
        let scores = rows.matmul(&prototypes.t()?)?;
        let of = |all: &Tensor, view: usize| all.narrow(0, view * count, count);
        let predicted = log_softmax(&(&scores / self.form.temperature)?)?;
        let mut terms = Vec::with_capacity(self.form.assigned * (views - 1));
        for assigned in 0..self.form.assigned {
            let codes = self.codes(assigned, &of(&rows, assigned)?, &of(&scores, assigned)?, batch.epoch)?;
            for view in (0..views).filter(|view| *view != assigned) {
                terms.push(soft_cross_entropy(&of(&predicted, view)?, &codes)?);
            }
        }
        Ok(Tensor::stack(&terms, 0)?.mean_all()?)
    }

    /// Prototypes have length 1: without that the embeddings collapse. (The authors' program does
    /// it before the next batch, which is the same.)
    fn stepped(&mut self) -> Result<()> {
        let prototypes = self.prototypes()?;
        let unit = normalised(&prototypes.as_tensor().detach())?;
        Ok(prototypes.set(&unit)?)
    }
}
