//! Every kind of head, trained some steps on a device and on the CPU.

use super::steps::{self, Compared, Optimising, Trained};
use super::{Row, values};
use crate::Result;
use crate::head::{Architecture, Head, HeadSpec};
use crate::train::loss::Loss;
use crate::train::truth::Truth;
use candle_core::{Device, Tensor};
use virboard_core::catalogue::task::OutputKind;
use virboard_nn::network::deeplab::Shape;
use virboard_nn::optimiser::{Kind, Optimiser};
use virboard_nn::schedule;
use virboard_nn::seeded::Stream;

/// Steps of each optimiser.
const STEPS: usize = 10;
/// Samples of a batch, and height and width of the outputs about pixels.
const BATCH: usize = 4;
const SIZE: (usize, usize) = (56, 48);
/// Channels of the maps, and how much smaller than the outputs they are.
const MAPS: [(usize, usize); 5] = [(6, 2), (8, 4), (10, 8), (12, 16), (16, 28)];

/// A head and what it learns.
struct Lesson {
    name: &'static str,
    spec: HeadSpec,
    inputs: Vec<Tensor>,
    loss: Loss,
    truth: Truth,
}

/// What is compared.
const COMPARED: Compared =
    Compared { titles: ["losses of ten steps", "first gradients", "weights after ten steps"], deep: false };

const OPTIMISERS: [Optimising; 2] = [
    Optimising { name: "Adam", kind: Kind::Adam, rate: 1e-3 },
    Optimising { name: "SGD", kind: Kind::Sgd { momentum: 0.9, weight_decay: 0.0 }, rate: 1e-2 },
];

/// Compares losses, first gradients and weights of every kind of head and both optimisers with
/// the CPU's, in full precision and, on a GPU, with TF32.
#[must_use]
pub fn heads(device: &Device) -> Vec<Row> {
    let lessons = match lessons() {
        Ok(lessons) => lessons,
        Err(error) => return vec![Row::of("heads".to_owned(), steps::full(device)[0], 0.0, || Err(error))],
    };
    let rows = lessons.iter().map(|lesson| {
        let on = |device: Device| move |optimising, _| trained(lesson, optimising, &device);
        steps::rows(lesson.name, COMPARED, &steps::full(device), &OPTIMISERS, [&on(device.clone()), &on(Device::Cpu)])
    });
    rows.flatten().collect()
}

fn trained(lesson: &Lesson, Optimising { kind, rate, .. }: Optimising, device: &Device) -> Result<Trained> {
    let head = Head::new(lesson.spec.clone(), device)?;
    let inputs = lesson.inputs.iter().map(|t| Ok(t.to_device(device)?)).collect::<Result<Vec<_>>>()?;
    let vars = head.parameters().trainable();
    let mut optimiser = Optimiser::new(kind, vars.clone());
    let mut trained = Trained::default();
    for step in 0..STEPS {
        let out = head.run(&inputs, SIZE, true)?;
        let loss = lesson.loss.of(&out, &lesson.truth, 1.0)?;
        trained.losses.push(loss.to_scalar()?);
        let gradients = loss.backward()?;
        if step == 0 {
            trained.keep_gradients(&gradients, vars)?;
        }
        optimiser.step(&gradients, &schedule::Setting { learning_rate: rate, momentum: None })?;
    }
    trained.keep_weights(vars)?;
    Ok(trained)
}

fn lessons() -> Result<Vec<Lesson>> {
    let spec = |kind, architecture, outputs, images| HeadSpec {
        task: "Agreement".to_owned(),
        encoder: "Agreement".to_owned(),
        encoder_sha256: String::new(),
        kind,
        architecture,
        labels: Vec::new(),
        unit: String::new(),
        scale: 1.0,
        seed: 0,
        images,
        channels: Some(outputs),
        reference: None,
    };
    let normal = |name: &str, shape: &[usize]| -> Result<Tensor> {
        let mut stream = Stream::new(0, name);
        let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| stream.normal() as f32).collect();
        Ok(Tensor::from_vec(numbers, shape, &Device::Cpu)?)
    };
    let below = |name: &str, n: usize, classes: usize| -> Vec<usize> {
        let mut stream = Stream::new(0, name);
        (0..n).map(|_| stream.below(classes)).collect()
    };
    let maps = |images: usize| -> Result<Vec<Tensor>> {
        let map = |(channels, smaller): &(usize, usize)| {
            let (h, w) = (SIZE.0.div_ceil(*smaller), SIZE.1.div_ceil(*smaller));
            normal(&format!("map {channels}"), &[BATCH, h, w, images * channels])
        };
        MAPS.iter().map(map).collect()
    };
    let pixels = BATCH * SIZE.0 * SIZE.1;
    let mask = |classes| Truth::Mask(below("mask", pixels, classes).into_iter().map(|c| c as u8).collect());
    let numbers =
        |channels: usize| -> Result<Truth> { Ok(Truth::Values(values(&normal("truth", &[pixels * channels])?)?)) };
    let channels = |images: usize| MAPS.iter().map(|(c, _)| images * c).collect::<Vec<_>>();
    let slim = Some(channels(1));
    let classes = Truth::Classes(below("classes", BATCH, 3).into_iter().map(|c| c as u32).collect());
    let cross_entropy = Loss::CrossEntropy { first: 1.0 };
    let decoder = |images, slim| Architecture::Pixelwise { channels: channels(images), slim };
    let deeplab = |block4| {
        let (low, high) = (MAPS[1].0, MAPS[3].0);
        let shape = Shape { low, high, maps: [1, 3], block4, width: 8, reduced: 5, momentum: 3e-4, quirks: false };
        Architecture::DeepLab(shape)
    };
    let (classification, segmentation) = (OutputKind::Classification, OutputKind::Segmentation);
    let lesson = |name, spec, inputs, loss, truth| Lesson { name, spec, inputs, loss, truth };
    Ok(vec![
        lesson(
            "linear",
            spec(classification, Architecture::Linear { input: 64 }, 3, 1),
            vec![normal("embedding", &[BATCH, 64])?],
            cross_entropy,
            classes.clone(),
        ),
        lesson(
            "multi-embedding",
            spec(classification, Architecture::MultiEmbedding { input: 128, hidden: 32 }, 3, 2),
            vec![normal("embeddings", &[BATCH, 128])?],
            cross_entropy,
            classes,
        ),
        lesson("pixel-wise, classes", spec(segmentation, decoder(1, None), 4, 1), maps(1)?, cross_entropy, mask(4)),
        lesson(
            "slim pixel-wise, mask",
            spec(segmentation, decoder(1, slim.clone()), 1, 1),
            maps(1)?,
            Loss::BinaryCrossEntropy,
            mask(2),
        ),
        lesson("pixel-wise, depth", spec(OutputKind::Depth, decoder(1, None), 1, 1), maps(1)?, Loss::L1, numbers(1)?),
        lesson("siamese, flow", spec(OutputKind::Flow, decoder(2, slim), 2, 2), maps(2)?, Loss::L1, numbers(2)?),
        lesson(
            "DeepLab",
            spec(segmentation, deeplab(Some((4, 16))), 4, 1),
            maps(1)?,
            Loss::CrossEntropy { first: 0.1 },
            mask(4),
        ),
    ])
}
