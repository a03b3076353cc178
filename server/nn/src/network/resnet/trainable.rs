//! A ResNet that is trained whole. Tensors are `N x H x W x C`.

use super::conv_norm::ConvNorm;
use super::layers::{Block, Config, Layers};
use super::whole::{self, Free, Whole};
use super::{describe, named};
use crate::checkpoint::weights::Weights;
use crate::encoder::{Description, Features, Normalising, Trainable};
use crate::layer::{add_relu, max_pool_nhwc};
use crate::parameters::{Gradients, Parameters};
use crate::path::{Path, is_rounding};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::sync::Arc;

impl Block<ConvNorm> {
    fn forward(&self, x: &Tensor, normalising: Normalising) -> Result<Tensor> {
        let y = self.convs.iter().try_fold(x.clone(), |y, conv| conv.forward(&y, normalising, true))?;
        let y = self.last.forward(&y, normalising, false)?;
        match &self.downsample {
            Some(conv) => add_relu(&y, &conv.forward(x, normalising, false)?),
            None => add_relu(&y, x),
        }
    }
}

/// The network.
pub struct TrainableResNet {
    config: Config,
    description: Description,
    parameters: Parameters,
    layers: Arc<Layers<ConvNorm>>,
    free: Arc<Free>,
}

impl TrainableResNet {
    /// Takes the network's tensors, under torchvision's names, out of `weights`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for one whose BatchNorms are folded into its convolutions, and what is missing.
    pub fn new(config: Config, weights: &mut Weights, device: &Device, gradients: Gradients) -> Result<Self> {
        if config.folded {
            let reason = "its BatchNorms are folded into its convolutions, so that it can be run but not trained";
            return Err(Error::Unsupported(format!("{}: {reason}", named(&config))));
        }
        let mut parameters = Parameters::with(gradients, 0, device);
        let layers = config.layers().map(&mut |part| ConvNorm::new(part, &mut parameters, weights))?;
        let description = describe(config, named(&config));
        Ok(Self { config, description, parameters, layers: Arc::new(layers), free: Free::shared() })
    }

    fn run(&self, x: &Tensor, normalising: Normalising, mut keep: impl FnMut(&Tensor)) -> Result<Tensor> {
        let x = self.layers.stem.forward(x, normalising, true)?;
        keep(&x);
        let mut x = max_pool_nhwc(&x, !self.config.pool_bottom_right)?;
        for stage in &self.layers.stages {
            for block in stage {
                x = block.forward(&x, normalising)?;
            }
            keep(&x);
        }
        Ok(x.flatten(1, 2)?.mean(1)?)
    }
}

