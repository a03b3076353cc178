//! Training heads, alone or with their encoders: several configurations side by side on the same
//! batches.

mod answer;
pub mod augment;
pub mod bank;
pub mod colour;
pub mod configuration;
pub mod constant;
pub mod fine_tuning;
pub mod loss;
pub mod member;
pub mod source;
pub mod state;
pub mod truth;
pub mod views;

pub use answer::score_batch;
pub use configuration::{BATCH, Configuration, Selection};
pub use member::{Member, Trained};

use crate::head::HeadSpec;
use crate::progress::Progress;
use crate::score::metric::{SampleScore, Scoring, interval, score};
use crate::{Error, Result};
use bank::{Bank, Lesson};
use candle_core::Tensor;
use constant::Constant;
use loss::Loss;
use member::Best;
use source::Source;
use std::path::Path;
use virboard_core::protocol::Protocol;
use virboard_core::run::Epoch;
use virboard_core::statistics::Interval;
use virboard_nn::schedule::Position;
use virboard_nn::seeded::Stream;

/// What a training works on.
pub struct Parts<'a> {
    /// Training batches, augmented.
    pub train: &'a dyn Source,
    /// Which training samples are trained on.
    pub trained: Vec<usize>,
    /// Training samples without augmentation, and which of them were held out.
    pub held_out: Option<(&'a dyn Source, Vec<usize>)>,
    /// Test batches.
    pub test: &'a dyn Source,
}

/// What is minimised and what is measured.
#[derive(Debug, Clone, Copy)]
pub struct Aim {
    /// Training loss.
    pub loss: Loss,
    /// Metric.
    pub scoring: Scoring,
    /// Whether batches that are not full are left out, also in tests: ViRB with cached features.
    pub drop_last: bool,
}

/// Where a training keeps its state between epochs.
#[derive(Debug, Clone, Copy)]
pub struct Keep<'a> {
    /// The file.
    pub path: &'a Path,
    /// What is trained on what.
    pub identity: &'a str,
}

/// Share of the training samples that is held out for validation.
const HELD_OUT: usize = 10;
/// Test samples at a time where nothing depends on their number.
const MAPS_BATCH: usize = 8;

/// Splits `n` training samples into trained and held out; the same for every encoder.
#[must_use]
pub fn hold_out(n: usize) -> (Vec<usize>, Vec<usize>) {
    let order = Stream::new(0, "held out").permutation(n);
    let (held, trained) = order.split_at(n.div_ceil(HELD_OUT).min(n.saturating_sub(1)));
    let sorted = |part: &[usize]| {
        let mut part = part.to_vec();
        part.sort_unstable();
        part
    };
    (sorted(trained), sorted(held))
}

