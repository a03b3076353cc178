//! Heads on vectors, several side by side, trained on the CPU with gradients in closed form:
//! two products a layer, of which the second ends in the optimiser's step, so that no gradient
//! is ever stored.

use super::loss::Loss;
use super::truth::Truth;
use super::{Aim, Member};
use crate::head::Architecture;
use crate::{Error, Result};
use candle_core::{Device, Tensor, Var};
use rayon::prelude::*;
use std::collections::BTreeMap;
use virboard_nn::cpu::{Left, Moments, Product, Rule, dots, grown, outer, read};
use virboard_nn::optimiser::{self, Kind};
use virboard_nn::schedule::Setting;

/// Bytes of inputs that heads learn from in one go.
const NEAR: usize = 4 << 20;

/// Linear heads, or heads with a hidden layer, of one shape.
pub struct Bank {
    heads: Vec<Network>,
    classes: usize,
    /// Weight of class 0 in the loss.
    first: f32,
    steps: u64,
}

/// A batch to learn from.
pub struct Lesson {
    /// `N x E`.
    pub inputs: Tensor,
    /// The class of each sample.
    pub classes: Vec<u32>,
    /// Learning rate and momentum of each head.
    pub settings: Vec<Setting>,
}

impl Lesson {
    /// A lesson of a batch's truth.
    ///
    /// # Errors
    /// [`Error::Unfit`] if the truth is not a class a sample.
    pub fn new(inputs: Tensor, truth: Truth, settings: Vec<Setting>) -> Result<Self> {
        let Truth::Classes(classes) = truth else {
            return Err(Error::Unfit("a sample has no class".to_owned()));
        };
        if inputs.dim(0)? != classes.len() {
            return Err(Error::Unfit(format!("{} samples have {} classes", inputs.dim(0)?, classes.len())));
        }
        Ok(Self { inputs, classes, settings })
    }
}

/// One head.
struct Network {
    kind: Kind,
    layers: Vec<Layer>,
    /// Kept between steps: outputs of each layer, and the gradient of the hidden one.
    hidden: Vec<f32>,
    logits: Vec<f32>,
    inner: Vec<f32>,
}

/// `O x I` weights and O biases.
struct Layer {
    name: &'static str,
    inputs: usize,
    weight: Numbers,
    bias: Numbers,
}

struct Numbers {
    values: Vec<f32>,
    moments: Moments,
}

impl Numbers {
    /// Takes the tensor `name` of a head, and what its optimiser knows of it.
    fn take(member: &Member, name: &str) -> Result<Self> {
        let values: Vec<f32> = tensor(member, name)?.flatten_all()?.to_vec1()?;
        let new = || optimiser::moments(member.optimiser.kind(), values.len());
        let moments = member.optimiser.moments(name).cloned().unwrap_or_else(new);
        Ok(Self { values, moments })
    }

    /// Gives it back.
    fn give(&self, member: &Member, name: &str, moments: &mut BTreeMap<String, Moments>) -> Result<()> {
        let var = tensor(member, name)?;
        var.set(&Tensor::from_slice(&self.values, var.dims(), var.device())?)?;
        moments.insert(name.to_owned(), self.moments.clone());
        Ok(())
    }
}

fn tensor<'a>(member: &'a Member, name: &str) -> Result<&'a Var> {
    let var = member.head.parameters().get(name);
    var.ok_or_else(|| Error::Unsupported(format!("the head has no `{name}`")))
}

