//! A ResNet's whole pass on the CPU as one operation of the graph, forward and backward: what a
//! graph of small operations costs beside their work (gradients that begin as zeros and are added
//! to, fresh memory everywhere) is nearly half of a step of a small network.
//!
//! The network's tensors are its argument as one row of numbers, so that gradients come out as
//! those of any operation. Activations are kept in buffers that go from step to step, and not at
//! all where no gradients are wanted.

use super::conv_norm::ConvNorm;
use crate::cpu::training::{self, Shape};
use crate::cpu::{self, Maps, values};
use crate::encoder::Normalising;
use crate::layer::batch_norm::Fused;
use crate::network::resnet::layers::{Block, Layers};
use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp2, Layout, Shape as Dims, Tensor};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Buffers that are free.
#[derive(Debug, Default)]
pub struct Free(Mutex<Vec<Vec<f32>>>);

/// Those of all networks, as long as there is one.
static SHARED: Mutex<Weak<Free>> = Mutex::new(Weak::new());

impl Free {
    /// The buffers that all networks of this process share: one's forward pass fits into what another's backward pass
    /// has left, as that of MoCo's key encoder does, and fresh memory costs time.
    pub fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let free = Arc::default();
            *shared = Arc::downgrade(&free);
            free
        })
    }

    /// A buffer of `len` values, whatever they are.
    fn take(&self, len: usize) -> Vec<f32> {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One of this size, which steps that are alike leave; else the smallest that is large enough, else the largest.
        let order = |buffer: &Vec<f32>| match buffer.capacity() {
            _ if buffer.len() == len => (0, 0),
            capacity if capacity >= len => (1, capacity),
            capacity => (2, usize::MAX - capacity),
        };
        let at = (0..free.len()).min_by_key(|at| order(&free[*at]));
        let mut buffer = at.map(|at| free.swap_remove(at)).unwrap_or_default();
        drop(free);
        if buffer.capacity() < len {
            // What is in it is not worth a copy.
            return vec![0.0; len];
        }
        buffer.resize(len, 0.0);
        buffer
    }

    /// Keeps a buffer for whoever takes one; an empty one is what is left of one that was given before.
    fn give(&self, buffer: Vec<f32>) {
        if buffer.capacity() > 0 {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
        }
    }
}

/// All tensors of a network side by side, in the order of the forward pass: of each convolution
/// its weights, and the weight and the bias of its BatchNorm.
pub fn row(layers: &Layers<ConvNorm>) -> Result<Tensor> {
    let mut parts = Vec::new();
    for conv in layers.all() {
        parts.push(conv.weight.flatten_all()?);
        parts.extend(conv.norm.vectors().map(Clone::clone));
    }
    Ok(Tensor::cat(&parts, 0)?)
}

/// What the backward pass needs of a convolution and its BatchNorm.
struct Kept {
    shape: Shape,
    normal: Fused,
    /// Between the two.
    between: Vec<f32>,
    /// Where the convolution's weights lie in the row; behind them the BatchNorm's.
    weights: Range<usize>,
}

impl Kept {
    fn vectors<'r>(&self, row: &'r [f32]) -> [&'r [f32]; 2] {
        let (from, channels) = (self.weights.end, self.shape.outputs);
        [&row[from..from + channels], &row[from + channels..from + 2 * channels]]
    }
}

/// A block: the outputs of its convolutions but the last, and its own.
struct KeptBlock {
    inside: Vec<Vec<f32>>,
    out: Vec<f32>,
    convs: Vec<Kept>,
    last: Kept,
    downsample: Option<Kept>,
}

/// What the backward pass needs.
struct Pass {
    stem: Kept,
    /// Behind the first convolution, and behind the pooling.
    first: Vec<f32>,
    pooled: Vec<f32>,
    blocks: Vec<KeptBlock>,
    /// Of the last map.
    maps: Maps,
}

impl Pass {
    /// All buffers, for other passes.
    fn free(self, free: &Free) {
        let give = |kept: Kept| free.give(kept.between);
        give(self.stem);
        free.give(self.first);
        free.give(self.pooled);
        for block in self.blocks {
            block.inside.into_iter().chain([block.out]).for_each(|buffer| free.give(buffer));
            block.convs.into_iter().chain([block.last]).chain(block.downsample).for_each(give);
        }
    }
}

/// The operation: pictures, `N x H x W x 3`, and the row to the embedding, `N x E`.
pub struct Whole {
    layers: Arc<Layers<ConvNorm>>,
    before: bool,
    normalising: Normalising,
    free: Arc<Free>,
    /// Whether there will be a backward pass.
    keeps: bool,
    pass: Mutex<Option<Pass>>,
}

