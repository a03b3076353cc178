//! From the rows of a data set to the samples of a task.

use super::description::{Class, Ignored, Kind, TaskForm};
use super::index::Row;
use super::{Declared, INDEX, perhaps};
use crate::data::Split;
use crate::data::listing::{Entry, Truth};
use crate::head::Label;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// A sample and where it is declared.
#[derive(Debug, Clone)]
pub struct Found {
    /// The index with the line, or the picture.
    pub place: String,
    /// Its split.
    pub split: Split,
    /// Its pictures and its truth.
    pub entry: Entry,
    /// What should be on one side of the split only; empty where nothing is said.
    pub group: String,
}

/// The samples of a task.
#[derive(Debug, Default)]
pub struct Samples {
    /// Those whose files are there.
    pub found: Vec<Found>,
    /// Classes in label order.
    pub labels: Vec<Label>,
    /// What is wrong, a sentence each.
    pub problems: Vec<String>,
    /// What may be wrong, a sentence each.
    pub warnings: Vec<String>,
}

/// Finds the samples of a task. Files are looked for and not read.
#[must_use]
pub fn find(set: &Declared, form: &TaskForm, rows: &[Row]) -> Samples {
    let mut samples = Samples::default();
    let (file, key) = (set.file.display(), form.key.get_ref());
    let mine: Vec<(Split, &Row)> = rows.iter().filter_map(|row| split(form, &row.split).map(|s| (s, row))).collect();
    let names: BTreeSet<&str> = rows.iter().map(|row| row.split.as_str()).collect();
    for (wanted, name) in [(Split::Train, &form.train), (Split::Test, &form.test)] {
        if !mine.iter().any(|(split, _)| *split == wanted) {
            samples.problems.push(format!(
                "{}: there is nothing of the split `{name}`, with which {key} should {}{}; the splits are {}, and {file} says which the task takes",
                set.rows_file().display(),
                if wanted == Split::Train { "be trained" } else { "be tested" },
                perhaps(name, names.iter().copied()),
                names.iter().copied().collect::<Vec<_>>().join(", ")
            ));
        }
    }
    samples.labels = labels(form, &mine);
    let places: BTreeMap<&str, usize> = samples.labels.iter().enumerate().map(|(i, l)| (l.name.as_str(), i)).collect();
    let root = set.folder.canonicalize().unwrap_or_else(|_| set.folder.clone());
    let mut strangers: BTreeMap<&str, (String, usize)> = BTreeMap::new();
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for (split, row) in &mine {
        if form.ignored.contains(&Ignored::Label(row.label.clone())) {
            continue;
        }
        let place = set.place(row);
        let images = form.images() as usize;
        if row.pictures.len() < images {
            problems.push(format!(
                "{place}: it has {} of the {images} images that a sample of {key} needs; name all or take the line out",
                row.pictures.len()
            ));
            continue;
        }
        let column = match form.kind {
            Kind::Classification => &row.label,
            Kind::Segmentation | Kind::Mask => &row.mask,
            Kind::Depth => &row.depth,
            Kind::Flow => &row.flow,
        };
        if column.is_empty() {
            problems.push(format!(
                "{place}: the column `{}` is empty, which {key} needs; fill it or give the line another split",
                form.kind.column()
            ));
            continue;
        }
        let truth = if form.kind == Kind::Classification {
            let Some(class) = places.get(column.as_str()) else {
                strangers.entry(column).or_insert((place, 0)).1 += 1;
                continue;
            };
            Truth::Class(*class)
        } else {
            Truth::File(set.folder.join(column))
        };
        let truths = matches!(truth, Truth::File(_)).then_some(column);
        let files = row.pictures[..images].iter().chain(truths);
        let wrong: Vec<String> =
            files.filter_map(|name| usable(&root, name).err()).map(|why| format!("{place}: {why}")).collect();
        if wrong.is_empty() {
            let pictures = row.pictures[..images].iter().map(|p| set.folder.join(p)).collect();
            found.push(Found { place, split: *split, entry: Entry { pictures, truth }, group: row.group.clone() });
        }
        problems.extend(wrong);
    }
    for (label, (place, rows)) in strangers {
        let more = if rows > 1 { format!(" (and {} more)", rows - 1) } else { String::new() };
        problems.push(if form.classes.is_empty() {
            format!(
                "{place}{more}: the class `{label}` is not among the training samples{}; add some to `{}`, or put it among `ignored` in {file}",
                perhaps(label, places.keys().copied()),
                form.train
            )
        } else {
            format!(
                "{place}{more}: the label `{label}` is not among the classes of {key}{}; name it there or among `ignored` in {file}",
                form.perhaps(label)
            )
        });
    }
    samples.problems.extend(problems);
    samples.found = found;
    if form.kind == Kind::Classification {
        check_classes(&mut samples, form, &file.to_string());
    }
    samples
}

