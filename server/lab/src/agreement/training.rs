//! Networks that are trained whole and methods of pre-training, some steps on a device and on the CPU. Asked of the CPU
//! itself, its own operations are compared with those that every device has.

use super::steps::{self, Compared, Optimising, Train, Trained};
use super::{Row, Setting};
use crate::Result;
use crate::pretrain::method::form::Takes;
use crate::pretrain::method::moco::MocoForm;
use crate::pretrain::method::pirl::{Contrast, PirlForm};
use crate::pretrain::method::projection::ProjectionForm;
use crate::pretrain::method::simclr::SimClrForm;
use crate::pretrain::method::supervised::SupervisedForm;
use crate::pretrain::method::swav::{QueueForm, SwavForm};
use crate::pretrain::method::{Batch, MethodForm, Start};
use candle_core::{Device, Tensor};
use virboard_nn::encoder::Precision;
use virboard_nn::optimiser::{Group, Kind, Optimiser};
use virboard_nn::path::{in_bf16, plainly};
use virboard_nn::schedule;
use virboard_nn::seeded::Stream;
use virboard_nn::trainable::{Form, Trainable};

/// What is compared.
const COMPARED: Compared = Compared {
    titles: ["losses of a network's four steps", "a network's first gradients", "a network's weights after four steps"],
    deep: true,
};
/// Steps of each training.
const STEPS: usize = 4;
/// Pictures of a batch, of the run, and their classes.
const BATCH: usize = 8;
const PICTURES: usize = 24;
const CLASSES: usize = 4;
/// Pixels of a view and of a small one, both multiples of a patch and of a pattern's rows.
const SIDE: usize = 48;
const SMALL: usize = 24;
/// Rows and columns of the pattern that the views of a picture share.
const PATTERN: usize = 3;

const OPTIMISERS: [Optimising; 4] = [
    Optimising { name: "SGD", kind: Kind::Sgd { momentum: 0.9, weight_decay: 1e-4 }, rate: 1e-3 },
    Optimising { name: "LARS", kind: Kind::Lars { momentum: 0.9, weight_decay: 1e-4, trust: 0.001 }, rate: 0.1 },
    Optimising { name: "LARC", kind: Kind::Larc { momentum: 0.9, weight_decay: 1e-4, trust: 0.001 }, rate: 0.1 },
    Optimising { name: "AdamW", kind: Kind::AdamW { weight_decay: 0.05 }, rate: 1e-5 },
];

/// What is trained how.
struct Lesson {
    name: &'static str,
    network: Form,
    method: MethodForm,
    optimisers: &'static [Optimising],
}

/// Compares losses, first gradients and weights of every kind of network and every method with the
/// CPU's own in `f32`: in `f32`, and the losses in `bf16` and, on a GPU, with TF32.
#[must_use]
pub fn training(device: &Device) -> Vec<Row> {
    let mut settings = steps::full(device);
    settings.push(Setting { precision: Precision::Bf16, tf32: false });
    let rows = lessons().into_iter().map(|lesson| {
        let on = |optimising, precision, device: &Device| {
            let short = precision == Precision::Bf16;
            trained(&lesson, optimising, short, device)
        };
        let on_cpu = |optimising, precision| on(optimising, precision, &Device::Cpu);
        let plain = |optimising, precision| plainly(|| on_cpu(optimising, precision));
        let on_device = |optimising, precision| on(optimising, precision, device);
        let ours: &Train<'_> = if device.is_cpu() { &plain } else { &on_device };
        steps::rows(lesson.name, COMPARED, &settings, lesson.optimisers, [ours, &on_cpu])
    });
    rows.flatten().collect()
}

fn trained(lesson: &Lesson, optimising: Optimising, short: bool, device: &Device) -> Result<Trained> {
    let Optimising { kind, rate, .. } = optimising;
    let form = &lesson.network;
    let encoder =
        |gradients| -> Result<Box<dyn Trainable>> { Ok(form.build_with(gradients, &mut form.random(0)?, device)?) };
    let start = Start { encoder: &encoder, pictures: PICTURES, classes: CLASSES, seed: 0, device };
    let mut method = lesson.method.build(&start)?;
    let group = |_: &str, tensor: &Tensor| Group::by_dimensions(tensor.dims());
    let mut optimiser = Optimiser::new(kind, method.trainable()).grouped(group);
    let mut trained = Trained::default();
    for step in 0..STEPS {
        let batch = batch(lesson.method.takes(), step, device)?;
        let loss = in_bf16(short, || method.loss(&batch))?;
        trained.losses.push(loss.to_scalar()?);
        let gradients = loss.backward()?;
        if step == 0 {
            trained.keep_gradients(&gradients, &method.trainable())?;
        }
        optimiser.step(&gradients, &schedule::Setting { learning_rate: rate, momentum: None })?;
        method.stepped()?;
    }
    trained.keep_weights(&method.trainable())?;
    Ok(trained)
}

