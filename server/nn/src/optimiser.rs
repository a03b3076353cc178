//! Adam, `AdamW`, SGD and LARS as PyTorch and the authors compute them, over groups of tensors,
//! with a state that can be saved and taken up again.

mod clip;
mod follow;
mod fused;
mod groups;
mod kind;
mod plain;

pub use clip::clip_norm;
pub use follow::follow;
pub use groups::Group;
pub use kind::{Kind, moments, rule};

use crate::cpu::Moments;
use crate::path::Path;
use crate::schedule::Setting;
use crate::{Error, Result};
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use plain::Held;
use std::collections::BTreeMap;

/// An optimiser over named tensors.
#[derive(Debug)]
pub struct Optimiser {
    kind: Kind,
    vars: BTreeMap<String, Var>,
    /// How tensors are treated that are not treated by default.
    groups: BTreeMap<String, Group>,
    /// What is remembered of tensors that the CPU's own loops do not step.
    held: BTreeMap<String, Held>,
    /// What is remembered of those that they step.
    moments: BTreeMap<String, Moments>,
    /// Steps in which a tensor had no gradient: as PyTorch's, its own begin with its first one.
    missed: BTreeMap<String, u64>,
    steps: u64,
}

impl Optimiser {
    /// An optimiser that has made no step and treats all tensors alike.
    #[must_use]
    pub fn new(kind: Kind, vars: BTreeMap<String, Var>) -> Self {
        let (groups, held) = (BTreeMap::new(), BTreeMap::new());
        Self { kind, vars, groups, held, moments: BTreeMap::new(), missed: BTreeMap::new(), steps: 0 }
    }

    /// The same that treats each tensor as `group` says of its name and values.
    #[must_use]
    pub fn grouped(self, group: impl Fn(&str, &Tensor) -> Group) -> Self {
        let groups = self.vars.iter().map(|(name, var)| (name.clone(), group(name, var))).collect();
        Self { groups, ..self }
    }

    /// One step along `gradients`. Tensors without a gradient stay.
    pub fn step(&mut self, gradients: &GradStore, setting: &Setting) -> Result<()> {
        self.steps += 1;
        for (name, var) in &self.vars {
            // Detached: a gradient knows the activations that it came from, and the moments would
            // keep those of every step alive.
            let Some(gradient) = gradients.get(var).map(Tensor::detach) else {
                *self.missed.entry(name.clone()).or_default() += 1;
                continue;
            };
            let group = self.groups.get(name).copied().unwrap_or_default();
            let step = self.steps - self.missed.get(name).copied().unwrap_or_default();
            let factor = self.kind.norm_factor(group);
            let measured = self.kind.is_adaptive() && group.adapted;
            if Path::of(var) == Path::Own {
                let norms = measured.then(|| fused::norms(var, &gradient, factor)).transpose()?;
                let rule = self.kind.update(setting, step, group, norms).into();
                let new = || moments(self.kind, var.elem_count());
                let moments = self.moments.entry(name.clone()).or_insert_with(new);
                fused::step(var, moments, &gradient, rule)?;
            } else {
                let norms = measured.then(|| plain::norms(var, &gradient, factor)).transpose()?;
                let update = self.kind.update(setting, step, group, norms);
                plain::step(var, self.held.entry(name.clone()).or_default(), &gradient, update)?;
            }
        }
        Ok(())
    }

