//! One step of training of each kind of network on the operations that every device has, beside the CPU's own, which
//! are compared with PyTorch: loss, gradients and running statistics.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use std::collections::BTreeMap;
use virboard_nn::layer::{Geometry, convolve_nhwc, max_pool_nhwc};
use virboard_nn::optimiser::{Group, Kind, Optimiser};
use virboard_nn::path::{in_bf16, plainly};
use virboard_nn::schedule::Setting;
use virboard_nn::testing::{Random, assert_near, relative_error, values};
use virboard_nn::trainable::{Form, Normalising, Trainable};

/// Pictures of a batch, and their height and width.
const BATCH: usize = 8;
const SIZE: (usize, usize) = (72, 64);
/// The largest error, as a share of a tensor's largest value.
const BOUND: f64 = 1e-4;

/// The networks, by what they are called here.
fn forms() -> Vec<(&'static str, Form)> {
    let resnet = |key: &str| Form { width: Some(8), blocks: Some([1, 2, 1, 1]), ..Form::of(key) };
    let vit = Form { width: Some(64), depth: Some(4), patch: Some(8), grid: Some(4), ..Form::of("vit") };
    vec![("basic blocks", resnet("resnet18")), ("bottlenecks", resnet("resnet50")), ("vision transformer", vit)]
}

/// The loss of a batch, whose gradients are far from 0, with its gradients.
fn step(network: &dyn Trainable, groups: usize) -> (Tensor, GradStore) {
    let random = Random::new("training paths");
    let x = random.normal(1.0, (BATCH, SIZE.0, SIZE.1, 3));
    let y = network.embedding(&x, Normalising { groups, ..Normalising::TRAIN }).expect("computed");
    let factors = random.normal(1.0, y.dims());
    let loss = (y * factors).and_then(|y| y.sqr()?.mean_all()).expect("a number");
    let gradients = loss.backward().expect("gradients");
    (loss, gradients)
}

#[test]
fn a_step_on_operations_that_every_device_has_is_the_cpus_own() {
    for (what, form) in forms() {
        for groups in [1, 2] {
            let network = || form.build(&mut form.random(3).expect("weights"), &Device::Cpu).expect("built");
            let (own, plain) = (network(), network());
            let (loss, gradients) = step(&*own, groups);
            let (plain_loss, plain_gradients) = plainly(|| step(&*plain, groups));
            assert_near(format!("{what}, the loss"), &values(&plain_loss), &values(&loss), BOUND);
            let mut compared = 0;
            for (name, var) in own.parameters().trainable() {
                let other = &plain.parameters().trainable()[name];
                let wanted = gradients.get(var).expect("a gradient");
                let got = plain_gradients.get(other).expect("a gradient");
                assert_eq!(got.dims(), wanted.dims(), "{what}: {name}");
                assert_near(format!("{what} in {groups}: {name}"), &values(got), &values(wanted), BOUND);
                compared += 1;
            }
            assert_eq!(compared, own.parameters().trainable().len());
            assert!(compared > 20, "{what}: {compared} gradients");
            for (name, var) in own.parameters().all().filter(|(name, _)| name.contains("running")) {
                let other = plain.parameters().get(name).expect("the same");
                assert_near(format!("{what}: {name}"), &values(other), &values(var), BOUND);
            }
        }
    }
}

#[test]
fn the_two_ways_of_a_step_are_not_one() {
    // Not the same bits: otherwise the comparison above would be of one way with itself.
    let (_, form) = forms().swap_remove(0);
    let network = || form.build(&mut form.random(3).expect("weights"), &Device::Cpu).expect("built");
    let (own, plain) = (network(), network());
    let (_, gradients) = step(&*own, 1);
    let (_, plain_gradients) = plainly(|| step(&*plain, 1));
    let of = |network: &dyn Trainable, gradients: &GradStore| -> Vec<f32> {
        let trained = network.parameters().trainable();
        trained.values().flat_map(|var| values(gradients.get(var).expect("a gradient"))).collect()
    };
    assert_ne!(of(&*own, &gradients), of(&*plain, &plain_gradients));
}

#[test]
fn steps_of_every_optimiser_lead_to_the_same_weights() {
    let kinds = [
        (Kind::Sgd { momentum: 0.9, weight_decay: 1e-4 }, 0.01),
        (Kind::Lars { momentum: 0.9, weight_decay: 1e-4, trust: 0.001 }, 0.5),
        (Kind::AdamW { weight_decay: 0.05 }, 1e-5),
    ];
    for (what, form) in forms() {
        for (kind, learning_rate) in kinds {
            let trained = || -> BTreeMap<String, Vec<f32>> {
                let network = form.build(&mut form.random(3).expect("weights"), &Device::Cpu).expect("built");
                let vars = network.parameters().trainable();
                let mut optimiser = Optimiser::new(kind, vars.clone()).grouped(|_, t| Group::by_dimensions(t.dims()));
                for _ in 0..3 {
                    let (_, gradients) = step(&*network, 1);
                    optimiser.step(&gradients, &Setting { learning_rate, momentum: None }).expect("stepped");
                }
                vars.iter().map(|(name, var)| (name.clone(), values(var))).collect()
            };
            let (own, plain) = (trained(), plainly(trained));
            let begun = form.random(3).expect("weights").below("");
            let mut moved = 0;
            for (name, wanted) in &own {
                // Biases begin at 0, so that all there is of them are steps, of which Adam makes the same of any size.
                let scale = wanted.iter().fold(0.0, |most: f32, v| most.max(v.abs()));
                if scale > 1e-3 {
                    assert_near(format!("{what}, {kind:?}: {name}"), &plain[name], wanted, 1e-3);
                }
                moved += usize::from(values(&begun[name]) != *wanted);
            }
            assert!(moved > 20, "{what}, {kind:?}: {moved} tensors moved");
        }
    }
}