/// Trains all members to their last epoch, or goes on where `keep` says they were. All share
/// batch size, epochs, repeats, seed, selection and protocol.
///
/// Every epoch is reported once per member, those from before an interruption included. The
/// heads end up working on plain features; under [`Selection::Validation`] with the weights of
/// their best epoch. Members whose encoders are trained along take pictures from `parts`.
pub fn train(
    members: &mut [Member],
    parts: &Parts<'_>,
    aim: Aim,
    keep: Option<Keep<'_>>,
    progress: &dyn Progress,
) -> Result<()> {
    let Some(first) = members.first() else { return Ok(()) };
    let common = first.configuration.clone();
    let standardise = common.standardise && first.head.takes_standardisation();
    let task = first.head.spec.task.clone();
    let statistics = if standardise { parts.train.statistics()? } else { Vec::new() };
    let title = match first.encoder() {
        None => format!("training {} on {}", first.head.spec.task, first.head.spec.encoder),
        Some(_) => format!("fine-tuning {} on {}", first.head.spec.encoder, first.head.spec.task),
    };
    let done = match keep {
        Some(keep) => state::restore(keep.path, keep.identity, members)?,
        None => 0,
    };
    for (i, member) in members.iter().enumerate() {
        member.curve.iter().for_each(|epoch| progress.epoch(i, epoch, common.epochs));
    }
    let n = parts.trained.len() * common.repeats.max(1) as usize;
    let batches = common.batches(n, aim.drop_last);
    if batches == 0 && common.epochs > 0 {
        return Err(Error::NoBatch { task: task.clone(), samples: n, batch: common.batch_size });
    }
    let left_out = n.saturating_sub(batches * common.batch_size);
    if common.fine_tuning.is_some() && left_out > 0 {
        progress.say(&format!("each epoch leaves out {left_out} samples, others every time, which fill no batch"));
    }
    let mut bank = Bank::of(members, aim)?;
    let steps = u64::from(common.epochs) * batches as u64;
    progress.begin(&title, steps);
    for epoch in done..common.epochs {
        let draw = views::draw(epoch, common.views);
        let order: Vec<usize> = Stream::new(common.seed, &format!("order of epoch {epoch}"))
            .permutation(n)
            .into_iter()
            .map(|i| parts.trained[i % parts.trained.len()])
            .collect();
        let mut lessons: Vec<Lesson> = Vec::new();
        let mut losses = vec![0.0; members.len()];
        let mut seen = 0;
        for (b, indices) in order.chunks(common.batch_size).take(batches).enumerate() {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            let batch = parts.train.batch(indices, Some(&draw))?;
            let inputs = standardised(&batch.inputs, &statistics)?;
            let at =
                Position { epoch, epochs: common.epochs, step: u64::from(epoch) * batches as u64 + b as u64, steps };
            if let Some(bank) = &mut bank {
                let settings = members.iter().map(|m| m.configuration.setting(at)).collect();
                lessons.push(Lesson::new(inputs[0].clone(), batch.truth, settings)?);
                if lessons.len() >= bank.lessons(common.batch_size) || b + 1 == batches {
                    for (lesson, of_batch) in lessons.iter().zip(bank.steps(&lessons)?) {
                        let n = lesson.classes.len();
                        losses.iter_mut().zip(of_batch).for_each(|(sum, l)| *sum += f64::from(l) * n as f64);
                        seen += n;
                    }
                    lessons.clear();
                    progress.advance(at.step + 1);
                }
                continue;
            }
            for (member, sum) in members.iter_mut().zip(&mut losses) {
                let out = member.trained().run(&inputs, batch.size, true)?;
                let loss = aim.loss.of(&out, &batch.truth, member.head.spec.scale)?;
                let value = f64::from(loss.to_scalar::<f32>()?);
                if !value.is_finite() {
                    return Err(diverged(&member.head.spec, epoch + 1));
                }
                let gradients = loss.backward()?;
                member.optimiser.step(&gradients, &member.configuration.setting(at))?;
                *sum += value * indices.len() as f64;
            }
            seen += indices.len();
            progress.advance(at.step + 1);
        }
        if let Some(bank) = &bank {
            bank.give(members)?;
        }
        for (i, (member, loss)) in members.iter_mut().zip(losses).enumerate() {
            let number = epoch + 1;
            // Heads on vectors are tested in no time; decoders only now and then.
            let due = !member.head.needs_maps() || number % 2 == 0 || number == common.epochs;
            let all: Vec<usize>;
            let (source, indices) = if let Some((source, held)) = &parts.held_out {
                (*source, held.as_slice())
            } else {
                all = (0..parts.test.len()).collect();
                (parts.test, all.as_slice())
            };
            let exam = Exam { source, indices, aim, configuration: &common };
            let metric = if due { Some(exam.test(member.trained(), &statistics, progress)?.1) } else { None };
            if let (Some(metric), true) = (metric, parts.held_out.is_some())
                && member.best.as_ref().is_none_or(|b| aim.scoring.metric.is_better(metric, b.metric))
            {
                let copy = |(name, var): (String, &candle_core::Var)| Ok((name, var.as_tensor().copy()?));
                let tensors = member.tensors().map(copy).collect::<Result<_>>()?;
                member.best = Some(Best { epoch: number, metric, tensors });
            }
            let train_loss = loss / seen as f64;
            if !train_loss.is_finite() {
                return Err(diverged(&member.head.spec, number));
            }
            let done = Epoch { epoch: number, train_loss, test_metric: metric.filter(|m| m.is_finite()) };
            member.curve.push(done);
            progress.epoch(i, &done, common.epochs);
        }
        if let Some(keep) = keep {
            state::save(keep.path, keep.identity, epoch + 1, members)?;
        }
    }
    for member in members.iter() {
        if let Some(best) = &member.best {
            for (name, var) in member.tensors() {
                if let Some(tensor) = best.tensors.get(&name) {
                    var.set(&tensor.to_device(var.device())?)?;
                }
            }
        }
        member.head.fold_standardisation(&statistics)?;
    }
    Ok(())
}

