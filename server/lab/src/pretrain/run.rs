//! The loop over epochs: views, loss, gradients, steps; its state is kept, so that it can end at
//! any time and go on to the same bits.

use super::curve::EpochRecord;
use super::method::{Batch, Method};
use super::pictures::Pictures;
use super::settings::Settings;
use super::state::{self, At};
use super::views::Views;
use crate::kept::Tensors;
use crate::pipeline::ahead;
use crate::progress::Progress;
use crate::{Error, Result};
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use virboard_core::run::Epoch;
use virboard_core::words::counted;
use virboard_nn::encoder::Precision;
use virboard_nn::optimiser::{Group, Optimiser};
use virboard_nn::path::in_bf16;
use virboard_nn::schedule::{Position, Schedule, WarmUp};
use virboard_nn::seeded::Stream;

/// How much work is lost when a run is killed, at most.
const KEPT_EVERY: Duration = Duration::from_mins(5);

/// What is done when an epoch is over: it gets the method and the epoch's record, in which it may
/// note what it measures.
pub type AfterEpoch<'a> = dyn FnMut(&dyn Method, &mut EpochRecord) -> Result<()> + 'a;

/// A run of pre-training.
pub struct Run<'a> {
    settings: &'a Settings,
    pictures: &'a Pictures,
    views: &'a Views,
    device: &'a Device,
    method: Box<dyn Method>,
    optimiser: Optimiser,
    schedule: Schedule,
    warm_up: Option<WarmUp>,
    at: At,
}

/// Where a run keeps its state.
#[derive(Debug, Clone, Copy)]
pub struct Keep<'a> {
    /// The file.
    pub path: &'a Path,
    /// What is trained on what.
    pub identity: &'a str,
}

impl<'a> Run<'a> {
    /// A run that has not begun.
    #[must_use]
    pub fn new(
        settings: &'a Settings,
        pictures: &'a Pictures,
        views: &'a Views,
        device: &'a Device,
        method: Box<dyn Method>,
    ) -> Self {
        let all = settings.decay_vectors;
        let group = move |_: &str, tensor: &Tensor| {
            let group = Group::by_dimensions(tensor.dims());
            Group { decayed: all || group.decayed, ..group }
        };
        let optimiser = Optimiser::new(settings.kind(), method.trainable()).grouped(group);
        let (schedule, warm_up) = (settings.schedule.schedule(), settings.warm_up);
        Self { settings, pictures, views, device, method, optimiser, schedule, warm_up, at: At::default() }
    }

    /// Pictures of a step.
    fn step_pictures(&self) -> usize {
        self.settings.batch * self.settings.accumulate
    }

    /// Steps of an epoch. What does not fill one is left to other epochs.
    fn steps(&self) -> u64 {
        (self.pictures.len() / self.step_pictures()) as u64
    }

    /// The epochs so far.
    #[must_use]
    pub fn curve(&self) -> &[EpochRecord] {
        &self.at.curve
    }

    /// The method as it is.
    #[must_use]
    pub fn method(&self) -> &dyn Method {
        &*self.method
    }

    /// Trains to the last epoch, or goes on where `keep` says that it was.
    ///
    /// # Errors
    /// [`Error::RunDiverged`] when the loss is no number any more, and [`Error::Cancelled`].
    pub fn train(&mut self, keep: Option<Keep<'_>>, after: &mut AfterEpoch<'_>, progress: &dyn Progress) -> Result<()> {
        if let Some(keep) = keep
            && let Some((at, tensors)) = state::load(keep.path, keep.identity)?
        {
            self.restore(at, &tensors)?;
            progress.say(&format!(
                "going on after {} and {}",
                counted(self.at.epoch, "epoch"),
                counted(self.at.step, "step")
            ));
        }
        let left_out = self.pictures.len() as u64 - self.steps() * self.step_pictures() as u64;
        if left_out > 0 {
            progress.say(&format!("each epoch leaves out {left_out} pictures, others every time, which fill no step"));
        }
        let epochs = self.settings.epochs;
        progress.begin(&format!("pre-training with {}", self.settings.method.name()), u64::from(epochs) * self.steps());
        for epoch in &self.at.curve {
            progress.epoch(0, &shown(epoch), epochs);
        }
        while self.at.epoch < epochs {
            let mut record = self.epoch(keep, progress)?;
            after(&*self.method, &mut record)?;
            progress.epoch(0, &shown(&record), epochs);
            progress.say(&record.line(epochs, (self.steps() as usize) * self.step_pictures()));
            self.at.curve.push(record);
            self.at = At { epoch: self.at.epoch + 1, step: 0, losses: 0.0, ..std::mem::take(&mut self.at) };
            self.keep(keep)?;
        }
        Ok(())
    }

