//! PIRL: pretext-invariant representations, with jigsaws (Misra and van der Maaten 2019, arXiv
//! 1912.01991).

use super::bank::Bank;
use super::loss::{cross_entropy, mistaken_temperature, normalised, softplus};
use super::projection::{Linear, Network};
use super::saved::{State, of_shape};
use super::{Batch, Method, Start};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use virboard_nn::seeded::Stream;
use virboard_nn::trainable::{Gradients, Normalising};

/// How a picture is told from the negatives. The authors' program has both
/// (facebookresearch/vissl, `loss_type` of `nce_loss_with_memory`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contrast {
    /// Noise-contrastive, as published: each score is judged by itself, by a constant of the first
    /// batch. In a bank of few pictures, which is soon as alike as the newest embeddings, the sum
    /// over the negatives drives all of them away from where they are together.
    #[default]
    Nce,
    /// The cross-entropy of the positive among all scores (InfoNCE), which sees differences of
    /// scores alone; with it the authors train projections of two layers.
    CrossEntropy,
}

/// Settings of PIRL.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PirlForm {
    /// Width of what is compared, and of each patch before they are put together.
    pub out: usize,
    /// Patches of a jigsaw.
    #[serde(default = "nine")]
    pub patches: usize,
    /// What cosines are divided by, above 0.
    pub temperature: f64,
    /// Rows of the bank that a picture is to be told from. They are drawn once a batch: the
    /// authors draw them for each picture, which has the same mean and needs N times the memory.
    pub negatives: usize,
    /// Share of itself that a row of the bank keeps when its picture is seen, from 0 to less than
    /// 1.
    #[serde(default = "half")]
    pub momentum: f64,
    /// Weight of the jigsaw's loss, from 0 to 1; the picture's has the rest.
    #[serde(default = "half")]
    pub jigsaw_weight: f64,
    /// The loss.
    #[serde(default)]
    pub contrast: Contrast,
}

const fn nine() -> usize {
    9
}

const fn half() -> f64 {
    0.5
}

impl PirlForm {
    /// What is wrong with it, a sentence each.
    #[must_use]
    pub fn mistakes(&self) -> Vec<String> {
        let mut said: Vec<String> = mistaken_temperature(self.temperature).into_iter().collect();
        if self.out == 0 || self.patches == 0 || self.negatives == 0 {
            said.push("`out`, `patches` and `negatives` have to be at least 1".to_owned());
        }
        if !(0.0..1.0).contains(&self.momentum) {
            said.push(format!("`momentum` is {}; give a number from 0 to less than 1, such as 0.5", self.momentum));
        }
        if !(0.0..=1.0).contains(&self.jigsaw_weight) {
            said.push(format!("`jigsaw_weight` is {}; give a number from 0 to 1", self.jigsaw_weight));
        }
        said
    }
}

/// An encoder of pictures and of their jigsaws, both of which are to be like the picture's row in
/// the bank.
pub struct Pirl {
    form: PirlForm,
    seed: u64,
    pictures: usize,
    network: Network,
    /// Embedding of a picture to what is compared.
    of_picture: Linear,
    /// Embedding of a patch to its part of a jigsaw.
    of_patch: Linear,
    /// All parts of a jigsaw to what is compared.
    of_jigsaw: Linear,
    bank: Bank,
    /// The logarithm of the constant by which scores become probabilities: set from the first
    /// batch, and kept (Wu et al. 2018, arXiv 1805.01978, section 3.2).
    log_constant: Option<f64>,
}

/// Name of the constant in states.
const CONSTANT: &str = "log_constant";

impl Pirl {
    /// Begins, with a bank of random rows.
    pub fn new(form: &PirlForm, start: &Start<'_>) -> Result<Self> {
        let mut network = Network::new(start, Gradients::Wanted)?;
        let (embedding, out) = (network.embedding_len(), form.out);
        let of_picture = Linear::new(&mut network.heads, "projection.picture", embedding, out)?;
        let of_patch = Linear::new(&mut network.heads, "projection.patch", embedding, out)?;
        let of_jigsaw = Linear::new(&mut network.heads, "projection.jigsaw", form.patches * out, out)?;
        let bank = Bank::new(start.pictures, out, form.momentum, start.seed, start.device)?;
        let (seed, pictures) = (start.seed, start.pictures);
        Ok(Self { form: *form, seed, pictures, network, of_picture, of_patch, of_jigsaw, bank, log_constant: None })
    }

    fn encode(&self, views: &Tensor) -> Result<Tensor> {
        Ok(self.network.encoder.embedding(views, Normalising::TRAIN)?)
    }