    /// Steps made so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Everything that the next step depends on, beside the tensors themselves: `first.NAME` and
    /// `second.NAME` in the shape of the tensor, and `missed.NAME`, a number, where a tensor had
    /// no gradient in all steps.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = BTreeMap::new();
        for (name, held) in &self.held {
            for (part, tensor) in [("first", &held.first), ("second", &held.second)] {
                state.extend(tensor.iter().map(|t| (format!("{part}.{name}"), t.clone())));
            }
        }
        for (name, moments) in &self.moments {
            for (part, values) in [("first", &moments.first), ("second", &moments.second)] {
                if let (Some(var), false) = (self.vars.get(name), values.is_empty()) {
                    state.insert(format!("{part}.{name}"), Tensor::from_slice(values, var.dims(), var.device())?);
                }
            }
        }
        for (name, missed) in &self.missed {
            state.insert(format!("missed.{name}"), Tensor::new(*missed as i64, &Device::Cpu)?);
        }
        Ok(state)
    }

    /// The moments of a tensor on the CPU.
    pub fn moments(&self, name: &str) -> Option<&Moments> {
        self.moments.get(name)
    }

    /// Takes over what made `steps` steps elsewhere.
    pub fn follow(&mut self, moments: BTreeMap<String, Moments>, steps: u64) {
        self.moments = moments;
        self.steps = steps;
    }

    /// Which optimiser it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Takes up a state of [`Self::state`] after `steps` steps, in place of its own.
    ///
    /// # Errors
    /// [`Error::OptimiserState`] for what belongs to other tensors or another optimiser.
    pub fn restore(&mut self, state: BTreeMap<String, Tensor>, steps: u64) -> Result<()> {
        let (mut held, mut missed) = (BTreeMap::<String, Held>::new(), BTreeMap::new());
        for (key, tensor) in state {
            let wrong = |reason: &'static str| Error::OptimiserState { name: key.clone(), reason };
            let (part, name) = key.split_once('.').ok_or_else(|| wrong("is no state of an optimiser"))?;
            let var = self.vars.get(name).ok_or_else(|| wrong("is of a tensor that is not trained here"))?;
            if part == "missed" {
                missed.insert(name.to_owned(), tensor.to_scalar::<i64>()?.unsigned_abs());
                continue;
            }
            if var.dims() != tensor.dims() {
                return Err(wrong("has another shape than the tensor"));
            }
            let held = held.entry(name.to_owned()).or_default();
            match part {
                "first" => held.first = Some(tensor),
                "second" => held.second = Some(tensor),
                _ => return Err(wrong("is no state of an optimiser")),
            }
        }
        self.held.clear();
        self.moments.clear();
        for (name, held) in held {
            let Held { first: Some(first), second } = held else {
                return Err(Error::OptimiserState { name, reason: "lacks its first moment" });
            };
            if second.is_some() != self.kind.has_second() {
                return Err(Error::OptimiserState { name, reason: "has the moments of another kind of optimiser" });
            }
            // Looked up above.
            let Some(var) = self.vars.get(&name) else { continue };
            if Path::of(var) == Path::Own {
                let values = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
                let second = second.as_ref().map(values).transpose()?.unwrap_or_default();
                self.moments.insert(name, Moments { first: values(&first)?, second });
            } else {
                let first = Some(first.to_device(var.device())?);
                let second = second.map(|t| t.to_device(var.device())).transpose()?;
                self.held.insert(name, Held { first, second });
            }
        }
        (self.missed, self.steps) = (missed, steps);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, assert_near, values};

    const KINDS: [Kind; 6] = [
        Kind::Adam,
        Kind::AdamW { weight_decay: 0.05 },
        Kind::Sgd { momentum: 0.9, weight_decay: 0.0 },
        Kind::Sgd { momentum: 0.0, weight_decay: 1e-2 },
        Kind::Lars { momentum: 0.9, weight_decay: 1e-2, trust: 0.001 },
        Kind::Larc { momentum: 0.9, weight_decay: 1e-2, trust: 0.001 },
    ];

    fn setting(step: u64) -> Setting {
        Setting { learning_rate: 0.1 / (1.0 + step as f64), momentum: None }
    }

    /// The gradients of `sum(x^3 + sin x)`, which differ from step to step; of `late` from step 3.
    fn gradients(vars: &BTreeMap<String, Var>, step: u64) -> GradStore {
        let losses = vars.iter().filter(|(name, _)| name.as_str() != "late" || step >= 3).map(|(_, x)| {
            let x = x.as_tensor();
            (x.sqr().expect("squared") + x.sin().expect("a sine")).and_then(|y| y.sum_all()).expect("a number")
        });
        let loss = losses.reduce(|a, b| (a + b).expect("a sum")).expect("a loss");
        loss.backward().expect("gradients")
    }

    fn vars() -> BTreeMap<String, Var> {
        let random = Random::new("optimiser");
        let var = |dims: &[usize]| Var::from_tensor(&random.normal(0.5, dims)).expect("a variable");
        [("late", &[7][..]), ("matrix", &[130, 300]), ("vector", &[33])]
            .into_iter()
            .map(|(name, dims)| (name.to_owned(), var(dims)))
            .collect()
    }

    fn group(name: &str, values: &Tensor) -> Group {
        Group::by_dimensions(values.dims()).at_rate(if name == "vector" { 0.5 } else { 1.0 })
    }

    #[test]
    fn one_pass_steps_as_tensor_operations_do() {
        for kind in KINDS {
            let (ours, plain) = (vars(), vars());
            let mut optimiser = Optimiser::new(kind, ours.clone()).grouped(group);
            let mut held = BTreeMap::<&String, Held>::new();
            let mut made = BTreeMap::<&String, u64>::new();
            for step in 0..12 {
                optimiser.step(&gradients(&ours, step), &setting(step)).expect("stepped");
                let gradients = gradients(&plain, step);
                for (name, var) in &plain {
                    let Some(gradient) = gradients.get(var).map(Tensor::detach) else { continue };
                    let group = group(name, var);
                    let norms = plain::norms(var, &gradient, kind.norm_factor(group)).expect("lengths");
                    let count = made.entry(name).or_default();
                    *count += 1;
                    let norms = (kind.is_adaptive() && group.adapted).then_some(norms);
                    let update = kind.update(&setting(step), *count, group, norms);
                    plain::step(var, held.entry(name).or_default(), &gradient, update).expect("stepped");
                }
            }
            for (name, var) in &ours {
                assert_near(format!("{kind:?} {name}"), &values(var), &values(&plain[name]), 1e-5);
            }
        }
    }

    #[test]
    fn a_state_that_is_taken_up_goes_on_to_the_same_bits() {
        for kind in KINDS {
            let whole = vars();
            let mut optimiser = Optimiser::new(kind, whole.clone()).grouped(group);
            let mut kept = None;
            for step in 0..10 {
                optimiser.step(&gradients(&whole, step), &setting(step)).expect("stepped");
                if step == 5 {
                    let values: BTreeMap<_, _> =
                        whole.iter().map(|(name, var)| (name, var.as_tensor().copy().expect("a copy"))).collect();
                    kept = Some((values, optimiser.state().expect("a state"), optimiser.steps()));
                }
            }
            let (begun, state, steps) = kept.expect("a state in the middle");
            assert!(state.contains_key("missed.late") && state.contains_key("first.matrix"), "{kind:?}");
            let resumed = vars();
            for (name, value) in begun {
                resumed[name].set(&value).expect("set");
            }
            let mut optimiser = Optimiser::new(kind, resumed.clone()).grouped(group);
            optimiser.restore(state, steps).expect("restored");
            for step in 6..10 {
                optimiser.step(&gradients(&resumed, step), &setting(step)).expect("stepped");
            }
            for (name, var) in &whole {
                assert_eq!(values(var), values(&resumed[name]), "{kind:?} {name}");
            }
        }
    }

    #[test]
    fn a_state_of_something_else_is_refused() {
        let mut adam = Optimiser::new(Kind::Adam, vars());
        let mut refused = |name: &str, dims: &[usize]| {
            let tensor = Random::new("state").normal(1.0, dims);
            let state = BTreeMap::from([(name.to_owned(), tensor)]);
            adam.restore(state, 1).expect_err("refused").to_string()
        };
        assert!(refused("first.head", &[33]).contains("`first.head` is of a tensor that is not trained"));
        assert!(refused("first.vector", &[3]).contains("another shape"));
        assert!(refused("third.vector", &[33]).contains("no state"));
        assert!(refused("second.vector", &[33]).contains("lacks its first"));
        assert!(refused("first.vector", &[33]).contains("another kind"));
    }

    #[test]
    fn threads_do_not_change_a_step() {
        let stepped = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(|| {
                let vars = vars();
                let mut optimiser = Optimiser::new(KINDS[4], vars.clone());
                for step in 0..4 {
                    let mut gradients = gradients(&vars, step);
                    assert!(clip_norm(&mut gradients, &vars, 1.0).expect("a length") > 1.0, "it is clipped");
                    optimiser.step(&gradients, &setting(step)).expect("stepped");
                }
                vars.values().flat_map(|v| values(v)).collect::<Vec<f32>>()
            })
        };
        assert_eq!(stepped(1), stepped(3));
    }
}
