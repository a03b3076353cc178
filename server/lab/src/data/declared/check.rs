//! Everything that can be said of a data set by reading all of it.

use super::description::{Kind, TaskForm};
use super::samples::{Found, find};
use super::{Declared, truth};
use crate::data::listing::{Truth, alike};
use crate::data::{Split, Target};
use crate::head::Label;
use crate::image;
use crate::progress::Progress;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use virboard_core::catalogue::task::Task;
use virboard_nn::files::sha256;

/// What was found.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub struct Findings {
    /// What is wrong, a sentence each.
    pub problems: Vec<String>,
    /// What may be wrong, a sentence each.
    pub warnings: Vec<String>,
    /// What lies in the folder and is not taken, a sentence for each reason.
    pub left_out: Vec<String>,
    /// Splits that no task uses, with their rows.
    pub unused: Vec<(String, usize)>,
    /// What each task has.
    pub tasks: Vec<Counts>,
}

/// The samples of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Its key.
    pub task: String,
    /// Training samples.
    pub train: usize,
    /// Test samples.
    pub test: usize,
    /// Training and test samples of each class; of masks those that have a pixel of it.
    pub classes: Vec<(String, usize, usize)>,
}

/// What reading a sample found.
struct Seen {
    problems: Vec<String>,
    /// Hash of its pictures.
    hash: String,
    /// The classes that it has.
    classes: Vec<u8>,
}

/// Reads everything. `refuse` says why a task cannot join the catalogue, such as a key that is taken.
#[must_use]
pub fn check(set: &Declared, refuse: &mut dyn FnMut(Task) -> Option<String>, progress: &dyn Progress) -> Findings {
    let mut findings = Findings::default();
    for form in set.forms() {
        if let Some(why) = refuse(form.task(&set.description)) {
            findings.problems.push(format!("{} line {}: {why}", set.file.display(), set.line(form)));
        }
    }
    findings.left_out = set.left_out().sentences();
    let rows = match set.rows() {
        Ok(rows) => rows,
        Err(problems) => {
            findings.problems.extend(problems);
            return findings;
        }
    };
    let used: BTreeSet<&str> = set.forms().flat_map(|form| [form.train.as_str(), form.test.as_str()]).collect();
    let mut unused: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| !used.contains(row.split.as_str())) {
        *unused.entry(&row.split).or_default() += 1;
    }
    findings.unused = unused.into_iter().map(|(split, rows)| (split.to_owned(), rows)).collect();
    for form in set.forms() {
        let samples = find(set, form, &rows);
        findings.problems.extend(samples.problems);
        findings.warnings.extend(samples.warnings);
        let seen = read(set, form, &samples.found, progress);
        findings.problems.extend(seen.iter().flat_map(|s| s.problems.iter().cloned()));
        findings.warnings.extend(twice(form, &samples.found, &seen));
        findings.warnings.extend(contradictions(form, &samples.labels, &samples.found, &seen));
        if form.classes.is_empty() {
            let names: Vec<String> = samples.labels.iter().map(|l| l.name.clone()).collect();
            findings.warnings.extend(alike(&names).into_iter().map(|said| format!("{}: {said}", form.key.get_ref())));
        }
        if !set.description.groups_are_remarks {
            findings.warnings.extend(divided(form, &samples.found));
        }
        let counts = counts(form, &samples.labels, &samples.found, &seen);
        if matches!(form.kind, Kind::Segmentation | Kind::Mask) {
            let untrained = counts.classes.iter().filter(|(_, train, test)| *train == 0 && *test > 0);
            findings.warnings.extend(untrained.map(|(class, ..)| {
                format!("{}: no training mask has the class `{class}`, and test masks do", counts.task)
            }));
        }
        findings.tasks.push(counts);
    }
    // A row that two tasks share has one fault.
    let mut said = BTreeSet::new();
    findings.problems.retain(|problem| said.insert(problem.clone()));
    findings
}

fn read(set: &Declared, form: &TaskForm, found: &[Found], progress: &dyn Progress) -> Vec<Seen> {
    progress.begin(&format!("reading {} samples of {}", found.len(), form.key.get_ref()), found.len() as u64);
    let done = AtomicU64::new(0);
    let reader = truth::reader(form);
    found
        .par_iter()
        .map(|sample| {
            let seen = read_sample(set, sample, &reader);
            progress.advance(done.fetch_add(1, Ordering::Relaxed) + 1);
            seen
        })
        .collect()
}

