//! How many pictures a second a device trains on: supervised, with SGD, from pictures that are there.

use super::{Row, row};
use crate::Result;
use crate::agreement::Setting;
use crate::pretrain::method::supervised::SupervisedForm;
use crate::pretrain::method::{Batch, MethodForm, Start};
use candle_core::{Device, Tensor};
use std::time::Instant;
use virboard_nn::device;
use virboard_nn::encoder::Precision;
use virboard_nn::optimiser::{Kind, Optimiser};
use virboard_nn::path::in_bf16;
use virboard_nn::schedule;
use virboard_nn::seeded::Stream;
use virboard_nn::trainable::{Form, Trainable};

/// Classes that are told apart.
const CLASSES: usize = 1000;
/// Steps that are timed, after one that warms up.
const STEPS: usize = 10;
/// The same on a CPU.
const CPU_STEPS: usize = 2;

/// A network in training.
struct Subject {
    name: &'static str,
    width: Option<usize>,
    /// Pixels of a picture's side.
    side: usize,
    /// Pictures of a batch on a GPU and on a CPU.
    batch: [usize; 2],
}

/// A ResNet-50 as it is published, and the ResNet-18 of a run on small pictures.
const SUBJECTS: [Subject; 2] = [
    Subject { name: "resnet50", width: None, side: 224, batch: [64, 8] },
    Subject { name: "resnet18", width: Some(24), side: 64, batch: [256, 64] },
];

/// Measures the training of both networks in `f32` and, on a GPU, with TF32 and in `bf16`; `done` gets each row as it is there.
pub fn training(device: &Device, done: &mut dyn FnMut(Row)) {
    for subject in &SUBJECTS {
        for setting in Setting::of(device).into_iter().filter(|s| is_trained_in(s.precision, device)) {
            let batch = subject.batch[usize::from(device.is_cpu())];
            let rate = setting.tried(|| rate(subject, batch, setting.precision, device));
            done(row(subject.name, "training", setting, batch, rate));
        }
    }
}

/// Whether training in a precision is worth its time on a device.
fn is_trained_in(precision: Precision, device: &Device) -> bool {
    match precision {
        Precision::F32 => true,
        Precision::Bf16 => !device.is_cpu(),
        Precision::F16 => false,
    }
}

fn rate(subject: &Subject, batch: usize, precision: Precision, device: &Device) -> Result<f64> {
    device::give_back(device)?;
    let form = Form { width: subject.width, ..Form::of(subject.name) };
    let encoder =
        |gradients| -> Result<Box<dyn Trainable>> { Ok(form.build_with(gradients, &mut form.random(0)?, device)?) };
    let start = Start { encoder: &encoder, pictures: batch, classes: CLASSES, seed: 0, device };
    let mut method = MethodForm::Supervised(SupervisedForm {}).build(&start)?;
    let mut optimiser = Optimiser::new(Kind::Sgd { momentum: 0.9, weight_decay: 1e-4 }, method.trainable());
    let setting = schedule::Setting { learning_rate: 1e-3, momentum: None };
    let mut stream = Stream::new(0, "speed of training");
    let pixels: Vec<f32> = (0..batch * subject.side * subject.side * 3).map(|_| stream.normal() as f32).collect();
    let batch = Batch {
        views: vec![Tensor::from_vec(pixels, (batch, subject.side, subject.side, 3), device)?],
        pictures: (0..batch).collect(),
        classes: (0..batch).map(|i| (i % CLASSES) as u32).collect(),
        epoch: 0,
        step: 0,
    };
    let mut step = || -> Result<()> {
        let loss = in_bf16(precision == Precision::Bf16, || method.loss(&batch))?;
        let gradients = loss.backward()?;
        optimiser.step(&gradients, &setting)?;
        // Each loss is read in a run, too.
        let _: f32 = loss.to_scalar()?;
        Ok(())
    };
    step()?;
    device.synchronize()?;
    let steps = if device.is_cpu() { CPU_STEPS } else { STEPS };
    let started = Instant::now();
    for _ in 0..steps {
        step()?;
    }
    device.synchronize()?;
    Ok((steps * batch.pictures.len()) as f64 / started.elapsed().as_secs_f64().max(1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_has_a_speed() {
        let small = Subject { name: "resnet18", width: Some(8), side: 32, batch: [4, 4] };
        let speed = rate(&small, 4, Precision::F32, &Device::Cpu).expect("measured");
        assert!(speed.is_finite() && speed > 0.0, "{speed}");
    }
}