    /// What jigsaws, `NP x S x S x 3` with the P patches of a picture one after the other, are
    /// compared by: `N x D` of length 1.
    fn jigsaw(&self, patches: &Tensor) -> Result<Tensor> {
        let parts = self.of_patch.forward(&self.encode(patches)?)?;
        let pictures = parts.dim(0)? / self.form.patches;
        normalised(&self.of_jigsaw.forward(&parts.reshape((pictures, self.form.patches * self.form.out))?)?)
    }

    /// The loss of rows `N x D` against their own rows of the bank and others, the mean over the
    /// pictures.
    fn contrast(&mut self, rows: &Tensor, positive: &Tensor, negative: &Tensor) -> Result<Tensor> {
        let positive = ((rows * positive)?.sum_keepdim(1)? / self.form.temperature)?;
        let negative = (rows.matmul(&negative.t()?)? / self.form.temperature)?;
        match self.form.contrast {
            Contrast::Nce => self.noise_contrastive(&positive, &negative),
            Contrast::CrossEntropy => {
                cross_entropy(&Tensor::cat(&[&positive, &negative], 1)?, &vec![0; positive.dim(0)?])
            }
        }
    }

    /// Equation 5 from scores of positives, `N x 1`, and negatives, `N x K`: a sum over the
    /// negatives.
    fn noise_contrastive(&mut self, positive: &Tensor, negative: &Tensor) -> Result<Tensor> {
        let log_constant = self.constant(&Tensor::cat(&[positive, negative], 1)?)?;
        // P(s) = exp(s) / Z is that of the data, K / M that of K draws among M pictures, and
        // h = P / (P + K / M) that s is no draw: the logistic function of s - ln(Z K / M).
        let shift = log_constant + (self.form.negatives as f64 / self.pictures as f64).ln();
        let is_data = softplus(&(positive - shift)?.neg()?)?.sum(1)?;
        let is_draw = softplus(&(negative - shift)?)?.sum(1)?;
        Ok((is_data + is_draw)?.mean_all()?)
    }

    /// ln Z, where Z is the mean of the exponentials of the first scores times all pictures.
    fn constant(&mut self, scores: &Tensor) -> Result<f64> {
        if let Some(known) = self.log_constant {
            return Ok(known);
        }
        let scores: Vec<f32> = scores.detach().flatten_all()?.to_vec1()?;
        let largest = f64::from(scores.iter().copied().fold(f32::MIN, f32::max));
        let sum: f64 = scores.iter().map(|s| (f64::from(*s) - largest).exp()).sum();
        let constant = largest + (sum / scores.len() as f64).ln() + (self.pictures as f64).ln();
        self.log_constant = Some(constant);
        Ok(constant)
    }
}

impl Method for Pirl {
    fn trained(&self) -> &Network {
        &self.network
    }

    fn save(&self, state: &mut State) -> Result<()> {
        self.bank.save(state)?;
        if let Some(constant) = self.log_constant {
            state.insert(CONSTANT.to_owned(), Tensor::new(&[constant], &Device::Cpu)?);
        }
        Ok(())
    }

    fn take_up(&mut self, state: &State) -> Result<()> {
        self.bank.restore(state)?;
        self.log_constant = match state.get(CONSTANT) {
            Some(_) => of_shape(state, CONSTANT, &Tensor::new(&[0f64], &Device::Cpu)?)?.to_vec1()?.first().copied(),
            None => None,
        };
        Ok(())
    }

    fn loss(&mut self, batch: &Batch) -> Result<Tensor> {
        let [view, patches] = batch.views("PIRL")?;
        let (count, patched) = (view.dim(0)?, patches.dim(0)?);
        if patched != count * self.form.patches || batch.pictures.len() != count {
            return Err(Error::Unfit(format!(
                "{patched} patches are no jigsaws of {} for each of {count} pictures; mend `jigsaw` of the views, or `patches`",
                self.form.patches
            )));
        }
        let mut draws = Stream::new(self.seed, &format!("negatives/{}", batch.step));
        let drawn: Vec<usize> = (0..self.form.negatives).map(|_| draws.below(self.pictures)).collect();
        let (positive, negative) = (self.bank.take(&batch.pictures)?, self.bank.take(&drawn)?);
        let jigsaws = self.jigsaw(patches)?;
        let of_jigsaws = self.contrast(&jigsaws, &positive, &negative)?;
        let pictures = normalised(&self.of_picture.forward(&self.encode(view)?)?)?;
        let of_pictures = self.contrast(&pictures, &positive, &negative)?;
        self.bank.follow(&batch.pictures, &pictures)?;
        let weight = self.form.jigsaw_weight;
        Ok(((of_jigsaws * weight)? + (of_pictures * (1.0 - weight))?)?)
    }
}
