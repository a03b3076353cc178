//! Epochs of heads.

use crate::Failure;
use crate::peer::{Peers, compare};
use candle_core::{Device, Tensor};
use virboard_core::catalogue::architecture::Architecture as Network;
use virboard_core::catalogue::task::{Metric, OutputKind};
use virboard_core::protocol::Protocol;
use virboard_lab::head::{Architecture, Head, HeadSpec, Label};
use virboard_lab::score::metric::Scoring;
use virboard_lab::train::bank::{Bank, Lesson};
use virboard_lab::train::loss::Loss;
use virboard_lab::train::truth::Truth;
use virboard_lab::train::{Aim, Configuration, Member};
use virboard_nn::network::deeplab::Shape;
use virboard_nn::optimiser::{Kind, Optimiser};
use virboard_nn::schedule::Setting;
use virboard_nn::seeded::Stream;
use virboard_nn::testing::Random;

/// An epoch of linear heads: rows of 2048 to 100 classes, several learning rates at once.
pub fn linear(peers: &mut Option<Peers>, rounds: usize) -> Result<(), Failure> {
    let (rows, classes) = (20_000, 100);
    let values = virboard_nn::testing::values(&Random::new("embeddings").normal(1.0, (rows, 2048)));
    let labels: Vec<u32> = (0..rows).map(|i| (i * 7919 % classes) as u32).collect();
    let aim = Aim {
        loss: Loss::CrossEntropy { first: 1.0 },
        scoring: Scoring { metric: Metric::Top1, skip_zero: false, void_zero: false },
        drop_last: false,
    };
    for (heads, size) in [(1, 32), (16, 32), (1, 1024)] {
        let members = (0..heads).map(|i| member(i, classes)).collect::<Result<Vec<_>, _>>()?;
        let mut bank = Bank::of(&members, aim)?.ok_or("the heads are trained in closed form")?;
        let settings: Vec<Setting> =
            (0..heads).map(|i| Setting { learning_rate: 1e-4 * (i + 1) as f64, momentum: None }).collect();
        let order = Stream::new(0, "order").permutation(rows);
        let requests: Vec<(&str, String)> = if heads == 1 {
            [("PyTorch, Adam", "torch"), ("PyTorch, fused Adam", "torch-fused")]
                .map(|(name, key)| (name, format!("linear {key} {rows} {size}")))
                .into()
        } else {
            Vec::new()
        };
        let title = format!("{heads} linear heads, an epoch of {rows} x 2048 to {classes}, batch {size}");
        compare(
            peers,
            &title,
            "epochs/s",
            1.0,
            rounds,
            &requests,
            &mut [("Virboard", &mut || {
                let lesson = |chosen: &[usize]| -> Result<Lesson, Failure> {
                    let batch = chosen.iter().map(|i| &values[i * 2048..][..2048]).collect::<Vec<_>>().concat();
                    let classes = chosen.iter().map(|i| labels[*i]).collect();
                    Ok(Lesson {
                        inputs: Tensor::from_vec(batch, (chosen.len(), 2048), &Device::Cpu)?,
                        classes,
                        settings: settings.clone(),
                    })
                };
                for some in order.chunks(bank.lessons(size) * size) {
                    bank.steps(&some.chunks(size).map(lesson).collect::<Result<Vec<_>, _>>()?)?;
                }
                Ok(())
            })],
        )?;
    }
    Ok(())
}

/// An epoch of the pixel-wise head on ResNet-50's maps of 224 x 224, one output a pixel.
pub fn pixelwise(peers: &mut Option<Peers>, rounds: usize) -> Result<(), Failure> {
    let (images, size) = (64, 8);
    let channels = vec![64, 256, 512, 1024, 2048];
    let random = Random::new("maps");
    let map = |(i, c): (usize, &usize)| random.normal(1.0, (images, 112 >> i, 112 >> i, *c));
    let maps: Vec<Tensor> = channels.iter().enumerate().map(map).collect();
    let spec = spec(OutputKind::Depth, Architecture::Pixelwise { channels, slim: None }, 0, 1);
    let truth = Truth::Values(vec![0.5; size * 224 * 224]);
    decoder(peers, rounds, ["pixel-wise", "pixelwise"], spec, &maps, Loss::L1, &truth, size)
}

