//! A ResNet's forward pass on the CPU in fused convolutions and buffers that are kept.

use super::layers::{Block, Config, Layers};
use crate::Result;
use crate::conv::Activation;
use crate::cpu::{
    Convolution, FusedConvolution, Maps, Scratch, Spare, Value, average, grown, max_pool_3x3, planes, read, turn,
};
use crate::encoder::Features;
use candle_core::{Device, Tensor};
use std::ops::Range;

/// Bytes of the activations that are worked on at once: they stay in the shared cache.
const NEAR: usize = 8 << 20;

/// The network, and buffers of passes that have ended.
pub struct Fused<C: FusedConvolution> {
    config: Config,
    layers: Layers<C, Convolution>,
    buffers: Spare<Buffers<C::Value>>,
}

/// What a pass works in.
#[derive(Default)]
struct Buffers<V> {
    input: Vec<f32>,
    stem: Vec<f32>,
    /// Outputs of a stage, and of the one before.
    stages: [Vec<V>; 2],
    /// What lies between a block's convolutions.
    narrow: [Vec<V>; 2],
    /// Values on their way from or to `f32`.
    wide: Vec<f32>,
    scratch: Scratch,
}

impl<C: FusedConvolution> Fused<C> {
    /// Of packed convolutions. The first, of three channels, stays in `f32`.
    pub fn new(config: Config, layers: Layers<C, Convolution>) -> Self {
        Self { config, layers, buffers: Spare::default() }
    }

    /// All maps and the embedding.
    pub fn features(&self, input: &Tensor) -> Result<Features> {
        let mut maps = Vec::with_capacity(5);
        let embedding = self.run(input, Some(&mut maps))?;
        Ok(Features { maps, embedding })
    }

    /// The embedding alone.
    pub fn embedding(&self, input: &Tensor) -> Result<Tensor> {
        self.run(input, None)
    }

    fn run(&self, input: &Tensor, keep: Option<&mut Vec<Tensor>>) -> Result<Tensor> {
        self.buffers.pass(|b| self.pass(input, keep, b))
    }

    fn pass(&self, input: &Tensor, mut keep: Option<&mut Vec<Tensor>>, b: &mut Buffers<C::Value>) -> Result<Tensor> {
        let (images, channels, height, width) = input.dims4()?;
        let mut maps = Maps { images, height, width };
        let mut channels = channels;
        let x = grown(&mut b.input, maps.pixels() * channels);
        read(input, |input| turn(input, height * width, channels, x))?;

        let stem = &self.layers.stem;
        let to = stem.output(maps);
        let size = to.pixels() * stem.outputs();
        let mut kept = keep.is_some().then(|| vec![0f32; size]);
        let out = kept.as_deref_mut().unwrap_or_else(|| grown(&mut b.stem, size));
        for range in groups(images, size / images) {
            let part = Maps { images: range.len(), ..maps };
            let (x, out) = (share(x, &range, images), share_mut(out, &range, images));
            stem.run(x, part, out, &mut b.scratch);
        }
        (maps, channels) = (to, stem.outputs());
        let [first, second] = &mut b.stages;
        let pooled = grown(first, maps.pixels().div_ceil(2) * channels);
        C::Value::fill(pooled, &mut b.wide, |pooled| {
            maps = max_pool_3x3(out, maps, channels, !self.config.pool_bottom_right, pooled);
        });
        if let (Some(keep), Some(stem)) = (keep.as_deref_mut(), kept) {
            keep.push(planes(stem, to, channels)?);
        }
        let mut all: Vec<(Vec<C::Value>, Maps, usize)> = Vec::new();

        let (mut from, mut free) = (first, second);
        for stage in &self.layers.stages {
            let to = stage.iter().fold(maps, |m, block| block.output(m));
            let outputs = stage[0].last.outputs();
            let size = to.pixels() * outputs;
            let x = all.last().map_or(&**from, |(kept, ..)| kept);
            let x = &x[..maps.pixels() * channels];
            let mut kept = keep.is_some().then(|| vec![C::Value::default(); size]);
            let out = kept.as_deref_mut().unwrap_or_else(|| grown(free, size));
            for range in groups(images, (x.len() + size) / images) {
                let part = Maps { images: range.len(), ..maps };
                let (x, out) = (share(x, &range, images), share_mut(out, &range, images));
                run_stage(stage, x, part, out, &mut b.narrow, &mut b.scratch);
            }
            (maps, channels) = (to, outputs);
            all.extend(kept.map(|kept| (kept, maps, channels)));
            std::mem::swap(&mut from, &mut free);
        }
        let x = all.last().map_or(&**from, |(kept, ..)| kept);
        let mut embedding = vec![0f32; images * channels];
        let x = C::Value::wide(&x[..maps.pixels() * channels], &mut b.wide);
        average(x, maps, channels, &mut embedding);
        if let Some(keep) = &mut keep {
            for (values, maps, channels) in all {
                keep.push(planes(C::Value::widened(values), maps, channels)?);
            }
        }
        Ok(Tensor::from_vec(embedding, (images, channels), &Device::Cpu)?)
    }
}

