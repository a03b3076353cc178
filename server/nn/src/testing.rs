//! What tests and benchmarks share: tensors of seeded random numbers, and comparisons that
//! nothing slips through: a difference in length, a number that is none, or nothing to compare
//! all fail.

use crate::seeded::Stream;
use candle_core::{Device, Shape, Tensor};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;

/// Tensors of random numbers, the same ones in the same order in every run.
#[derive(Debug)]
pub struct Random(RefCell<Stream>);

impl Random {
    /// The tensors that `name` stands for.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(RefCell::new(Stream::new(0, name)))
    }

    /// Normally distributed around 0.
    pub fn normal(&self, deviation: f32, shape: impl Into<Shape>) -> Tensor {
        self.tensor(shape, |stream| stream.normal() as f32 * deviation)
    }

    /// Uniform in [-2, 2): what the scripts that make vectors in Python take as inputs.
    pub fn uniform(&self, shape: impl Into<Shape>) -> Tensor {
        self.tensor(shape, |stream| (stream.uniform() * 4.0 - 2.0) as f32)
    }

    fn tensor(&self, shape: impl Into<Shape>, mut number: impl FnMut(&mut Stream) -> f32) -> Tensor {
        let (shape, mut stream) = (shape.into(), self.0.borrow_mut());
        let numbers: Vec<f32> = (0..shape.elem_count()).map(|_| number(&mut stream)).collect();
        Tensor::from_vec(numbers, shape, &Device::Cpu).expect("as many numbers as the shape has")
    }
}

/// The `f32` values of a tensor in row order.
#[must_use]
pub fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().and_then(|t| t.to_vec1()).expect("a tensor of f32")
}

/// Where two rows of numbers differ most.
#[derive(Debug)]
struct Worst {
    at: usize,
    ours: f64,
    wanted: f64,
}

impl Worst {
    fn difference(&self) -> f64 {
        (self.ours - self.wanted).abs()
    }
}

#[track_caller]
fn worst<A, B>(what: &impl Display, ours: &[A], wanted: &[B]) -> Worst
where
    A: Copy + Into<f64>,
    B: Copy + Into<f64>,
{
    assert_eq!(ours.len(), wanted.len(), "{what}: as many numbers as wanted");
    assert!(!wanted.is_empty(), "{what}: there is nothing to compare");
    let mut worst = Worst { at: 0, ours: 0.0, wanted: 0.0 };
    for (at, (ours, wanted)) in ours.iter().zip(wanted).enumerate() {
        let here = Worst { at, ours: (*ours).into(), wanted: (*wanted).into() };
        assert!(here.ours.is_finite(), "{what}: number {at} is {}, wanted {}", here.ours, here.wanted);
        assert!(here.wanted.is_finite(), "{what}: the wanted number {at} is {}", here.wanted);
        if at == 0 || here.difference() > worst.difference() {
            worst = here;
        }
    }
    worst
}

/// The largest absolute value of finite numbers.
#[track_caller]
fn largest<A: Copy + Into<f64>>(what: &impl Display, numbers: &[A]) -> f64 {
    let largest = numbers.iter().map(|v| (*v).into().abs()).reduce(f64::max).unwrap_or(0.0);
    assert!(largest > 0.0, "{what}: all wanted numbers are 0, so that nothing says how near is near");
    largest
}

/// The largest difference between two rows of numbers.
///
/// # Panics
/// If they are not equally many, there are none, or one of them is not finite.
#[track_caller]
pub fn difference<A, B>(what: impl Display, ours: &[A], wanted: &[B]) -> f64
where
    A: Copy + Into<f64>,
    B: Copy + Into<f64>,
{
    worst(&what, ours, wanted).difference()
}

/// The largest difference as a share of the largest wanted number.
///
/// # Panics
/// As [`difference`], and if all that is wanted is 0.
#[track_caller]
pub fn relative_error<A, B>(what: impl Display, ours: &[A], wanted: &[B]) -> f64
where
    A: Copy + Into<f64>,
    B: Copy + Into<f64>,
{
    worst(&what, ours, wanted).difference() / largest(&what, wanted)
}

/// Asserts that no number differs by `bound` times the largest wanted one, or more.
///
/// # Panics
/// If one does, and as [`relative_error`].
#[track_caller]
pub fn assert_near<A, B>(what: impl Display, ours: &[A], wanted: &[B], bound: f64)
where
    A: Copy + Into<f64>,
    B: Copy + Into<f64>,
{
    let (worst, scale) = (worst(&what, ours, wanted), largest(&what, wanted));
    assert!(
        worst.difference() < bound * scale,
        "{what}: number {} of {} is {}, wanted {}: {:.1e} of the largest, {scale}; allowed are {bound:.1e}",
        worst.at,
        ours.len(),
        worst.ours,
        worst.wanted,
        worst.difference() / scale
    );
}

