//! Which data sets can be fetched without a registration, and how they are laid out.

use super::Settings;
use super::fetch::{FetchError, Patience, fetch};
use std::fs::File;
use std::path::{Path, PathBuf};
use virboard_core::catalogue::task::Task;
use virboard_lab::data::sets::{Layout, Packing, Part, set_of};
use virboard_lab::progress::Progress;

/// Keys of the tasks whose data can be fetched.
#[must_use]
pub fn fetchable(task: &str) -> bool {
    set_of(task).is_some_and(|(set, layout)| !set.parts.is_empty() && !matches!(layout, Layout::Shown))
}

/// Fetches the data of a task and lays it out as ViRB's README has it. What is there stays.
pub fn fetch_dataset(
    settings: &Settings,
    task: &Task,
    patience: Patience,
    progress: &dyn Progress,
) -> Result<PathBuf, FetchError> {
    let Some((set, _)) = set_of(&task.key) else {
        return Err(FetchError::Unknown(format!(
            "{} is on data that ships with Virboard or was added; there is nothing to fetch",
            task.key
        )));
    };
    if !fetchable(&task.key) {
        return Err(FetchError::Unknown(format!(
            "the data of {} cannot be fetched by a program: {} ({}; {})",
            task.key, set.note, set.url, set.licence
        )));
    }
    let folder = settings.data.join("datasets").join(set.folder);
    let downloads = settings.data.join("downloads");
    for part in set.parts {
        let name = part.url.rsplit('/').next().unwrap_or("download");
        if let Packing::Plain(name) = part.packing {
            fetch(part.url, &folder.join(name), patience, progress, |_| Ok(()))?;
            continue;
        }
        let archive = downloads.join(format!("{}-{name}", set.folder));
        let done = downloads.join(format!("{}-{name}.unpacked", set.folder));
        if done.is_file() {
            continue;
        }
        fetch(part.url, &archive, patience, progress, |_| Ok(()))?;
        progress.begin(&format!("unpacking {}", archive.display()), 0);
        unpack(&archive, part, &folder)?;
        std::fs::write(&done, part.url).map_err(|source| FetchError::Io { path: done.clone(), source })?;
    }
    if let Some(sort) = set.sort {
        sort(&folder)?;
    }
    Ok(folder)
}

/// Unpacks below `folder`; entries that would lie elsewhere are refused.
fn unpack(archive: &Path, part: &Part, folder: &Path) -> Result<(), FetchError> {
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| FetchError::Io { path, source }
    };
    let bad = |reason: String| FetchError::Content { path: archive.to_path_buf(), reason };
    let stripped = |path: &Path| -> Option<PathBuf> {
        let inner = if part.strip.is_empty() { path } else { path.strip_prefix(part.strip).unwrap_or(path) };
        let safe = inner.components().all(|c| matches!(c, std::path::Component::Normal(_)));
        (safe && !inner.as_os_str().is_empty()).then(|| inner.to_path_buf())
    };
    let file = File::open(archive).map_err(io(archive))?;
    let write = |inner: &Path, from: &mut dyn std::io::Read| -> Result<(), FetchError> {
        let to = folder.join(inner);
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).map_err(io(parent))?;
        }
        let mut out = File::create(&to).map_err(io(&to))?;
        std::io::copy(from, &mut out).map_err(io(&to))?;
        Ok(())
    };
    match part.packing {
        Packing::Zip => {
            let mut zip = zip::ZipArchive::new(file).map_err(|e| bad(e.to_string()))?;
            for i in 0..zip.len() {
                let mut entry = zip.by_index(i).map_err(|e| bad(e.to_string()))?;
                if entry.is_file()
                    && let Some(inner) = entry.enclosed_name().and_then(|p| stripped(&p))
                {
                    write(&inner, &mut entry)?;
                }
            }
        }
        Packing::TarGz => {
            let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file));
            for entry in tar.entries().map_err(|e| bad(e.to_string()))? {
                let mut entry = entry.map_err(|e| bad(e.to_string()))?;
                if !entry.header().entry_type().is_file() {
                    continue;
                }
                let path = entry.path().map_err(|e| bad(e.to_string()))?.into_owned();
                if let Some(inner) = stripped(&path) {
                    write(&inner, &mut entry)?;
                }
            }
        }
        Packing::Plain(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn archives_are_unpacked_inside_their_folder_only() {
        let dir = tempfile::tempdir().expect("a folder");
        let archive = dir.path().join("a.zip");
        let mut zip = zip::ZipWriter::new(File::create(&archive).expect("created"));
        for name in ["top/inside.txt", "top/deep/er.txt", "../outside.txt"] {
            zip.start_file(name, zip::write::SimpleFileOptions::default()).expect("an entry");
            zip.write_all(b"x").expect("written");
        }
        zip.finish().expect("closed");
        let part = Part { url: "", packing: Packing::Zip, strip: "top" };
        let to = dir.path().join("to");
        unpack(&archive, &part, &to).expect("unpacked");
        assert!(to.join("inside.txt").is_file() && to.join("deep/er.txt").is_file());
        assert!(!dir.path().join("outside.txt").exists());
        std::fs::write(&archive, b"no archive").expect("written");
        assert!(unpack(&archive, &part, &to).is_err());
    }
}