/// The values of some of `images` images.
fn share<'a, T>(x: &'a [T], range: &Range<usize>, images: usize) -> &'a [T] {
    let size = x.len() / images;
    &x[range.start * size..range.end * size]
}

/// As [`share`].
fn share_mut<'a, T>(x: &'a mut [T], range: &Range<usize>, images: usize) -> &'a mut [T] {
    let size = x.len() / images;
    &mut x[range.start * size..range.end * size]
}

/// Runs all blocks of a stage. Their sums stay in one place.
fn run_stage<C: FusedConvolution>(
    stage: &[Block<C>],
    x: &[C::Value],
    mut maps: Maps,
    out: &mut [C::Value],
    narrow: &mut [Vec<C::Value>; 2],
    scratch: &mut Scratch,
) {
    for (i, block) in stage.iter().enumerate() {
        let (to, inner) = (block.output(maps), block.inside(maps));
        if let Some(conv) = &block.downsample {
            conv.run(x, maps, out, scratch);
        } else if i == 0 {
            out.copy_from_slice(x);
        }
        let b = block.inner(if i == 0 { x } else { out }, maps, narrow, scratch);
        block.last.add(b, inner, Activation::Relu, out, scratch);
        maps = to;
    }
}

impl<C: FusedConvolution> Block<C> {
    fn output(&self, maps: Maps) -> Maps {
        self.last.output(self.inside(maps))
    }

    /// The size before the last convolution.
    fn inside(&self, maps: Maps) -> Maps {
        self.convs.iter().fold(maps, |maps, conv| conv.output(maps))
    }

    /// All convolutions but the last.
    fn inner<'a>(
        &self,
        x: &[C::Value],
        mut maps: Maps,
        narrow: &'a mut [Vec<C::Value>; 2],
        scratch: &mut Scratch,
    ) -> &'a [C::Value] {
        let [mut from, mut free] = narrow.each_mut();
        let mut len = 0;
        for (i, conv) in self.convs.iter().enumerate() {
            let to = conv.output(maps);
            let size = to.pixels() * conv.outputs();
            conv.run(if i == 0 { x } else { &from[..len] }, maps, grown(free, size), scratch);
            std::mem::swap(&mut from, &mut free);
            (maps, len) = (to, size);
        }
        &from[..len]
    }
}