/// Asserts that no number differs by `bound` or more.
///
/// # Panics
/// If one does, and as [`difference`].
#[track_caller]
pub fn assert_within<A, B>(what: impl Display, ours: &[A], wanted: &[B], bound: f64)
where
    A: Copy + Into<f64>,
    B: Copy + Into<f64>,
{
    let worst = worst(&what, ours, wanted);
    assert!(
        worst.difference() < bound,
        "{what}: number {} of {} is {}, wanted {}: {:.1e} apart; allowed are {bound:.1e}",
        worst.at,
        ours.len(),
        worst.ours,
        worst.wanted,
        worst.difference()
    );
}

/// Tensors of another program, of which a file has some numbers: `NAME` are values at places
/// with equal steps between them, `NAME.shape` the whole tensor's shape and `NAME.scale` its
/// largest absolute value.
#[derive(Debug)]
pub struct Vectors(HashMap<String, Tensor>);

impl Vectors {
    /// Reads a safetensors file.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        let read = candle_core::safetensors::load(path, &Device::Cpu);
        Self(read.unwrap_or_else(|e| panic!("the vectors {} are in the repository: {e}", path.display())))
    }

    /// A tensor of the file, if it has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.get(name)
    }

    /// The names that begin with `prefix`, without it, of the tensors with a shape.
    pub fn names<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let begins = move |name: &'a String| name.strip_prefix(prefix)?.strip_suffix(".shape");
        self.0.keys().filter_map(begins)
    }

    /// The largest absolute value of the tensor `name`.
    ///
    /// # Panics
    /// If the file does not say it.
    #[must_use]
    pub fn scale(&self, name: &str) -> f32 {
        values(&self[&format!("{name}.scale")])[0]
    }

    /// The largest error of `got` at the places that the file has, as a share of the largest
    /// absolute value of the whole tensor.
    ///
    /// # Panics
    /// If the file has no such tensor, the shapes differ, or a number is not finite.
    #[track_caller]
    #[must_use]
    pub fn relative_error(&self, got: &Tensor, name: &str) -> f64 {
        let shape: Vec<i64> = self[&format!("{name}.shape")].to_vec1().expect("a shape");
        assert_eq!(got.dims().iter().map(|d| *d as i64).collect::<Vec<_>>(), shape, "the shape of {name}");
        let (wanted, scale) = (values(&self[name]), self.scale(name));
        assert!(scale > 0.0 && scale.is_finite(), "{name} has the scale {scale}");
        difference(name, &self.places(got, name), &wanted) / f64::from(scale)
    }

    /// The values of `got` at the places that the file has of the tensor `name`.
    ///
    /// # Panics
    /// If the file has no such tensor.
    #[must_use]
    pub fn places(&self, got: &Tensor, name: &str) -> Vec<f32> {
        let (got, places) = (values(got), self[name].elem_count());
        let step = (got.len() - 1) as f64 / (places.max(2) - 1) as f64;
        (0..places).map(|i| got[(i as f64 * step) as usize]).collect()
    }

    /// Asserts that the error of `got` is below `bound`, and prints it.
    ///
    /// # Panics
    /// If it is not, and as [`Self::relative_error`].
    #[track_caller]
    pub fn assert_near(&self, got: &Tensor, name: &str, bound: f64) {
        let error = self.relative_error(got, name);
        println!("{name:28} relative error {error:.1e}");
        assert!(error < bound, "{name} has a relative error of {error:.1e}; allowed are {bound:.1e}");
    }
}

impl std::ops::Index<&str> for Vectors {
    type Output = Tensor;

    fn index(&self, name: &str) -> &Tensor {
        self.0.get(name).unwrap_or_else(|| panic!("the vectors have no {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panics(run: impl FnOnce() + std::panic::UnwindSafe) -> String {
        let panic = std::panic::catch_unwind(run).expect_err("it does not pass");
        panic.downcast_ref::<String>().cloned().expect("a sentence")
    }

    #[test]
    fn nothing_passes_that_was_not_compared() {
        let near = |ours: &'static [f32], wanted: &'static [f32]| move || assert_near("these", ours, wanted, 0.1);
        assert!(panics(near(&[], &[])).contains("nothing to compare"));
        assert!(panics(near(&[1.0], &[1.0, 1.0])).contains("as many numbers"));
        assert!(panics(near(&[1.0, f32::NAN], &[1.0, 2.0])).contains("number 1 is NaN"));
        assert!(panics(near(&[1.0, 2.0], &[1.0, f32::INFINITY])).contains("wanted number 1"));
        assert!(panics(near(&[0.0], &[0.0])).contains("nothing says how near"));
        assert!(panics(near(&[10.0, 2.0], &[10.0, 3.1])).contains("number 1 of 2 is 2"));
        near(&[10.0, 2.0], &[10.0, 2.9])();
        assert_within("these", &[0f64], &[0f64], 1e-9);
    }

    #[test]
    fn random_tensors_repeat() {
        let both = || {
            let random = Random::new("repeat");
            [random.normal(2.0, (3, 4)), random.uniform(5)].map(|t| values(&t))
        };
        assert_eq!(both(), both());
        assert!(both()[1].iter().all(|v| (-2.0..2.0).contains(v)));
    }
}
