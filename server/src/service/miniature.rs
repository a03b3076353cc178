//! The paper in miniature: which encoders are trained, on what, and as what they are declared. All of it follows from
//! one list, `miniature.yaml` among what ships, and from the paper's encoders in the catalogue.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use virboard_core::catalogue::encoder::{Encoder, EncoderRole, Licence, Method, Pretraining};
use virboard_core::catalogue::{Catalogue, MINIATURE};
use virboard_lab::pretrain::pictures::Data;
use virboard_lab::pretrain::settings::{Neighbours, Settings};
use virboard_lab::pretrain::subset::Subset;
use virboard_lab::work::pretrain::{Pretrain, Trained};

/// File below the samples' folder that holds the list.
pub const LIST: &str = "miniature.yaml";
/// What precedes the keys of the paper's encoders.
const PREFIX: &str = "Mini_";

/// Why the list cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The list cannot be read.
    #[error("{path}: {reason}")]
    Unreadable {
        /// The list.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It asks for something that is not there.
    #[error("the list of the miniature: {0}")]
    Missing(String),
    /// The settings of a method are not as they should be.
    #[error(transparent)]
    Lab(#[from] virboard_lab::Error),
}

/// The list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Epochs here that stand for a hundred of the paper's.
    epochs_for_hundred: u32,
    /// Pictures to which every source is cut.
    pictures: usize,
    /// Pixels of the sides of an encoder's input when it is measured.
    side: u32,
    /// Licence of the weights.
    licence: Licence,
    /// Settings of each method, a file below the samples' folder, by the method's name.
    settings: BTreeMap<String, String>,
    /// What takes the place of each of the paper's sources, by its name.
    sources: BTreeMap<String, Source>,
    /// Encoders beside the paper's thirty.
    beside: Vec<Beside>,
    /// Seeds beside 0 with which encoders are trained again, by the key of the original.
    repeated: BTreeMap<String, Vec<u64>>,
}

/// What takes the place of a source.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    /// What people call it.
    name: String,
    /// Data sets, as `virboard pretrain` takes them.
    from: Vec<String>,
    /// How many more epochs it gets, because it has fewer pictures: the number of steps is that of the others.
    #[serde(default = "once")]
    times: f64,
}

const fn once() -> f64 {
    1.0
}

/// An encoder beside the thirty.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beside {
    /// Key of the original.
    stands_for: String,
    /// Method whose settings it has, where that is not the original's.
    #[serde(default)]
    method: Option<String>,
    /// Epochs of the paper for which it is trained; 0 leaves it at random.
    epochs: u32,
}

/// A pre-training, and what it gives.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The work.
    pub work: Pretrain,
    /// The encoder's row, but for what the training alone can tell.
    pub row: Encoder,
    /// Key of the first of several that differ in the seed alone.
    pub first: String,
}

impl Planned {
    /// Whether it differs from another one in the seed alone, and is not the first of these.
    #[must_use]
    pub fn repeats(&self) -> bool {
        self.row.key != self.first
    }

    /// The row with what the training tells.
    #[must_use]
    pub fn declared(&self, trained: Encoder) -> Encoder {
        let here = self.work.settings.epochs;
        let note = match self.row.epochs {
            Some(epochs) => format!("{} These {here} epochs stand for {epochs} of the paper’s.", trained.note),
            None => "Nothing was learned: the floor of every comparison.".to_owned(),
        };
        Encoder { images: trained.images.filter(|_| here > 0), record: trained.record, note, ..self.row.clone() }
    }
}

impl List {
    /// Reads the list that ships.
    ///
    /// # Errors
    /// [`ListError::Unreadable`].
    pub fn read(samples: &Path) -> Result<Self, ListError> {
        let path = samples.join(LIST);
        let text = std::fs::read_to_string(&path).map_err(|e| e.to_string());
        let list = text.and_then(|text| serde_saphyr::from_str(&text).map_err(|e| e.without_snippet().to_string()));
        list.map_err(|reason| ListError::Unreadable { path, reason })
    }

