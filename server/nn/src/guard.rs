//! What stands between a network on a GPU and its callers: its first use is compared with the
//! CPU's, and a batch that is too large for its memory is halved.

use crate::device::{self, Problem};
use crate::encoder::{Description, Encoder, Features, Precision};
use crate::seeded::Stream;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

/// A network, and what computes it.
pub struct Placed {
    /// The network.
    pub network: Box<dyn Encoder>,
    /// How exactly it computes.
    pub precision: Precision,
    /// Where: [`device::name`] of the device, or of the CPU where the device failed its check.
    pub device: String,
}

/// How far a network's first outputs may be from the CPU's in `f32`, as a share of a tensor's
/// largest value. This tells wrong numbers from rounding; it is no statement of precision.
const fn bound(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 0.01,
        Precision::F16 => 0.05,
        Precision::Bf16 => 0.2,
    }
}

/// What came of a first use.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Passed,
    /// Why not.
    Failed(String),
}

/// What came of the first use of each kind of network on each device in each precision.
static CHECKED: LazyLock<Mutex<HashMap<String, Verdict>>> = LazyLock::new(Mutex::default);

/// Takes a network that was built for a device. The first of its kind on a GPU is compared with
/// the one that `reference` builds for the CPU; if they differ, that is logged, and this one and
/// all others of its kind compute on the CPU. There is no reference for a network on the CPU.
///
/// # Errors
/// Whatever `reference` fails with.
pub fn place(
    network: Box<dyn Encoder>,
    device: &Device,
    precision: Precision,
    reference: Option<impl FnOnce() -> Result<Box<dyn Encoder>>>,
) -> Result<Placed> {
    let name = device::name(device);
    let Some(reference) = reference else {
        return Ok(Placed { network, precision, device: name });
    };
    let kind = format!("{:?} {precision:?} {:?}", network.description().architecture, device.location());
    let known = CHECKED.lock().unwrap_or_else(PoisonError::into_inner).get(&kind).cloned();
    place_on(network, &(device.clone(), name), precision, reference, known, |verdict| {
        CHECKED.lock().unwrap_or_else(PoisonError::into_inner).insert(kind, verdict);
    })
}

fn place_on(
    network: Box<dyn Encoder>,
    (device, name): &(Device, String),
    precision: Precision,
    reference: impl FnOnce() -> Result<Box<dyn Encoder>>,
    known: Option<Verdict>,
    remember: impl FnOnce(Verdict),
) -> Result<Placed> {
    let halving = |network| Placed { network: Box::new(Halving(network)), precision, device: name.clone() };
    if known == Some(Verdict::Passed) {
        return Ok(halving(network));
    }
    let reference = reference()?;
    let verdict = known.unwrap_or_else(|| {
        let difference = compare(&*network, &*reference, device, bound(precision)).err();
        let verdict = difference.map_or(Verdict::Passed, Verdict::Failed);
        remember(verdict.clone());
        verdict
    });
    let Verdict::Failed(failure) = verdict else { return Ok(halving(network)) };
    let architecture = network.description().architecture;
    tracing::warn!(
        "{architecture} in {} does not compute on {name} as on the CPU ({failure}); it computes on the CPU instead",
        precision.name()
    );
    let network = Box::new(OnCpu { network: reference, device: device.clone() });
    Ok(Placed { network, precision: Precision::F32, device: device::name(&Device::Cpu) })
}

/// Compares all maps and the embedding of one seeded picture.
fn compare(
    network: &dyn Encoder,
    reference: &dyn Encoder,
    device: &Device,
    bound: f64,
) -> std::result::Result<(), String> {
    let input = network.preprocessing();
    let shape = (1, 3, input.height as usize, input.width as usize);
    let mut stream = Stream::new(0, "first use");
    let pixels: Vec<f32> = (0..shape.1 * shape.2 * shape.3).map(|_| stream.normal() as f32).collect();
    let outputs = |network: &dyn Encoder, device: &Device| -> Result<Vec<Vec<f32>>> {
        let features = network.features(&Tensor::from_slice(&pixels, shape, device)?)?;
        let tensors = features.maps.iter().chain([&features.embedding]);
        tensors.map(|t| Ok(t.to_device(&Device::Cpu)?.flatten_all()?.to_vec1()?)).collect()
    };
    let wanted = outputs(reference, &Device::Cpu).map_err(|e| e.to_string())?;
    let got = outputs(network, device).map_err(|e| e.to_string())?;
    let names = network.maps().iter().map(|m| m.name.as_str()).chain(["the embedding"]);
    if got.len() != wanted.len() {
        return Err(format!("{} outputs instead of {}", got.len(), wanted.len()));
    }
    for ((got, wanted), name) in got.iter().zip(&wanted).zip(names) {
        let error = relative_error(got, wanted).ok_or_else(|| format!("{name} is not finite, or of another size"))?;
        if error > bound {
            return Err(format!("{name} is off by {error:.1e} of its largest value; {bound} is allowed"));
        }
    }
    Ok(())
}

