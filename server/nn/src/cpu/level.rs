//! Which instructions the loops run with: the best that the processor has, or those that
//! [`SWITCH`] names, so that each form can be tried on one machine. candle's own products of
//! matrices choose for themselves.

use crate::{Error, Result};
use pulp::Arch;
use std::sync::LazyLock;

/// The environment variable that forces a level: `v4` (AVX-512), `v3` (AVX2) or `scalar`.
pub const SWITCH: &str = "VIRBOARD_SIMD";

/// A set of instructions that the loops are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// AVX-512.
    V4,
    /// AVX2 with fused multiply-add.
    V3,
    /// What every processor has.
    Scalar,
}

impl Level {
    /// All, the best first.
    pub const ALL: [Self; 3] = [Self::V4, Self::V3, Self::Scalar];

    /// As [`SWITCH`] spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V4 => "v4",
            Self::V3 => "v3",
            Self::Scalar => "scalar",
        }
    }

    /// Whether this processor has it.
    #[must_use]
    pub fn available(self) -> bool {
        self.arch().is_some()
    }

    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    fn arch(self) -> Option<Arch> {
        match self {
            Self::V4 => pulp::x86::V4::try_new().map(Arch::V4),
            Self::V3 => pulp::x86::V3::try_new().map(Arch::V3),
            Self::Scalar => Some(Arch::Scalar),
        }
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "x86")))]
    fn arch(self) -> Option<Arch> {
        (self == Self::Scalar).then_some(Arch::Scalar)
    }
}

/// The level that [`SWITCH`] asks for.
static FORCED: LazyLock<Result<Option<Level>>> = LazyLock::new(|| forced(std::env::var(SWITCH).ok().as_deref()));

static ARCH: LazyLock<Arch> =
    LazyLock::new(|| FORCED.as_ref().ok().copied().flatten().and_then(Level::arch).unwrap_or_default());

fn forced(wanted: Option<&str>) -> Result<Option<Level>> {
    let Some(wanted) = wanted else { return Ok(None) };
    let names = |levels: &mut dyn Iterator<Item = Level>| levels.map(Level::name).collect::<Vec<_>>().join(", ");
    match Level::ALL.into_iter().find(|l| l.name() == wanted) {
        Some(level) if level.available() => Ok(Some(level)),
        found => Err(Error::Instructions {
            wanted: wanted.to_owned(),
            reason: if found.is_some() { "this processor lacks them" } else { "they are not known" },
            available: names(&mut Level::ALL.into_iter().filter(|l| l.available())),
        }),
    }
}

/// What all loops are dispatched by.
#[inline]
pub(crate) fn arch() -> Arch {
    *ARCH
}

/// The level that the loops run with.
#[must_use]
pub fn current() -> Level {
    match arch() {
        #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
        Arch::V4(_) => Level::V4,
        #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
        Arch::V3(_) => Level::V3,
        _ => Level::Scalar,
    }
}

/// Whether AVX-512 is what the loops run with.
pub(crate) fn is_v4() -> bool {
    current() == Level::V4
}

/// Complains if [`SWITCH`] asks for what is not known or not here; the loops then run with the
/// best that is.
///
/// # Errors
/// [`Error::Instructions`].
pub fn check() -> Result<()> {
    match &*FORCED {
        Err(Error::Instructions { wanted, reason, available }) => {
            let (wanted, available) = (wanted.clone(), available.clone());
            Err(Error::Instructions { wanted, reason, available })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Of the unit tests, those of the loops and of what stands directly on them.
    const KERNELS: [&str; 4] = ["cpu::", "layer::", "optimiser::", "preprocess::"];

    #[test]
    fn unknown_and_missing_levels_are_named() {
        assert_eq!(forced(None).expect("nothing is forced"), None);
        assert_eq!(forced(Some("scalar")).expect("every processor has it"), Some(Level::Scalar));
        let message = forced(Some("v5")).expect_err("unknown").to_string();
        assert!(message.contains("VIRBOARD_SIMD=v5") && message.contains("scalar"), "{message}");
        for level in Level::ALL.into_iter().filter(|l| !l.available()) {
            let message = forced(Some(level.name())).expect_err("missing").to_string();
            assert!(message.contains(level.name()) && message.contains("lacks"), "{message}");
        }
    }

    /// Runs the tests of the loops once more for each level that this processor has beside its
    /// best one, each in a process of its own, since the level is chosen once.
    #[test]
    fn the_loops_pass_their_tests_at_every_level() {
        if let Ok(forced) = std::env::var(SWITCH) {
            let running = Level::ALL.into_iter().find(|l| l.name() == forced).and_then(Level::arch);
            let name = |arch: Option<Arch>| format!("{arch:?}");
            assert_eq!(name(Some(arch())), name(running), "the switch is heeded");
            return;
        }
        let others: Vec<Level> = Level::ALL.into_iter().filter(|l| l.available()).skip(1).collect();
        for level in others {
            let program = std::env::current_exe().expect("the tests are a program");
            let run = Command::new(program).args(KERNELS).env(SWITCH, level.name()).output().expect("started");
            let said = String::from_utf8_lossy(&run.stdout);
            assert!(run.status.success(), "at {}: {said}", level.name());
            let passed = said.split("test result: ok. ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
            assert!(passed.is_some_and(|n: usize| n >= 8), "the tests ran at {}: {said}", level.name());
        }
    }
}
