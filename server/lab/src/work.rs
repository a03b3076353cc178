//! Work: what takes minutes, a file a kind.
//!
//! A kind of work is a plain value that implements [`Work`], and a line in [`KINDS`]. It knows
//! no database and no queue: the caller hands in a [`Lab`] and a [`Progress`], and gets a
//! [`Record`] back. As a [`Job`] it can be kept and sent.

pub mod cka;
pub mod encode;
pub mod evaluate;
pub mod key;
pub mod pretrain;

use crate::data::Places;
use crate::features::Cache;
use crate::progress::Progress;
use crate::registry::Registry;
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use virboard_core::run::Run;
use virboard_nn::files;

/// Every kind of work.
const KINDS: [WorkKind; 4] = [
    WorkKind::of::<evaluate::Evaluate>(),
    WorkKind::of::<encode::Encode>(),
    WorkKind::of::<cka::Cka>(),
    WorkKind::of::<pretrain::Pretrain>(),
];

/// Where work finds and leaves files.
#[derive(Debug, Clone)]
pub struct Folders {
    /// The data folder; what is recorded names files below it.
    pub data: PathBuf,
    /// Data sets, and what ships with Virboard.
    pub places: Places,
    /// Cached features.
    pub cache: Cache,
}

impl Folders {
    /// Trained heads, `ENCODER/TASK.safetensors`.
    #[must_use]
    pub fn heads(&self) -> PathBuf {
        self.data.join("heads")
    }

    /// Per-sample results, `ENCODER/TASK/NAME.json.zst`.
    #[must_use]
    pub fn predictions(&self) -> PathBuf {
        self.data.join("predictions")
    }

    /// States of trainings and locks of jobs.
    #[must_use]
    pub fn runs(&self) -> PathBuf {
        self.data.join("runs")
    }

    /// The lock of a job, by its name.
    #[must_use]
    pub fn lock(&self, name: &str) -> PathBuf {
        self.runs().join(format!("{name}.lock"))
    }

    /// What a job keeps to go on from when it is interrupted, by its name.
    #[must_use]
    pub fn state(&self, name: &str) -> PathBuf {
        self.runs().join(format!("{name}.state.safetensors"))
    }

    /// The file of a head that was trained here.
    #[must_use]
    pub fn head(&self, encoder: &str, task: &str) -> PathBuf {
        head_path(&self.heads(), encoder, task)
    }

    /// A file's name below the data folder.
    #[must_use]
    pub fn below(&self, path: &Path) -> String {
        path.strip_prefix(&self.data).unwrap_or(path).to_string_lossy().into_owned()
    }
}

/// The file of a head below a folder of heads.
#[must_use]
pub fn head_path(heads: &Path, encoder: &str, task: &str) -> PathBuf {
    heads.join(encoder).join(format!("{task}.safetensors"))
}

/// What work has at hand.
pub struct Lab {
    /// Where files lie.
    pub folders: Folders,
    /// The encoders.
    pub registry: Arc<Registry>,
    /// Version of the program, for the evidence.
    pub version: String,
}

/// Something that takes minutes, described so that it can be kept, sent and done elsewhere.
pub trait Work: Serialize + DeserializeOwned {
    /// Name of this kind of work, of lower-case letters.
    const KIND: &'static str;

    /// What it is called in lists.
    fn title(&self) -> String;

    /// By which it is told whether two are the same: see [`key`].
    fn key(&self) -> Result<String> {
        key::of(Self::KIND, self)
    }

    /// Does it, or goes on where it was interrupted. Blocks; several processes may do it at
    /// once only if they hold the job's lock in turns.
    fn run(&self, lab: &Lab, progress: &dyn Progress) -> Result<Record>;
}

/// What work brought.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Scores with their curves; first those that were announced to [`Progress::runs`].
    pub runs: Vec<Run>,
    /// Files that it wrote because they were asked for.
    pub files: Vec<PathBuf>,
    /// What else it found, as JSON.
    pub found: Value,
}

/// Work of any kind, as it is kept and sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Kind of the work.
    pub kind: String,
    /// Its key.
    pub key: String,
    /// What it is called in lists.
    pub title: String,
    /// The work itself.
    pub work: Value,
}

impl Job {
    /// The job of some work.
    pub fn of<W: Work>(work: &W) -> Result<Self> {
        let (kind, key) = (W::KIND.to_owned(), work.key()?);
        Ok(Self { kind, key, title: work.title(), work: key::value(work)? })
    }

    /// Name of the job and of its files, of letters, digits and `-`.
    #[must_use]
    pub fn name(&self) -> String {
        name(&self.kind, &self.key)
    }

    /// The work, if it is of this kind.
    pub fn work<W: Work>(&self) -> Result<W> {
        W::deserialize(&self.work).map_err(Error::json("a job"))
    }