/// Images of a batch in groups whose maps, of so many values an image, stay in the cache.
fn groups(images: usize, values: usize) -> impl Iterator<Item = Range<usize>> {
    let most = (NEAR / (4 * values)).max(1);
    // Groups of equal size, so that none is a remainder of one.
    let count = images.div_ceil(most).max(1);
    let size = images.div_ceil(count).max(1);
    (0..images).step_by(size).map(move |first| first..(first + size).min(images))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{Encoder, Precision};
    use crate::network::resnet::{ResNet, random_weights};
    use crate::network::test_networks::same_bits_in_any_batch;
    use crate::testing::{Random, assert_near, relative_error, values};

    /// A narrow one that fills no vector, a wide one, one of Caffe's and one of basic blocks.
    fn configs() -> [Config; 4] {
        let narrow = Config { blocks: [1, 2, 1, 2], ..Config::torchvision(5, 3) };
        let wide = Config { blocks: [1, 1, 1, 1], ..Config::torchvision(64, 128) };
        let caffe = Config { stride_on_1x1: true, pool_bottom_right: true, ..Config::torchvision(8, 8) };
        [narrow, wide, caffe, Config::basic(7, [2, 1, 1, 2])]
    }

    #[test]
    fn the_fused_network_equals_candles_operations() {
        let mut cases: Vec<(Config, usize, usize)> =
            configs().into_iter().flat_map(|c| [(c, 64, 64), (c, 97, 75)]).collect();
        cases.push((Config::resnet50(), 224, 224));
        for (config, height, width) in cases {
            let load = || random_weights(&config, 1).expect("weights");
            let fused = ResNet::new(config, &mut load(), &Device::Cpu).expect("loaded");
            let reference = ResNet::reference(config, &mut load(), &Device::Cpu, Precision::F32).expect("loaded");
            let x = Random::new("ResNets").normal(1.0, (2, 3, height, width));
            let (ours, wanted) = (fused.features(&x).expect("computed"), reference.features(&x).expect("computed"));
            assert_eq!(values(&fused.embedding(&x).expect("computed")), values(&ours.embedding));
            let pairs = ours.maps.iter().zip(&wanted.maps).chain([(&ours.embedding, &wanted.embedding)]);
            for (ours, wanted) in pairs {
                assert_eq!(ours.dims(), wanted.dims());
                let what = format!("{config:?} {height} x {width}");
                assert_near(what, &values(ours), &values(wanted), 1e-5);
            }
        }
    }

    #[test]
    fn candles_operations_in_half_precision_are_near() {
        let config = configs()[0];
        let network = |precision| {
            let mut weights = random_weights(&config, 1).expect("weights");
            ResNet::reference(config, &mut weights, &Device::Cpu, precision).expect("loaded")
        };
        let x = Random::new("half precision").normal(1.0, (2, 3, 64, 64));
        let wanted = values(&network(Precision::F32).embedding(&x).expect("computed"));
        // What a GPU runs; candle multiplies no matrices of bfloat16 on the CPU.
        let features = network(Precision::F16).features(&x).expect("computed");
        assert!(features.maps.iter().all(|m| m.dtype() == candle_core::DType::F32));
        let ours = values(&features.embedding);
        let error = relative_error("half precision", &ours, &wanted);
        assert!(error > 0.0 && error < 3e-3, "{error}");
        let refused = Precision::F16.check(&Device::Cpu).expect_err("on the CPU").to_string();
        assert!(refused.contains("--precision bf16"), "{refused}");
    }

    #[test]
    fn an_image_has_the_same_features_to_the_bit_in_any_batch() {
        let config = configs()[2];
        let network = ResNet::new(config, &mut random_weights(&config, 1).expect("weights"), &Device::Cpu);
        let network = network.expect("loaded");
        let x = Random::new("ResNet in batches").normal(1.0, (13, 3, 96, 80));
        same_bits_in_any_batch(&network, &x);
    }

    #[test]
    fn bfloat16_moves_features_by_a_hundredth_and_no_image_by_its_batch() {
        let mut cases: Vec<(Config, usize, usize)> = configs().into_iter().map(|c| (c, 97, 75)).collect();
        // The plain form of it takes minutes for this one.
        if crate::cpu::bf16::supported() {
            cases.push((Config::resnet50(), 224, 224));
        }
        for (config, height, width) in cases {
            let network = |precision| {
                let mut weights = random_weights(&config, 1).expect("weights");
                ResNet::unchecked(config, &mut weights, &Device::Cpu, precision).expect("loaded")
            };
            let (exact, rounded) = (network(Precision::F32), network(Precision::Bf16));
            let x = Random::new("bfloat16").normal(1.0, (3, 3, height, width));
            let (wanted, ours) = (exact.features(&x).expect("computed"), rounded.features(&x).expect("computed"));
            let pairs = ours.maps.iter().zip(&wanted.maps).chain([(&ours.embedding, &wanted.embedding)]);
            for (ours, wanted) in pairs {
                assert_eq!(ours.dims(), wanted.dims());
                let (ours, wanted) = (values(ours), values(wanted));
                let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
                assert_eq!(ours.len(), wanted.len());
                let error = norm(&mut ours.iter().zip(&wanted).map(|(a, b)| a - b)) / norm(&mut wanted.iter().copied());
                // A number that is none would not be below.
                assert!(error < 0.02, "{config:?}: {error}");
            }
            assert_eq!(values(&rounded.embedding(&x).expect("computed")), values(&ours.embedding));
            let alone = rounded.embedding(&x.narrow(0, 2, 1).expect("an image")).expect("computed");
            assert_eq!(values(&alone), values(&ours.embedding.narrow(0, 2, 1).expect("an image")));
        }
    }
}
