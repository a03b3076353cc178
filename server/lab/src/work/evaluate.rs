//! One job: an encoder, a task and the configurations of its training give heads and scores.

use crate::data::{self, Broken, Dataset, Places, Split, scenes};
use crate::features::{Cache, Kind, Request};
use crate::head::{Head, HeadSpec, Label};
use crate::progress::{EpochReport, Progress};
use crate::recipe::{HeadKind, Recipe, recipe};
use crate::registry::Registry;
use crate::score::metric::{SampleScore, interval, score};
use crate::score::samples::Predictions;
use crate::score::{knn, logistic};
use crate::train::source::{Cached, Source, Streamed};
use crate::train::truth::Truth;
use crate::train::views::Kept;
use crate::train::{Aim, Configuration, Keep, Member, Parts, Selection, Tested, hold_out, test_finished, train};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Instant;
use virboard_core::catalogue;
use virboard_core::catalogue::task::{OutputKind, Task, TaskRole};
use virboard_core::protocol::Protocol;
use virboard_core::results::Probe;
use virboard_core::statistics::Interval;
use virboard_nn::encoder::Precision;
use virboard_nn::files::{self, sha256};
use virboard_nn::load::LoadedEncoder;
use virboard_nn::optimiser::Kind as OptimiserKind;
use virboard_nn::schedule::Schedule;

/// Where a job finds and leaves files.
#[derive(Debug, Clone)]
pub struct Folders {
    /// Data sets, and what ships with Virboard.
    pub places: Places,
    /// Cached features.
    pub cache: Cache,
    /// Trained heads, `ENCODER/TASK.safetensors`.
    pub heads: PathBuf,
    /// States of trainings and locks of jobs.
    pub runs: PathBuf,
    /// Per-sample results, `ENCODER/TASK/NAME.json.zst`.
    pub predictions: PathBuf,
}

/// What is to be evaluated.
#[derive(Debug, Clone)]
pub struct Job {
    /// Key of the encoder.
    pub encoder: String,
    /// Key of the task.
    pub task: String,
    /// Trained side by side. All share epochs, batch size, repeats, seed, selection and protocol.
    pub configurations: Vec<Configuration>,
    /// Whether samples that cannot be read are left out instead of ending the job.
    pub skip_broken: bool,
    /// Whether image-level tasks also get their nearest neighbours and a logistic regression.
    pub probes: bool,
}

/// One score that a job found.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How the features were read.
    pub probe: Probe,
    /// The configuration as JSON.
    pub configuration: String,
    /// Its seed; 0 where nothing is random.
    pub seed: u64,
    /// The test metric.
    pub value: f64,
    /// Where it lies with a confidence of 95 % when test samples are drawn anew.
    pub interval: Option<Interval>,
    /// The same of the best constant answer.
    pub constant: Option<f64>,
    /// Whether it is the job's answer for its probe.
    pub selected: bool,
    /// SHA-256 of the encoder's weights.
    pub encoder_sha256: String,
    /// SHA-256 of the data set.
    pub dataset_sha256: String,
    /// Test samples.
    pub test_samples: u64,
    /// Epochs of the training.
    pub curve: Vec<EpochReport>,
    /// The head's file, for the selected head.
    pub head: Option<PathBuf>,
    /// The per-sample results.
    pub predictions: PathBuf,
    /// Wall-clock seconds since the job was begun or taken up again.
    pub seconds: f64,
}

/// The published configuration of a task, with `seed`.
///
/// # Errors
/// [`Error::NotTrained`] for a task that is only tested, never trained.
pub fn configuration(task: &Task, seed: u64, protocol: Protocol) -> Result<Configuration> {
    let (Some(epochs), Some(learning_rate), Some(batch_size)) = (task.epochs, task.learning_rate, task.batch_size)
    else {
        return Err(Error::NotTrained { task: task.key.to_owned() });
    };
    let sample = task.role == TaskRole::Sample;
    let poly = task.key == "CityscapesSemanticSegmentation";
    Ok(Configuration {
        name: format!("adam-{learning_rate}"),
        epochs,
        batch_size: batch_size as usize,
        test_batch_size: TEST_BATCH,
        optimiser: OptimiserKind::Adam,
        learning_rate,
        schedule: match (sample, poly) {
            (true, _) => Schedule::Cosine,
            (_, true) => Schedule::Poly { exponent: 0.9 },
            _ => Schedule::Constant,
        },
        standardise: sample,
        repeats: 1,
        protocol,
        selection: Selection::LastEpoch,
        seed,
        views: None,
        precision: Precision::F32,
    })
}

