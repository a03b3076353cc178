//! Whether a device computes what the CPU does: every architecture's maps and embedding, and the
//! losses, gradients and weights after some steps of every head, of every kind of network that is
//! trained whole and of every method of pre-training. For machines that have a device that nobody
//! tried before: see docs/gpu.md.

mod architectures;
mod heads;
mod steps;
mod training;

pub use architectures::{architectures, with_weights};
pub use heads::heads;
pub use training::training;

use crate::Result;
use candle_core::{Device, Tensor};
use serde::Serialize;
use virboard_nn::encoder::Precision;
use virboard_nn::guard::relative_error;
use virboard_nn::speed;

/// How a device computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Of encoders.
    pub precision: Precision,
    /// Whether products of `f32` may be rounded to TF32's 10 bits, on a GPU.
    pub tf32: bool,
}

impl Setting {
    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        if self.tf32 { "tf32" } else { self.precision.name() }
    }

    /// All settings of a device.
    #[must_use]
    pub fn of(device: &Device) -> Vec<Self> {
        let plain = speed::precisions(device).into_iter().map(|precision| Self { precision, tf32: false });
        let tf32 = (!device.is_cpu()).then_some(Self { precision: Precision::F32, tf32: true });
        plain.chain(tf32).collect()
    }

    /// Computes something so. The switch of TF32 is the process's.
    pub fn run<T>(self, work: impl FnOnce() -> T) -> T {
        /// Sets it back, also after a panic.
        struct Off;
        impl Drop for Off {
            fn drop(&mut self) {
                candle_core::cuda::set_gemm_reduced_precision_f32(false);
            }
        }
        let _off = Off;
        candle_core::cuda::set_gemm_reduced_precision_f32(self.tf32);
        work()
    }

    /// The same; where a library panics, that is an error of this work alone.
    ///
    /// # Errors
    /// What the work says, or what the panic said.
    pub fn tried<T>(self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.run(work)));
        attempt.unwrap_or_else(|panic| {
            let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            let said = format!("a library panicked: {}", said.unwrap_or("the log has its words"));
            Err(candle_core::Error::Msg(said).into())
        })
    }

    /// The largest error that passes, as a share of a tensor's largest value. Eight bits
    /// (bfloat16) round by 0.4 %, which adds up over 50 to 150 layers; eleven (half precision
    /// and TF32) by 0.05 %.
    const fn bound(self) -> f64 {
        match (self.precision, self.tf32) {
            (Precision::F32, false) => 1e-3,
            (Precision::F32, true) => 2e-2,
            (Precision::F16, _) => 3e-2,
            (Precision::Bf16, _) => 2e-1,
        }
    }
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What was computed.
    pub what: String,
    /// [`Setting::name`].
    pub setting: &'static str,
    /// The largest error, as a share of the largest value; none where it failed.
    pub error: Option<f64>,
    /// The largest that passes.
    pub bound: f64,
    /// Tensors that were compared.
    pub compared: usize,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

impl Row {
    /// Whether it computed, compared something, and came near enough.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failure.is_none() && self.compared > 0 && self.error.is_some_and(|e| e <= self.bound)
    }

    /// The row of an attempt; `attempt` gives tensors and what they should be.
    fn of(what: String, setting: Setting, bound: f64, attempt: impl FnOnce() -> Result<Vec<Pair>>) -> Self {
        let row = Self { what, setting: setting.name(), error: None, bound, compared: 0, failure: None };
        let pairs = match setting.tried(attempt) {
            Ok(pairs) => pairs,
            Err(error) => return Self { failure: Some(error.to_string()), ..row },
        };
        let mut worst = 0f64;
        for (name, got, wanted) in &pairs {
            let Some(error) = relative_error(got, wanted) else {
                return Self { failure: Some(format!("{name} is not finite, or of another size")), ..row };
            };
            worst = worst.max(error);
        }
        Self { error: Some(worst), compared: pairs.len(), ..row }
    }
}

/// A tensor's name, its values, and what they should be.
type Pair = (String, Vec<f32>, Vec<f32>);

/// The values of a tensor of any device.
fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.to_device(&Device::Cpu)?.flatten_all()?.to_vec1()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn a_row_passes_only_if_something_was_compared_and_is_near() {
        let setting = Setting { precision: Precision::F32, tf32: false };
        let row = |attempt: Result<Vec<Pair>>| Row::of("x".to_owned(), setting, 0.1, || attempt);
        let pair = |got: f32| vec![("t".to_owned(), vec![1.0, got], vec![1.0, 2.0])];
        assert!(row(Ok(pair(2.1))).passed());
        for bad in [Ok(pair(2.5)), Ok(pair(f32::NAN)), Ok(Vec::new()), Err(Error::Cancelled)] {
            assert!(!row(bad).passed());
        }
        let panicked = Row::of("x".to_owned(), setting, 0.1, || panic!("no library"));
        assert!(panicked.failure.is_some_and(|f| f.contains("panicked")));
    }

    #[test]
    fn heads_agree_with_themselves_on_the_cpu() {
        let rows = heads(&Device::Cpu);
        assert_eq!(rows.len(), 2 * 3 * 7, "two optimisers, three comparisons, seven heads");
        for row in rows {
            assert!(row.passed() && row.error == Some(0.0), "{row:?}");
        }
    }
}