impl Bank {
    /// The heads of `members`, or `None` where they must be trained by automatic
    /// differentiation: on a GPU, on maps, with their encoders, for other losses, or of different shapes.
    pub fn of(members: &[Member], aim: Aim) -> Result<Option<Self>> {
        let Loss::CrossEntropy { first } = aim.loss else { return Ok(None) };
        if members.iter().any(|m| m.encoder().is_some()) {
            return Ok(None);
        }
        let Some(one) = members.first() else { return Ok(None) };
        let layers: &[&'static str] = match one.head.spec.architecture {
            Architecture::Linear { .. } => &["linear"],
            Architecture::MultiEmbedding { .. } => &["hidden", "output"],
            _ => return Ok(None),
        };
        let alike = |m: &Member| {
            m.head.spec.architecture == one.head.spec.architecture
                && m.head.spec.outputs() == one.head.spec.outputs()
                && m.optimiser.steps() == one.optimiser.steps()
                && !m.optimiser.kind().is_adaptive()
                && m.head.trainable().iter().all(|v| matches!(v.device(), Device::Cpu))
        };
        if !members.iter().all(alike) {
            return Ok(None);
        }
        let head = |member: &Member| -> Result<Network> {
            let layer = |name: &&'static str| Layer::of(member, name);
            Ok(Network {
                kind: member.optimiser.kind(),
                layers: layers.iter().map(layer).collect::<Result<_>>()?,
                hidden: Vec::new(),
                logits: Vec::new(),
                inner: Vec::new(),
            })
        };
        Ok(Some(Self {
            heads: members.iter().map(head).collect::<Result<_>>()?,
            classes: one.head.spec.outputs(),
            first: first as f32,
            steps: one.optimiser.steps(),
        }))
    }

    /// How many batches of `n` samples are worth one call of [`Self::steps`]: their inputs stay
    /// in the shared cache.
    #[must_use]
    pub fn lessons(&self, n: usize) -> usize {
        let inputs = self.heads.first().and_then(|h| h.layers.first()).map_or(1, |l| l.inputs);
        (NEAR / (4 * inputs * n.max(1))).clamp(1, 16)
    }

    /// A step of every head on each batch in turn, along the gradient of its loss; gives the
    /// losses before each step, those of all heads a batch.
    ///
    /// Heads know nothing of each other, so that each makes all its steps in one go, while its
    /// weights are in the cache.
    pub fn steps(&mut self, batches: &[Lesson]) -> Result<Vec<Vec<f32>>> {
        for lesson in batches {
            if let Some(class) = lesson.classes.iter().find(|c| **c as usize >= self.classes) {
                return Err(Error::Unfit(format!("a sample is of class {class} of {}", self.classes)));
            }
        }
        let (steps, first) = (self.steps, self.first);
        let learn = |(i, head): (usize, &mut Network)| -> Result<Vec<f32>> {
            let lesson = |(k, lesson): (usize, &Lesson)| -> Result<f32> {
                let rule = optimiser::rule(head.kind, &lesson.settings[i], steps + 1 + k as u64);
                Ok(read(&lesson.inputs, |x| head.step(x, &lesson.classes, first, rule))?)
            };
            batches.iter().enumerate().map(lesson).collect()
        };
        let losses: Vec<Vec<f32>> = if self.heads.len() < rayon::current_num_threads() {
            self.heads.iter_mut().enumerate().map(learn).collect::<Result<_>>()?
        } else {
            self.heads.par_iter_mut().enumerate().map(learn).collect::<Result<_>>()?
        };
        self.steps += batches.len() as u64;
        Ok((0..batches.len()).map(|b| losses.iter().map(|l| l[b]).collect()).collect())
    }

    /// Gives weights and optimisers' states back to the heads.
    pub fn give(&self, members: &mut [Member]) -> Result<()> {
        for (head, member) in self.heads.iter().zip(members) {
            let mut moments = BTreeMap::new();
            for layer in &head.layers {
                layer.weight.give(member, &format!("{}.weight", layer.name), &mut moments)?;
                layer.bias.give(member, &format!("{}.bias", layer.name), &mut moments)?;
            }
            member.optimiser.follow(moments, self.steps);
        }
        Ok(())
    }
}