    /// Does the work. The caller holds the job's lock, keeps the record, and then calls
    /// [`Self::finish`].
    pub fn run(&self, lab: &Lab, progress: &dyn Progress) -> Result<Record> {
        let kind = KINDS.iter().find(|k| k.name == self.kind).ok_or_else(|| Error::Unknown {
            what: "kind of work",
            key: self.kind.clone(),
            known: KINDS.map(|k| k.name).join(", "),
        })?;
        (kind.run)(self, lab, progress)
    }

    /// Takes the job, or gives `None` while another process works on it.
    pub fn try_lock(&self, folders: &Folders) -> Result<Option<File>> {
        Ok(files::try_lock(&folders.lock(&self.name()))?)
    }

    /// Takes the job once no other process works on it.
    pub fn lock(&self, folders: &Folders) -> Result<File> {
        Ok(files::lock(&folders.lock(&self.name()))?)
    }

    /// Removes what the job kept to go on from.
    pub fn finish(&self, folders: &Folders) {
        let _ = std::fs::remove_file(folders.state(&self.name()));
    }
}

/// It becomes the name of files, so that only harmless letters of what was sent are taken.
fn name(kind: &str, key: &str) -> String {
    let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).take(16).collect::<String>();
    format!("{}-{}", plain(kind), plain(key))
}

/// A kind of work, for a job that comes by name.
struct WorkKind {
    name: &'static str,
    run: fn(&Job, &Lab, &dyn Progress) -> Result<Record>,
}

impl WorkKind {
    const fn of<W: Work>() -> Self {
        Self { name: W::KIND, run: |job, lab, progress| job.work::<W>()?.run(lab, progress) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Configuration;
    use evaluate::Evaluate;
    use virboard_core::protocol::Protocol;

    fn evaluation() -> Evaluate {
        let configuration = Configuration { views: Some(3), learning_rate: 3e-4, ..plain() };
        let (encoder, task) = ("SWAV_800".to_owned(), "Pets".to_owned());
        Evaluate { encoder, task, configurations: vec![configuration, plain()], skip_broken: false, probes: true }
    }

    fn plain() -> Configuration {
        Configuration::untrained("plain".to_owned(), 5, Protocol::Virb)
    }

    #[test]
    fn a_job_is_sent_as_kind_and_json() {
        let work = evaluation();
        let job = Job::of(&work).expect("a job");
        assert_eq!((job.kind.as_str(), job.title.as_str()), ("evaluate", "SWAV_800 on Pets"));
        let sent = serde_json::to_string(&job).expect("written");
        let received: Job = serde_json::from_str(&sent).expect("read");
        assert_eq!(received, job);
        let again: Evaluate = received.work().expect("the same work");
        assert_eq!(again, work);
        assert_eq!(again.key().expect("a key"), job.key);
        assert_eq!(job.name().len(), "evaluate-".len() + 16);
    }

    #[test]
    fn what_is_trained_decides_the_key() {
        let key = |work: &Evaluate| work.key().expect("a key");
        let work = evaluation();
        assert_eq!(key(&work), key(&Evaluate { skip_broken: true, probes: false, ..work.clone() }));
        let fewer = Evaluate { configurations: vec![plain()], ..work.clone() };
        let seed = Evaluate { configurations: vec![Configuration { seed: 6, ..plain() }], ..work.clone() };
        let task = Evaluate { task: "dtd".to_owned(), ..fewer.clone() };
        let mut keys = [&work, &fewer, &seed, &task].map(key);
        keys.sort_unstable();
        assert!(keys.windows(2).all(|k| k[0] != k[1]), "{keys:?}");
    }

    #[test]
    fn strangers_are_refused_and_name_no_file_elsewhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let places = |name: &str| folder.path().join(name);
        let folders = Folders {
            data: folder.path().to_path_buf(),
            places: Places { samples: places("s"), datasets: places("d"), hashes: places("h") },
            cache: Cache { folder: places("c"), limit: 0 },
        };
        let registry =
            Registry::new(virboard_core::catalogue::Catalogue::builtin(), Vec::new(), candle_core::Device::Cpu, 0);
        let lab = Lab { folders, registry: Arc::new(registry), version: String::new() };
        let job =
            Job { kind: "../juggle".to_owned(), key: "é/../x".to_owned(), ..Job::of(&evaluation()).expect("a job") };
        assert_eq!(job.name(), "juggle-x");
        let said = job.run(&lab, &()).expect_err("refused").to_string();
        assert!(said.contains("juggle") && said.contains("evaluate, encode, cka, pretrain"), "{said}");
        let wrong = Job { kind: "cka".to_owned(), ..job };
        assert!(
            wrong.run(&lab, &()).expect_err("refused").to_string().contains("a job cannot be"),
            "another kind's work"
        );
    }
}