/// ViRB's size of test batches.
pub const TEST_BATCH: usize = 32;

/// The file of a head below a folder.
#[must_use]
pub fn head_path(heads: &Path, encoder: &str, task: &str) -> PathBuf {
    heads.join(encoder).join(format!("{task}.safetensors"))
}

impl Job {
    /// Name of the job's files, of letters, digits, `.`, `_` and `-`.
    #[must_use]
    pub fn name(&self) -> String {
        let identity = serde_json::to_string(&self.configurations).unwrap_or_default();
        format!("{}.{}.{}", self.encoder, self.task, &sha256(identity.as_bytes())[..12])
    }

    /// Takes the job, or gives `None` while another process works on it.
    pub fn try_lock(&self, folders: &Folders) -> Result<Option<std::fs::File>> {
        Ok(files::try_lock(&folders.runs.join(format!("{}.lock", self.name())))?)
    }

    fn state_path(&self, folders: &Folders) -> PathBuf {
        folders.runs.join(format!("{}.state.safetensors", self.name()))
    }

    /// Removes the training's state, once its scores are kept elsewhere.
    pub fn finish(&self, folders: &Folders) {
        let _ = std::fs::remove_file(self.state_path(folders));
    }

    fn protocol(&self) -> Protocol {
        self.configurations.first().map_or_else(Protocol::default, |c| c.protocol)
    }
}

/// What a test without training says of itself.
#[derive(Serialize, Deserialize)]
struct TestOnly {
    head_of: String,
    head_sha256: String,
    protocol: Protocol,
    #[serde(skip_serializing_if = "Precision::is_default")]
    precision: Precision,
}

/// A job with its encoder and data opened.
pub struct Bench<'a> {
    folders: &'a Folders,
    job: &'a Job,
    task: &'static Task,
    recipe: Recipe,
    dataset: Box<dyn Dataset>,
    encoder: std::sync::Arc<LoadedEncoder>,
    registry: &'a Registry,
    started: Instant,
}

impl<'a> Bench<'a> {
    /// Opens the encoder and the data set of a job. The caller holds the job's lock.
    pub fn open(registry: &'a Registry, folders: &'a Folders, job: &'a Job, progress: &dyn Progress) -> Result<Self> {
        let started = Instant::now();
        let protocol = job.protocol();
        let broken = if job.skip_broken { Broken::Skip } else { Broken::Refuse };
        let dataset = data::open(&job.task, &folders.places, protocol, broken, progress)?;
        let task = catalogue::task(&job.task)
            .ok_or_else(|| Error::Unsupported(format!("{} is not in the catalogue", job.task)))?;
        let encoder = registry.get(&job.encoder)?;
        Ok(Self { folders, job, task, recipe: recipe(task, protocol), dataset, encoder, registry, started })
    }

    /// SHA-256 of the encoder's weights.
    #[must_use]
    pub fn encoder_sha256(&self) -> String {
        self.encoder.provenance.sha256.clone()
    }

    /// SHA-256 of pictures and truth.
    #[must_use]
    pub fn dataset_sha256(&self) -> String {
        self.dataset.sha256()
    }

    /// The configurations of the scores that [`Self::run`] gives first, as JSON.
    pub fn configurations(&self) -> Result<Vec<String>> {
        if self.task.epochs.is_none() {
            return Ok(vec![self.test_only_configuration()?.1]);
        }
        Ok(self.job.configurations.iter().map(|c| serde_json::to_string(c).unwrap_or_default()).collect())
    }

