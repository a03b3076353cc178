//! Which data sets can be fetched without a registration, and how they are laid out.

use super::Settings;
use super::fetch::{FetchError, Patience, fetch, mirrored};
use std::fs::File;
use std::path::{Path, PathBuf};
use virboard_core::catalogue::task::Task;
use virboard_lab::data::declared::is_declared;
use virboard_lab::data::pack::origins::Origin;
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
    mirror: Option<&str>,
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
    if is_declared(&folder, &settings.folders().places) {
        return Err(FetchError::Unknown(format!(
            "{} holds another data set, with a description of its own; move it away, and fetch {} again",
            folder.display(),
            task.key
        )));
    }
    let download = Download { downloads: settings.data.join("downloads"), name: set.folder, mirror, patience };
    for part in set.parts {
        download.part(part, &folder, progress)?;
    }
    if let Some(sort) = set.sort {
        sort(&folder)?;
    }
    Ok(folder)
}

/// Fetches the original of a small data set and unpacks it to `originals/NAME` of the data folder. What is there stays.
pub fn fetch_original(
    settings: &Settings,
    origin: &Origin,
    mirror: Option<&str>,
    patience: Patience,
    progress: &dyn Progress,
) -> Result<PathBuf, FetchError> {
    if !origin.is_open() {
        return Err(FetchError::Unknown(format!(
            "{0} cannot be fetched by a program ({1}); `virboard dataset pack {0} FOLDER` makes it of the folder of its original",
            origin.name,
            origin.how()
        )));
    }
    let folder = settings.data.join("originals").join(origin.name);
    let downloads = settings.data.join("downloads");
    let download = Download { downloads, name: origin.name, mirror, patience };
    for part in origin.parts {
        download.part(part, &folder, progress)?;
    }
    Ok(folder)
}

/// How the parts of a data set are fetched.
struct Download<'a> {
    /// Where archives are kept.
    downloads: PathBuf,
    /// What their names begin with.
    name: &'a str,
    /// An address to take them from, as ADDRESS/NAME.
    mirror: Option<&'a str>,
    patience: Patience,
}

impl Download<'_> {
    /// Fetches a part and unpacks it below `folder`, unless that was done before.
    fn part(&self, part: &Part, folder: &Path, progress: &dyn Progress) -> Result<(), FetchError> {
        let last = part.url.rsplit('/').next().unwrap_or_default();
        let url = mirrored(part.url, self.mirror);
        let kept = |name: &str| self.downloads.join(format!("{}-{name}", self.name));
        let (archive, done) = match part.packing {
            Packing::Plain(name) => {
                return fetch(&url, &folder.join(name), self.patience, progress, |_| Ok(()));
            }
            // Its mark goes with the folder, as it does itself.
            Packing::Inside(name) => (folder.join(name), folder.join(format!(".{name}.unpacked"))),
            Packing::Zip | Packing::TarGz => (kept(last), kept(&format!("{last}.unpacked"))),
        };
        // Where the folder was removed, the archive is unpacked again.
        if done.is_file() && folder.is_dir() {
            return Ok(());
        }
        if !matches!(part.packing, Packing::Inside(_)) {
            fetch(&url, &archive, self.patience, progress, |_| Ok(()))?;
        }
        progress.begin(&format!("unpacking {}", archive.display()), 0);
        unpack(&archive, part, folder)?;
        std::fs::write(&done, &url).map_err(|source| FetchError::Io { path: done.clone(), source })
    }
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
        Packing::TarGz | Packing::Inside(_) => {
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

    #[test]
    fn an_archive_inside_another_is_unpacked_too() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut inner = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o644);
        inner.append_data(&mut header, "classes/ant/1.jpg", &b"x"[..]).expect("appended");
        let inner = inner.into_inner().and_then(flate2::write::GzEncoder::finish).expect("closed");
        let downloads = dir.path().join("downloads");
        std::fs::create_dir(&downloads).expect("made");
        let mut zip = zip::ZipWriter::new(File::create(downloads.join("set-outer.zip")).expect("created"));
        zip.start_file("top/inner.tar.gz", zip::write::SimpleFileOptions::default()).expect("an entry");
        zip.write_all(&inner).expect("written");
        zip.finish().expect("closed");
        // What was downloaded before is not fetched again, so that the address is never asked.
        let outer = Part { url: "http://127.0.0.1:9/outer.zip", packing: Packing::Zip, strip: "top" };
        let inside = Part { url: "", packing: Packing::Inside("inner.tar.gz"), strip: "" };
        let folder = dir.path().join("originals/set");
        let download = Download { downloads, name: "set", mirror: None, patience: Patience::default() };
        for round in ["first", "again"] {
            for part in [&outer, &inside] {
                download.part(part, &folder, &()).expect(round);
            }
            assert!(folder.join("classes/ant/1.jpg").is_file(), "{round}");
        }
        // The folder is removed, and the marks of the downloads stay.
        std::fs::remove_dir_all(&folder).expect("removed");
        for part in [&outer, &inside] {
            download.part(part, &folder, &()).expect("once more");
        }
        assert!(folder.join("classes/ant/1.jpg").is_file(), "it was unpacked again");
    }
}