/// An epoch of the DeepLabv3+-like head on ResNet-50's maps of 224 x 224, 19 classes.
pub fn deeplab(peers: &mut Option<Peers>, rounds: usize) -> Result<(), Failure> {
    let (images, size, classes) = (8, 4, 19);
    let encoder = virboard_nn::load::describe(Network::of("resnet50"))?;
    let architecture = Architecture::DeepLab(Shape::virb(&encoder, false).ok_or("ResNet-50 has its maps")?);
    let spec = spec(OutputKind::Segmentation, architecture, 0, classes);
    let random = Random::new("maps");
    let map = |side: usize, channels: usize| random.normal(1.0, (images, side, side, channels));
    // It reads the second and the fourth alone.
    let none = || map(1, 1);
    let maps = [none(), map(56, 256), none(), map(14, 1024), none()];
    let truth = Truth::Mask((0..size * 224 * 224).map(|i| (i * 7919 % classes) as u8).collect());
    decoder(peers, rounds, ["DeepLab", "deeplab"], spec, &maps, Loss::CrossEntropy { first: 1.0 }, &truth, size)
}

/// An epoch of a decoder, named for the reader and for the peers, over all images of `maps`.
#[allow(clippy::too_many_arguments, reason = "one call a decoder, each with its own of all of them")]
fn decoder(
    peers: &mut Option<Peers>,
    rounds: usize,
    [name, key]: [&str; 2],
    spec: HeadSpec,
    maps: &[Tensor],
    loss: Loss,
    truth: &Truth,
    size: usize,
) -> Result<(), Failure> {
    let images = maps[0].dim(0)?;
    let head = Head::new(spec, &Device::Cpu)?;
    let mut optimiser = Optimiser::new(Kind::Adam, head.parameters().trainable().clone());
    let title = format!("{name} head, an epoch of {images} images of 224 x 224, batch {size}");
    let requests = [("PyTorch, fused Adam", format!("{key} torch {images} {size}"))];
    compare(
        peers,
        &title,
        "images/s",
        images as f64,
        rounds,
        &requests,
        &mut [("Virboard", &mut || {
            for at in (0..images).step_by(size) {
                let batch: Vec<Tensor> = maps.iter().map(|m| m.narrow(0, at, size)).collect::<Result<_, _>>()?;
                let loss = loss.of(&head.run(&batch, (224, 224), true)?, truth, 1.0)?;
                let setting = Setting { learning_rate: 1e-4, momentum: None };
                optimiser.step(&loss.backward()?, &setting)?;
            }
            Ok(())
        })],
    )
}

fn spec(kind: OutputKind, architecture: Architecture, seed: usize, outputs: usize) -> HeadSpec {
    let label = |i: usize| Label { name: i.to_string(), colour: String::new() };
    HeadSpec {
        task: "Any".to_owned(),
        encoder: "Any".to_owned(),
        encoder_sha256: String::new(),
        kind,
        architecture,
        labels: (0..outputs).map(label).collect(),
        unit: String::new(),
        scale: 1.0,
        seed: seed as u64,
        images: 1,
        channels: Some(outputs),
        reference: None,
    }
}

/// A linear head that has not been trained.
fn member(seed: usize, classes: usize) -> Result<Member, Failure> {
    let spec = spec(OutputKind::Classification, Architecture::Linear { input: 2048 }, seed, classes);
    let catalogue = virboard_core::catalogue::Catalogue::builtin();
    let task = catalogue.task("CIFAR-100").ok_or("the task is in the catalogue")?;
    let configuration = Configuration::published(task, seed as u64, Protocol::Standard);
    Ok(Member::new(configuration, Head::new(spec, &Device::Cpu)?))
}
