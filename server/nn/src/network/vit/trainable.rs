//! The vision transformers of timm and DINO with gradients, of any width and depth. What they
//! learn is saved under timm's names, as which the frozen ones read it.

mod blocks;
mod tensors;

use super::names::TIMM;
use super::pooling::HEAD;
use super::{BLOCKS, CONFIGS, Config, Names, STRIDES, map};
use crate::checkpoint::weights::Weights;
use crate::encoder::{Description, Encoder, Features, Form, MapSpec, Normalising, Trainable, Training};
use crate::parameters::{Gradients, Parameters};
use crate::{Error, Result};
use blocks::Network;
use candle_core::{Device, Tensor};
use std::sync::Arc;
use virboard_core::catalogue::architecture::Architecture;

/// The key of those that have none of their own.
pub(super) const OTHER: &str = "vit";

/// What a trainable vision transformer looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    config: Config,
    /// Blocks.
    depth: usize,
}

/// Sizes of a vision transformer that has no key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Channels of a token, a multiple of 64: an attention head has 64, since a checkpoint does
    /// not tell how many there are.
    pub width: usize,
    /// Blocks, a multiple of 4, the number of maps.
    pub depth: usize,
    /// Rows and columns of a patch.
    pub patch: usize,
    /// Rows and columns of patches that there are positions of; for other inputs those are
    /// interpolated.
    pub grid: usize,
}

impl Sizes {
    fn are_sound(&self) -> bool {
        let whole = |value: usize, of: usize| value > 0 && value.is_multiple_of(of);
        whole(self.width, HEAD) && whole(self.depth, STRIDES.len()) && self.patch > 0 && self.grid > 0
    }
}

impl Plan {
    /// What one of other sizes is taken for before its checkpoint is there: ViT-Ti/16 of `DeiT`.
    pub(super) const OTHER: Self = Self { config: Config::vit(OTHER, 192).imagenet(), depth: BLOCKS };

    /// The architecture of a key.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it is none that can be trained.
    pub fn of(key: &str) -> Result<Self> {
        let plain = |c: &&Config| !(c.scaled || c.clip || c.pooled);
        let config = CONFIGS.iter().filter(plain).find(|c| c.key == key);
        let config = config.ok_or_else(|| {
            let known: Vec<&str> = CONFIGS.iter().filter(plain).map(|c| c.key).collect();
            Error::Unsupported(format!("`{key}` cannot be trained; of vision transformers {} can", known.join(", ")))
        })?;
        Ok(Self { config: *config, depth: BLOCKS })
    }

    /// One of other sizes.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for sizes that cannot be.
    pub fn of_sizes(sizes: Sizes) -> Result<Self> {
        if !sizes.are_sound() {
            return Err(Error::Unsupported(format!(
                "there is no vision transformer with {sizes:?}: its width must be a multiple of {HEAD}, its depth a multiple of {}, patch and grid above 0",
                STRIDES.len()
            )));
        }
        let config = Config { width: sizes.width, patch: sizes.patch, grid: sizes.grid, ..Self::OTHER.config };
        Ok(Self { config, depth: sizes.depth })
    }

    /// Whether a checkpoint under timm's names has the parts that can be trained, and no others.
    pub(super) fn fits(weights: &Weights) -> bool {
        Names::of(weights).is_some_and(|names| names.positions == TIMM.positions)
            && !weights.has(&format!("{}.weight", TIMM.before))
            && !weights.has(&TIMM.scale_of(0))
    }

    /// The one of other sizes that a checkpoint under timm's names holds, if it is one.
    pub(super) fn recognise(weights: &Weights) -> Option<Self> {
        let [width, 3, patch, _] = *weights.shape(&format!("{}.weight", TIMM.patch))? else { return None };
        let [1, count, _] = *weights.shape(TIMM.positions)? else { return None };
        let grid = count.checked_sub(1)?.isqrt();
        let sizes = Sizes { width, depth: TIMM.depth(weights), patch, grid };
        let whole = grid * grid + 1 == count && Self::fits(weights);
        if whole { Self::of_sizes(sizes).ok() } else { None }
    }

    /// What it is before it runs. Maps lie behind each quarter of the blocks.
    #[must_use]
    pub fn describe(self) -> Description {
        let known = super::describe(self.config);
        if self.config.key != OTHER {
            return known;
        }
        let name = |i: usize| format!("block{}", (i + 1) * self.depth / STRIDES.len());
        let maps = known.maps.into_iter().enumerate();
        Description {
            architecture: Architecture::of(OTHER),
            maps: maps.map(|(i, map)| MapSpec { name: name(i), ..map }).collect(),
            build: Arc::new(move |weights, device, _| {
                let mut tensors = tensors::read(self, weights, device)?;
                let network = Network::new(self, |name| tensors::take(&mut tensors, name))?;
                Ok(Box::new(Still { network, description: self.describe() }))
            }),
            training: Some(self.training()),
            ..known
        }
    }
}