/// Says which named classes are tested and never trained, or are nowhere.
fn check_classes(samples: &mut Samples, form: &TaskForm, file: &str) {
    let key = form.key.get_ref();
    if samples.labels.len() < 2 && samples.problems.is_empty() {
        samples.problems.push(format!("{file}: {key} has fewer than two classes; add samples of another"));
    }
    for (class, label) in samples.labels.iter().enumerate() {
        let first = |split: Split| {
            samples.found.iter().find(|f| f.split == split && matches!(f.entry.truth, Truth::Class(c) if c == class))
        };
        match (first(Split::Train), first(Split::Test)) {
            (None, Some(tested)) => samples.problems.push(format!(
                "{}: the class `{}` is not among the training samples; add some to `{}`, or put it among `ignored` in {file}",
                tested.place, label.name, form.train
            )),
            (None, None) => samples.warnings.push(format!("{file}: no sample of {key} is of the class `{}`", label.name)),
            (Some(_), None) => {
                samples.warnings.push(format!("no test sample of {key} is of the class `{}`", label.name));
            }
            (Some(_), Some(_)) => {}
        }
    }
}

fn split(form: &TaskForm, name: &str) -> Option<Split> {
    match name {
        name if name == form.train => Some(Split::Train),
        name if name == form.test => Some(Split::Test),
        _ => None,
    }
}

/// Classes in label order: as they are named, or those of the training rows, numbers as numbers.
fn labels(form: &TaskForm, rows: &[(Split, &Row)]) -> Vec<Label> {
    let named = form.classes.iter().enumerate().filter(|(i, class)| match form.kind {
        Kind::Classification => !form.ignored.contains(&Ignored::Label(class.name().to_owned())),
        _ => !form.ignores(*i as u8) || form.kind == Kind::Mask,
    });
    let mut labels: Vec<Label> = named
        .map(|(_, class)| match class {
            Class::Name(name) => Label { name: name.clone(), colour: String::new() },
            Class::Coloured { name, colour } => Label { name: name.clone(), colour: colour.clone() },
        })
        .collect();
    match form.kind {
        Kind::Classification if labels.is_empty() => {
            let trained = rows.iter().filter(|(split, row)| {
                let ignored = form.ignored.contains(&Ignored::Label(row.label.clone()));
                *split == Split::Train && !row.label.is_empty() && !ignored
            });
            let mut names: Vec<&str> = trained.map(|(_, row)| row.label.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            names.sort_by(|a, b| natural(a, b));
            labels = crate::data::listing::labels(&names);
        }
        Kind::Mask if labels.is_empty() => {
            labels = crate::data::coloured(&[("other", ""), (form.key.get_ref().as_str(), "")]);
        }
        _ => {}
    }
    if matches!(form.kind, Kind::Segmentation | Kind::Mask) {
        let unnamed = labels.iter_mut().enumerate().filter(|(_, label)| label.colour.is_empty());
        unnamed.for_each(|(class, label)| label.colour = colour(class, form.kind));
    }
    labels
}

/// A colour for a class without one: hues a golden angle apart, as far from each other as they come.
fn colour(class: usize, kind: Kind) -> String {
    if kind == Kind::Mask {
        return if class == 0 { "#4b5563" } else { "#f59e0b" }.to_owned();
    }
    let hue = (class as f64 * 137.508) % 360.0 / 60.0;
    let (most, least) = if class.is_multiple_of(2) { (225.0, 70.0) } else { (175.0, 40.0) };
    let channel = |offset: f64| {
        let distance = ((hue + offset) % 6.0 - 3.0).abs() - 1.0;
        (least + (most - least) * distance.clamp(0.0, 1.0)) as u8
    };
    format!("#{:02x}{:02x}{:02x}", channel(0.0), channel(4.0), channel(2.0))
}

/// Compares names as people order them: runs of digits by their value, and before letters.
fn natural(a: &str, b: &str) -> Ordering {
    if let (Ok(a), Ok(b)) = (a.parse::<f64>(), b.parse::<f64>()) {
        return a.total_cmp(&b);
    }
    let parts = |text: &str| -> Vec<(u64, String)> {
        let mut parts: Vec<String> = Vec::new();
        let mut digits = None;
        for c in text.chars() {
            match parts.last_mut() {
                Some(part) if digits == Some(c.is_ascii_digit()) => part.push(c),
                _ => parts.push(c.to_string()),
            }
            digits = Some(c.is_ascii_digit());
        }
        parts.into_iter().map(|part| (part.parse().unwrap_or(u64::MAX), part)).collect()
    };
    parts(a).cmp(&parts(b))
}

/// Whether a file of an index may be used: it is there and lies inside the folder.
fn usable(root: &Path, name: &str) -> Result<PathBuf, String> {
    let path = Path::new(name);
    if !path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)) {
        return Err(format!(
            "`{name}` leads out of the data set's folder; name files relative to the folder, without `..`"
        ));
    }
    let inside = root.join(path);
    let real = inside.canonicalize().ok().filter(|real| real.is_file());
    match real {
        None if name.contains('\\') => {
            Err(format!("`{name}` is not there; write `/` between folders, as in `{}`", name.replace('\\', "/")))
        }
        None => Err(format!("`{name}` is not there; put it to {} or take the line out", inside.display())),
        Some(real) if !real.starts_with(root) => Err(format!(
            "`{name}` is a link that leads out of the data set's folder; copy the file to {}",
            inside.display()
        )),
        Some(real) => Ok(real),
    }
}

