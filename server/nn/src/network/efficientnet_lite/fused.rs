//! EfficientNet-Lite0's forward pass on the CPU in fused convolutions and buffers that are kept.

use super::{Block, Layers};
use crate::Result;
use crate::conv::Activation;
use crate::cpu::{Convolution, Depthwise, FusedConvolution, Maps, Scratch, Spare, average, grown, planes, read, turn};
use crate::encoder::Features;
use candle_core::{Device, Tensor};

/// Images at a time, whose widest maps stay in the shared cache.
const GROUP: usize = 4;

/// The network, and buffers of passes that have ended.
pub struct Fused {
    layers: Layers<Convolution, Depthwise>,
    buffers: Spare<Buffers>,
}

/// What a pass works in.
#[derive(Default)]
struct Buffers {
    input: Vec<f32>,
    /// Outputs of a block, and of the one before.
    narrow: [Vec<f32>; 2],
    /// Around the depthwise convolution.
    wide: [Vec<f32>; 2],
    scratch: Scratch,
}

/// A map of all images, as it fills up.
struct Kept {
    values: Vec<f32>,
    maps: Maps,
    channels: usize,
}

impl Fused {
    /// Of packed convolutions.
    pub fn new(layers: Layers<Convolution, Depthwise>) -> Self {
        Self { layers, buffers: Spare::default() }
    }

    /// The embedding, and the last map at each size if `maps`.
    pub fn features(&self, input: &Tensor, maps: bool) -> Result<Features> {
        self.buffers.pass(|b| self.pass(input, maps, b))
    }

    fn pass(&self, input: &Tensor, keep: bool, b: &mut Buffers) -> Result<Features> {
        let (images, channels, height, width) = input.dims4()?;
        let embedding = self.layers.head.outputs();
        let mut embeddings = vec![0f32; images * embedding];
        let mut kept: Vec<Kept> = Vec::new();
        for first in (0..images).step_by(GROUP) {
            let n = GROUP.min(images - first);
            let maps = Maps { images: n, height, width };
            let x = grown(&mut b.input, maps.pixels() * channels);
            read(&input.narrow(0, first, n)?, |input| turn(input, height * width, channels, x))?;
            let out = &mut embeddings[first * embedding..][..n * embedding];
            self.group(maps, channels, keep.then_some((&mut kept, first, images)), out, b);
        }
        let maps = kept.into_iter().map(|k| planes(k.values, k.maps, k.channels)).collect::<Result<_>>()?;
        Ok(Features { maps, embedding: Tensor::from_vec(embeddings, (images, embedding), &Device::Cpu)? })
    }

    /// A few images, from `b.input` to their embeddings. `keep` holds the maps of all images, the
    /// number of the first of these, and the number of all.
    fn group(
        &self,
        mut maps: Maps,
        mut channels: usize,
        mut keep: Option<(&mut Vec<Kept>, usize, usize)>,
        embeddings: &mut [f32],
        b: &mut Buffers,
    ) {
        let Buffers { input, narrow: [from, to], wide, scratch } = b;
        let Layers { stem, blocks, head } = &self.layers;
        let (mut from, mut to) = (from, to);
        let size = stem.output(maps);
        let out = grown(from, size.pixels() * stem.outputs());
        stem.run(&input[..maps.pixels() * channels], maps, out, scratch);
        (maps, channels) = (size, stem.outputs());
        let mut level = 0;
        for (i, block) in blocks.iter().enumerate() {
            let size = block.depthwise.output(maps);
            let x = &from[..maps.pixels() * channels];
            let out = grown(to, size.pixels() * block.project.outputs());
            block.run(x, maps, out, wide, scratch);
            (maps, channels) = (size, block.project.outputs());
            std::mem::swap(&mut from, &mut to);
            // The last map before the size changes, and the very last one.
            let last = blocks.get(i + 1).is_none_or(|next| next.depthwise.output(maps) != maps);
            if let (Some((kept, first, images)), true) = (&mut keep, last) {
                if kept.len() == level {
                    let all = Maps { images: *images, ..maps };
                    kept.push(Kept { values: vec![0.0; all.pixels() * channels], maps: all, channels });
                }
                let len = maps.pixels() * channels;
                let each = len / maps.images;
                kept[level].values[*first * each..][..len].copy_from_slice(&from[..len]);
                level += 1;
            }
        }
        let top = grown(to, maps.pixels() * head.outputs());
        head.run(&from[..maps.pixels() * channels], maps, top, scratch);
        average(top, maps, head.outputs(), embeddings);
    }
}

impl Block<Convolution, Depthwise> {
    fn run(&self, x: &[f32], maps: Maps, out: &mut [f32], wide: &mut [Vec<f32>; 2], scratch: &mut Scratch) {
        let [first, second] = wide;
        let expanded: &[f32] = match &self.expand {
            Some(conv) => {
                let expanded = grown(first, maps.pixels() * conv.outputs());
                conv.run(x, maps, expanded, scratch);
                expanded
            }
            None => x,
        };
        let to = self.depthwise.output(maps);
        let filtered = grown(second, to.pixels() * expanded.len() / maps.pixels());
        self.depthwise.run(expanded, maps, filtered);
        if self.residual {
            out.copy_from_slice(x);
            self.project.add(filtered, to, Activation::Identity, out, scratch);
        } else {
            self.project.run(filtered, to, out, scratch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::EfficientNetLite0;
    use super::*;
    use crate::encoder::Encoder;
    use crate::network::test_networks::same_bits_in_any_batch;
    use crate::testing::{Random, assert_near, values};
    use std::path::Path;

    fn network(
        make: impl Fn(&mut crate::checkpoint::weights::Weights, &Device) -> Result<EfficientNetLite0>,
    ) -> EfficientNetLite0 {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/encoders/EfficientNetLite0.safetensors");
        let mut weights =
            crate::checkpoint::open(&path, None, crate::network::efficientnet_lite::FAMILY.layouts).expect("it ships");
        make(&mut weights, &Device::Cpu).expect("loaded")
    }

    #[test]
    fn the_fused_network_equals_candles_operations() {
        let (fused, reference) = (network(EfficientNetLite0::new), network(EfficientNetLite0::reference));
        let random = Random::new("EfficientNet");
        for (n, height, width) in [(1, 224, 224), (5, 97, 75), (2, 32, 33)] {
            let x = random.normal(1.0, (n, 3, height, width));
            let (ours, wanted) = (fused.features(&x).expect("computed"), reference.features(&x).expect("computed"));
            assert_eq!(values(&fused.embedding(&x).expect("computed")), values(&ours.embedding));
            assert_eq!(ours.maps.len(), wanted.maps.len());
            let pairs = ours.maps.iter().zip(&wanted.maps).chain([(&ours.embedding, &wanted.embedding)]);
            for (ours, wanted) in pairs {
                assert_eq!(ours.dims(), wanted.dims());
                assert_near(format!("{n} x {height} x {width}"), &values(ours), &values(wanted), 1e-4);
            }
        }
    }

    #[test]
    fn an_image_has_the_same_features_to_the_bit_in_any_batch() {
        let network = network(EfficientNetLite0::new);
        let x = Random::new("EfficientNet in batches").normal(1.0, (6, 3, 96, 80));
        same_bits_in_any_batch(&network, &x);
    }
}
