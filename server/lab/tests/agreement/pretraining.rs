//! Methods of pre-training against their authors' programs: 20 steps of each, of a ResNet of four
//! narrow basic blocks, on views with which a run does not blow up what rounding does. The vectors
//! were made by `scripts/make_pretraining_vectors.py`, which says what these views are.

use super::{largest, row, seeded, vectors};
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::path::PathBuf;
use virboard_lab::Result;
use virboard_lab::pretrain::method::moco::MocoForm;
use virboard_lab::pretrain::method::pirl::{Contrast, PirlForm};
use virboard_lab::pretrain::method::projection::ProjectionForm;
use virboard_lab::pretrain::method::simclr::SimClrForm;
use virboard_lab::pretrain::method::supervised::SupervisedForm;
use virboard_lab::pretrain::method::swav::{QueueForm, SwavForm};
use virboard_lab::pretrain::method::{Batch, Method, MethodForm, Start};
use virboard_nn::checkpoint::weights::Weights;
use virboard_nn::optimiser::{Kind, Optimiser};
use virboard_nn::path::plainly;
use virboard_nn::schedule::Setting;
use virboard_nn::seeded::weight;
use virboard_nn::testing::{Vectors, values};
use virboard_nn::trainable::{Form, Gradients, Trainable};

/// Steps of an epoch, pictures of a batch, pictures in all, and classes.
const EPOCH: usize = 5;
const BATCH: usize = 24;
const PICTURES: usize = 60;
const CLASSES: usize = 5;
/// Pixels of a view and of a small one.
const SIDE: usize = 12;
const SMALL: usize = 6;
/// Patches of a jigsaw.
const PATCHES: usize = 4;
/// Channels of the first stage, between the layers of a projection of two, and behind it.
const WIDTH: usize = 2;
const HIDDEN: usize = 32;
const OUT: usize = 64;
/// Smaller gradients are noise: what shifts the input of a batch normalisation has no effect.
const EFFECT: f32 = 1e-6;

/// A ResNet of one basic block a stage, with `width` channels in the first.
pub fn encoder(width: usize, gradients: Gradients) -> Result<Box<dyn Trainable>> {
    let form = Form { width: Some(width), blocks: Some([1, 1, 1, 1]), ..Form::of("resnet18") };
    let tensors = form.random(0)?.below("").into_iter().map(|(name, tensor)| {
        let values = Tensor::from_vec(weight(&name, tensor.dims()), tensor.shape(), &Device::Cpu)?;
        Ok((name, values))
    });
    let tensors: BTreeMap<String, Tensor> = tensors.collect::<Result<_>>()?;
    let mut weights = Weights::new(PathBuf::from("seeded weights"), String::new(), tensors);
    Ok(form.build_with(gradients, &mut weights, &Device::Cpu)?)
}

/// The views of a step; `name` is METHOD/SEED.
fn batch(name: &str, step: usize, sizes: &[(usize, usize)]) -> Batch {
    // Noise over a pattern that all views of a picture share.
    let pattern = (seeded(&format!("{name}/{step}"), &[BATCH, 1, 3, 1, 3, 1, 3]) * 2.0).expect("a pattern");
    let view = |(i, (side, count)): (usize, &(usize, usize))| {
        let noise = seeded(&format!("{name}/{step}/{i}"), &[BATCH, *count, 3, side / 3, 3, side / 3, 3]);
        let view = noise.broadcast_add(&pattern).expect("a view");
        view.reshape((BATCH * count, *side, *side, 3)).expect("pictures")
    };
    Batch {
        views: sizes.iter().enumerate().map(view).collect(),
        pictures: (0..BATCH).map(|i| (i + BATCH * step) % PICTURES).collect(),
        classes: (0..BATCH).map(|i| (i % CLASSES) as u32).collect(),
        epoch: (step / EPOCH) as u32,
        step: step as u64,
    }
}

fn begun(form: &MethodForm) -> Box<dyn Method> {
    let encoder = |gradients| encoder(WIDTH, gradients);
    let start = Start { encoder: &encoder, pictures: PICTURES, classes: CLASSES, seed: 0, device: &Device::Cpu };
    form.build(&start).expect("built")
}

/// Trains 20 steps of SGD with momentum 0.9 and weight decay 0.0001, and compares the gradients of
/// the first, and losses and weights of all; `sizes` are the pixels of each view and how often a
/// picture has it.
fn check(form: &MethodForm, sizes: &[(usize, usize)]) {
    check_as(form.key(), form.name(), form, sizes);
}