impl Network {
    /// One step on the batch `x`, `N x E`; gives the loss before it.
    fn step(&mut self, x: &[f32], classes: &[u32], first: f32, rule: Rule) -> f32 {
        let n = classes.len();
        let (hidden_layer, output) = match &mut self.layers[..] {
            [output] => (None, output),
            [hidden, output, ..] => (Some(hidden), output),
            [] => return 0.0,
        };
        let inputs = match &hidden_layer {
            None => x,
            Some(layer) => {
                let hidden = grown(&mut self.hidden, n * layer.outputs());
                layer.forward(x, hidden);
                for h in hidden.iter_mut() {
                    *h = h.max(0.0);
                }
                hidden
            }
        };
        let logits = grown(&mut self.logits, n * output.outputs());
        output.forward(inputs, logits);
        let loss = loss_and_gradient(logits, classes, first);
        let gradient = &*logits;
        if let Some(layer) = hidden_layer {
            let (units, outputs) = (layer.outputs(), output.outputs());
            let inner = grown(&mut self.inner, n * units);
            let left = Left { values: gradient, row: outputs, column: 1 };
            outer(left, &output.weight.values, n, outputs, units, Product::Values(inner));
            for (g, h) in inner.iter_mut().zip(inputs) {
                if *h <= 0.0 {
                    *g = 0.0;
                }
            }
            layer.step(x, inner, n, rule);
        }
        output.step(inputs, gradient, n, rule);
        loss
    }
}

impl Layer {
    fn of(member: &Member, name: &'static str) -> Result<Self> {
        let weight = Numbers::take(member, &format!("{name}.weight"))?;
        let bias = Numbers::take(member, &format!("{name}.bias"))?;
        let inputs = weight.values.len() / bias.values.len();
        Ok(Self { name, inputs, weight, bias })
    }

    fn outputs(&self) -> usize {
        self.bias.values.len()
    }

    /// `N x I` to `N x O`.
    fn forward(&self, x: &[f32], out: &mut [f32]) {
        dots(x, &self.weight.values, &self.bias.values, self.inputs, out);
    }

    /// A step along the gradient of the outputs, `N x O`, for the inputs `x`.
    fn step(&mut self, x: &[f32], gradient: &[f32], n: usize, rule: Rule) {
        let outputs = self.outputs();
        let left = Left { values: gradient, row: 1, column: outputs };
        let Numbers { values, moments } = &mut self.weight;
        outer(left, x, outputs, n, self.inputs, Product::Step(values, moments, rule));
        let mut sums = vec![0f32; outputs];
        for row in gradient.chunks_exact(outputs) {
            sums.iter_mut().zip(row).for_each(|(s, g)| *s += g);
        }
        let Numbers { values, moments } = &mut self.bias;
        rule.apply(values, &mut moments.first, &mut moments.second, &sums);
    }
}