impl Whole {
    /// Of these layers; `before` is where the zeros of the pooling lie. What a backward pass needs is
    /// kept in buffers of `free`, if it `keeps` it; otherwise there can be none.
    pub fn new(
        layers: &Arc<Layers<ConvNorm>>,
        before: bool,
        normalising: Normalising,
        free: &Arc<Free>,
        keeps: bool,
    ) -> Self {
        let (layers, free) = (layers.clone(), free.clone());
        Self { layers, before, normalising, free, keeps, pass: Mutex::new(None) }
    }

    /// Frees what only a backward pass would read, if there will be none.
    fn done<'b>(&self, buffers: impl IntoIterator<Item = &'b mut Vec<f32>>) {
        if !self.keeps {
            buffers.into_iter().for_each(|buffer| self.free.give(std::mem::take(buffer)));
        }
    }

    /// A convolution, and the moments of its output.
    fn conv(
        &self,
        conv: &ConvNorm,
        (x, maps): (&[f32], Maps),
        row: &[f32],
        at: &mut usize,
        relu: bool,
    ) -> Result<Kept> {
        let (outputs, inputs, kernel, _) = conv.weight.dims4()?;
        let shape = Shape::new(maps, inputs, outputs, kernel, conv.geometry).ok_or_else(|| {
            let Maps { height, width, .. } = maps;
            Error::Unsupported(format!(
                "pictures are too small: maps of {height} x {width} are left before {kernel} x {kernel}"
            ))
        })?;
        let weights = *at..*at + outputs * inputs * kernel * kernel;
        *at = weights.end + 2 * outputs;
        let mut between = self.free.take(shape.to.pixels() * outputs);
        training::convolve(shape, x, &row[weights.clone()], &vec![0.0; outputs], &mut between);
        let Normalising { statistics, groups } = self.normalising;
        let normal = conv.norm.of(&between, outputs, statistics, relu, groups)?;
        Ok(Kept { shape, normal, between, weights })
    }

    /// The output of the BatchNorm; where something is `added`, with ReLU behind the sum.
    fn normalised(&self, kept: &Kept, row: &[f32], added: Option<&[f32]>) -> Vec<f32> {
        let mut out = self.free.take(kept.between.len());
        kept.normal.forward(&kept.between, kept.vectors(row), added, &mut out);
        out
    }

    /// A block's output, and what its backward pass needs.
    fn through(
        &self,
        block: &Block<ConvNorm>,
        (x, maps): (&[f32], Maps),
        row: &[f32],
        at: &mut usize,
    ) -> Result<KeptBlock> {
        let (mut inside, mut convs): (Vec<Vec<f32>>, Vec<Kept>) = (Vec::new(), Vec::new());
        let mut size = maps;
        for conv in &block.convs {
            let mut kept = self.conv(conv, (inside.last().map_or(x, Vec::as_slice), size), row, at, true)?;
            size = kept.shape.to;
            self.done(inside.last_mut());
            inside.push(self.normalised(&kept, row, None));
            self.done([&mut kept.between]);
            convs.push(kept);
        }
        let mut last = self.conv(&block.last, (inside.last().map_or(x, Vec::as_slice), size), row, at, false)?;
        self.done(inside.last_mut());
        let (out, downsample) = if let Some(conv) = &block.downsample {
            let mut kept = self.conv(conv, (x, maps), row, at, false)?;
            let shortcut = self.normalised(&kept, row, None);
            self.done([&mut kept.between]);
            let out = self.normalised(&last, row, Some(&shortcut));
            self.free.give(shortcut);
            (out, Some(kept))
        } else {
            (self.normalised(&last, row, Some(x)), None)
        };
        self.done([&mut last.between]);
        Ok(KeptBlock { inside, out, convs, last, downsample })
    }

    fn forward(&self, x: &[f32], maps: Maps, row: &[f32]) -> Result<(Vec<f32>, Pass)> {
        let mut at = 0;
        let mut stem = self.conv(&self.layers.stem, (x, maps), row, &mut at, true)?;
        let mut first = self.normalised(&stem, row, None);
        self.done([&mut stem.between]);
        let channels = stem.shape.outputs;
        let mut maps = cpu::pooled(stem.shape.to, self.before);
        let mut pooled = self.free.take(maps.pixels() * channels);
        cpu::max_pool_3x3(&first, stem.shape.to, channels, self.before, &mut pooled);
        self.done([&mut first]);
        let mut blocks: Vec<KeptBlock> = Vec::new();
        for block in self.layers.stages.iter().flatten() {
            let x = blocks.last_mut().map_or(&mut pooled, |block| &mut block.out);
            let block = self.through(block, (x, maps), row, &mut at)?;
            self.done([x]);
            maps = block.last.shape.to;
            blocks.push(block);
        }
        let out = blocks.last().map_or(&pooled, |block| &block.out);
        let channels = out.len() / maps.pixels();
        let mut embedding = vec![0f32; maps.images * channels];
        cpu::average(out, maps, channels, &mut embedding);
        Ok((embedding, Pass { stem, first, pooled, blocks, maps }))
    }

    /// Behind a convolution and its BatchNorm: writes the gradients of their tensors for that of
    /// the output, and gives that of the convolution's output.
    fn weights(&self, kept: &Kept, x: &[f32], row: &[f32], gradient: &[f32], of_row: &mut [f32]) -> Vec<f32> {
        let mut inner = self.free.take(kept.between.len());
        let of_both = kept.normal.backward(&kept.between, kept.vectors(row), gradient, Some(&mut inner));
        let vectors = &mut of_row[kept.weights.end..kept.weights.end + 2 * kept.shape.outputs];
        vectors.iter_mut().zip(of_both.iter().flatten()).for_each(|(to, from)| *to = *from);
        training::weight_gradient(kept.shape, x, &inner, &mut of_row[kept.weights.clone()]);
        inner
    }

    /// The same, and gives the gradient of the input.
    fn back(&self, kept: &Kept, x: &[f32], row: &[f32], gradient: &[f32], of_row: &mut [f32]) -> Vec<f32> {
        let inner = self.weights(kept, x, row, gradient, of_row);
        let mut out = self.free.take(x.len());
        training::input_gradient(kept.shape, &inner, &row[kept.weights.clone()], false, &mut out);
        self.free.give(inner);
        out
    }

    /// The gradient of a block's input for `g`, that of its sum, in whose place it comes.
    fn block(&self, block: &KeptBlock, x: &[f32], row: &[f32], g: &mut Vec<f32>, of_row: &mut [f32]) {
        debug_assert!(!block.convs.is_empty(), "a block has a convolution before its last");
        let mut inner = self.back(&block.last, block.inside.last().map_or(x, Vec::as_slice), row, g, of_row);
        if let Some(kept) = &block.downsample {
            let before = self.back(kept, x, row, g, of_row);
            self.free.give(std::mem::replace(g, before));
        }
        for (nth, kept) in block.convs.iter().enumerate().rev() {
            let Some(before) = nth.checked_sub(1) else {
                let behind = self.weights(kept, x, row, &inner, of_row);
                training::input_gradient(kept.shape, &behind, &row[kept.weights.clone()], true, g);
                self.free.give(behind);
                break;
            };
            let before = self.back(kept, &block.inside[before], row, &inner, of_row);
            self.free.give(std::mem::replace(&mut inner, before));
        }
        self.free.give(inner);
    }

    fn backward(&self, pass: &Pass, x: &[f32], row: &[f32], gradient: &[f32], of_row: &mut [f32]) {
        let channels = gradient.len() / pass.maps.images;
        let mut g = self.free.take(pass.maps.pixels() * channels);
        cpu::average_gradient(gradient, pass.maps, channels, &mut g);
        for (nth, block) in pass.blocks.iter().enumerate().rev() {
            let x = nth.checked_sub(1).map_or(&pass.pooled, |before| &pass.blocks[before].out);
            cpu::pass_where_positive(&mut g, &block.out);
            self.block(block, x, row, &mut g, of_row);
        }
        let (maps, channels) = (pass.stem.shape.to, pass.stem.shape.outputs);
        let mut first = self.free.take(pass.first.len());
        cpu::max_pool_3x3_gradient([&pass.first, &pass.pooled, &g], maps, channels, self.before, &mut first);
        self.free.give(g);
        let inner = self.weights(&pass.stem, x, row, &first, of_row);
        self.free.give(first);
        self.free.give(inner);
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.lock().unwrap_or_else(PoisonError::into_inner).take() {
            pass.free(&self.free);
        }
    }
}

