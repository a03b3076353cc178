//! Whose operations compute a layer in training, and how exactly.

use crate::Result;
use candle_core::{DType, Device, Tensor};
use std::cell::Cell;
use std::thread::LocalKey;

/// Whose operations compute a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// This program's own, on the CPU.
    Own,
    /// NVIDIA's cuDNN where it has what is asked for, else candle's.
    Cudnn,
    /// candle's, which every device has.
    Plain,
}

thread_local! {
    static PLAINLY: Cell<bool> = const { Cell::new(false) };
    static ROUNDING: Cell<bool> = const { Cell::new(false) };
}

impl Path {
    /// The path of what takes `x`.
    #[must_use]
    pub fn of(x: &Tensor) -> Self {
        if PLAINLY.get() {
            return Self::Plain;
        }
        match x.device() {
            Device::Cpu if x.dtype() == DType::F32 => Self::Own,
            Device::Cuda(_) if cfg!(feature = "cudnn") && matches!(x.dtype(), DType::F32 | DType::BF16) => Self::Cudnn,
            _ => Self::Plain,
        }
    }
}

/// Does `work` with the operations that every device has, also where there are faster ones, so that
/// both can be compared. It counts for layers on this thread.
pub fn plainly<T>(work: impl FnOnce() -> T) -> T {
    with(&PLAINLY, true, work)
}

/// Does `work`, the forward pass of a network in training, in bfloat16 if `short`, as PyTorch's autocast: the
/// factors of convolutions and linear layers and their results are rounded, and so are the gradients behind
/// them; sums, normalisations, losses and the tensors that are trained stay in `f32`. On the CPU that takes
/// longer than `f32`. It counts for layers on this thread.
pub fn in_bf16<T>(short: bool, work: impl FnOnce() -> T) -> T {
    with(&ROUNDING, short, work)
}

/// Does `work` while `switch` is `on` for this thread.
fn with<T>(switch: &'static LocalKey<Cell<bool>>, on: bool, work: impl FnOnce() -> T) -> T {
    /// Sets back what was, also after a panic.
    struct Before(&'static LocalKey<Cell<bool>>, bool);
    impl Drop for Before {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let _before = Before(switch, switch.replace(on));
    work()
}

/// Whether factors are rounded.
pub(crate) fn is_rounding() -> bool {
    ROUNDING.get()
}

/// Does `product` with its factors and its result rounded, if they are to be. The CPU's loops are for `f32`:
/// there rounded numbers are kept in it.
pub(crate) fn rounded(
    [x, weight]: [&Tensor; 2],
    product: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    if !is_rounding() {
        return product(x, weight);
    }
    let factor = |t: &Tensor| -> Result<Tensor> {
        let t = t.to_dtype(DType::BF16)?;
        Ok(if t.device().is_cpu() { t.to_dtype(DType::F32)? } else { t })
    };
    Ok(product(&factor(x)?, &factor(weight)?)?.to_dtype(DType::BF16)?.to_dtype(DType::F32)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, relative_error, values};

    #[test]
    fn the_path_is_set_back_whatever_happens() {
        let x = Tensor::zeros(3, DType::F32, &Device::Cpu).expect("a tensor");
        assert_eq!(Path::of(&x), Path::Own);
        let within = plainly(|| {
            plainly(|| ());
            Path::of(&x)
        });
        assert_eq!(within, Path::Plain);
        assert!(std::panic::catch_unwind(|| plainly(|| panic!("within"))).is_err());
        assert_eq!(Path::of(&x), Path::Own);
        let half = x.to_dtype(DType::BF16).expect("a tensor");
        assert_eq!(Path::of(&half), Path::Plain, "the CPU's own loops are for f32");
    }

    #[test]
    fn rounded_products_have_eight_bits() {
        let random = Random::new("rounding");
        let (x, weight) = (random.normal(1.0, (17, 64)), random.normal(1.0, (64, 9)));
        let product = || rounded([&x, &weight], |x, w| Ok(x.matmul(w)?)).expect("computed");
        let (full, short) = (product(), in_bf16(true, product));
        assert_eq!(short.dtype(), DType::F32);
        let again = short.to_dtype(DType::BF16).and_then(|t| t.to_dtype(DType::F32)).expect("rounded");
        assert_eq!(values(&again), values(&short), "the result is rounded");
        let error = relative_error("products", &values(&short), &values(&full));
        assert!((1e-4..2e-2).contains(&error), "{error}");
        assert!(!is_rounding());
    }
}
