//! Heads, losses and optimisers: 20 steps of each.

use super::{classes, largest, nhwc, row, seeded, uniform, vectors};
use candle_core::{Device, Tensor};
use virboard_core::catalogue::task::OutputKind;
use virboard_lab::head::{Architecture, Head, HeadSpec};
use virboard_lab::train::loss::Loss;
use virboard_lab::train::truth::Truth;
use virboard_nn::network::deeplab::{DeepLab, Shape};
use virboard_nn::optimiser::{Kind, Optimiser};
use virboard_nn::schedule::Setting;
use virboard_nn::testing::values;

pub fn spec(kind: OutputKind, architecture: Architecture, outputs: usize) -> HeadSpec {
    HeadSpec {
        task: "Test".into(),
        encoder: "Test".into(),
        encoder_sha256: String::new(),
        kind,
        architecture,
        labels: Vec::new(),
        unit: String::new(),
        scale: 1.0,
        seed: 0,
        images: 1,
        channels: Some(outputs),
        reference: None,
    }
}

/// Smaller gradients are noise: a bias before a batch normalisation has no effect.
const EFFECT: f32 = 1e-6;

/// Trains 20 steps of each optimiser and compares everything on the way.
fn check_head(
    name: &str,
    title: &str,
    make: &dyn Fn() -> Head,
    inputs: &[Tensor],
    size: (usize, usize),
    loss: Loss,
    truth: &Truth,
) {
    let v = vectors("training.safetensors");
    for (kind, label, lr) in [(Kind::Adam, "adam", 1e-3), (Kind::Sgd { momentum: 0.9, weight_decay: 0.0 }, "sgd", 1e-2)]
    {
        let head = make();
        let mut optimiser = Optimiser::new(kind, head.parameters().trainable().clone());
        let wanted: Vec<f64> = v[&format!("{name}.{label}.losses")].to_vec1().expect("f64");
        let (mut losses, mut gradients, mut first_output) = (Vec::new(), Vec::new(), f64::NAN);
        for (step, wanted) in wanted.iter().enumerate() {
            let out = head.run(inputs, size, true).expect("computed");
            let value = loss.of(&out, truth, 1.0).expect("computed");
            let number = f64::from(value.to_scalar::<f32>().expect("a number"));
            losses.push((number - wanted).abs() / wanted.abs().max(1e-6));
            if step + 1 == 21 {
                break;
            }
            let grads = value.backward().expect("computed");
            if step == 0 && label == "adam" {
                let planes = if out.rank() == 4 {
                    out.permute((0, 3, 1, 2)).expect("permuted").contiguous().expect("copied")
                } else {
                    out.clone()
                };
                first_output = v.relative_error(&planes, &format!("{name}.output"));
                for (part, var) in head.parameters().trainable() {
                    let key = format!("{name}.gradient.{part}");
                    if v.get(&key).is_some() && v.scale(&key) > EFFECT {
                        let error = v.relative_error(grads.get(var).expect("it has a gradient"), &key);
                        assert!(error < 1e-4, "gradient of {part} in {name}: {error:e} of {:e}", v.scale(&key));
                        gradients.push(error);
                    }
                }
                let prefix = format!("{name}.gradient.");
                let known = v.names(&prefix).filter(|part| v.scale(&format!("{prefix}{part}")) > EFFECT).count();
                assert_eq!(gradients.len(), known, "every gradient of {name} is compared");
            }
            optimiser.step(&grads, &Setting { learning_rate: lr, momentum: None }).expect("stepped");
        }
        if label == "adam" {
            row(&format!("{title}: output"), "PyTorch", first_output, 1e-4);
            row(&format!("{title}: gradients"), "PyTorch", largest(&gradients), 1e-4);
        }
        let prefix = format!("{name}.{label}.");
        let trained = head.parameters().trainable().iter();
        let compared: Vec<f64> = trained
            .filter(|(part, _)| v.get(&format!("{prefix}{part}")).is_some())
            .map(|(part, var)| v.relative_error(var, &format!("{prefix}{part}")))
            .collect();
        let known = v.names(&prefix).filter(|part| *part != "tested").count();
        assert_eq!(compared.len(), known, "every weight of {name} is compared after {label}");
        let normalised = head.parameters().all().any(|(part, _)| part.contains(".running_"));
        assert_eq!(v.get(&format!("{prefix}running")).is_some(), normalised, "running statistics of {name}");
        if let Some(running) = v.get(&format!("{name}.{label}.running")) {
            let wanted: Vec<f64> = running.to_vec1().expect("f64");
            let (mut sum, mut squares) = (0f64, 0f64);
            for (part, var) in head.parameters().all().filter(|(k, _)| k.contains(".running_")) {
                for v in values(var) {
                    assert!(v.is_finite(), "{part}");
                    sum += f64::from(v);
                    squares += f64::from(v) * f64::from(v);
                }
            }
            let error = largest(&[(sum - wanted[0]) / wanted[0], (squares - wanted[1]) / wanted[1]]);
            row(&format!("{title}: running statistics after 20 steps of {label}"), "PyTorch", error, 1e-4);
        }
        row(&format!("{title}: losses over 20 steps of {label}"), "PyTorch", largest(&losses), 1e-4);
        row(&format!("{title}: weights after 20 steps of {label}"), "PyTorch", largest(&compared), 1e-4);
        // Biases before batch normalisations have no effect in training, so that Adam moves them
        // by its noise; in tests the running means do not follow them in time.
        if label == "adam" && name.starts_with("deeplab") {
            continue;
        }
        let tested = head.run(inputs, size, false).expect("computed");
        let tested = if tested.rank() == 4 {
            tested.permute((0, 3, 1, 2)).expect("permuted").contiguous().expect("copied")
        } else {
            tested
        };
        row(
            &format!("{title}: test output after {label}"),
            "PyTorch",
            v.relative_error(&tested, &format!("{name}.{label}.tested")),
            1e-4,
        );
    }
}