impl CustomOp2 for Whole {
    fn name(&self) -> &'static str {
        "resnet"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        of_x: &Layout,
        row: &CpuStorage,
        of_row: &Layout,
    ) -> candle_core::Result<(CpuStorage, Dims)> {
        let (images, height, width, _) = of_x.shape().dims4()?;
        let (x, row) = (values(x, of_x)?, values(row, of_row)?);
        let maps = Maps { images, height, width };
        // Once on a thread of the pool, none waits to be woken for every loop.
        let (embedding, pass) = rayon::scope(|_| self.forward(x, maps, row)).map_err(candle_core::Error::wrap)?;
        let length = embedding.len() / images;
        *self.pass.lock().unwrap_or_else(PoisonError::into_inner) = Some(pass);
        Ok((CpuStorage::F32(embedding), (images, length).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        row: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let Some(pass) = self.pass.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            candle_core::bail!("a pass goes backward once; compute it again");
        };
        let mut of_row = vec![0f32; row.elem_count()];
        let done = cpu::read(x, |x| {
            cpu::read(row, |row| {
                cpu::read(gradient, |g| rayon::scope(|_| self.backward(&pass, x, row, g, &mut of_row)))
            })
        });
        done.and_then(|done| done.and_then(|done| done)).map_err(candle_core::Error::wrap)?;
        pass.free(&self.free);
        Ok((None, Some(Tensor::from_vec(of_row, row.shape(), row.device())?)))
    }
}