    /// The rest of an epoch.
    fn epoch(&mut self, keep: Option<Keep<'_>>, progress: &dyn Progress) -> Result<EpochRecord> {
        let (epoch, batch) = (self.at.epoch, self.settings.batch);
        let order =
            Stream::new(self.settings.seed, &format!("order of epoch {epoch}")).permutation(self.pictures.len());
        let first = self.at.step as usize * self.step_pictures();
        let used = self.steps() as usize * self.step_pictures();
        let (pictures, views, device) = (self.pictures, self.views, self.device);
        let shapes = views.shapes(batch);
        let prepare = |picked: &[usize]| -> Result<Batch> {
            let made = views.batch(pictures, picked, epoch)?;
            let tensor = |(values, shape): (Vec<f32>, &[usize; 4])| Tensor::from_vec(values, &shape[..], device);
            let views = made.into_iter().zip(&shapes).map(tensor).collect::<candle_core::Result<_>>()?;
            let classes = picked.iter().filter_map(|picture| pictures.class(*picture)).collect();
            Ok(Batch { views, pictures: picked.to_vec(), classes, epoch, step: 0 })
        };
        let (started, mut ended, mut kept) = (Instant::now(), Instant::now(), Instant::now());
        let mut waited = Duration::ZERO;
        let mut sum = Sum::default();
        let mut rate = self.setting().learning_rate;
        ahead(order[first..used].chunks_exact(batch), prepare, |mut views| {
            waited += ended.elapsed();
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            // Each batch draws anew, also among those whose gradients are added.
            views.step = self.at.steps * self.settings.accumulate as u64 + sum.batches as u64;
            self.add(&views, &mut sum)?;
            if sum.batches == self.settings.accumulate {
                rate = self.setting().learning_rate;
                self.step(std::mem::take(&mut sum))?;
                progress.advance(u64::from(epoch) * self.steps() + self.at.step);
                if kept.elapsed() > KEPT_EVERY {
                    self.keep(keep)?;
                    kept = Instant::now();
                }
            }
            ended = Instant::now();
            Ok(())
        })?;
        Ok(EpochRecord {
            epoch: epoch + 1,
            loss: self.at.losses / self.at.step.max(1) as f64,
            learning_rate: rate,
            neighbours: None,
            seconds: started.elapsed().as_secs_f64(),
            waited: waited.as_secs_f64(),
        })
    }

    fn setting(&self) -> virboard_nn::schedule::Setting {
        let at = Position {
            epoch: self.at.epoch,
            epochs: self.settings.epochs,
            step: u64::from(self.at.epoch) * self.steps() + self.at.step,
            steps: u64::from(self.settings.epochs) * self.steps(),
        };
        self.schedule.warmed_up(self.warm_up, self.settings.learning_rate, at)
    }

    /// Adds the gradients of a batch.
    fn add(&mut self, batch: &Batch, sum: &mut Sum) -> Result<()> {
        let loss = in_bf16(self.settings.precision == Precision::Bf16, || self.method.loss(batch))?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        if !value.is_finite() {
            return Err(self.diverged(value));
        }
        let share = 1.0 / self.settings.accumulate as f64;
        let gradients = if self.settings.accumulate > 1 { (loss * share)?.backward()? } else { loss.backward()? };
        sum.add(gradients, &self.method.trainable())?;
        self.at.losses += value * share;
        Ok(())
    }

    fn step(&mut self, sum: Sum) -> Result<()> {
        let Some(gradients) = sum.gradients else { return Ok(()) };
        self.optimiser.step(&gradients, &self.setting())?;
        self.method.stepped()?;
        self.at.step += 1;
        self.at.steps += 1;
        Ok(())
    }

    fn diverged(&self, value: f64) -> Error {
        let learning_rate = self.setting().learning_rate;
        Error::RunDiverged { epoch: self.at.epoch + 1, step: self.at.step + 1, value, learning_rate }
    }

    /// Writes the state, unless something in it is no number: then the last good one stays.
    fn keep(&self, keep: Option<Keep<'_>>) -> Result<()> {
        let Some(Keep { path, identity }) = keep else { return Ok(()) };
        let mut tensors = Tensors::new();
        let parts = [("method", self.method.state()?), ("optimiser", self.optimiser.state()?)];
        for (part, state) in parts {
            for (name, tensor) in state {
                let tensor = tensor.to_device(&Device::Cpu)?.contiguous()?;
                if !finite(&tensor)? {
                    return Err(self.diverged(f64::NAN));
                }
                tensors.insert(format!("{part}.{name}"), tensor);
            }
        }
        state::save(path, identity, &self.at, &tensors)
    }

    fn restore(&mut self, at: At, tensors: &Tensors) -> Result<()> {
        let part = |prefix: &str| -> Tensors {
            let named = tensors.iter().filter_map(|(name, t)| Some((name.strip_prefix(prefix)?.to_owned(), t.clone())));
            named.collect()
        };
        self.method.restore(&part("method."))?;
        self.optimiser.restore(part("optimiser."), at.steps)?;
        self.at = at;
        Ok(())
    }
}

/// Gradients that are added up.
#[derive(Default)]
struct Sum {
    gradients: Option<GradStore>,
    batches: usize,
}

impl Sum {
    fn add(&mut self, newest: GradStore, vars: &BTreeMap<String, Var>) -> Result<()> {
        self.batches += 1;
        let Some(sum) = &mut self.gradients else {
            self.gradients = Some(newest);
            return Ok(());
        };
        for var in vars.values() {
            let Some(new) = newest.get(var).map(Tensor::detach) else { continue };
            let total = match sum.get(var) {
                Some(old) => (old.detach() + new)?,
                None => new,
            };
            sum.insert(var, total);
        }
        Ok(())
    }
}

/// Whether no number of a tensor, if it is of numbers that can be none, is none.
fn finite(tensor: &Tensor) -> Result<bool> {
    Ok(!tensor.dtype().is_float() || tensor.sum_all()?.to_dtype(DType::F64)?.to_scalar::<f64>()?.is_finite())
}

/// The epoch as every training tells it.
fn shown(record: &EpochRecord) -> Epoch {
    Epoch { epoch: record.epoch, train_loss: record.loss, test_metric: record.neighbours }
}
