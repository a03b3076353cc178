//! Steps of training an encoder with labels, beside PyTorch's.

use crate::Failure;
use crate::peer::{Peers, compare};
use candle_core::{D, Device, Tensor};
use virboard_nn::optimiser::{Kind, Optimiser};
use virboard_nn::parameters::Parameters;
use virboard_nn::schedule::Setting;
use virboard_nn::trainable::{Form, Normalising};

/// Architecture, width, side of pictures, batch.
const CASES: [(&str, usize, usize, usize); 3] =
    [("resnet18", 24, 64, 128), ("resnet50", 16, 64, 128), ("resnet50", 64, 224, 16)];

/// Classes of the head.
const CLASSES: usize = 100;

/// Forward, backward and a step of SGD with momentum, in single precision.
pub fn training(peers: &mut Option<Peers>, rounds: usize) -> Result<(), Failure> {
    for (architecture, width, side, batch) in CASES {
        let form = Form { width: Some(width), ..Form::of(architecture) };
        let network = form.build(&mut form.random(0)?, &Device::Cpu)?;
        let mut head = Parameters::new(0, &Device::Cpu);
        let (weight, bias) = head.layer("head", &[CLASSES, form.describe()?.embedding])?;
        let mut tensors = network.parameters().trainable().clone();
        tensors.extend(head.trainable().clone());
        let kind: Kind = serde_json::from_str("{\"optimiser\":\"sgd\",\"momentum\":0.9}")?;
        let mut optimiser = Optimiser::new(kind, tensors);
        let x = Tensor::randn(0f32, 1.0, (batch, side, side, 3), &Device::Cpu)?;
        let labels = Tensor::from_vec(
            (0..batch).map(|i| (i * 7919 % CLASSES) as u32).collect::<Vec<u32>>(),
            (batch, 1),
            &Device::Cpu,
        )?;
        let setting = Setting { learning_rate: 1e-3, momentum: None };
        let title = format!("training {architecture} of width {width}, {side} x {side}, batch {batch}");
        let request = |layout: &str| format!("training {layout} {} {width} {side} {batch}", &architecture[6..]);
        compare(
            peers,
            &title,
            "pictures/s",
            batch as f64,
            rounds,
            &[
                ("PyTorch eager", request("torch")),
                ("PyTorch eager, channels last", request("torch-channels-last")),
                ("PyTorch compiled, channels last", request("torch-compiled")),
            ],
            &mut [("Virboard", &mut || {
                let y = network.embedding(&x, Normalising::TRAIN)?.matmul(&weight.t()?)?.broadcast_add(&bias)?;
                let most = y.max_keepdim(D::Minus1)?.detach();
                let sums = y.broadcast_sub(&most)?.exp()?.sum_keepdim(D::Minus1)?.log()?;
                let loss = ((sums + most)? - y.gather(&labels, 1)?)?.mean_all()?;
                Ok(optimiser.step(&loss.backward()?, &setting)?)
            })],
        )?;
    }
    Ok(())
}
