//! Training heads for a task on a frozen encoder, and scoring them.

use crate::data::{self, Broken, Dataset, Split};
use crate::features::{Kind, Request};
use crate::head::{Head, HeadSpec, Label};
use crate::progress::Progress;
use crate::recipe::{HeadKind, Recipe, recipe, reference};
use crate::score::metric::{SampleScore, interval, score};
use crate::score::samples::Predictions;
use crate::score::{knn, logistic};
use crate::train::source::{Cached, Source, Streamed};
use crate::train::truth::Truth;
use crate::train::views::Kept;
use crate::train::{Aim, BATCH, Configuration, Keep, Member, Parts, Selection, Tested, hold_out, test_finished, train};
use crate::work::{Lab, Record, Work, key};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use virboard_core::catalogue::Unknown;
use virboard_core::catalogue::task::Task;
use virboard_core::protocol::Protocol;
use virboard_core::run::{Evidence, Origin, Probe, Run, Score};
use virboard_nn::encoder::Precision;
use virboard_nn::files;
use virboard_nn::load::LoadedEncoder;

/// An encoder, a task and the configurations of its training: heads and scores come of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluate {
    /// Key of the encoder.
    pub encoder: String,
    /// Key of the task.
    pub task: String,
    /// Trained side by side. All share epochs, batch size, repeats, seed, selection and protocol.
    pub configurations: Vec<Configuration>,
    /// Whether samples that cannot be read are left out instead of ending the job.
    #[serde(default)]
    pub skip_broken: bool,
    /// Whether image-level tasks also get their nearest neighbours and a logistic regression.
    #[serde(default)]
    pub probes: bool,
}

impl Work for Evaluate {
    const KIND: &'static str = "evaluate";

    fn title(&self) -> String {
        format!("{} on {}", self.encoder, self.task)
    }

    /// What is trained. How broken samples are met and which other scores are taken beside it
    /// does not make it another training, which two processes could do at once.
    fn key(&self) -> Result<String> {
        key::of(Self::KIND, &(&self.encoder, &self.task, &self.configurations))
    }

    fn run(&self, lab: &Lab, progress: &dyn Progress) -> Result<Record> {
        let bench = Bench::open(lab, self, progress)?;
        let ahead = bench.ahead()?;
        if !progress.runs(&self.encoder, &self.task, &ahead) {
            return Ok(Record::default());
        }
        let runs = if bench.task.epochs.is_none() { bench.test_only(progress)? } else { bench.train(progress)? };
        Ok(Record { runs, ..Record::default() })
    }
}

impl Evaluate {
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

/// An evaluation with its encoder and data opened.
struct Bench<'a> {
    lab: &'a Lab,
    work: &'a Evaluate,
    task: Arc<Task>,
    recipe: Recipe,
    dataset: Box<dyn Dataset>,
    encoder: Arc<LoadedEncoder>,
    started: Instant,
}

impl<'a> Bench<'a> {
    fn open(lab: &'a Lab, work: &'a Evaluate, progress: &dyn Progress) -> Result<Self> {
        let started = Instant::now();
        let protocol = work.protocol();
        let broken = if work.skip_broken { Broken::Skip } else { Broken::Refuse };
        let dataset = data::open(&work.task, &lab.folders.places, protocol, broken, progress)?;
        let catalogue = lab.registry.catalogue();
        let task = catalogue.task(&work.task).ok_or_else(|| Unknown::task(&catalogue, &work.task))?.clone();
        let encoder = lab.registry.get(&work.encoder)?;
        let recipe = recipe(&task, protocol).fitted(&*dataset);
        Ok(Self { lab, work, task, recipe, dataset, encoder, started })
    }

    fn device(&self) -> &candle_core::Device {
        self.lab.registry.device()
    }

    /// What is known of the heads' scores before any work.
    fn ahead(&self) -> Result<Vec<Evidence>> {
        if self.task.epochs.is_none() {
            return Ok(vec![self.test_only_evidence()?.1]);
        }
        let trained = |c: &Configuration| Ok(self.evidence(Probe::Head, key::text(c)?, c.seed));
        self.work.configurations.iter().map(trained).collect()
    }

    /// What is known of a score before any work.
    fn evidence(&self, probe: Probe, configuration: String, seed: u64) -> Evidence {
        Evidence {
            source: Origin::Measured,
            encoder_sha256: self.encoder.provenance.sha256.clone(),
            dataset_sha256: self.dataset.sha256(),
            probe,
            protocol: self.work.protocol(),
            precision: self.encoder.precision.name().to_owned(),
            key: key::of_settings(&configuration),
            configuration,
            seed,
            device: self.encoder.computed_beside(self.device()),
            version: self.lab.version.clone(),
            ..Evidence::default()
        }
    }