/// Views that a method takes: noise over a pattern that all views of a picture share.
fn batch(takes: Takes, step: usize, device: &Device) -> Result<Batch> {
    let sizes = match takes {
        Takes::Views(count) => vec![(SIDE, 1); count],
        Takes::AtLeast(count) => [vec![(SIDE, 1); count], vec![(SMALL, 1)]].concat(),
        Takes::ViewAndJigsaw => vec![(SIDE, 1), (SMALL, PATCHES)],
    };
    let mut stream = Stream::new(0, &format!("training agreement/{step}"));
    let patterns: Vec<f64> = (0..BATCH * PATTERN * PATTERN * 3).map(|_| 2.0 * stream.normal()).collect();
    let mut view = |(side, count): (usize, usize)| {
        let mut pixels = Vec::with_capacity(BATCH * count * side * side * 3);
        for picture in 0..BATCH * count {
            for pixel in 0..side * side {
                let [row, column] = [pixel / side, pixel % side].map(|at| at * PATTERN / side);
                let pattern = ((picture / count * PATTERN + row) * PATTERN + column) * 3;
                pixels.extend((0..3).map(|channel| (patterns[pattern + channel] + stream.normal()) as f32));
            }
        }
        Tensor::from_vec(pixels, (BATCH * count, side, side, 3), device)
    };
    Ok(Batch {
        views: sizes.into_iter().map(&mut view).collect::<candle_core::Result<_>>()?,
        pictures: (0..BATCH).map(|i| (i + BATCH * step) % PICTURES).collect(),
        classes: (0..BATCH).map(|i| (i % CLASSES) as u32).collect(),
        // SwAV's prototypes move from the second epoch on.
        epoch: (step / 2) as u32,
        step: step as u64,
    })
}

/// Patches of a jigsaw.
const PATCHES: usize = 9;

fn lessons() -> Vec<Lesson> {
    let resnet = |key: &str| Form { width: Some(16), blocks: Some([1, 2, 1, 1]), ..Form::of(key) };
    let vit = Form { width: Some(64), depth: Some(4), patch: Some(8), grid: Some(SIDE / 8), ..Form::of("vit") };
    let network = |name, network| {
        let method = MethodForm::Supervised(SupervisedForm {});
        Lesson { name, network, method, optimisers: &OPTIMISERS }
    };
    let method = |name, method| Lesson { name, network: resnet("resnet18"), method, optimisers: &OPTIMISERS[..1] };
    let (linear, out) = (ProjectionForm::linear(16), 16);
    let deep = ProjectionForm { hidden: Some(32), out, batch_norm: true };
    let moco = MocoForm { projection: linear, temperature: 0.2, queue: 2 * BATCH, momentum: 0.9, groups: 2 };
    let swav = SwavForm {
        projection: deep,
        prototypes: 10,
        temperature: 0.1,
        epsilon: 0.05,
        iterations: 3,
        assigned: 2,
        frozen_epochs: 1,
        queue: Some(QueueForm { length: BATCH, from_epoch: 0 }),
    };
    let pirl = PirlForm {
        out,
        patches: PATCHES,
        temperature: 0.2,
        negatives: 16,
        momentum: 0.5,
        jigsaw_weight: 0.5,
        contrast: Contrast::Nce,
    };
    vec![
        network("ResNet of basic blocks", resnet("resnet18")),
        network("ResNet of bottlenecks", resnet("resnet50")),
        network("vision transformer", vit),
        method("MoCo v1", MethodForm::MocoV1(moco)),
        method("MoCo v2", MethodForm::MocoV2(MocoForm { projection: deep, ..moco })),
        method("SwAV", MethodForm::Swav(swav)),
        method("PIRL", MethodForm::Pirl(pirl)),
        method("SimCLR", MethodForm::SimClr(SimClrForm { projection: deep, temperature: 0.2 })),
    ]
}