#[test]
fn linear_and_multi_embedding_heads() {
    let truth = Truth::Classes(classes("classes", 8, 5).iter().map(|c| *c as u32).collect());
    let loss = Loss::CrossEntropy { first: 1.0 };
    let linear = || {
        Head::new(spec(OutputKind::Classification, Architecture::Linear { input: 32 }, 5), &Device::Cpu).expect("built")
    };
    check_head("linear", "Linear, cross-entropy", &linear, &[seeded("embedding", &[8, 32])], (1, 1), loss, &truth);
    for k in [2, 6] {
        let architecture = Architecture::MultiEmbedding { input: k * 16, hidden: 12 };
        let multi =
            || Head::new(spec(OutputKind::Classification, architecture.clone(), 5), &Device::Cpu).expect("built");
        let inputs = [seeded(&format!("embeddings{k}"), &[8, k * 16])];
        check_head(
            &format!("multi{k}"),
            &format!("Multi-embedding of {k}, cross-entropy"),
            &multi,
            &inputs,
            (1, 1),
            loss,
            &truth,
        );
    }
}

const CHANNELS: [usize; 5] = [6, 8, 10, 12, 16];
const SIZES: [(usize, usize); 5] = [(24, 20), (12, 10), (6, 5), (3, 3), (2, 2)];

fn maps(prefix: &str, images: usize) -> Vec<Tensor> {
    let each = CHANNELS.iter().zip(SIZES).enumerate();
    each.map(|(i, (c, (h, w)))| nhwc(&seeded(&format!("{prefix}{i}"), &[2, images * c, h, w]))).collect()
}