impl Declared {
    /// The file that lists the rows, or the folder that holds them.
    #[must_use]
    pub fn rows_file(&self) -> PathBuf {
        let index = self.folder.join(INDEX);
        if index.is_file() { index } else { self.folder.clone() }
    }

    /// Where a row is declared.
    #[must_use]
    pub fn place(&self, row: &Row) -> String {
        match row.line {
            Some(line) => format!("{} line {line}", self.rows_file().display()),
            None => self.folder.join(row.pictures.first().map_or("", String::as_str)).display().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_as_numbers() {
        let mut names = ["10", "9", "-1", "2.5"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["-1", "2.5", "9", "10"]);
        let mut names = ["10-12", "19 and more", "7-9", "0-6", "a10", "a9", "b"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["0-6", "7-9", "10-12", "19 and more", "a9", "a10", "b"]);
    }

    #[test]
    fn files_outside_are_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path().join("set").canonicalize().unwrap_or_else(|_| dir.path().join("set"));
        std::fs::create_dir_all(root.join("in")).expect("made");
        let root = root.canonicalize().expect("it is there");
        std::fs::write(dir.path().join("secret.jpg"), b"x").expect("written");
        std::fs::write(root.join("in/a.jpg"), b"x").expect("written");
        std::os::unix::fs::symlink(dir.path().join("secret.jpg"), root.join("in/link.jpg")).expect("linked");
        std::os::unix::fs::symlink(root.join("in/a.jpg"), root.join("in/b.jpg")).expect("linked");
        assert!(usable(&root, "in/a.jpg").is_ok() && usable(&root, "./in/a.jpg").is_ok());
        assert!(usable(&root, "in/b.jpg").is_ok(), "a link inside the folder may be followed");
        for (name, says) in [
            ("../secret.jpg", "leads out"),
            ("/etc/passwd", "leads out"),
            ("in/link.jpg", "is a link that leads out"),
            ("in/none.jpg", "is not there"),
            ("in\\a.jpg", "as in `in/a.jpg`"),
            ("in", "is not there"),
        ] {
            let said = usable(&root, name).expect_err(name);
            assert!(said.contains(says), "{said}");
        }
    }
}
