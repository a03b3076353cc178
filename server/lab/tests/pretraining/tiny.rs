//! A network of one linear layer over the mean of the pixels, and batches for it.

use candle_core::{Device, Tensor};
use std::ops::Range;
use std::sync::Arc;
use virboard_core::catalogue::architecture::Architecture;
use virboard_lab::pretrain::method::moco::MocoForm;
use virboard_lab::pretrain::method::pirl::{Contrast, PirlForm};
use virboard_lab::pretrain::method::projection::ProjectionForm;
use virboard_lab::pretrain::method::simclr::SimClrForm;
use virboard_lab::pretrain::method::supervised::SupervisedForm;
use virboard_lab::pretrain::method::swav::{QueueForm, SwavForm};
use virboard_lab::pretrain::method::{Batch, Method, MethodForm, Start};
use virboard_nn::encoder::{Description, Features, Precision};
use virboard_nn::parameters::Parameters;
use virboard_nn::preprocess::Preprocessing;
use virboard_nn::testing::{Random, values};
use virboard_nn::trainable::{Gradients, Normalising, Trainable};

/// Pictures, their classes, steps of an epoch, and pictures of a batch.
pub const PICTURES: usize = 24;
pub const CLASSES: usize = 5;
pub const EPOCH: u64 = 3;
const BATCH: usize = 8;
const EMBEDDING: usize = 6;

struct Tiny {
    description: Description,
    parameters: Parameters,
    weight: Tensor,
    bias: Tensor,
}

/// The mean of the pixels and of their squares, `N x 6` of `N x S x S x 3`, by a linear layer.
pub fn embedding(views: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
    let pixels = views.flatten(1, 2).expect("pixels");
    let moments =
        Tensor::cat(&[pixels.mean(1).expect("means"), pixels.sqr().and_then(|p| p.mean(1)).expect("means")], 1);
    let out = moments.and_then(|m| m.matmul(&weight.t()?)).expect("computed");
    out.broadcast_add(bias).expect("computed")
}

impl Trainable for Tiny {
    fn description(&self) -> &Description {
        &self.description
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn above(&self, _: &str) -> usize {
        0
    }

    fn features(&self, x: &Tensor, _: Normalising) -> virboard_nn::Result<Features> {
        Ok(Features { maps: Vec::new(), embedding: embedding(x, &self.weight, &self.bias) })
    }
}

fn tiny(seed: u64, gradients: Gradients) -> Box<dyn Trainable> {
    let mut parameters = Parameters::with(gradients, seed, &Device::Cpu);
    let weight = Random::new(&format!("tiny {seed}")).normal(1.0, (EMBEDDING, 6));
    let weight = parameters.add("weight".to_owned(), &weight).expect("added");
    let bias = parameters.constant("bias", EMBEDDING, 0.1).expect("added");
    let description = Description {
        architecture: Architecture::of("resnet18"),
        maps: Vec::new(),
        embedding: EMBEDDING,
        preprocessing: Preprocessing::IMAGENET,
        precisions: &[Precision::F32],
        last_block: None,
        training: None,
        build: Arc::new(|_, _, _| Err(virboard_nn::Error::Unsupported("it is for training".to_owned()))),
    };
    Box::new(Tiny { description, parameters, weight, bias })
}

/// Calls with what a method of this seed begins with.
pub fn start_with<T>(seed: u64, classes: usize, run: impl FnOnce(&Start<'_>) -> T) -> T {
    let encoder = |gradients| Ok(tiny(seed, gradients));
    run(&Start { encoder: &encoder, pictures: PICTURES, classes, seed, device: &Device::Cpu })
}

pub fn build(form: &MethodForm, seed: u64) -> Box<dyn Method> {
    start_with(seed, CLASSES, |start| form.build(start)).expect("built")
}

/// A form of each method, in the order of their keys.
pub fn forms() -> Vec<MethodForm> {
    let linear = ProjectionForm::linear(4);
    let deep = ProjectionForm { hidden: Some(7), out: 4, batch_norm: true };
    let moco = MocoForm { projection: linear, temperature: 0.2, queue: 16, momentum: 0.9, groups: 2 };
    let queue = Some(QueueForm { length: 16, from_epoch: 1 });
    let pirl = PirlForm {
        out: 4,
        patches: 9,
        temperature: 0.2,
        negatives: 10,
        momentum: 0.5,
        jigsaw_weight: 0.5,
        contrast: Contrast::Nce,
    };
    vec![
        MethodForm::MocoV1(moco),
        MethodForm::MocoV2(MocoForm { projection: deep, ..moco }),
        MethodForm::Swav(SwavForm {
            projection: deep,
            prototypes: 6,
            temperature: 0.1,
            epsilon: 0.05,
            iterations: 3,
            assigned: 2,
            frozen_epochs: 1,
            queue,
        }),
        MethodForm::Pirl(pirl),
        MethodForm::Pirl(PirlForm { contrast: Contrast::CrossEntropy, ..pirl }),
        MethodForm::SimClr(SimClrForm { projection: deep, temperature: 0.2 }),
        MethodForm::Supervised(SupervisedForm {}),
    ]
}

/// The batch of a step.
pub fn batch(form: &MethodForm, step: u64) -> Batch {
    let random = Random::new(&format!("batch {step}"));
    let view = |count: usize, side: usize| random.uniform((count, side, side, 3));
    let views = match form {
        MethodForm::Swav(_) => vec![view(BATCH, 6), view(BATCH, 6), view(BATCH, 4)],
        MethodForm::Pirl(_) => vec![view(BATCH, 6), view(9 * BATCH, 3)],
        MethodForm::Supervised(_) => vec![view(BATCH, 6)],
        _ => vec![view(BATCH, 6), view(BATCH, 6)],
    };
    let first = step as usize * BATCH;
    let pictures: Vec<usize> = (first..first + BATCH).map(|i| (i * 5 + 1) % PICTURES).collect();
    let classes = pictures.iter().map(|picture| (picture % CLASSES) as u32).collect();
    Batch { views, pictures, classes, epoch: (step / EPOCH) as u32, step }
}

/// The losses of these steps of plain gradient descent.
pub fn trained(method: &mut dyn Method, form: &MethodForm, steps: Range<u64>) -> Vec<f32> {
    let step = |step| {
        let loss = method.loss(&batch(form, step)).expect("a loss");
        let gradients = loss.backward().expect("gradients");
        for (_, var) in method.trainable() {
            if let Some(gradient) = gradients.get(&var) {
                let moved = (var.as_tensor() - (gradient * 0.05).expect("scaled")).expect("moved");
                var.set(&moved.detach()).expect("set");
            }
        }
        method.stepped().expect("stepped");
        values(&loss)[0]
    };
    steps.map(step).collect()
}