/// The largest difference as a share of the largest wanted number; `None` if there is nothing to
/// compare, the lengths differ, or a number is not finite.
#[must_use]
pub fn relative_error(got: &[f32], wanted: &[f32]) -> Option<f64> {
    let finite = |numbers: &[f32]| numbers.iter().all(|v| v.is_finite());
    if got.len() != wanted.len() || !finite(got) || !finite(wanted) {
        return None;
    }
    let largest = wanted.iter().map(|v| v.abs()).max_by(f32::total_cmp).filter(|v| *v > 0.0)?;
    let furthest = got.iter().zip(wanted).map(|(a, b)| (a - b).abs()).max_by(f32::total_cmp)?;
    Some(f64::from(furthest / largest))
}

/// A network whose batches are halved until they fit the memory.
struct Halving(Box<dyn Encoder>);

/// Runs a batch, in halves where it is too large.
fn halved(input: &Tensor, run: &dyn Fn(&Tensor) -> Result<Features>) -> Result<Features> {
    let n = input.dim(0)?;
    match run(input) {
        Err(error) if n > 1 && Problem::is_out_of_memory(&error) => {
            let half = n / 2;
            tracing::warn!("a batch of {n} is too large for the GPU's memory; computing {half} at a time");
            let first = halved(&input.narrow(0, 0, half)?.contiguous()?, run)?;
            let second = halved(&input.narrow(0, half, n - half)?.contiguous()?, run)?;
            let maps = first.maps.iter().zip(&second.maps).map(|(a, b)| Ok(Tensor::cat(&[a, b], 0)?));
            let maps = maps.collect::<Result<_>>()?;
            Ok(Features { maps, embedding: Tensor::cat(&[&first.embedding, &second.embedding], 0)? })
        }
        Err(error) if Problem::is_out_of_memory(&error) => {
            Err(Error::Device { device: "cuda".to_owned(), reason: Problem::OutOfMemory.to_string() })
        }
        other => other,
    }
}

impl Encoder for Halving {
    fn description(&self) -> &Description {
        self.0.description()
    }

    fn features(&self, input: &Tensor) -> Result<Features> {
        halved(input, &|x| self.0.features(x))
    }

    fn embedding(&self, input: &Tensor) -> Result<Tensor> {
        let alone = |x: &Tensor| Ok(Features { maps: Vec::new(), embedding: self.0.embedding(x)? });
        Ok(halved(input, &alone)?.embedding)
    }
}

/// A network of the CPU for callers whose tensors are elsewhere.
struct OnCpu {
    network: Box<dyn Encoder>,
    device: Device,
}

impl Encoder for OnCpu {
    fn description(&self) -> &Description {
        self.network.description()
    }

    fn features(&self, input: &Tensor) -> Result<Features> {
        let features = self.network.features(&input.to_device(&Device::Cpu)?)?;
        let maps = features.maps.iter().map(|m| Ok(m.to_device(&self.device)?)).collect::<Result<_>>()?;
        Ok(Features { maps, embedding: features.embedding.to_device(&self.device)? })
    }