impl Plan {
    fn training(self) -> Training {
        Training {
            random: Arc::new(move |seed| random_weights(self, seed)),
            build: Arc::new(move |weights, device, gradients| {
                Ok(Box::new(trainable(self, weights, device, gradients)?))
            }),
        }
    }
}

/// How one of the known kinds is trained, if it can be.
pub(super) fn training(config: Config) -> Option<Training> {
    (!(config.scaled || config.clip || config.pooled)).then(|| Plan { config, depth: BLOCKS }.training())
}

/// The description of a network of chosen sizes, if its architecture is one of these.
pub(super) fn sized(form: &Form) -> Option<Result<Description>> {
    let plan = || {
        if form.blocks.is_some() {
            let reason = "`blocks` are those of a ResNet's stages; of a vision transformer say `depth`";
            return Err(Error::Unsupported(format!("{}: {reason}", form.architecture)));
        }
        if form.architecture != OTHER {
            return match form.width.or(form.depth).or(form.patch).or(form.grid) {
                Some(_) => {
                    Err(Error::Unsupported(format!("{} has sizes of its own; take `{OTHER}`", form.architecture)))
                }
                None => Plan::of(&form.architecture),
            };
        }
        let config = Plan::OTHER.config;
        Plan::of_sizes(Sizes {
            width: form.width.unwrap_or(config.width),
            depth: form.depth.unwrap_or(BLOCKS),
            patch: form.patch.unwrap_or(config.patch),
            grid: form.grid.unwrap_or(config.grid),
        })
    };
    let known = form.architecture == OTHER || CONFIGS.iter().any(|c| c.key == form.architecture);
    known.then(|| plan().map(Plan::describe))
}

/// A vision transformer whose tensors are trained. It has no batch normalisations.
#[derive(Debug)]
pub struct Vit {
    network: Network,
    parameters: Parameters,
    description: Description,
}

/// Builds it from weights under the names of any layout, of which it takes its own.
///
/// # Errors
/// If the weights lack a tensor or have one of another shape.
pub fn trainable(plan: Plan, weights: &mut Weights, device: &Device, gradients: Gradients) -> Result<Vit> {
    let mut tensors = tensors::read(plan, weights, device)?;
    let mut parameters = Parameters::with(gradients, 0, device);
    let network = Network::new(plan, |name| {
        let tensor = tensors::take(&mut tensors, name)?;
        parameters.add(name.to_owned(), &tensor)
    })?;
    Ok(Vit { network, parameters, description: plan.describe() })
}

/// Weights as `DeiT` and DINO begin with: matrices, class token and positions normal with
/// deviation 0.02 (their truncation at 100 deviations never occurs), the patches' convolution as
/// PyTorch begins, biases 0, normalisations at identity. Streams are named after the tensors.
pub fn random_weights(plan: Plan, seed: u64) -> Result<Weights> {
    tensors::random(plan, seed)
}

impl Trainable for Vit {
    fn description(&self) -> &Description {
        &self.description
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn above(&self, name: &str) -> usize {
        let last = self.network.depth() - 1;
        match TIMM.block_of(name) {
            Some(block) => last.saturating_sub(block),
            // The normalisation behind the last block learns as that does.
            None if name.starts_with(TIMM.norm) => 0,
            None => last + 1,
        }
    }

    fn features(&self, x: &Tensor, _normalising: Normalising) -> Result<Features> {
        self.network.run(x, true)
    }

    fn embedding(&self, x: &Tensor, _normalising: Normalising) -> Result<Tensor> {
        Ok(self.network.run(x, false)?.embedding)
    }
}

/// The same network frozen, where its sizes are none of those that have a faster one.
struct Still {
    network: Network,
    description: Description,
}

impl Encoder for Still {
    fn description(&self) -> &Description {
        &self.description
    }

    fn features(&self, input: &Tensor) -> Result<Features> {
        self.network.run(&input.permute((0, 2, 3, 1))?, true)
    }

    fn embedding(&self, input: &Tensor) -> Result<Tensor> {
        Ok(self.network.run(&input.permute((0, 2, 3, 1))?, false)?.embedding)
    }
}