impl Trainable for TrainableResNet {
    fn description(&self) -> &Description {
        &self.description
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn above(&self, name: &str) -> usize {
        let number = name.strip_prefix("layer").and_then(|rest| rest.split('.').next()?.parse().ok());
        self.layers.stages.len().saturating_sub(number.unwrap_or(0))
    }

    fn features(&self, x: &Tensor, normalising: Normalising) -> Result<Features> {
        let mut maps = Vec::new();
        let embedding = self.run(x, normalising, |map| maps.push(map.clone()))?;
        let maps = maps.iter().map(|map| Ok(map.permute((0, 3, 1, 2))?)).collect::<Result<_>>()?;
        Ok(Features { maps, embedding })
    }

    fn embedding(&self, x: &Tensor, normalising: Normalising) -> Result<Tensor> {
        let (n, groups) = (x.dim(0)?, normalising.groups);
        // A picture that is learned itself needs the graph of small operations.
        let own = Path::of(x) == Path::Own && !is_rounding();
        if own && !x.track_op() && groups > 0 && n.is_multiple_of(groups) {
            let row = whole::row(&self.layers)?;
            let (before, keeps) = (!self.config.pool_bottom_right, row.track_op());
            let whole = Whole::new(&self.layers, before, normalising, &self.free, keeps);
            return Ok(x.contiguous()?.apply_op2(&row, whole)?);
        }
        self.run(x, normalising, |_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::resnet::{Kind, random_weights};
    use crate::testing::{Random, assert_near, values};
    use crate::trainable::Form;

    fn form(architecture: &str, width: usize, blocks: [usize; 4]) -> Form {
        Form { width: Some(width), blocks: Some(blocks), ..Form::of(architecture) }
    }

    #[test]
    fn it_computes_what_the_frozen_network_does() {
        for (architecture, blocks) in [("resnet18", [1, 2, 1, 1]), ("resnet50", [1, 1, 2, 1])] {
            let form = form(architecture, 8, blocks);
            let mut weights = form.random(3).expect("weights");
            let frozen = form.describe().expect("described");
            let frozen =
                (frozen.build)(&mut weights.clone(), &Device::Cpu, crate::encoder::Precision::F32).expect("built");
            let network = form.build(&mut weights, &Device::Cpu).expect("built");
            weights.finish().expect("nothing is left");
            let x = Random::new("pictures").normal(1.0, (2, 37, 41, 3));
            let ours = network.features(&x, Normalising::EVAL).expect("computed");
            let wanted = frozen
                .features(&x.permute((0, 3, 1, 2)).and_then(|x| x.contiguous()).expect("a tensor"))
                .expect("computed");
            assert_near(architecture, &values(&ours.embedding), &values(&wanted.embedding), 1e-5);
            assert_eq!(ours.maps.len(), 5);
            for (ours, wanted) in ours.maps.iter().zip(&wanted.maps) {
                assert_eq!(ours.dims(), wanted.dims());
                assert_near(architecture, &values(ours), &values(wanted), 1e-5);
            }
        }
    }

    #[test]
    fn one_operation_equals_the_graph_of_small_ones_to_the_bit() {
        for (architecture, blocks) in [("resnet18", [2, 1, 1, 1]), ("resnet50", [1, 2, 1, 1])] {
            for (groups, side) in [(1, 33), (2, 48)] {
                let form = form(architecture, 8, blocks);
                let network = || form.build(&mut form.random(5).expect("weights"), &Device::Cpu).expect("built");
                let (ours, plain) = (network(), network());
                let random = Random::new("pictures");
                let normalising = Normalising { groups, ..Normalising::TRAIN };
                // Twice, so that buffers are used again; the running statistics move.
                for _ in 0..2 {
                    let x = random.normal(1.0, (4, side, side + 5, 3));
                    let y = ours.embedding(&x, normalising).expect("computed");
                    let wanted = plain.features(&x, normalising).expect("computed").embedding;
                    assert_eq!(values(&y), values(&wanted), "{architecture}");
                    let factors = random.normal(1.0, y.dims());
                    let gradients = |y: &Tensor| {
                        (y * &factors).and_then(|y| y.sum_all()).and_then(|loss| loss.backward()).expect("computed")
                    };
                    let (got, wanted) = (gradients(&y), gradients(&wanted));
                    let mut compared = 0;
                    for (name, var) in ours.parameters().trainable() {
                        let other = plain.parameters().trainable()[name].as_tensor();
                        let (got, wanted) = (got.get(var).expect("a gradient"), wanted.get(other).expect("a gradient"));
                        assert_eq!(got.dims(), var.dims());
                        assert_eq!(values(got), values(wanted), "{architecture} {name}");
                        compared += got.elem_count();
                    }
                    assert!(compared > 10_000);
                    for (name, var) in ours.parameters().all() {
                        let other = plain.parameters().get(name).expect("the same");
                        assert_eq!(values(var), values(other), "{name}");
                    }
                }
            }
        }
    }

    #[test]
    fn sizes_become_the_network_that_they_name() {
        let half = form("resnet50", 16, [3, 4, 6, 3]).describe().expect("described");
        assert_eq!((half.embedding, half.maps[0].channels), (512, 16));
        let plain = Form::of("resnet18");
        assert_eq!(plain.describe().expect("described").architecture.key(), "resnet18");
        let weights = plain.random(0).expect("weights");
        let found = Config::of(&weights);
        assert!(found.kind == Kind::Basic && found.blocks == [2, 2, 2, 2] && found.embedding() == 512);
        for (wrong, why) in
            [("resnet19", "resnet18"), ("convnext_t", "resnet50"), ("open_nsfw", "no architecture that can be trained")]
        {
            let said = Form::of(wrong).random(0).map(|_| ()).expect_err("refused");
            assert!(said.to_string().contains(why), "{said}");
        }
        assert!(form("resnet18", 0, [1, 1, 1, 1]).describe().is_err());
        assert!(form("resnet18", 8, [1, 0, 1, 1]).describe().is_err());
    }

    #[test]
    fn parts_of_a_batch_are_normalised_each_on_its_own() {
        let config = Config::basic(8, [1, 1, 1, 1]);
        let network = || {
            let mut weights = random_weights(&config, 1).expect("weights");
            TrainableResNet::new(config, &mut weights, &Device::Cpu, Gradients::Wanted).expect("built")
        };
        let x = Random::new("pictures").normal(1.0, (4, 32, 32, 3));
        let all = network().embedding(&x, Normalising { groups: 2, ..Normalising::TRAIN }).expect("computed");
        for part in 0..2 {
            let alone =
                network().embedding(&x.narrow(0, 2 * part, 2).expect("two"), Normalising::TRAIN).expect("computed");
            let part = all.narrow(0, 2 * part, 2).expect("two");
            assert_near("a part", &values(&part), &values(&alone), 1e-5);
        }
        assert!(network().embedding(&x, Normalising { groups: 3, ..Normalising::TRAIN }).is_err());
    }
}
