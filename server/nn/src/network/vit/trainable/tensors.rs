//! The tensors of a trainable vision transformer: their names, shapes and first values.

use super::super::load::Load;
use super::super::names::{Names, TIMM};
use super::Plan;
use crate::checkpoint::weights::Weights;
use crate::seeded::Stream;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a tensor begins with.
#[derive(Clone, Copy)]
enum Start {
    /// The same number everywhere.
    Constant(f32),
    /// Normal around 0.
    Normal,
    /// Uniform within plus and minus this.
    Uniform(f64),
}

/// Deviation of what begins normal.
const DEVIATION: f64 = 0.02;

/// One tensor.
struct Part {
    /// Its block; none of what lies before and behind them.
    block: Option<usize>,
    /// Its layer in timm's names.
    layer: &'static str,
    /// `weight`, `bias`, or nothing for tensors that are no layer's.
    kind: &'static str,
    shape: Vec<usize>,
    start: Start,
}

impl Part {
    /// The layer `layer` and the kind in some layout.
    fn named(&self, names: &Names, layer: &str) -> String {
        let layer = self.block.map_or_else(|| layer.to_owned(), |block| names.in_block(block, layer));
        if self.kind.is_empty() { layer } else { format!("{layer}.{}", self.kind) }
    }

    fn name(&self) -> String {
        self.named(&TIMM, self.layer)
    }

    /// What it is made of in another layout: itself, or rows one behind the other.
    fn theirs(&self, names: &Names) -> Vec<String> {
        if self.layer == TIMM.qkv[0] {
            return names.qkv.iter().map(|layer| self.named(names, layer)).collect();
        }
        let pairs = [
            (TIMM.class, names.class),
            (TIMM.positions, names.positions),
            (TIMM.patch, names.patch),
            (TIMM.norm, names.norm),
            (TIMM.norms[0], names.norms[0]),
            (TIMM.norms[1], names.norms[1]),
            (TIMM.attended, names.attended),
            (TIMM.mlp[0], names.mlp[0]),
            (TIMM.mlp[1], names.mlp[1]),
        ];
        let layer = pairs.iter().find(|(timm, _)| *timm == self.layer).map_or(self.layer, |(_, theirs)| theirs);
        vec![self.named(names, layer)]
    }

    fn values(&self, seed: u64) -> Vec<f32> {
        let mut stream = Stream::new(seed, &self.name());
        let value = |_| match self.start {
            Start::Constant(value) => value,
            Start::Normal => (stream.normal() * DEVIATION) as f32,
            Start::Uniform(bound) => stream.range(-bound, bound) as f32,
        };
        (0..self.shape.iter().product::<usize>()).map(value).collect()
    }
}

fn parts(plan: Plan) -> Vec<Part> {
    let (c, patch, grid) = (plan.config.width, plan.config.patch, plan.config.grid);
    let bound = 1.0 / ((3 * patch * patch) as f64).sqrt();
    let mut parts = Vec::new();
    let mut layer = |block, layer, shape: &[usize], [weight, bias]: [Start; 2]| {
        parts.push(Part { block, layer, kind: "weight", shape: shape.to_vec(), start: weight });
        parts.push(Part { block, layer, kind: "bias", shape: shape[..1].to_vec(), start: bias });
    };
    let identity = [Start::Constant(1.0), Start::Constant(0.0)];
    let linear = [Start::Normal, Start::Constant(0.0)];
    layer(None, TIMM.patch, &[c, 3, patch, patch], [Start::Uniform(bound); 2]);
    for block in (0..plan.depth).map(Some) {
        layer(block, TIMM.norms[0], &[c], identity);
        layer(block, TIMM.qkv[0], &[3 * c, c], linear);
        layer(block, TIMM.attended, &[c, c], linear);
        layer(block, TIMM.norms[1], &[c], identity);
        layer(block, TIMM.mlp[0], &[4 * c, c], linear);
        layer(block, TIMM.mlp[1], &[c, 4 * c], linear);
    }
    layer(None, TIMM.norm, &[c], identity);
    let mut alone = |layer, count| {
        parts.push(Part { block: None, layer, kind: "", shape: vec![1, count, c], start: Start::Normal });
    };
    alone(TIMM.class, 1);
    alone(TIMM.positions, 1 + grid * grid);
    parts
}

/// The tensors that weights of any layout hold, under timm's names.
pub fn read(plan: Plan, weights: &mut Weights, device: &Device) -> Result<BTreeMap<String, Tensor>> {
    let names = Names::of(weights).unwrap_or(&TIMM);
    let mut load = Load { weights, device };
    let mut tensor = |part: Part| {
        let theirs = part.theirs(names);
        let mut shape = part.shape.clone();
        shape[0] /= theirs.len();
        let rows = theirs.iter().map(|name| load.take(name, &shape)).collect::<Result<Vec<_>>>()?;
        Ok((part.name(), Tensor::cat(&rows, 0)?.contiguous()?))
    };
    parts(plan).into_iter().map(&mut tensor).collect()
}

/// A tensor by its name.
pub fn take(tensors: &mut BTreeMap<String, Tensor>, name: &str) -> Result<Tensor> {
    tensors.remove(name).ok_or_else(|| Error::Unsupported(format!("the network has no tensor `{name}`")))
}

/// Seeded ones.
pub fn random(plan: Plan, seed: u64) -> Result<Weights> {
    let tensor = |part: Part| Ok((part.name(), Tensor::from_vec(part.values(seed), &part.shape[..], &Device::Cpu)?));
    let tensors = parts(plan).into_iter().map(tensor).collect::<Result<_>>()?;
    Ok(Weights::new(PathBuf::from("seeded weights"), String::new(), tensors))
}