fn read_sample(set: &Declared, sample: &Found, reader: &dyn Fn(&Path) -> crate::Result<Target>) -> Seen {
    let short = |path: &Path| path.strip_prefix(&set.folder).unwrap_or(path).display().to_string();
    let (mut problems, mut hashes, mut sizes) = (Vec::new(), String::new(), Vec::new());
    for path in &sample.entry.pictures {
        match std::fs::read(path) {
            Ok(bytes) => {
                hashes.push_str(&sha256(&bytes));
                match image::decode_stored(&bytes) {
                    Ok(picture) => sizes.push(picture.dimensions()),
                    Err(e) => problems.push(format!("{}: `{}` cannot be used: {e}", sample.place, short(path))),
                }
            }
            Err(e) => problems.push(format!("{}: `{}` cannot be read: {e}", sample.place, short(path))),
        }
    }
    let mut classes = Vec::new();
    if let Truth::File(path) = &sample.entry.truth {
        match reader(path) {
            Err(e) => problems.push(format!("{}: {e}", sample.place)),
            Ok(target) => {
                if let (Some((w, h)), Some((width, height))) = (sizes.first(), target.size())
                    && (*w, *h) != (width, height)
                {
                    problems.push(format!(
                        "{}: `{}` has {width} x {height} pixels and its picture {w} x {h}; make both the same size",
                        sample.place,
                        short(path)
                    ));
                }
                if let Target::Mask { classes: mask, .. } = target {
                    let mut there = [false; 256];
                    for class in &mask {
                        there[usize::from(*class)] = true;
                    }
                    classes = (0..255).filter(|class| there[usize::from(*class)]).collect();
                }
            }
        }
    }
    Seen { problems, hash: hashes, classes }
}

/// Says which pictures are trained on and tested.
fn twice(form: &TaskForm, found: &[Found], seen: &[Seen]) -> Option<String> {
    let mut trained: HashMap<&str, &Found> = HashMap::new();
    for (sample, seen) in found.iter().zip(seen).filter(|(f, s)| f.split == Split::Train && !s.hash.is_empty()) {
        trained.entry(&seen.hash).or_insert(sample);
    }
    let pairs: Vec<(&Found, &Found)> = found
        .iter()
        .zip(seen)
        .filter(|(f, s)| f.split == Split::Test && !s.hash.is_empty())
        .filter_map(|(sample, seen)| trained.get(seen.hash.as_str()).map(|train| (*train, sample)))
        .collect();
    let (train, test) = pairs.first()?;
    Some(format!(
        "{}: {} of the test samples are among the training samples too, such as {} and {}; take them out of one",
        form.key.get_ref(),
        pairs.len(),
        train.place,
        test.place
    ))
}

/// Says which pictures are of two classes.
fn contradictions(form: &TaskForm, labels: &[Label], found: &[Found], seen: &[Seen]) -> Option<String> {
    let mut classes: HashMap<&str, (usize, &Found)> = HashMap::new();
    let mut pairs = Vec::new();
    for (sample, seen) in found.iter().zip(seen).filter(|(_, seen)| !seen.hash.is_empty()) {
        let Truth::Class(class) = sample.entry.truth else { continue };
        match classes.get(seen.hash.as_str()) {
            Some((other, first)) if *other != class => pairs.push((*first, *other, sample, class)),
            Some(_) => {}
            None => drop(classes.insert(&seen.hash, (class, sample))),
        }
    }
    let (first, one, second, another) = pairs.first()?;
    let name = |class: usize| labels.get(class).map_or("", |l| l.name.as_str());
    Some(format!(
        "{}: {} pictures are of two classes, such as {} of `{}` and {} of `{}`; take them out of one",
        form.key.get_ref(),
        pairs.len(),
        first.place,
        name(*one),
        second.place,
        name(*another)
    ))
}

/// Says which groups are on both sides.
fn divided(form: &TaskForm, found: &[Found]) -> Option<String> {
    let groups = |split: Split| -> BTreeSet<&str> {
        found.iter().filter(|f| f.split == split && !f.group.is_empty()).map(|f| f.group.as_str()).collect()
    };
    let (train, test) = (groups(Split::Train), groups(Split::Test));
    let both: Vec<&&str> = train.intersection(&test).collect();
    let first = both.first()?;
    Some(format!(
        "{}: {} of {} groups are in the training and in the test split, such as `{first}`; give each to one split, or set groups_are_remarks = true",
        form.key.get_ref(),
        both.len(),
        train.union(&test).count()
    ))
}

fn counts(form: &TaskForm, labels: &[Label], found: &[Found], seen: &[Seen]) -> Counts {
    let samples = |split: Split| found.iter().filter(|f| f.split == split).count();
    let with = |split: Split, class: usize| {
        let has = |sample: &Found, seen: &Seen| match sample.entry.truth {
            Truth::Class(c) => c == class,
            Truth::File(_) => seen.classes.iter().any(|c| usize::from(*c) == class),
        };
        found.iter().zip(seen).filter(|(f, s)| f.split == split && has(f, s)).count()
    };
    Counts {
        task: form.key.get_ref().clone(),
        train: samples(Split::Train),
        test: samples(Split::Test),
        classes: labels
            .iter()
            .enumerate()
            .map(|(class, label)| (label.name.clone(), with(Split::Train, class), with(Split::Test, class)))
            .collect(),
    }
}