    fn cached(&self, split: Split, progress: &dyn Progress) -> Result<Cached> {
        let maps = self.augments();
        let request = Request {
            encoder: &self.encoder,
            task: &self.task.key,
            dataset: &*self.dataset,
            split,
            kind: if maps { Kind::Maps } else { Kind::Embedding },
            device: self.device(),
        };
        let features = self.lab.folders.cache.open_or_encode(request, progress)?;
        let input = self.encoder.network.preprocessing();
        Cached::new(features, &*self.dataset, split, (input.width, input.height), self.device())
    }

    fn streamed(&self, split: Split, seed: u64) -> Streamed<'_> {
        Streamed {
            dataset: &*self.dataset,
            split,
            encoder: &self.encoder,
            view: self.recipe.view,
            exact: self.recipe.head == HeadKind::DeepLab,
            seed,
            device: self.device(),
        }
    }

    /// Trains the heads, or goes on where they were when the work was interrupted, and scores
    /// them.
    fn train(&self, progress: &dyn Progress) -> Result<Vec<Run>> {
        let Some(first) = self.work.configurations.first() else { return Ok(Vec::new()) };
        let mut members = Vec::with_capacity(self.work.configurations.len());
        let block4 = if self.recipe.head == HeadKind::DeepLab { self.encoder.last_block()? } else { None };
        for configuration in &self.work.configurations {
            let head = Head::new(self.spec(configuration.seed)?, self.device())?;
            if let Some(block4) = &block4 {
                head.copy_block4(block4)?;
            }
            members.push(Member::new(configuration.clone(), head));
        }
        let drop_last = self.recipe.cached && first.protocol == Protocol::Virb;
        let aim = Aim { loss: self.recipe.loss, scoring: self.recipe.scoring, drop_last };
        let key = self.work.key()?;
        let (weights, data) = (&self.encoder.provenance.sha256, self.dataset.sha256());
        let identity = format!("{weights}/{data}/{key}/{}", self.lab.version);
        let path = self.lab.folders.state(&super::name(Evaluate::KIND, &key));
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
            let mut runs = self.score(&members, &parts, aim, progress)?;
            if self.work.probes && !members[0].head.needs_maps() {
                runs.extend(self.probes(&train_set, &test_set, progress)?);
            }
            return Ok(runs);
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
                &Kept::new(train_set, &self.lab.folders.cache, views.min(first.epochs) + 1),
                &Kept::new(test_set, &self.lab.folders.cache, 1),
            ),
        }
    }

    /// Whether pictures are changed for training: those of tasks about pixels.
    fn augments(&self) -> bool {
        !matches!(self.recipe.head, HeadKind::Linear | HeadKind::MultiEmbedding)
    }

    fn score(&self, members: &[Member], parts: &Parts<'_>, aim: Aim, progress: &dyn Progress) -> Result<Vec<Run>> {
        let mut runs = Vec::with_capacity(members.len());
        for member in members {
            let c = &member.configuration;
            let tested = test_finished(&member.head, parts, aim, c, progress)?;
            let name = format!("{}-{}-seed{}", c.name, c.protocol.name(), c.seed);
            let evidence = self.evidence(Probe::Head, key::text(c)?, c.seed);
            runs.push(Run { score: self.scored(evidence, &name, tested)?, epochs: member.curve().to_vec() });
        }
        let key = |i: usize| members[i].validation().unwrap_or(runs[i].score.value);
        let metric = self.task.metric;
        let best = (0..members.len()).reduce(|a, b| if metric.is_better(key(b), key(a)) { b } else { a });
        if let Some(best) = best {
            let path = self.lab.folders.head(&self.encoder.key, &self.task.key);
            members[best].head.save(&path)?;
            runs[best].score.head = self.lab.folders.below(&path);
            runs[best].score.evidence.selected = true;
        }
        Ok(runs)
    }

    /// Nearest neighbours and logistic regression from the same features.
    fn probes(&self, train_set: &Cached, test_set: &Cached, progress: &dyn Progress) -> Result<Vec<Run>> {
        let device = self.device();
        let of = |set: &Cached| -> Result<(candle_core::Tensor, Vec<u32>)> {
            let all: Vec<usize> = (0..set.len()).collect();
            let Truth::Classes(classes) = set.truth(&all)? else {
                return Err(Error::Unfit(format!("{} has no classes", self.task.key)));
            };
            Ok((set.features().batch(&all, device)?.swap_remove(0), classes))
        };
        let ((x, classes), (test, truth)) = (of(train_set)?, of(test_set)?);
        let protocol = self.work.protocol();
        let tested = |samples: Vec<SampleScore>| {
            let (scoring, protocol) = (self.recipe.scoring, Protocol::Standard);
            let value = score(&samples, scoring, protocol, BATCH);
            Tested { value, interval: interval(&samples, scoring, protocol, BATCH), constant: None, samples }
        };
        let mut runs = Vec::new();
        let votes = knn::classify(&x, &classes, &test, &truth, &knn::NEIGHBOURS, progress)?;
        for (k, samples) in knn::NEIGHBOURS.iter().zip(votes) {
            let json = serde_json::json!({ "name": format!("{k} nearest neighbours"), "k": k, "temperature": 0.07 });
            let name = format!("knn{k}-{}", protocol.name());
            let evidence = self.evidence(Probe::Knn, self.said(json), 0);
            let mut score = self.scored(evidence, &name, tested(samples))?;
            score.evidence.selected = *k == 20;
            runs.push(Run { score, epochs: Vec::new() });
        }
        let labels = self.dataset.labels().len();
        if classes.len() * labels > MOST_LOGISTIC {
            tracing::info!(task = self.task.key, "left out the logistic regression: too many samples and classes");
            return Ok(runs);
        }
        let samples = logistic::classify(&x, &classes, &test, &truth, labels, progress)?;
        let json = self.said(serde_json::json!({ "name": "logistic regression", "C": logistic::C }));
        let name = format!("logistic-{}", protocol.name());
        let mut score = self.scored(self.evidence(Probe::Logistic, json, 0), &name, tested(samples))?;
        score.evidence.selected = true;
        runs.push(Run { score, epochs: Vec::new() });
        Ok(runs)
    }

    /// A probe's configuration as text, with the encoder's precision unless it is the default.
    fn said(&self, mut json: serde_json::Value) -> String {
        if !self.encoder.precision.is_default() {
            json["precision"] = self.encoder.precision.name().into();
        }
        json.to_string()
    }

    /// The head that another task trained, and what is known of its score before the test.
    fn test_only_evidence(&self) -> Result<(Head, Evidence)> {
        let of = self.task.head_of.as_deref().ok_or_else(|| {
            Error::Unsupported(format!("{} says neither how its head is trained nor whose it tests", self.task.key))
        })?;
        let path = self.lab.folders.head(&self.encoder.key, of);
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
            protocol: self.work.protocol(),
            precision: self.encoder.precision,
        };
        let head = Head::load(&path, self.device())?;
        let evidence = self.evidence(Probe::Head, key::text(&said)?, head.spec.seed);
        Ok((head, evidence))
    }

    /// Tests the head that another task trained (ImageNet v2 with ImageNet's).
    fn test_only(&self, progress: &dyn Progress) -> Result<Vec<Run>> {
        let (head, evidence) = self.test_only_evidence()?;
        head.check(&self.encoder)?;
        let test_set = self.cached(Split::Test, progress)?;
        let parts = Parts { train: &test_set, trained: Vec::new(), held_out: None, test: &test_set };
        let protocol = self.work.protocol();
        let aim = Aim { loss: self.recipe.loss, scoring: self.recipe.scoring, drop_last: protocol == Protocol::Virb };
        let Some(configuration) = self.work.configurations.first() else { return Ok(Vec::new()) };
        let tested = test_finished(&head, &parts, aim, configuration, progress)?;
        let name = format!("head-of-{}-{}", head.spec.task, protocol.name());
        let mut score = self.scored(evidence, &name, tested)?;
        score.evidence.selected = true;
        Ok(vec![Run { score, epochs: Vec::new() }])
    }

    /// The score of a test, whose per-sample results are kept.
    fn scored(&self, evidence: Evidence, name: &str, tested: Tested) -> Result<Score> {
        let Tested { samples, value, interval, constant } = tested;
        if !value.is_finite() {
            return Err(Error::NoValue {
                metric: self.task.metric.name(),
                encoder: self.encoder.key.clone(),
                task: self.task.key.clone(),
            });
        }
        let folder = self.lab.folders.predictions().join(&self.encoder.key).join(&self.task.key);
        let path = folder.join(format!("{name}.json.zst"));
        let predictions = Predictions {
            encoder: self.encoder.key.clone(),
            task: self.task.key.clone(),
            labels: self.dataset.labels().into_iter().map(|l: Label| l.name).collect(),
            names: (0..samples.len()).map(|i| self.dataset.name(Split::Test, i)).collect(),
            samples,
        };
        predictions.save(&path)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
        Ok(Score {
            run: None,
            encoder: self.encoder.key.clone(),
            task: self.task.key.clone(),
            value,
            interval,
            constant,
            evidence: Evidence {
                finished_at: now,
                seconds: self.started.elapsed().as_secs_f64(),
                test_samples: predictions.samples.len() as u64,
                ..evidence
            },
            head: String::new(),
            predictions: self.lab.folders.below(&path),
        })
    }

    fn spec(&self, seed: u64) -> Result<HeadSpec> {
        let images = self.dataset.images();
        Ok(HeadSpec {
            task: self.task.key.clone(),
            encoder: self.encoder.key.clone(),
            encoder_sha256: self.encoder.provenance.sha256.clone(),
            kind: self.task.kind,
            architecture: self.recipe.architecture(&self.encoder, images, self.work.protocol())?,
            labels: self.dataset.labels(),
            unit: self.task.unit.clone(),
            scale: self.recipe.scale,
            seed,
            images,
            channels: self.recipe.channels,
            reference: reference(&self.task, &*self.dataset)?,
        })
    }
}

/// Samples times classes up to which a logistic regression is fitted (its one-hot matrix).
const MOST_LOGISTIC: usize = 200_000_000;
