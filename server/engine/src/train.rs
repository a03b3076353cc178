//! Training a head on cached features.

use crate::dataset::{Dataset, Split, Target, resize_nearest};
use crate::feature_cache::FeatureSet;
use crate::head::Head;
use crate::metric::{Confusion, MeanAbsoluteError};
use crate::progress::{EpochReport, Progress};
use crate::seeded::Stream;
use crate::{Error, Result};
use candle_core::{D, DType, Device, Tensor};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use serde::{Deserialize, Serialize};
use virboard_core::catalog::task::OutputKind;

/// How a head is trained. Adam with PyTorch's defaults (betas 0.9 and 0.999, eps 1e-8).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// Passes over the training set.
    pub epochs: u32,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// Samples a step.
    pub batch_size: usize,
    /// Whether the learning rate falls to zero along half a cosine.
    pub cosine: bool,
    /// Whether every channel is first brought to mean 0 and deviation 1 over the training
    /// set. The finished head has that folded in.
    pub standardise: bool,
    /// Seed of weights and order.
    pub seed: u64,
}

/// The truth of a split at the head's output size.
pub enum Targets {
    /// Class per sample.
    Classes(Vec<u32>),
    /// Class per pixel, `side x side` a sample.
    Masks(Vec<Vec<u8>>, usize),
    /// Distance per pixel, `side x side` a sample.
    Depths(Vec<Vec<f32>>, usize),
}

impl Targets {
    /// Collects the truth of a split; per-pixel truth is sampled at `side x side`.
    pub fn collect(dataset: &dyn Dataset, split: Split, side: u32) -> Result<Self> {
        use rayon::prelude::*;
        let all: Vec<Target> =
            (0..dataset.len(split)).into_par_iter().map(|i| dataset.target(split, i)).collect::<Result<_>>()?;
        let mut classes = Vec::new();
        let mut masks = Vec::new();
        let mut depths = Vec::new();
        for target in all {
            match target {
                Target::Class(c) => classes.push(c as u32),
                Target::Mask { width, height, classes } => {
                    masks.push(resize_nearest(&classes, width, height, side, side));
                }
                Target::Depth { width, height, values } => {
                    depths.push(resize_nearest(&values, width, height, side, side));
                }
            }
        }
        Ok(if !classes.is_empty() {
            Self::Classes(classes)
        } else if !masks.is_empty() {
            Self::Masks(masks, side as usize)
        } else {
            Self::Depths(depths, side as usize)
        })
    }
}

/// A split with its features and truth.
pub struct Part {
    /// Features from the cache.
    pub features: FeatureSet,
    /// Truth at the head's output size.
    pub targets: Targets,
}

/// The test metric of a head and that of the best constant answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// In the task's metric.
    pub value: f64,
    /// Of a predictor that always gives the training set's best constant.
    pub constant: f64,
}

/// Trains `head` on `train`, reporting the metric on `test` after every epoch, and gives
/// the metric after the last. The head ends up working on plain features.
pub fn train(
    head: &Head,
    configuration: &Configuration,
    train: &Part,
    test: &Part,
    device: &Device,
    progress: &dyn Progress,
) -> Result<Score> {
    let statistics = if configuration.standardise { train.features.statistics(device)? } else { Vec::new() };
    let params = ParamsAdamW { lr: configuration.learning_rate, weight_decay: 0.0, ..ParamsAdamW::default() };
    let mut optimiser = AdamW::new(head.trainable(), params)?;
    let mut order = Stream::new(configuration.seed, "order");
    let batches = train.features.len.div_ceil(configuration.batch_size);
    let steps = (configuration.epochs as usize * batches) as f64;
    progress.begin(&format!("training {} on {}", head.spec.task, head.spec.encoder), steps as u64);
    let mut step = 0u64;
    let mut last_metric = None;
    for epoch in 1..=configuration.epochs {
        let mut losses = 0.0;
        for batch in order.permutation(train.features.len).chunks(configuration.batch_size) {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            if configuration.cosine {
                let share = step as f64 / steps;
                optimiser.set_learning_rate(
                    configuration.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * share).cos()),
                );
            }
            let out = forward(head, &train.features, &statistics, batch, device)?;
            let loss = loss(head, &out, &train.targets, batch, device)?;
            optimiser.backward_step(&loss)?;
            losses += f64::from(loss.to_scalar::<f32>()?) * batch.len() as f64;
            step += 1;
            progress.advance(step);
        }
        // Heads of a single vector are tested in no time; decoders only now and then.
        let due = head.as_linear().is_some() || epoch % 2 == 0 || epoch == configuration.epochs;
        let metric = if due { Some(evaluate(head, &statistics, test, device)?) } else { None };
        last_metric = metric;
        let train_loss = losses / train.features.len as f64;
        progress.epoch(&EpochReport { epoch, of: configuration.epochs, train_loss, test_metric: metric });
    }
    // The last epoch is always due; without any epoch the untrained head is scored.
    let value = match last_metric {
        Some(metric) => metric,
        None => evaluate(head, &statistics, test, device)?,
    };
    if let (Some(linear), Some((mean, std))) = (head.as_linear(), statistics.first()) {
        linear.fold_standardisation(mean, std)?;
    }
    if let Some(decoder) = head.as_pixelwise() {
        decoder.fold_standardisation(&statistics)?;
    }
    Ok(Score { value, constant: constant(head, &train.targets, &test.targets) })
}