/// The same of a method under other names in the vectors and in the table.
fn check_as(name: &str, title: &str, form: &MethodForm, sizes: &[(usize, usize)]) {
    let v = vectors("pretraining.safetensors");
    let mut method = begun(form);
    let wanted: Vec<f64> = v[&format!("{name}.losses")].to_vec1().expect("f64");
    assert_eq!(wanted.len(), 20);
    let seed = v[&format!("{name}.seed")].to_vec1::<i64>().expect("i64")[0];
    let learning_rate = v["rate"].to_vec1::<f64>().expect("f64")[0];
    let setting = Setting { learning_rate, momentum: None };
    let mut optimiser = Optimiser::new(Kind::Sgd { momentum: 0.9, weight_decay: 1e-4 }, method.trainable());
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    let mut history: BTreeMap<String, Vec<Tensor>> = BTreeMap::new();
    let everywhere = plainly(|| first_step(name, form, &batch(&format!("{name}/{seed}"), 0, sizes), &v));
    for (step, wanted) in wanted.iter().enumerate() {
        let loss = method.loss(&batch(&format!("{name}/{seed}"), step, sizes)).expect("a loss");
        losses.push((f64::from(values(&loss)[0]) - wanted) / wanted);
        println!("{name}: the loss of step {step} differs by {:.1e}", losses[step]);
        let store = loss.backward().expect("gradients");
        if step == 0 {
            gradients = compare(&*method, name, &store, &v);
        }
        optimiser.step(&store, &setting).expect("stepped");
        method.stepped().expect("stepped");
        for (part, var) in method.trainable() {
            history.entry(part).or_default().push(var.as_tensor().copy().expect("copied"));
        }
    }
    let prefix = format!("{name}.weights.");
    let mut weights = Vec::new();
    for part in v.names(&prefix) {
        let steps = Tensor::stack(&history[part], 0).expect("all steps");
        weights.push(v.relative_error(&steps, &format!("{prefix}{part}")));
        println!("{name}: {part} differs by {:.1e}", weights[weights.len() - 1]);
    }
    assert_eq!(weights.len(), history.len(), "every tensor of {title} is compared");
    assert!(gradients.len() > 30, "{title} has {} gradients", gradients.len());
    row(&format!("{title}: gradients of the first step"), "PyTorch", largest(&gradients), 1e-4);
    assert_eq!(everywhere.len(), gradients.len() + 1);
    row(&format!("{title}: the first step on any device's operations"), "PyTorch", largest(&everywhere), 1e-4);
    row(&format!("{title}: losses over 20 steps"), "PyTorch", largest(&losses), 1e-4);
    row(&format!("{title}: weights over 20 steps"), "PyTorch", largest(&weights), 1e-4);
}

/// How much the gradients of the first step differ, as shares of a tensor's largest.
fn compare(method: &dyn Method, name: &str, store: &GradStore, v: &Vectors) -> Vec<f64> {
    let (trained, prefix) = (method.trainable(), format!("{name}.gradient."));
    let parts = v.names(&prefix).filter(|part| v.scale(&format!("{prefix}{part}")) > EFFECT);
    let error = |part: &str| {
        let gradient = store.get(&trained[part]).unwrap_or_else(|| panic!("{part} has a gradient"));
        let error = v.relative_error(gradient, &format!("{prefix}{part}"));
        println!("{name}: the gradient of {part} differs by {error:.1e}");
        error
    };
    parts.map(error).collect()
}

/// The same of the first loss and of its gradients.
fn first_step(name: &str, form: &MethodForm, batch: &Batch, v: &Vectors) -> Vec<f64> {
    let mut method = begun(form);
    let loss = method.loss(batch).expect("a loss");
    let wanted = v[&format!("{name}.losses")].to_vec1::<f64>().expect("f64")[0];
    let gradients = compare(&*method, name, &loss.backward().expect("gradients"), v);
    [(f64::from(values(&loss)[0]) - wanted) / wanted].into_iter().chain(gradients).collect()
}

const LINEAR: ProjectionForm = ProjectionForm::linear(OUT);
const DEEP: ProjectionForm = ProjectionForm { hidden: Some(HIDDEN), out: OUT, batch_norm: true };
const PIRL: PirlForm = PirlForm {
    out: OUT,
    patches: PATCHES,
    temperature: 0.3,
    negatives: 24,
    momentum: 0.5,
    jigsaw_weight: 0.5,
    contrast: Contrast::Nce,
};
const JIGSAWS: [(usize, usize); 2] = [(SIDE, 1), (SMALL, PATCHES)];
const MOCO: MocoForm = MocoForm { projection: LINEAR, temperature: 0.07, queue: 4 * BATCH, momentum: 0.9, groups: 2 };

#[test]
fn moco_v1_trains_as_its_authors_program() {
    check(&MethodForm::MocoV1(MOCO), &[(SIDE, 1), (SIDE, 1)]);
}

#[test]
fn moco_v2_trains_as_its_authors_program() {
    check(&MethodForm::MocoV2(MocoForm { projection: DEEP, temperature: 0.2, ..MOCO }), &[(SIDE, 1), (SIDE, 1)]);
}

#[test]
fn swav_trains_as_its_authors_program() {
    let form = SwavForm {
        projection: DEEP,
        prototypes: 10,
        temperature: 0.1,
        epsilon: 0.05,
        iterations: 3,
        assigned: 2,
        frozen_epochs: 1,
        queue: Some(QueueForm { length: 2 * BATCH, from_epoch: 1 }),
    };
    check(&MethodForm::Swav(form), &[(SIDE, 1), (SIDE, 1), (SMALL, 1), (SMALL, 1)]);
}

#[test]
fn pirl_trains_as_its_authors_program() {
    check(&MethodForm::Pirl(PIRL), &JIGSAWS);
}

#[test]
fn pirl_with_cross_entropy_trains_as_its_authors_program() {
    let form = PirlForm { contrast: Contrast::CrossEntropy, temperature: 0.1, ..PIRL };
    check_as("pirl_cross_entropy", "PIRL, cross-entropy", &MethodForm::Pirl(form), &JIGSAWS);
}

#[test]
fn simclr_trains_as_its_paper_says() {
    check(&MethodForm::SimClr(SimClrForm { projection: DEEP, temperature: 0.1 }), &[(SIDE, 1), (SIDE, 1)]);
}

#[test]
fn supervised_training_is_pytorchs() {
    check(&MethodForm::Supervised(SupervisedForm {}), &[(SIDE, 1)]);
}