#[test]
fn a_step_in_bfloat16_is_near_and_trains_f32() {
    for (what, form) in forms() {
        let network = || form.build(&mut form.random(3).expect("weights"), &Device::Cpu).expect("built");
        let (full, short, plain) = (network(), network(), network());
        let (loss, gradients) = step(&*full, 1);
        let ways = [
            ("own", &short, in_bf16(true, || step(&*short, 1))),
            ("plain", &plain, plainly(|| in_bf16(true, || step(&*plain, 1)))),
        ];
        for (way, network, (short_loss, short_gradients)) in ways {
            let error = relative_error(what, &values(&short_loss), &values(&loss));
            println!("{what}, {way}: the loss differs by {error:.1e}");
            assert!((1e-6..2e-2).contains(&error), "{what}, {way}: {error}");
            let (mut apart, mut length) = (0.0, 0.0);
            for (name, var) in full.parameters().trainable() {
                let other = &network.parameters().trainable()[name];
                let [got, wanted] = [(&short_gradients, other), (&gradients, var)].map(|(g, var)| {
                    let gradient = g.get(var).expect("a gradient");
                    assert_eq!(gradient.dtype(), DType::F32);
                    values(gradient)
                });
                assert_eq!(got.len(), wanted.len());
                let square = |v: f32| f64::from(v) * f64::from(v);
                apart += got.iter().zip(&wanted).map(|(got, wanted)| square(got - wanted)).sum::<f64>();
                length += wanted.iter().copied().map(square).sum::<f64>();
            }
            // As one vector: single ones of so small a network with random weights differ by half of their size.
            let error = (apart / length).sqrt();
            println!("{what}, {way}: gradients differ by {error:.1e}");
            assert!((1e-4..0.5).contains(&error), "{what}, {way}: {error}");
        }
    }
}

/// A layer's output and the gradients of what it takes, for factors of the output.
fn layer(takes: &[&Var], layer: impl Fn() -> virboard_nn::Result<Tensor>) -> Vec<Vec<f32>> {
    let y = layer().expect("computed");
    let factors = Random::new("factors").normal(1.0, y.dims());
    let gradients = (&y * factors).and_then(|y| y.sum_all()?.backward()).expect("gradients");
    let of = |var: &&Var| values(gradients.get(var).expect("a gradient"));
    [values(&y)].into_iter().chain(takes.iter().map(of)).collect()
}

#[test]
fn layers_are_the_same_on_operations_that_every_device_has() {
    let random = Random::new("layers");
    let var = |dims: &[usize]| Var::from_tensor(&random.normal(1.0, dims)).expect("a variable");
    // Kernel, stride, padding and dilation, of maps that are not square.
    for (k, stride, padding, dilation) in
        [(1, 1, 0, 1), (3, 1, 1, 1), (3, 2, 1, 1), (7, 2, 3, 1), (1, 2, 0, 1), (3, 1, 2, 2)]
    {
        // Large kernels read pictures.
        let channels = if k > 3 { 3 } else { 6 };
        let (x, weight, bias) = (var(&[2, 17, 14, channels]), var(&[9, channels, k, k]), var(&[9]));
        let geometry = Geometry { stride, padding, dilation };
        let conv = || layer(&[&x, &weight, &bias], || convolve_nhwc(&x, &weight, Some(&bias), geometry));
        let without = || layer(&[&x, &weight], || convolve_nhwc(&x, &weight, None, geometry));
        let what = format!("{k} x {k}, stride {stride}");
        for (own, plain) in [(conv(), plainly(conv)), (without(), plainly(without))] {
            assert_eq!(own.len(), plain.len());
            for (own, plain) in own.iter().zip(&plain) {
                assert_near(&what, plain, own, 2e-5);
            }
        }
        for (full, short) in conv().iter().zip(&in_bf16(true, conv)) {
            let error = relative_error(&what, short, full);
            assert!(error < 3e-2, "{what} in bfloat16: {error}");
        }
    }
    // Many zeros, as behind a ReLU: of equal neighbours the first has the gradient.
    let maps = Var::from_tensor(&random.normal(1.0, (2, 9, 12, 7)).relu().expect("a tensor")).expect("a variable");
    for before in [true, false] {
        let pooled = || layer(&[&maps], || max_pool_nhwc(&maps, before));
        for (own, plain) in pooled().iter().zip(&plainly(pooled)) {
            assert_near("pooling", plain, own, 1e-6);
        }
    }
}