    /// What encoders are trained on, as `virboard pretrain` takes it.
    #[must_use]
    pub fn sources(&self) -> Vec<String> {
        self.sources.values().flat_map(|source| source.from.clone()).collect()
    }

    /// All pre-trainings, those that take least time first.
    ///
    /// # Errors
    /// [`ListError`] for an encoder, source or method that is not there.
    pub fn planned(&self, catalogue: &Catalogue, samples: &Path) -> Result<Vec<Planned>, ListError> {
        let mut all = Vec::new();
        for original in catalogue.encoders().iter().filter(|e| e.role == EncoderRole::Paper) {
            let epochs = original.epochs.unwrap_or_default();
            all.push(self.one(original, original.method.name(), epochs, 0, samples)?);
            for seed in self.repeated.get(&original.key).into_iter().flatten() {
                all.push(self.one(original, original.method.name(), epochs, *seed, samples)?);
            }
        }
        for Beside { stands_for, method, epochs } in &self.beside {
            let missing = || ListError::Missing(format!("there is no encoder `{stands_for}`"));
            let original = catalogue.encoder(stands_for).ok_or_else(missing)?;
            let method = method.as_deref().unwrap_or(original.method.name());
            all.push(self.one(original, method, *epochs, 0, samples)?);
        }
        if let Some(key) = self.repeated.keys().find(|key| !all.iter().any(|p| p.row.stands_for.as_ref() == Some(key)))
        {
            return Err(ListError::Missing(format!("there is no encoder `{key}` to be repeated")));
        }
        all.sort_by_key(|p| (p.repeats(), p.row.epochs, p.work.settings.data.subset == Subset::Full));
        Ok(all)
    }

    /// The repetition of one encoder of the paper.
    fn one(
        &self,
        original: &Encoder,
        method: &str,
        epochs: u32,
        seed: u64,
        samples: &Path,
    ) -> Result<Planned, ListError> {
        let file = self.settings.get(method);
        let file = file.ok_or_else(|| ListError::Missing(format!("there are no settings of {method}")))?;
        let mut settings = Settings::read(&samples.join(file))?;
        let (names, subset) = parts(&original.pretraining)
            .ok_or_else(|| ListError::Missing(format!("nothing takes the place of {}", original.pretraining.name())))?;
        let source = |name: &&str| {
            self.sources.get(*name).ok_or_else(|| ListError::Missing(format!("nothing takes the place of {name}")))
        };
        let sources: Vec<&Source> = names.iter().map(source).collect::<Result<_, _>>()?;
        let times = if sources.len() == 1 { sources[0].times } else { once() };
        settings.data = Data {
            sources: sources.iter().flat_map(|s| s.from.clone()).collect(),
            subset,
            pictures: Some(self.pictures),
            ..settings.data
        };
        settings.epochs = (f64::from(epochs * self.epochs_for_hundred) / 100.0 * times).round() as u32;
        settings.seed = seed;
        settings.keep = Vec::new();
        let every = settings.epochs.div_ceil(4).max(1);
        settings.neighbours = settings.neighbours.map(|n| Neighbours { every, ..n });
        let (mut name, mut key) = (original.name.clone(), format!("{PREFIX}{}", original.key));
        let first = key.clone();
        for (role, source) in &self.sources {
            name = name.replace(role.as_str(), &source.name);
        }
        if seed > 0 {
            name = format!("{name}, seed {seed}");
            key = format!("{key}_seed{seed}");
        }
        if original.method == Method::Random {
            // Every other name says what the encoder was trained on.
            name = format!("{name}, small");
        }
        let taken: Vec<&str> = sources.iter().map(|s| s.name.as_str()).collect();
        let untrained = original.method == Method::Random;
        let row = Encoder {
            key: key.clone(),
            name,
            epochs: Some(epochs).filter(|_| !untrained),
            architecture: None,
            format: None,
            side: Some(self.side),
            url: None,
            licence: Some(self.licence.clone()),
            role: EncoderRole::Declared,
            suites: if seed == 0 { vec![MINIATURE.to_owned()] } else { Vec::new() },
            stands_for: Some(original.key.clone()).filter(|_| seed == 0),
            pictures: Some(taken.join(", ")).filter(|_| !untrained),
            note: String::new(),
            ..original.clone()
        };
        Ok(Planned { work: Pretrain { settings, encoder: key, from: None }, row, first })
    }
}