/// Raw outputs: `N x classes`, or `N x H x W x outputs`.
fn forward(
    head: &Head,
    features: &FeatureSet,
    statistics: &[(Tensor, Tensor)],
    batch: &[usize],
    device: &Device,
) -> Result<Tensor> {
    let mut tensors = features.batch(batch, device)?;
    for (tensor, (mean, std)) in tensors.iter_mut().zip(statistics) {
        *tensor = tensor.broadcast_sub(mean)?.broadcast_div(std)?;
    }
    match (head.as_linear(), head.as_pixelwise()) {
        (Some(linear), _) => linear.forward(&tensors[0]),
        (_, Some(decoder)) => decoder.forward_nhwc(&tensors),
        _ => Err(Error::Unsupported("this kind of head cannot be trained".to_owned())),
    }
}

fn loss(head: &Head, out: &Tensor, targets: &Targets, batch: &[usize], device: &Device) -> Result<Tensor> {
    Ok(match targets {
        Targets::Classes(classes) => {
            let truth: Vec<u32> = batch.iter().map(|i| classes[*i]).collect();
            candle_nn::loss::cross_entropy(out, &Tensor::new(truth, device)?)?
        }
        Targets::Masks(masks, _) => {
            let truth: Vec<u32> = batch.iter().flat_map(|i| masks[*i].iter().map(|c| u32::from(*c))).collect();
            let logits = out.reshape((truth.len(), head.spec.outputs()))?;
            candle_nn::loss::cross_entropy(&logits, &Tensor::new(truth, device)?)?
        }
        Targets::Depths(depths, _) => {
            let truth: Vec<f32> = batch.iter().flat_map(|i| depths[*i].iter().map(|d| d / head.spec.scale)).collect();
            let out = out.flatten_all()?;
            (out - Tensor::new(truth, device)?)?.abs()?.mean_all()?
        }
    })
}

fn evaluate(head: &Head, statistics: &[(Tensor, Tensor)], test: &Part, device: &Device) -> Result<f64> {
    let mut confusion = Confusion::new(head.spec.outputs().max(1));
    let mut error = MeanAbsoluteError::default();
    let all: Vec<usize> = (0..test.features.len).collect();
    for batch in all.chunks(8) {
        let out = forward(head, &test.features, statistics, batch, device)?;
        match &test.targets {
            Targets::Classes(classes) => {
                let predicted: Vec<u32> = out.argmax(D::Minus1)?.to_dtype(DType::U32)?.to_vec1()?;
                for (i, p) in batch.iter().zip(predicted) {
                    confusion.add(classes[*i] as usize, p as usize);
                }
            }
            Targets::Masks(masks, _) => {
                let predicted: Vec<u32> = out.argmax(D::Minus1)?.flatten_all()?.to_dtype(DType::U32)?.to_vec1()?;
                for (truth, p) in batch.iter().flat_map(|i| &masks[*i]).zip(predicted) {
                    confusion.add(usize::from(*truth), p as usize);
                }
            }
            Targets::Depths(depths, _) => {
                let predicted: Vec<f32> = out.flatten_all()?.to_vec1()?;
                for (truth, p) in batch.iter().flat_map(|i| &depths[*i]).zip(predicted) {
                    error.add(*truth, p * head.spec.scale);
                }
            }
        }
    }
    Ok(match head.spec.kind {
        OutputKind::Classification => confusion.top1(),
        OutputKind::Segmentation => confusion.mean_iou(),
        OutputKind::Depth | OutputKind::Flow => error.value(),
    })
}

/// The metric of the constant that is best on the training set: its most frequent class,
/// the class of most pixels, or the median distance.
fn constant(head: &Head, train: &Targets, test: &Targets) -> f64 {
    let classes = head.spec.outputs().max(1);
    let most_frequent = |truth: &mut dyn Iterator<Item = usize>| {
        let mut counts = vec![0u64; classes];
        for class in truth {
            counts[class] += 1;
        }
        counts.iter().enumerate().max_by_key(|(_, n)| **n).map_or(0, |(class, _)| class)
    };
    let against = |truth: &mut dyn Iterator<Item = usize>, answer: usize| {
        let mut confusion = Confusion::new(classes);
        for class in truth {
            confusion.add(class, answer);
        }
        confusion
    };
    match (train, test) {
        (Targets::Classes(train), Targets::Classes(test)) => {
            let answer = most_frequent(&mut train.iter().map(|c| *c as usize));
            against(&mut test.iter().map(|c| *c as usize), answer).top1()
        }
        (Targets::Masks(train, _), Targets::Masks(test, _)) => {
            let answer = most_frequent(&mut train.iter().flatten().map(|c| usize::from(*c)));
            against(&mut test.iter().flatten().map(|c| usize::from(*c)), answer).mean_iou()
        }
        (Targets::Depths(train, _), Targets::Depths(test, _)) => {
            let mut all: Vec<f32> = train.iter().flatten().copied().collect();
            let middle = all.len() / 2;
            let median = *all.select_nth_unstable_by(middle, f32::total_cmp).1;
            let mut error = MeanAbsoluteError::default();
            for truth in test.iter().flatten() {
                error.add(*truth, median);
            }
            error.value()
        }
        _ => f64::NAN,
    }
}
