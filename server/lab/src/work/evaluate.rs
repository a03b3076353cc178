//! Training heads for a task on a frozen encoder, or together with it, and scoring them.

mod fine_tune;
mod probes;

use crate::data::{self, Broken, Dataset, Split};
use crate::features::{Kind, Request};
use crate::head::{Head, HeadSpec, Label};
use crate::progress::Progress;
use crate::recipe::{HeadKind, Recipe, recipe, reference};
use crate::score::samples::Predictions;
use crate::train::source::{Cached, Source, Streamed};
use crate::train::views::Kept;
use crate::train::{
    Aim, Configuration, Keep, Member, Parts, Selection, Tested, Trained, hold_out, test_finished, train,
};
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
        work.check(&lab.registry)?;
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
        let trained = |c: &Configuration| Ok(self.evidence(self.work.probe(), key::text(c)?, c.seed));
        self.work.configurations.iter().map(trained).collect()
    }

    /// What is known of a score before any work.
    fn evidence(&self, probe: Probe, configuration: String, seed: u64) -> Evidence {
        // An encoder that is trained computes where the head does, in full precision.
        let (precision, device) = match probe {
            Probe::FineTuned => (Precision::F32, virboard_nn::device::name(self.device())),
            _ => (self.encoder.precision, self.encoder.computed_beside(self.device())),
        };
        Evidence {
            source: Origin::Measured,
            encoder_sha256: self.encoder.provenance.sha256.clone(),
            dataset_sha256: self.dataset.sha256(),
            probe,
            protocol: self.work.protocol(),
            precision: precision.name().to_owned(),
            key: key::of_settings(&configuration),
            configuration,
            seed,
            device,
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
        let mut members = self.members()?;
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
        let learn = |train_set: &dyn Source, test_set: &dyn Source| {
            let held_out = (!held.is_empty()).then_some((train_set, held));
            let parts = Parts { train: train_set, trained, held_out, test: test_set };
            train(&mut members, &parts, aim, keep, progress)?;
            self.score(&members, &parts, aim, progress)
        };
        if first.fine_tuning.is_some() {
            return learn(&self.pictures(Split::Train, first.seed), &self.pictures(Split::Test, first.seed));
        }
        let views = first.views.filter(|_| self.augments());
        if self.recipe.cached && views.is_none() {
            let (train_set, test_set) = (self.cached(Split::Train, progress)?, self.cached(Split::Test, progress)?);
            let mut runs = learn(&train_set, &test_set)?;
            if self.work.probes && !self.augments() {
                runs.extend(self.probes(&train_set, &test_set, progress)?);
            }
            return Ok(runs);
        }
        let (train_set, test_set) = (self.streamed(Split::Train, first.seed), self.streamed(Split::Test, first.seed));
        match views {
            None => learn(&train_set, &test_set),
            // One more for those that are held out, which are seen as they are.
            Some(views) => learn(
                &Kept::new(train_set, &self.lab.folders.cache, views.min(first.epochs) + 1),
                &Kept::new(test_set, &self.lab.folders.cache, 1),
            ),
        }
    }

    /// What is trained, as it begins.
    fn members(&self) -> Result<Vec<Member>> {
        let block4 = if self.recipe.head == HeadKind::DeepLab { self.encoder.last_block()? } else { None };
        let member = |configuration: &Configuration| {
            let head = Head::new(self.spec(configuration.seed)?, self.device())?;
            if let Some(block4) = &block4 {
                head.copy_block4(block4)?;
            }
            let configuration = configuration.clone();
            Ok(match configuration.fine_tuning {
                None => Member::new(configuration, head),
                Some(tuning) => {
                    let encoder = self.encoder.trainable(self.device())?;
                    Member::fine_tuned(configuration, &tuning, head, encoder)
                }
            })
        };
        self.work.configurations.iter().map(member).collect()
    }

    /// Whether pictures are changed for training: those of tasks about pixels.
    fn augments(&self) -> bool {
        !matches!(self.recipe.head, HeadKind::Linear | HeadKind::MultiEmbedding)
    }

    fn score(&self, members: &[Member], parts: &Parts<'_>, aim: Aim, progress: &dyn Progress) -> Result<Vec<Run>> {
        let mut runs = Vec::with_capacity(members.len());
        for member in members {
            let c = &member.configuration;
            let tested = test_finished(member.trained(), parts, aim, c, progress)?;
            let evidence = self.evidence(self.work.probe(), key::text(c)?, c.seed);
            let name = self.named(c, &evidence.key);
            runs.push(Run { score: self.scored(evidence, &name, tested)?, epochs: member.curve().to_vec() });
        }
        let key = |i: usize| members[i].validation().unwrap_or(runs[i].score.value);
        let metric = self.task.metric;
        let best = (0..members.len()).reduce(|a, b| if metric.is_better(key(b), key(a)) { b } else { a });
        let Some(best) = best else { return Ok(runs) };
        runs[best].score.evidence.selected = true;
        // The head of a fine-tuned encoder means nothing without that encoder.
        if self.work.probe() == Probe::Head {
            let path = self.lab.folders.head(&self.encoder.key, &self.task.key);
            members[best].head.save(&path)?;
            runs[best].score.head = self.lab.folders.below(&path);
        }
        Ok(runs)
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
        let tested = test_finished(Trained::frozen(&head), &parts, aim, configuration, progress)?;
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
