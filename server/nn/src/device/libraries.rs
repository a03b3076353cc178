//! CUDA's libraries: which there are, and where.

use super::Problem;
use std::path::PathBuf;

/// A shared library that computing on a GPU needs.
#[derive(Debug)]
pub struct Library {
    /// What it is called.
    pub name: &'static str,
    /// Names under which it is looked for, the first that is found counts.
    pub files: &'static [&'static str],
    /// Whether this program cannot do without it on a GPU.
    pub needed: bool,
}

/// All, the driver first. They are looked for where the system's linker does: in the folders of
/// `LD_LIBRARY_PATH`, then in the system's.
pub const LIBRARIES: [Library; 6] = [
    Library { name: "driver", files: &["libcuda.so.1", "libcuda.so"], needed: true },
    Library { name: "cuBLAS", files: &["libcublas.so", "libcublas.so.13", "libcublas.so.12"], needed: true },
    Library { name: "cuBLASLt", files: &["libcublasLt.so", "libcublasLt.so.13", "libcublasLt.so.12"], needed: true },
    Library { name: "cuRAND", files: &["libcurand.so", "libcurand.so.10"], needed: true },
    Library { name: "NVRTC", files: &["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"], needed: true },
    Library { name: "cuDNN", files: &["libcudnn.so", "libcudnn.so.9"], needed: cfg!(feature = "cudnn") },
];

impl Library {
    /// Where it is, if the system's linker finds it.
    #[must_use]
    pub fn find(&self) -> Option<PathBuf> {
        self.files.iter().find_map(|file| {
            // SAFETY: these are NVIDIA's libraries, whose initialisers only set up themselves.
            let library = unsafe { libloading::Library::new(file) }.ok()?;
            let path = loaded_from(file).unwrap_or_else(|| PathBuf::from(file));
            drop(library);
            Some(path)
        })
    }
}

/// From where a library that is loaded now came.
fn loaded_from(file: &str) -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let paths = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
    let name = |path: &str| path.rsplit('/').next().is_some_and(|n| n.starts_with(file));
    paths.into_iter().find(|path| name(path)).map(PathBuf::from)
}

/// Complains of the first needed library that is missing.
///
/// # Errors
/// [`Problem::NoDriver`] or [`Problem::NoLibrary`].
pub fn check(find: impl Fn(&Library) -> Option<PathBuf>) -> Result<(), Problem> {
    match LIBRARIES.iter().filter(|l| l.needed).find(|l| find(l).is_none()) {
        None => Ok(()),
        Some(missing) if missing.name == LIBRARIES[0].name => Err(Problem::NoDriver),
        Some(missing) => Err(Problem::NoLibrary(format!("{} ({})", missing.name, missing.files.join(", ")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_missing_library_is_named() {
        let all = |_: &Library| Some(PathBuf::from("/usr/lib"));
        assert_eq!(check(all), Ok(()));
        assert_eq!(check(|_| None), Err(Problem::NoDriver));
        let said = check(|l| all(l).filter(|_| l.name != "cuRAND")).expect_err("missing").to_string();
        assert!(said.contains("cuRAND (libcurand.so, libcurand.so.10)"), "{said}");
        let without_cudnn = check(|l| all(l).filter(|_| l.name != "cuDNN"));
        assert_eq!(without_cudnn.is_err(), cfg!(feature = "cudnn"));
    }

    #[test]
    fn a_library_that_is_there_is_found_with_its_place() {
        let c = Library { name: "C", files: &["libnothing.so.7", "libc.so.6"], needed: false };
        let path = c.find().expect("every program has it");
        assert!(path.ends_with("libc.so.6") && path.is_absolute(), "{path:?}");
        assert_eq!(Library { name: "none", files: &["libnothing.so.7"], needed: false }.find(), None);
    }
}
