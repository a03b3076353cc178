//! Which data sets can be fetched without a registration, and how they are laid out.

use super::Settings;
use super::fetch::{FetchError, Patience, fetch};
use std::fs::File;
use std::path::{Path, PathBuf};
use virboard_core::catalogue::task::Task;
use virboard_lab::data;
use virboard_lab::progress::Progress;

/// How an archive is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    /// A file of its own, kept under this name.
    Plain(&'static str),
    Zip,
    TarGz,
}

/// Something to fetch.
struct Part {
    url: &'static str,
    packing: Packing,
    /// Folder at the archive's top that is left out.
    strip: &'static str,
}

fn parts(task: &str) -> Vec<Part> {
    let zip = |url, strip| Part { url, packing: Packing::Zip, strip };
    let tar = |url, strip| Part { url, packing: Packing::TarGz, strip };
    let plain = |url, name| Part { url, packing: Packing::Plain(name), strip: "" };
    match task {
        "CIFAR-100" => vec![tar("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz", "cifar-100-python")],
        "CLEVRNumObjects" => vec![zip("https://dl.fbaipublicfiles.com/clevr/CLEVR_v1.0.zip", "CLEVR_v1.0")],
        "CalTech-101" => vec![
            tar(
                "http://www.vision.caltech.edu/Image_Datasets/Caltech101/101_ObjectCategories.tar.gz",
                "101_ObjectCategories",
            ),
            plain(
                "https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/caltech101_train.json",
                "caltech101_train.json",
            ),
            plain(
                "https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/caltech101_test.json",
                "caltech101_test.json",
            ),
        ],
        "THORNumSteps" => {
            vec![zip("https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/thor_num_steps.zip", "thor_num_steps")]
        }
        "THORActionPrediction" => {
            vec![zip(
                "https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/thor_egomotion.zip",
                "thor_action_prediction",
            )]
        }
        "THORDepth" => {
            vec![zip("https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/thor_depth.zip", "thor_depth_prediction")]
        }
        "NYUDepth" | "NYUWalkable" => {
            vec![zip("https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/nyu.zip", "nyu")]
        }
        "Pets" | "PetsDetection" => vec![
            tar("https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz", ""),
            tar("https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz", ""),
        ],
        "dtd" => vec![tar("https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz", "dtd")],
        "Imagenetv2" => vec![tar(
            "https://huggingface.co/datasets/vaishaal/ImageNetV2/resolve/main/imagenetv2-matched-frequency.tar.gz",
            "imagenetv2-matched-frequency-format-val",
        )],
        _ => Vec::new(),
    }
}

/// Keys of the tasks whose data can be fetched.
#[must_use]
pub fn fetchable(task: &str) -> bool {
    !parts(task).is_empty()
}

/// Fetches the data of a task and lays it out as ViRB's README has it. What is there stays.
pub fn fetch_dataset(
    settings: &Settings,
    task: &Task,
    patience: Patience,
    progress: &dyn Progress,
) -> Result<PathBuf, FetchError> {
    let Some(source) = data::source(&task.key) else {
        return Err(FetchError::Unknown(format!("{} ships with Virboard; there is nothing to fetch", task.key)));
    };
    let parts = parts(&task.key);
    if parts.is_empty() {
        return Err(FetchError::Unknown(format!(
            "the data of {} cannot be fetched by a program: {} ({}; {})",
            task.key, source.note, source.url, source.licence
        )));
    }
    let folder = settings.data.join("datasets").join(source.folder);
    let downloads = settings.data.join("downloads");
    for part in &parts {
        let name = part.url.rsplit('/').next().unwrap_or("download");
        if let Packing::Plain(name) = part.packing {
            fetch(part.url, &folder.join(name), patience, progress, |_| Ok(()))?;
            continue;
        }
        let archive = downloads.join(format!("{}-{name}", source.folder));
        let done = downloads.join(format!("{}-{name}.unpacked", source.folder));
        if done.is_file() {
            continue;
        }
        fetch(part.url, &archive, patience, progress, |_| Ok(()))?;
        progress.begin(&format!("unpacking {}", archive.display()), 0);
        unpack(&archive, part, &folder)?;
        std::fs::write(&done, part.url).map_err(|source| FetchError::Io { path: done.clone(), source })?;
    }
    match task.key.as_str() {
        "Pets" | "PetsDetection" => sort_pets(&folder)?,
        "dtd" => sort_dtd(&folder)?,
        _ => {}
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

fn list(path: &Path) -> Result<Vec<String>, FetchError> {
    let text = std::fs::read_to_string(path).map_err(|source| FetchError::Io { path: path.to_path_buf(), source })?;
    Ok(text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned).collect())
}

fn place(from: &Path, to: &Path) -> Result<(), FetchError> {
    if to.is_file() || !from.is_file() {
        return Ok(());
    }
    let io = |source| FetchError::Io { path: to.to_path_buf(), source };
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).map_err(io)?;
    }
    std::fs::rename(from, to).map_err(io)
}

/// `images/BREED_12.jpg` to `{train,test}/BREED/`, by the lists of the annotations.
fn sort_pets(folder: &Path) -> Result<(), FetchError> {
    for (split, name) in [("train", "trainval.txt"), ("test", "test.txt")] {
        for line in list(&folder.join("annotations").join(name))? {
            let picture = line.split_whitespace().next().unwrap_or_default().to_owned();
            let Some((breed, _)) = picture.rsplit_once('_') else { continue };
            let file = format!("{picture}.jpg");
            place(&folder.join("images").join(&file), &folder.join(split).join(breed).join(&file))?;
        }
    }
    Ok(())
}

/// `images/TEXTURE/X.jpg` to `{train,test}/TEXTURE/`, by the first of the ten splits.
fn sort_dtd(folder: &Path) -> Result<(), FetchError> {
    for (split, names) in [("train", &["train1.txt", "val1.txt"][..]), ("test", &["test1.txt"][..])] {
        for name in names {
            for picture in list(&folder.join("labels").join(name))? {
                place(&folder.join("images").join(&picture), &folder.join(split).join(&picture))?;
            }
        }
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
    fn pets_are_sorted_by_their_lists() {
        let dir = tempfile::tempdir().expect("a folder");
        for folder in ["images", "annotations"] {
            std::fs::create_dir_all(dir.path().join(folder)).expect("made");
        }
        for name in ["great_pyrenees_1.jpg", "Bombay_2.jpg"] {
            std::fs::write(dir.path().join("images").join(name), b"x").expect("written");
        }
        std::fs::write(dir.path().join("annotations/trainval.txt"), "great_pyrenees_1 16 2 9\n").expect("written");
        std::fs::write(dir.path().join("annotations/test.txt"), "# list\nBombay_2 8 1 3\n").expect("written");
        sort_pets(dir.path()).expect("sorted");
        assert!(dir.path().join("train/great_pyrenees/great_pyrenees_1.jpg").is_file());
        assert!(dir.path().join("test/Bombay/Bombay_2.jpg").is_file());
        sort_pets(dir.path()).expect("again");
    }
}