/// The names of the paper's sources of which training data consists, and what is taken of them.
fn parts(pretraining: &Pretraining) -> Option<(&'static [&'static str], Subset)> {
    Some(match pretraining {
        Pretraining::ImageNet | Pretraining::Nothing => (&["ImageNet"], Subset::Full),
        Pretraining::HalfImageNet => (&["ImageNet"], Subset::Half),
        Pretraining::QuarterImageNet => (&["ImageNet"], Subset::Quarter),
        Pretraining::LinearImageNet => (&["ImageNet"], Subset::Linear),
        Pretraining::LogImageNet => (&["ImageNet"], Subset::Log),
        Pretraining::Places => (&["Places"], Subset::Full),
        Pretraining::Kinetics => (&["Kinetics"], Subset::Full),
        Pretraining::Taskonomy => (&["Taskonomy"], Subset::Full),
        Pretraining::Combination => (&["ImageNet", "Places", "Kinetics", "Taskonomy"], Subset::Combination),
        Pretraining::Proprietary | Pretraining::Other(_) | Pretraining::Unknown => return None,
    })
}

/// Seconds and pictures a second of a training, for people.
#[must_use]
pub fn cost(trained: &Trained) -> String {
    let seen: f64 = trained.pictures as f64 * f64::from(trained.settings.epochs);
    format!("{:.0} s, {:.0} pictures a second", trained.seconds, seen / trained.seconds.max(1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn planned() -> Vec<Planned> {
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
        let list = List::read(&samples).expect("it ships");
        list.planned(&Catalogue::builtin(), &samples).expect("it can be followed")
    }

    #[test]
    fn every_encoder_of_the_paper_is_repeated_once_and_three_stand_beside() {
        let all = planned();
        let first: Vec<&Planned> = all.iter().filter(|p| !p.repeats()).collect();
        assert_eq!(first.len(), 33);
        let of: BTreeSet<&str> = first.iter().filter_map(|p| p.row.stands_for.as_deref()).collect();
        assert_eq!(of.len(), 33);
        let catalogue = Catalogue::builtin();
        let paper = catalogue.encoders().iter().filter(|e| e.role == EncoderRole::Paper);
        assert!(paper.clone().all(|e| of.contains(&*e.key)), "{of:?}");
        for p in &all {
            let seen = p.row.pretraining.name();
            assert_eq!(p.work.settings.mistakes(), Vec::<String>::new(), "{}", p.row.key);
            assert!(p.row.name != p.work.encoder && !p.row.key.contains('/'), "{} {seen}", p.row.name);
            assert_eq!(
                (p.row.suites.is_empty(), p.row.stands_for.is_none()),
                (p.repeats(), p.repeats()),
                "{}",
                p.row.key
            );
        }
        assert!(all.iter().filter(|p| p.repeats()).count() >= 8, "three seeds of four encoders");
    }

    #[test]
    fn epochs_and_subsets_are_in_the_papers_proportion() {
        let all = planned();
        let of = |key: &str| {
            let found = all.iter().find(|p| p.row.stands_for.as_deref() == Some(key)).expect("planned");
            (found.work.settings.epochs, found.work.settings.data.subset, found.work.settings.data.sources.len())
        };
        let base = of("SWAV_200").0;
        assert_eq!([of("SWAV_800").0, 2 * of("SWAV_100").0, of("PIRL_800").0], [4 * base, base, 4 * base]);
        assert_eq!(of("SWAVLogImagenet"), (base, Subset::Log, 1));
        assert_eq!(of("MoCov2HalfImagenet_100"), (base / 2, Subset::Half, 1));
        let (_, subset, sources) = of("MoCov2Combination");
        assert!(subset == Subset::Combination && sources >= 4);
        assert_eq!(of("Random").0, 0);
        assert!(of("SWAVKinetics").0 > base, "it has fewer pictures");
    }
}