#[test]
fn pixelwise_and_siamese_heads() {
    let n = 2 * 48 * 40;
    let plain = Architecture::Pixelwise { channels: CHANNELS.to_vec(), slim: None };
    let head = || Head::new(spec(OutputKind::Depth, plain.clone(), 1), &Device::Cpu).expect("built");
    let mask = Truth::Mask(classes("mask", n, 2).iter().map(|c| *c as u8).collect());
    check_head(
        "pixelwise.bce",
        "Pixel-wise, BCE with logits",
        &head,
        &maps("map", 1),
        (48, 40),
        Loss::BinaryCrossEntropy,
        &mask,
    );
    let depth = Truth::Values(uniform("depth", n).iter().map(|u| *u as f32).collect());
    check_head("pixelwise.l1", "Pixel-wise, L1", &head, &maps("map", 1), (48, 40), Loss::L1, &depth);
    let fused =
        Architecture::Pixelwise { channels: CHANNELS.iter().map(|c| 2 * c).collect(), slim: Some(CHANNELS.to_vec()) };
    let siamese = || Head::new(spec(OutputKind::Depth, fused.clone(), 1), &Device::Cpu).expect("built");
    let flow = uniform("flow", n).iter().map(|u| *u as f32).map(|u| if u < 0.4 { f32::NAN } else { u }).collect();
    check_head(
        "siamese",
        "Siamese, L1 over labelled pixels",
        &siamese,
        &maps("pair", 2),
        (48, 40),
        Loss::L1,
        &Truth::Values(flow),
    );
}

fn deeplab(quirks: bool) -> Head {
    let shape =
        Shape { low: 6, high: 10, maps: [1, 3], block4: Some((4, 16)), width: 8, reduced: 5, momentum: 3e-4, quirks };
    let head = Head::new(spec(OutputKind::Segmentation, Architecture::DeepLab(shape), 5), &Device::Cpu).expect("built");
    for (name, var) in head.parameters().all().filter(|(k, _)| k.starts_with("block4") && k.contains("running")) {
        let shift = if name.ends_with("mean") { -0.5 } else { 0.5 };
        let numbers: Vec<f32> =
            uniform(&format!("block4.{}", &name[7..]), var.elem_count()).iter().map(|u| *u as f32 + shift).collect();
        var.set(&Tensor::from_vec(numbers, var.dims(), &Device::Cpu).expect("a tensor")).expect("set");
    }
    head
}

#[test]
fn deeplab_heads_under_both_protocols() {
    let low = nhwc(&seeded("low", &[3, 6, 13, 11]));
    let high = nhwc(&seeded("high", &[3, 10, 7, 6]));
    let unused = Tensor::zeros(1, candle_core::DType::F32, &Device::Cpu).expect("a tensor");
    let inputs = [unused.clone(), low, unused.clone(), high, unused];
    let truth = Truth::Mask(classes("labels", 3 * 50 * 42, 5).iter().map(|c| *c as u8).collect());
    check_head(
        "deeplab",
        "DeepLabv3+, cross-entropy",
        &|| deeplab(false),
        &inputs,
        (50, 42),
        Loss::CrossEntropy { first: 1.0 },
        &truth,
    );
    check_head(
        "deeplab.virb",
        "DeepLabv3+ (virb), weighted cross-entropy",
        &|| deeplab(true),
        &inputs,
        (50, 42),
        Loss::CrossEntropy { first: 0.1 },
        &truth,
    );
    // The slips make a difference: other epsilons, and a reducer that stays in training mode.
    let out = |quirks, training| {
        deeplab(quirks)
            .run(&inputs, (50, 42), training)
            .and_then(|t| Ok(t.flatten_all()?.to_vec1::<f32>()?))
            .expect("computed")
    };
    assert_ne!(out(false, true), out(true, true));
    assert_ne!(out(false, false), out(true, false));
}

#[test]
fn a_folded_encoders_last_block_is_taken_up_by_a_deeplab_head() {
    let shape = Shape {
        low: 6,
        high: 10,
        maps: [1, 3],
        block4: Some((4, 16)),
        width: 8,
        reduced: 5,
        momentum: 0.1,
        quirks: false,
    };
    let head = DeepLab::new(shape, 3, 0, &Device::Cpu).expect("built");
    let error = head.copy_block4(&std::collections::BTreeMap::new()).expect_err("nothing to copy");
    assert!(error.to_string().contains("layer4.0.conv1.weight"), "{error}");
}
