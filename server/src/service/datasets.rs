//! What is here of the data sets.

use super::Settings;
use serde::Serialize;
use std::path::PathBuf;
use virboard_core::catalogue::task::Task;
use virboard_core::protocol::Protocol;
use virboard_lab::data::declared::description::Description;
use virboard_lab::data::declared::find_task;
use virboard_lab::data::sets::set_of;
use virboard_lab::data::{self, Broken, Dataset, Split};
use virboard_lab::progress::Progress;

/// The state of one task's data.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Key of the task.
    pub task: String,
    /// Where it is looked for; nothing for samples.
    pub folder: Option<PathBuf>,
    /// Usable training samples.
    pub train: usize,
    /// Usable test samples.
    pub test: usize,
    /// What is wrong, a sentence each.
    pub problems: Vec<String>,
    /// What may be wrong, a sentence each.
    pub warnings: Vec<String>,
    /// What lies in the folder and is not taken, a sentence for each reason.
    pub left_out: Vec<String>,
    /// Where the data comes from.
    pub url: Option<String>,
    /// Under which terms.
    pub licence: Option<String>,
    /// What to download and how it should lie.
    pub note: Option<String>,
}

/// Looks at a task's data; with `check` every sample is read.
pub fn report(settings: &Settings, task: &Task, protocol: Protocol, check: bool, progress: &dyn Progress) -> Report {
    let places = settings.folders().places;
    let mut report = Report {
        task: task.key.clone(),
        folder: None,
        train: 0,
        test: 0,
        problems: Vec::new(),
        warnings: Vec::new(),
        left_out: Vec::new(),
        url: None,
        licence: None,
        note: None,
    };
    if let Some((set, _)) = set_of(&task.key) {
        report.folder = Some(places.datasets.join(set.folder));
        (report.url, report.licence, report.note) =
            (Some(set.url.to_owned()), Some(set.licence.to_owned()), Some(set.note.to_owned()));
    } else if let Ok(Some((set, _))) = find_task(&places, &task.key) {
        report.folder = Some(set.folder);
        let Description { source, licence, note, .. } = set.description;
        (report.url, report.licence, report.note) = (Some(source), Some(licence), Some(note));
    }
    match data::list(&task.key, &places, protocol) {
        Ok(Some(listing)) => {
            (report.train, report.test) = (listing.train.len(), listing.test.len());
            report.problems.clone_from(&listing.problems);
            report.warnings.clone_from(&listing.warnings);
            report.left_out = listing.left_out.sentences();
            if report.train == 0 && task.epochs.is_some() {
                report.problems.push(format!("there are no usable training samples in {}", listing.root.display()));
            }
            if report.test == 0 {
                report.problems.push(format!("there are no usable test samples in {}", listing.root.display()));
            } else if check {
                match listing.open(Broken::Skip, &places.hashes) {
                    Ok(set) => damaged(&set, &mut report, progress),
                    Err(error) => report.problems.push(error.to_string()),
                }
            }
        }
        Ok(None) => match data::open(&task.key, &places, protocol, Broken::Refuse, progress) {
            Ok(set) => {
                (report.train, report.test) = (set.len(Split::Train), set.len(Split::Test));
                if check {
                    damaged(&*set, &mut report, progress);
                }
            }
            Err(error) => report.problems.push(error.to_string()),
        },
        Err(error) => report.problems.push(error.to_string()),
    }
    report
}

/// Reads every sample and reports those that cannot be read.
fn damaged(set: &dyn Dataset, report: &mut Report, progress: &dyn Progress) {
    for split in [Split::Train, Split::Test] {
        let n = set.len(split);
        progress.begin(&format!("reading {n} {} samples", split.name()), n as u64);
        for index in 0..n {
            if let Err(error) = set.sample(split, index) {
                report.problems.push(error.to_string());
            }
            progress.advance(index as u64 + 1);
        }
    }
}
