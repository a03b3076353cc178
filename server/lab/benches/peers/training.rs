//! Steps of pre-training beside PyTorch's: speed and peak memory.

use crate::Failure;
use crate::peer::{Peers, compare, megabytes};
use candle_core::{Device, Tensor};
use std::path::Path;
use std::process::Command;
use virboard_lab::pretrain::method::moco::MocoForm;
use virboard_lab::pretrain::method::projection::ProjectionForm;
use virboard_lab::pretrain::method::supervised::SupervisedForm;
use virboard_lab::pretrain::method::{Batch, Method, MethodForm, Start};
use virboard_nn::optimiser::{Kind, Optimiser};
use virboard_nn::schedule::Setting;
use virboard_nn::trainable::Form;

/// Architecture, its depth, width, side of pictures, batch.
const NETWORKS: [(&str, usize, usize, usize, usize); 3] =
    [("resnet18", 18, 24, 64, 128), ("resnet50", 50, 16, 64, 128), ("resnet50", 50, 64, 224, 16)];

/// Those of the supervised head.
const CLASSES: usize = 100;

/// Layouts of PyTorch's steps.
const PEERS: [(&str, &str); 3] = [
    ("PyTorch eager", "torch"),
    ("PyTorch eager, channels last", "torch-channels-last"),
    ("PyTorch compiled, channels last", "torch-compiled"),
];

/// A method on a network.
struct Case {
    form: MethodForm,
    network: (&'static str, usize, usize, usize, usize),
}

impl Case {
    fn all() -> Vec<Self> {
        let projection = ProjectionForm { hidden: Some(512), out: 128, batch_norm: false };
        let moco = MocoForm { projection, temperature: 0.2, queue: 1024, momentum: 0.99, groups: 1 };
        let forms = [MethodForm::Supervised(SupervisedForm {}), MethodForm::MocoV2(moco)];
        forms.into_iter().flat_map(|form| NETWORKS.map(|network| Self { form: form.clone(), network })).collect()
    }

    fn title(&self) -> String {
        let (architecture, _, width, side, batch) = self.network;
        format!("{}, {architecture} of width {width}, {side} x {side}, batch {batch}", self.form.name())
    }

    /// What PyTorch is asked for.
    fn request(&self, layout: &str) -> String {
        let (_, depth, width, side, batch) = self.network;
        format!("{} {layout} {depth} {width} {side} {batch}", self.form.key())
    }

    fn build(&self) -> Result<Training, Failure> {
        let (architecture, _, width, side, batch) = self.network;
        let form = Form { width: Some(width), ..Form::of(architecture) };
        let encoder = |gradients| Ok(form.build_with(gradients, &mut form.random(0)?, &Device::Cpu)?);
        let start = Start { encoder: &encoder, pictures: batch, classes: CLASSES, seed: 0, device: &Device::Cpu };
        let method = self.form.build(&start)?;
        let kind: Kind = serde_json::from_str("{\"optimiser\":\"sgd\",\"momentum\":0.9}")?;
        let views = if matches!(self.form, MethodForm::Supervised(_)) { 1 } else { 2 };
        let view = || Tensor::randn(0f32, 1.0, (batch, side, side, 3), &Device::Cpu);
        let batch = Batch {
            views: (0..views).map(|_| view()).collect::<Result<_, _>>()?,
            pictures: (0..batch).collect(),
            classes: (0..batch).map(|i| (i * 7919 % CLASSES) as u32).collect(),
            epoch: 0,
            step: 0,
        };
        Ok(Training { optimiser: Optimiser::new(kind, method.trainable()), method, batch })
    }
}

struct Training {
    method: Box<dyn Method>,
    optimiser: Optimiser,
    batch: Batch,
}

impl Training {
    /// Forward, backward and a step of SGD with momentum, in single precision.
    fn step(&mut self) -> Result<(), Failure> {
        let loss = self.method.loss(&self.batch)?;
        self.optimiser.step(&loss.backward()?, &Setting { learning_rate: 1e-3, momentum: None })?;
        Ok(self.method.stepped()?)
    }
}

/// Pictures a second.
pub fn training(peers: &mut Option<Peers>, rounds: usize) -> Result<(), Failure> {
    for case in Case::all() {
        let mut ours = case.build()?;
        let requests = PEERS.map(|(name, layout)| (name, case.request(layout)));
        let batch = case.network.4 as f64;
        compare(
            peers,
            &case.title(),
            "pictures/s",
            batch,
            rounds,
            &requests,
            &mut [("Virboard", &mut || ours.step())],
        )?;
    }
    Ok(())
}

/// Names the case whose steps a process of its own makes, to see its memory alone.
pub const STEPS: &str = "VIRBOARD_BENCH_STEPS";

/// Steps of it.
const MEASURED: usize = 3;

/// Peak memory of a process that makes some steps, above its start.
pub fn memory(folder: &Path) -> Result<(), Failure> {
    println!("| peak memory of training, MB | Virboard | PyTorch eager, channels last |\n|---|---|---|");
    for (nth, case) in Case::all().iter().enumerate() {
        let output = Command::new(std::env::current_exe()?).env(STEPS, nth.to_string()).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        let own: f64 = String::from_utf8_lossy(&output.stdout).trim().parse()?;
        let mut other = None;
        if let Some(mut alone) = Peers::start(folder)? {
            for _ in 0..MEASURED {
                alone.time(&case.request("torch-channels-last"))?;
            }
            other = alone.time("peak memory")?;
        }
        let other = other.map_or("not installed".to_owned(), |other| format!("{other:.0}"));
        println!("| {} | {own:.0} | {other} |", case.title());
    }
    println!();
    Ok(())
}

/// Makes the steps of a case, and prints the peak of memory since the start.
pub fn steps(nth: usize) -> Result<(), Failure> {
    let start = megabytes("VmRSS")?;
    let mut training = Case::all().get(nth).ok_or("no such case")?.build()?;
    for _ in 0..MEASURED {
        training.step()?;
    }
    println!("{:.1}", megabytes("VmHWM")? - start);
    Ok(())
}