    fn embedding(&self, input: &Tensor) -> Result<Tensor> {
        Ok(self.network.embedding(&input.to_device(&Device::Cpu)?)?.to_device(&self.device)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::resnet::{Config, ResNet, random_weights};
    use crate::testing::{Random, assert_near, values};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A network that fails as a GPU might.
    struct Faulty {
        network: Box<dyn Encoder>,
        /// Pictures that fit the memory.
        fits: usize,
        /// What is added to every embedding.
        shift: f64,
        passes: AtomicUsize,
    }

    fn narrow() -> Box<dyn Encoder> {
        let config = Config::torchvision(4, 4);
        let mut weights = random_weights(&config, 1).expect("weights");
        Box::new(ResNet::new(config, &mut weights, &Device::Cpu).expect("built"))
    }

    fn faulty(fits: usize, shift: f64) -> Box<dyn Encoder> {
        Box::new(Faulty { network: narrow(), fits, shift, passes: AtomicUsize::new(0) })
    }

    impl Encoder for Faulty {
        fn description(&self) -> &Description {
            self.network.description()
        }

        fn features(&self, input: &Tensor) -> Result<Features> {
            self.passes.fetch_add(1, Ordering::Relaxed);
            if input.dim(0)? > self.fits {
                let said = "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")";
                return Err(candle_core::Error::Msg(said.to_owned()).into());
            }
            let features = self.network.features(input)?;
            Ok(Features { embedding: (features.embedding + self.shift)?, ..features })
        }
    }

    fn here() -> (Device, String) {
        (Device::Cpu, "cuda (a test)".to_owned())
    }

    #[test]
    fn a_batch_that_does_not_fit_is_halved_until_it_does() {
        let input = Random::new("halved").normal(1.0, (7, 3, 32, 32));
        let whole = narrow().features(&input).expect("computed");
        let halving = Halving(faulty(2, 0.0));
        let parts = halving.features(&input).expect("computed in parts");
        for (part, whole) in
            parts.maps.iter().chain([&parts.embedding]).zip(whole.maps.iter().chain([&whole.embedding]))
        {
            assert_eq!(part.dims(), whole.dims());
            assert_near("halved", &values(part), &values(whole), 1e-6);
        }
        let alone = halving.embedding(&input).expect("computed in parts");
        assert_near("the embedding alone", &values(&alone), &values(&whole.embedding), 1e-6);
        let said = Halving(faulty(0, 0.0)).features(&input).expect_err("nothing fits").to_string();
        assert!(said.contains("memory is full") && said.contains("--memory-mb"), "{said}");
    }

    #[test]
    fn a_device_that_computes_as_the_cpu_is_used_and_checked_once() {
        let mut remembered = None;
        let placed = place_on(faulty(9, 0.0), &here(), Precision::F16, || Ok(narrow()), None, |v| remembered = Some(v));
        let placed = placed.expect("placed");
        assert_eq!((placed.device.as_str(), placed.precision), ("cuda (a test)", Precision::F16));
        assert_eq!(remembered, Some(Verdict::Passed));
        let unasked = || -> Result<Box<dyn Encoder>> { panic!("the reference is not needed again") };
        let again = place_on(faulty(9, 5.0), &here(), Precision::F16, unasked, remembered, |_| panic!("known"));
        assert!(again.is_ok_and(|p| p.precision == Precision::F16));
    }

    #[test]
    fn a_device_that_computes_otherwise_gives_way_to_the_cpu() {
        let input = Random::new("gives way").normal(1.0, (2, 3, 32, 32));
        let wanted = values(&narrow().embedding(&input).expect("computed"));
        for (network, why) in
            [(faulty(9, 1e6), "the embedding"), (faulty(9, f64::NAN), "not finite"), (faulty(0, 0.0), "MEMORY")]
        {
            let mut remembered = None;
            let placed = place_on(network, &here(), Precision::Bf16, || Ok(narrow()), None, |v| remembered = Some(v));
            let placed = placed.expect("the CPU takes over");
            assert_eq!((placed.device.as_str(), placed.precision), ("cpu", Precision::F32));
            assert_near(why, &values(&placed.network.embedding(&input).expect("computed")), &wanted, 1e-6);
            let Some(Verdict::Failed(failure)) = remembered.clone() else { panic!("it failed: {remembered:?}") };
            assert!(failure.contains(why), "{failure}");
            // The next of its kind is not compared again.
            let next =
                place_on(faulty(9, 0.0), &here(), Precision::Bf16, || Ok(narrow()), remembered, |_| panic!("known"));
            assert!(next.is_ok_and(|p| p.device == "cpu"));
        }
    }

    #[test]
    fn nothing_passes_that_was_not_compared() {
        assert_eq!(relative_error(&[1.0, 3.0], &[1.0, 4.0]), Some(0.25));
        for (got, wanted) in
            [(vec![], vec![]), (vec![1.0], vec![1.0, 2.0]), (vec![f32::NAN], vec![1.0]), (vec![0.0], vec![0.0])]
        {
            assert_eq!(relative_error(&got, &wanted), None, "{got:?} {wanted:?}");
        }
    }
}
