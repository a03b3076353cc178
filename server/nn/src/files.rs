//! Writing files so that a reader, or a killed writer, never meets half of one.

use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::path::Path;

/// Writes `path` through a temporary file in the same folder that is synced and renamed.
pub fn write_atomically<E: From<Error>>(
    path: &Path,
    write: impl FnOnce(&mut std::fs::File) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    write_whole(path, true, write)
}

/// The same without waiting for the disk: whole after a killed process, perhaps damaged after
/// a power cut. For files that are checked when they are read and can be made again.
pub fn write_through<E: From<Error>>(
    path: &Path,
    write: impl FnOnce(&mut std::fs::File) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    write_whole(path, false, write)
}

fn write_whole<E: From<Error>>(
    path: &Path,
    sync: bool,
    write: impl FnOnce(&mut std::fs::File) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(Error::io(folder))?;
    file.as_file().lock().map_err(Error::io(folder))?;
    write(file.as_file_mut())?;
    file.as_file_mut().flush().map_err(Error::io(path))?;
    if sync {
        file.as_file().sync_all().map_err(Error::io(path))?;
    }
    file.persist(path).map_err(|e| Error::io(path)(e.error))?;
    Ok(())
}

/// Complains if what is to be written is one of the files that are read for it, by whatever path or link.
///
/// # Errors
/// [`Error::Overwrites`].
pub fn refuse_overwriting<'p>(out: &Path, inputs: impl IntoIterator<Item = &'p Path>) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    let Some(written) = identity(out) else { return Ok(()) };
    match inputs.into_iter().find(|input| identity(input) == Some(written)) {
        Some(input) => Err(Error::Overwrites { out: out.to_path_buf(), input: input.to_path_buf() }),
        None => Ok(()),
    }
}

/// Start of the names of unfinished files.
const TEMPORARY: &str = ".unfinished-";

/// Removes what killed writers left in `folder`. Files of living writers are locked by them
/// and stay.
pub fn remove_unfinished(folder: &Path) -> Result<usize> {
    let mut removed = 0;
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(0) };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY)
            && let Ok(file) = std::fs::File::open(&path)
            && file.try_lock().is_ok()
        {
            std::fs::remove_file(&path).map_err(Error::io(&path))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Takes the lock of a file, waiting for whoever holds it. The system frees it when the
/// process ends, however it ends.
pub fn lock(path: &Path) -> Result<std::fs::File> {
    let file = lock_file(path)?;
    file.lock().map_err(Error::io(path))?;
    Ok(file)
}

/// Takes the lock of a file, or gives `None` while somebody else holds it.
pub fn try_lock(path: &Path) -> Result<Option<std::fs::File>> {
    let file = lock_file(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(source)) => Err(Error::io(path)(source)),
    }
}

fn lock_file(path: &Path) -> Result<std::fs::File> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    std::fs::File::options().create(true).truncate(false).write(true).open(path).map_err(Error::io(path))
}

/// SHA-256 of a file's bytes in hex.
pub fn sha256_file(path: &Path) -> Result<String> {
    let mut file = std::fs::File::open(path).map_err(Error::io(path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        let n = file.read(&mut buffer).map_err(Error::io(path))?;
        if n == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..n]);
    }
}

/// SHA-256 of bytes in hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("x");
        write_atomically(&path, |f| f.write_all(b"old").map_err(Error::io("x"))).expect("written");
        let failed = write_atomically(&path, |f| {
            f.write_all(b"new").map_err(Error::io("x"))?;
            Err(Error::Unsupported("stopped".to_owned()))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).expect("still there"), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
    }

    #[test]
    fn leftovers_of_a_killed_writer_are_removed() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join(format!("{TEMPORARY}abc")), b"half").expect("written");
        std::fs::write(dir.path().join("whole"), b"whole").expect("written");
        assert_eq!(remove_unfinished(dir.path()).expect("removed"), 1);
        assert!(dir.path().join("whole").exists());
    }

    #[test]
    fn an_output_that_is_an_input_is_refused_whatever_it_is_called() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let [input, link, hard] = ["in", "link", "hard"].map(|name| dir.path().join(name));
        std::fs::write(&input, b"weights").expect("written");
        std::os::unix::fs::symlink(&input, &link).expect("linked");
        std::fs::hard_link(&input, &hard).expect("linked");
        let dotted = dir.path().join("./in");
        for out in [&input, &link, &hard, &dotted] {
            let said = refuse_overwriting(out, [input.as_path()]).expect_err("refused").to_string();
            assert!(said.contains("would overwrite"), "{said}");
        }
        refuse_overwriting(&dir.path().join("out"), [input.as_path()]).expect("another file");
    }

    #[test]
    fn sha256_is_sha256() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