    /// Trains the job's heads, or goes on where they were when the job was interrupted, and
    /// scores them. The caller keeps the outcomes and then calls [`Job::finish`].
    pub fn run(&self, progress: &dyn Progress) -> Result<Vec<Outcome>> {
        if self.task.epochs.is_none() { self.test_only(progress) } else { self.train(progress) }
    }

    fn cached(&self, split: Split, progress: &dyn Progress) -> Result<Cached> {
        let maps = self.augments();
        let request = Request {
            encoder: &self.encoder,
            task: self.task.key,
            dataset: &*self.dataset,
            split,
            kind: if maps { Kind::Maps } else { Kind::Embedding },
            device: self.registry.device(),
        };
        let features = self.folders.cache.open_or_encode(request, progress)?;
        let input = self.encoder.network.preprocessing();
        Cached::new(features, &*self.dataset, split, (input.width, input.height), self.registry.device())
    }

    fn streamed(&self, split: Split, seed: u64) -> Streamed<'_> {
        Streamed {
            dataset: &*self.dataset,
            split,
            encoder: &self.encoder,
            view: self.recipe.view,
            exact: self.recipe.head == HeadKind::DeepLab,
            seed,
            device: self.registry.device(),
        }
    }

    fn train(&self, progress: &dyn Progress) -> Result<Vec<Outcome>> {
        let Some(first) = self.job.configurations.first() else { return Ok(Vec::new()) };
        let mut members = Vec::with_capacity(self.job.configurations.len());
        let block4 = if self.recipe.head == HeadKind::DeepLab { self.encoder.last_block()? } else { None };
        for configuration in &self.job.configurations {
            let head = Head::new(self.spec(configuration.seed)?, self.registry.device())?;
            if let Some(block4) = &block4 {
                head.copy_block4(block4)?;
            }
            members.push(Member::new(configuration.clone(), head));
        }
        let drop_last = self.recipe.cached && first.protocol == Protocol::Virb;
        let aim = Aim { loss: self.recipe.loss, scoring: self.recipe.scoring, drop_last };
        let identity = format!(
            "{}/{}/{}/{}",
            self.encoder.provenance.sha256,
            self.dataset.sha256(),
            serde_json::to_string(&self.job.configurations).unwrap_or_default(),
            env!("CARGO_PKG_VERSION")
        );
        let path = self.job.state_path(self.folders);
        let keep = Some(Keep { path: &path, identity: &identity });
        let all: Vec<usize> = (0..self.dataset.len(Split::Train)).collect();
        let (trained, held) = match first.selection {
            Selection::Validation => hold_out(all.len()),
            Selection::LastEpoch => (all, Vec::new()),
        };
        let views = first.views.filter(|_| self.augments());
        if self.recipe.cached && views.is_none() {
            let (train_set, test_set) = (self.cached(Split::Train, progress)?, self.cached(Split::Test, progress)?);
            let held_out = (!held.is_empty()).then_some((&train_set as &dyn Source, held));
            let parts = Parts { train: &train_set, trained, held_out, test: &test_set };
            train(&mut members, &parts, aim, keep, progress)?;
            let mut outcomes = self.score(&members, &parts, aim, progress)?;
            if self.job.probes && !members[0].head.needs_maps() {
                outcomes.extend(self.probes(&train_set, &test_set, progress)?);
            }
            return Ok(outcomes);
        }
        let (train_set, test_set) = (self.streamed(Split::Train, first.seed), self.streamed(Split::Test, first.seed));
        let learn = |train_set: &dyn Source, test_set: &dyn Source| {
            let held_out = (!held.is_empty()).then_some((train_set, held));
            let parts = Parts { train: train_set, trained, held_out, test: test_set };
            train(&mut members, &parts, aim, keep, progress)?;
            self.score(&members, &parts, aim, progress)
        };
        match views {
            None => learn(&train_set, &test_set),
            // One more for those that are held out, which are seen as they are.
            Some(views) => learn(
                &Kept::new(train_set, &self.folders.cache, views.min(first.epochs) + 1),
                &Kept::new(test_set, &self.folders.cache, 1),
            ),
        }
    }

    /// Whether pictures are changed for training: those of tasks about pixels.
    fn augments(&self) -> bool {
        !matches!(self.recipe.head, HeadKind::Linear | HeadKind::MultiEmbedding)
    }

    fn score(&self, members: &[Member], parts: &Parts<'_>, aim: Aim, progress: &dyn Progress) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(members.len());
        for member in members {
            let c = &member.configuration;
            let tested = test_finished(&member.head, parts, aim, c, progress)?;
            let json = serde_json::to_string(c).unwrap_or_default();
            let name = format!("{}-{}-seed{}", c.name, c.protocol.name(), c.seed);
            let mut outcome = self.outcome(Probe::Head, &name, json, c.seed, tested)?;
            outcome.curve = member.curve().to_vec();
            outcomes.push(outcome);
        }
        let key = |i: usize| members[i].validation().unwrap_or(outcomes[i].value);
        let metric = self.task.metric;
        let best = (0..members.len()).reduce(|a, b| if metric.is_better(key(b), key(a)) { b } else { a });
        if let Some(best) = best {
            let path = head_path(&self.folders.heads, &self.encoder.key, self.task.key);
            members[best].head.save(&path)?;
            outcomes[best].head = Some(path);
            outcomes[best].selected = true;
        }
        Ok(outcomes)
    }

    /// Nearest neighbours and logistic regression from the same features.
    fn probes(&self, train_set: &Cached, test_set: &Cached, progress: &dyn Progress) -> Result<Vec<Outcome>> {
        let device = self.registry.device();
        let of = |set: &Cached| -> Result<(candle_core::Tensor, Vec<u32>)> {
            let all: Vec<usize> = (0..set.len()).collect();
            let Truth::Classes(classes) = set.truth(&all)? else {
                return Err(Error::Unfit(format!("{} has no classes", self.task.key)));
            };
            Ok((set.features().batch(&all, device)?.swap_remove(0), classes))
        };
        let ((x, classes), (test, truth)) = (of(train_set)?, of(test_set)?);
        let protocol = self.job.protocol();
        let tested = |samples: Vec<SampleScore>| {
            let (scoring, protocol) = (self.recipe.scoring, Protocol::Standard);
            let value = score(&samples, scoring, protocol, TEST_BATCH);
            Tested { value, interval: interval(&samples, scoring, protocol, TEST_BATCH), constant: None, samples }
        };
        let mut outcomes = Vec::new();
        let votes = knn::classify(&x, &classes, &test, &truth, &knn::NEIGHBOURS, progress)?;
        for (k, samples) in knn::NEIGHBOURS.iter().zip(votes) {
            let json = serde_json::json!({ "name": format!("{k} nearest neighbours"), "k": k, "temperature": 0.07 });
            let json = self.said(json);
            let name = format!("knn{k}-{}", protocol.name());
            let mut outcome = self.outcome(Probe::Knn, &name, json, 0, tested(samples))?;
            outcome.selected = *k == 20;
            outcomes.push(outcome);
        }
        let labels = self.dataset.labels().len();
        if classes.len() * labels > MOST_LOGISTIC {
            tracing::info!(task = self.task.key, "left out the logistic regression: too many samples and classes");
            return Ok(outcomes);
        }
        let samples = logistic::classify(&x, &classes, &test, &truth, labels, progress)?;
        let json = self.said(serde_json::json!({ "name": "logistic regression", "C": logistic::C }));
        let name = format!("logistic-{}", protocol.name());
        let mut outcome = self.outcome(Probe::Logistic, &name, json, 0, tested(samples))?;
        outcome.selected = true;
        outcomes.push(outcome);
        Ok(outcomes)
    }

    /// A probe's configuration as text, with the encoder's precision unless it is the default.
    fn said(&self, mut json: serde_json::Value) -> String {
        if !self.encoder.precision.is_default() {
            json["precision"] = self.encoder.precision.name().into();
        }
        json.to_string()
    }

    /// The head that another task trained, and what says so.
    fn test_only_configuration(&self) -> Result<(PathBuf, String)> {
        let of = crate::head::OWN_TASK;
        let path = head_path(&self.folders.heads, &self.encoder.key, of);
        if !path.is_file() {
            return Err(Error::Unsupported(format!(
                "{} tests the head that {of} trains, and {} is not there; run `virboard evaluate --encoders {} --tasks {of}` first",
                self.task.key,
                path.display(),
                self.encoder.key
            )));
        }
        let said = TestOnly {
            head_of: of.to_owned(),
            head_sha256: files::sha256_file(&path)?,
            protocol: self.job.protocol(),
            precision: self.encoder.precision,
        };
        Ok((path, serde_json::to_string(&said).unwrap_or_default()))
    }

    /// Tests the head that another task trained (ImageNet v2 with ImageNet's).
    fn test_only(&self, progress: &dyn Progress) -> Result<Vec<Outcome>> {
        let (path, json) = self.test_only_configuration()?;
        let head = Head::load(&path, self.registry.device())?;
        head.check(&self.encoder)?;
        let test_set = self.cached(Split::Test, progress)?;
        let parts = Parts { train: &test_set, trained: Vec::new(), held_out: None, test: &test_set };
        let protocol = self.job.protocol();
        let aim = Aim { loss: self.recipe.loss, scoring: self.recipe.scoring, drop_last: protocol == Protocol::Virb };
        let Some(configuration) = self.job.configurations.first() else { return Ok(Vec::new()) };
        let tested = test_finished(&head, &parts, aim, configuration, progress)?;
        let name = format!("head-of-{}-{}", head.spec.task, protocol.name());
        let mut outcome = self.outcome(Probe::Head, &name, json, head.spec.seed, tested)?;
        outcome.selected = true;
        Ok(vec![outcome])
    }

    fn outcome(&self, probe: Probe, name: &str, configuration: String, seed: u64, tested: Tested) -> Result<Outcome> {
        let Tested { samples, value, interval, constant } = tested;
        if !value.is_finite() {
            return Err(Error::NoValue {
                metric: self.task.metric.name(),
                encoder: self.encoder.key.clone(),
                task: self.task.key.to_owned(),
            });
        }
        let path =
            self.folders.predictions.join(&self.encoder.key).join(self.task.key).join(format!("{name}.json.zst"));
        let predictions = Predictions {
            encoder: self.encoder.key.clone(),
            task: self.task.key.to_owned(),
            labels: self.dataset.labels().into_iter().map(|l: Label| l.name).collect(),
            names: (0..samples.len()).map(|i| self.dataset.name(Split::Test, i)).collect(),
            samples,
        };
        predictions.save(&path)?;
        Ok(Outcome {
            probe,
            configuration,
            seed,
            value,
            interval,
            constant,
            selected: false,
            encoder_sha256: self.encoder.provenance.sha256.clone(),
            dataset_sha256: self.dataset.sha256(),
            test_samples: predictions.samples.len() as u64,
            curve: Vec::new(),
            head: None,
            predictions: path,
            seconds: self.started.elapsed().as_secs_f64(),
        })
    }

    fn spec(&self, seed: u64) -> Result<HeadSpec> {
        let images = self.dataset.images();
        Ok(HeadSpec {
            task: self.task.key.to_owned(),
            encoder: self.encoder.key.clone(),
            encoder_sha256: self.encoder.provenance.sha256.clone(),
            kind: self.task.kind,
            architecture: self.recipe.architecture(&self.encoder, images, self.job.protocol())?,
            labels: self.dataset.labels(),
            unit: self.task.unit.to_owned(),
            scale: self.recipe.scale,
            seed,
            images,
            channels: self.recipe.channels,
            reference: (self.task.kind == OutputKind::Flow && self.task.role == TaskRole::Sample)
                .then_some(scenes::SIZE),
        })
    }
}

/// Samples times classes up to which a logistic regression is fitted (its one-hot matrix).
const MOST_LOGISTIC: usize = 200_000_000;