/// The mean cross-entropy of logits, `N x classes`, which become its gradient. Class 0 weighs
/// `first`, all others 1, and the mean is the weighted one.
fn loss_and_gradient(logits: &mut [f32], classes: &[u32], first: f32) -> f32 {
    let weight = |class: u32| if class == 0 { first } else { 1.0 };
    let total: f32 = classes.iter().map(|c| weight(*c)).sum();
    let mut loss = 0.0;
    for (row, class) in logits.chunks_exact_mut(logits.len() / classes.len()).zip(classes) {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let right = row[*class as usize] - most;
        let mut sum = 0.0;
        for l in row.iter_mut() {
            *l = (*l - most).exp();
            sum += *l;
        }
        loss += weight(*class) * (sum.ln() - right);
        let share = weight(*class) / total;
        for l in row.iter_mut() {
            *l *= share / sum;
        }
        row[*class as usize] -= share;
    }
    loss / total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::{Head, HeadSpec, Label};
    use crate::score::metric::Scoring;
    use crate::train::{Configuration, Selection};
    use virboard_core::catalogue::task::{Metric, OutputKind};
    use virboard_core::protocol::Protocol;
    use virboard_nn::schedule::Schedule;
    use virboard_nn::testing::{Random, assert_within};

    const INPUT: usize = 37;
    const CLASSES: usize = 5;

    fn members(architecture: &Architecture) -> Vec<Member> {
        let kinds = [(Kind::Adam, 1e-3), (Kind::Sgd { momentum: 0.9, weight_decay: 0.0 }, 1e-2), (Kind::Adam, 3e-2)];
        let labels = (0..CLASSES).map(|i| Label { name: i.to_string(), colour: String::new() }).collect::<Vec<_>>();
        let member = |(seed, (optimiser, learning_rate)): (usize, (Kind, f64))| {
            let spec = HeadSpec {
                task: "Any".to_owned(),
                encoder: "Any".to_owned(),
                encoder_sha256: String::new(),
                kind: OutputKind::Classification,
                architecture: architecture.clone(),
                labels: labels.clone(),
                unit: String::new(),
                scale: 1.0,
                seed: seed as u64,
                images: 1,
                channels: None,
                reference: None,
            };
            let configuration = Configuration {
                name: seed.to_string(),
                epochs: 1,
                batch_size: 8,
                test_batch_size: 8,
                optimiser,
                learning_rate,
                schedule: Schedule::Constant,
                standardise: false,
                repeats: 1,
                protocol: Protocol::Standard,
                selection: Selection::LastEpoch,
                seed: seed as u64,
                views: None,
                precision: virboard_nn::encoder::Precision::F32,
                fine_tuning: None,
            };
            Member::new(configuration, Head::new(spec, &Device::Cpu).expect("a head"))
        };
        kinds.into_iter().enumerate().map(member).collect()
    }

    #[test]
    fn closed_form_equals_automatic_differentiation() {
        for (architecture, first) in [
            (Architecture::Linear { input: INPUT }, 1.0),
            (Architecture::Linear { input: INPUT }, 0.1),
            (Architecture::MultiEmbedding { input: INPUT, hidden: 33 }, 1.0),
        ] {
            let aim = Aim {
                loss: Loss::CrossEntropy { first },
                scoring: Scoring { metric: Metric::Top1, skip_zero: false, void_zero: false },
                drop_last: false,
            };
            let (mut ours, mut wanted) = (members(&architecture), members(&architecture));
            let mut bank = Bank::of(&ours, aim).expect("heads").expect("heads on vectors");
            let random = Random::new("lessons");
            for step in 0..20 {
                let x = random.normal(1.0, (11, INPUT));
                let truth = Truth::Classes((0..11).map(|i| ((i * i + step) % CLASSES) as u32).collect());
                let setting = |m: &Member| Setting { learning_rate: m.configuration.learning_rate, momentum: None };
                let settings: Vec<Setting> = ours.iter().map(setting).collect();
                let lesson = Lesson::new(x.clone(), truth, settings.clone()).expect("a lesson");
                let losses = bank.steps(std::slice::from_ref(&lesson)).expect("stepped").swap_remove(0);
                let truth = Truth::Classes(lesson.classes);
                for (member, (loss, setting)) in wanted.iter_mut().zip(losses.into_iter().zip(&settings)) {
                    let out = member.head.run(std::slice::from_ref(&x), (1, 1), true).expect("outputs");
                    let wanted = aim.loss.of(&out, &truth, 1.0).expect("a loss");
                    member.optimiser.step(&wanted.backward().expect("gradients"), setting).expect("stepped");
                    let wanted = wanted.to_scalar::<f32>().expect("a number");
                    assert_within(format!("step {step}"), &[loss], &[wanted], 1e-5 * f64::from(wanted.max(1.0)));
                }
            }
            bank.give(&mut ours).expect("given back");
            for (ours, wanted) in ours.iter().zip(&wanted) {
                let all = |m: &Member| -> Vec<(String, Vec<f32>)> {
                    let state = m.optimiser.state().expect("a state");
                    let weights = m.head.parameters().all().map(|(n, v)| (n.clone(), v.as_tensor().clone()));
                    let flat =
                        |(n, t): (String, Tensor)| (n, t.flatten_all().and_then(|t| t.to_vec1()).expect("values"));
                    weights.chain(state).map(flat).collect()
                };
                let (ours, wanted) = (all(ours), all(wanted));
                assert_eq!(ours.len(), wanted.len());
                for ((name, ours), (as_named, wanted)) in ours.iter().zip(&wanted) {
                    assert_eq!(name, as_named);
                    assert_within(format!("{architecture:?} {name}"), ours, wanted, 2e-5);
                }
            }
        }
    }
}