fn diverged(head: &HeadSpec, epoch: u32) -> Error {
    Error::Diverged { task: head.task.clone(), encoder: head.encoder.clone(), epoch }
}

fn standardised(inputs: &[Tensor], statistics: &[(Tensor, Tensor)]) -> Result<Vec<Tensor>> {
    if statistics.is_empty() {
        return Ok(inputs.to_vec());
    }
    inputs.iter().zip(statistics).map(|(t, (mean, std))| Ok(t.broadcast_sub(mean)?.broadcast_div(std)?)).collect()
}

/// The scores of a finished head on a whole split and of the best constant answer.
pub struct Tested {
    /// One entry a sample, in order.
    pub samples: Vec<SampleScore>,
    /// The metric.
    pub value: f64,
    /// Where it lies with a confidence of 95 % when test samples are drawn anew.
    pub interval: Option<Interval>,
    /// The metric of the constant; `None` without training samples.
    pub constant: Option<f64>,
}

/// Tests a head whose standardisation is folded in.
pub fn test_finished(
    trained: Trained<'_>,
    parts: &Parts<'_>,
    aim: Aim,
    configuration: &Configuration,
    progress: &dyn Progress,
) -> Result<Tested> {
    let all: Vec<usize> = (0..parts.test.len()).collect();
    let exam = Exam { source: parts.test, indices: &all, aim, configuration };
    let (samples, value) = exam.test(trained, &[], progress)?;
    let channels = trained.head.spec.outputs();
    let (metric, protocol) = (aim.scoring.metric, configuration.protocol);
    let constant = match Constant::best(parts.train, &parts.trained, channels, aim.scoring)? {
        None => None,
        Some(constant) => {
            let mut answers = Vec::with_capacity(all.len());
            for chunk in all.chunks(if parts.test.varies() { 1 } else { 64 }) {
                answers.extend(constant.score(&parts.test.truth(chunk)?, chunk.len(), metric, protocol));
            }
            Some(score(&answers, aim.scoring, protocol, configuration.test_batch_size)).filter(|v| v.is_finite())
        }
    };
    let between = interval(&samples, aim.scoring, protocol, configuration.test_batch_size);
    Ok(Tested { samples, value, interval: between, constant })
}

/// What a head is tested on, and how.
#[derive(Clone, Copy)]
struct Exam<'a> {
    source: &'a dyn Source,
    indices: &'a [usize],
    aim: Aim,
    configuration: &'a Configuration,
}

impl Exam<'_> {
    /// The scores of the samples, and the metric. `statistics` standardise the head's inputs.
    fn test(
        self,
        trained: Trained<'_>,
        statistics: &[(Tensor, Tensor)],
        progress: &dyn Progress,
    ) -> Result<(Vec<SampleScore>, f64)> {
        let Self { source, indices, aim, configuration } = self;
        let protocol = configuration.protocol;
        let size = if source.varies() {
            1
        } else if trained.head.needs_maps() && protocol == Protocol::Standard {
            MAPS_BATCH
        } else {
            configuration.test_batch_size
        };
        let kept = if aim.drop_last {
            indices.len() / configuration.test_batch_size * configuration.test_batch_size
        } else {
            indices.len()
        };
        let mut samples = Vec::with_capacity(kept);
        for chunk in indices[..kept].chunks(size) {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            let batch = source.batch(chunk, None)?;
            let out = trained.run(&standardised(&batch.inputs, statistics)?, batch.size, false)?;
            samples.extend(score_batch(&out, &batch.truth, trained.head.spec.scale, aim.scoring.metric, protocol)?);
        }
        let value = score(&samples, aim.scoring, protocol, configuration.test_batch_size);
        Ok((samples, value))
    }
}
