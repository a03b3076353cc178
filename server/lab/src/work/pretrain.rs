//! Pre-training an encoder: pictures and settings in, a checkpoint with its declaration out.

use crate::kept;
use crate::pretrain::curve::EpochRecord;
use crate::pretrain::method::{Method, Start};
use crate::pretrain::neighbours::Examiner;
use crate::pretrain::pictures::Pictures;
use crate::pretrain::run::{Keep, Run};
use crate::pretrain::settings::Settings;
use crate::pretrain::views::Views;
use crate::progress::Progress;
use crate::registry::wanted;
use crate::work::{Folders, Job, Lab, Record, Work, key};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use virboard_core::catalogue::encoder::Encoder;
use virboard_core::catalogue::rows;
use virboard_core::words::counted;
use virboard_nn::checkpoint::entry;
use virboard_nn::checkpoint::weights::Weights;
use virboard_nn::encoder::Form;
use virboard_nn::files::{sha256, try_lock, write_atomically};
use virboard_nn::load;
use virboard_nn::trainable::{self, Gradients};

/// Settings, and what the encoder will be called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pretrain {
    /// How it is trained on what.
    pub settings: Settings,
    /// Key of the encoder.
    pub encoder: String,
    /// Key of the encoder with whose weights it begins, instead of random ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// What is kept of a run beside its encoders, in `pretraining/KEY.json` of the data folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// The settings.
    pub settings: Settings,
    /// The encoder with whose weights it began.
    pub from: Option<String>,
    /// SHA-256 over names and contents of the pictures.
    pub pictures_sha256: String,
    /// Pictures.
    pub pictures: usize,
    /// Version of Virboard.
    pub version: String,
    /// Where it was computed.
    pub device: String,
    /// Seconds of all epochs.
    pub seconds: f64,
    /// Seconds of these in which the network waited for views.
    #[serde(default)]
    pub waited: f64,
    /// The epochs.
    pub curve: Vec<EpochRecord>,
    /// The encoders that came of it, with their checkpoints below the data folder.
    pub encoders: Vec<(Encoder, String)>,
}

impl Trained {
    /// Whether the network waited for views, for people.
    #[must_use]
    pub fn waiting(&self) -> String {
        let share = self.waited / self.seconds.max(1e-9);
        if share < IN_TIME {
            "views ready in time".to_owned()
        } else {
            format!("waited {:.0} % of the time for views", 100.0 * share)
        }
    }
}

/// Share of the time below which views are ready in time: the first batch of an epoch is always waited for.
const IN_TIME: f64 = 0.01;

/// The entry of a checkpoint's metadata that says of which pre-training it is.
const MADE_BY: &str = "virboard_pretraining";

impl Work for Pretrain {
    const KIND: &'static str = "pretrain";

    fn title(&self) -> String {
        format!("{} by {}", self.encoder, self.settings.method.name())
    }

    fn run(&self, lab: &Lab, progress: &dyn Progress) -> Result<Record> {
        if let Some(mistake) = self.settings.mistakes().into_iter().next() {
            return Err(Error::Settings { path: PathBuf::from("the settings"), place: String::new(), reason: mistake });
        }
        self.check_keys(lab)?;
        let settings = &self.settings;
        let form = &settings.network;
        let description = form.describe()?;
        trainable::training(&description)?;
        let (weights, source) = self.weights(form, lab)?;
        let pictures = Pictures::open(&lab.folders.places, &settings.data, settings.seed, progress)?;
        pictures.check_batch(settings.batch * settings.accumulate)?;
        let views = Views::new(&settings.views, &description.preprocessing, settings.seed)?;
        let device = lab.registry.device();
        let side = settings.views.first().map_or(description.preprocessing.width, |view| view.side);
        let examiner = settings
            .neighbours
            .as_ref()
            .map(|n| Ok::<_, Error>((Examiner::open(&n.task, side, &lab.folders.places, progress)?, n.every)));
        let examiner = examiner.transpose()?;
        let make = |gradients| -> Result<Box<dyn trainable::Trainable>> {
            Ok(form.build_with(gradients, &mut weights.clone(), device)?)
        };
        let method = settings.method.build(&Start {
            encoder: &make,
            pictures: pictures.len(),
            classes: pictures.classes().len(),
            seed: settings.seed,
            device,
        })?;
        let identity = key::text(&(settings, &source, pictures.sha256()))?;
        let identity = sha256(identity.as_bytes());
        let path = lab.folders.state(&Job::of(self)?.name());
        write(&self.list(&lab.folders), pictures.list().as_bytes())?;
        if settings.epochs == 0 {
            progress.say("there is no epoch: the encoder stays at random");
            kept::write(&self.checkpoint(&lab.folders, 0), &method.encoder()?, MADE_BY, key::text(self)?)?;
        }
        let mut run = Run::new(settings, &pictures, &views, device, method);
        let mut after = |method: &dyn Method, record: &mut EpochRecord| -> Result<()> {
            if let Some((examiner, every)) = &examiner
                && (record.epoch.is_multiple_of(*every) || record.epoch == settings.epochs)
            {
                // Without gradients: batches of pictures are larger than those of training may be.
                let mut weights =
                    Weights::new(self.checkpoint(&lab.folders, record.epoch), String::new(), method.encoder()?);
                let encoder = form.build_with(Gradients::None, &mut weights, device)?;
                record.neighbours = Some(examiner.score(&*encoder, device, progress)?);
            }
            if self.kept().contains(&record.epoch) {
                let path = self.checkpoint(&lab.folders, record.epoch);
                kept::write(&path, &method.encoder()?, MADE_BY, key::text(self)?)?;
            }
            Ok(())
        };
        run.train(Some(Keep { path: &path, identity: &identity }), &mut after, progress)?;
        let trained = Trained {
            settings: settings.clone(),
            from: self.from.clone(),
            pictures_sha256: pictures.sha256().to_owned(),
            pictures: pictures.len(),
            version: lab.version.clone(),
            device: virboard_nn::device::name(device),
            seconds: run.curve().iter().map(|epoch| epoch.seconds).sum(),
            waited: run.curve().iter().map(|epoch| epoch.waited).sum(),
            curve: run.curve().to_vec(),
            encoders: self.encoders(&pictures, side, lab)?,
        };
        let record = self.record(&lab.folders);
        write(&record, key::text(&trained)?.as_bytes())?;
        let files = trained.encoders.iter().map(|(_, file)| lab.folders.data.join(file)).collect();
        Ok(Record { files, found: key::value(&trained)?, ..Record::default() })
    }
}

impl Pretrain {
    /// Epochs after which the encoder is kept: the last, and those that are asked for.
    fn kept(&self) -> Vec<u32> {
        let mut kept = self.settings.keep.clone();
        kept.push(self.settings.epochs);
        kept.sort_unstable();
        kept.dedup();
        kept
    }

    /// The key of the encoder after an epoch.
    fn key_after(&self, epoch: u32) -> String {
        if epoch == self.settings.epochs { self.encoder.clone() } else { format!("{}_{epoch}", self.encoder) }
    }

    fn checkpoint(&self, folders: &Folders, epoch: u32) -> PathBuf {
        folders.data.join("checkpoints").join(format!("{}.safetensors", self.key_after(epoch)))
    }

    /// Where the record of the run is kept.
    #[must_use]
    pub fn record(&self, folders: &Folders) -> PathBuf {
        folders.data.join("pretraining").join(format!("{}.json", self.encoder))
    }

    /// The list of the pictures.
    fn list(&self, folders: &Folders) -> PathBuf {
        folders.data.join("pretraining").join(format!("{}.pictures.txt", self.encoder))
    }

    /// Takes the names of the encoders that come of it, until what is returned is dropped: two
    /// pre-trainings at once would write the same files. Whoever declares the encoders holds them
    /// until then, and reads what is declared after they are taken.
    ///
    /// # Errors
    /// [`Error::NameBusy`] while another process has one of them.
    pub fn try_lock_names(&self, folders: &Folders) -> Result<Vec<File>> {
        let lock = |epoch| {
            let key = self.key_after(epoch);
            // A hash, because nothing is known of the key yet.
            let file = folders.lock(&format!("encoder-{:.16}", sha256(key.as_bytes())));
            try_lock(&file)?.ok_or(Error::NameBusy { key })
        };
        self.kept().into_iter().map(lock).collect()
    }

    /// Complains of a key that is no name of a file, or is taken by anything but this run, which
    /// may have been interrupted while its encoders were declared.
    fn check_keys(&self, lab: &Lab) -> Result<()> {
        let begun = lab.folders.state(&Job::of(self)?.name()).is_file();
        for epoch in self.kept() {
            let key = self.key_after(epoch);
            let path = self.checkpoint(&lab.folders, epoch);
            let row = rows::encoder(&format!("key = {key:?}"))
                .map_err(|e| Error::NotDeclarable { key: key.clone(), reason: e.what })?;
            let mut catalogue = (*lab.registry.catalogue()).clone();
            let free = catalogue.add_encoder(row);
            match free {
                Err(_) if begun && self.made(&path)? => {}
                Err(e) => return Err(Error::NotDeclarable { key, reason: e.what }),
                Ok(()) if !path.exists() || self.made(&path)? => {}
                Ok(()) => {
                    let reason = format!("{} is there already, and not of this pre-training", path.display());
                    return Err(Error::NotDeclarable { key, reason });
                }
            }
        }
        Ok(())
    }

    /// Whether a checkpoint came of this pre-training.
    fn made(&self, checkpoint: &Path) -> Result<bool> {
        if !checkpoint.try_exists().map_err(Error::io(checkpoint))? {
            return Ok(false);
        }
        Ok(entry(checkpoint, MADE_BY)?.is_some_and(|made| key::text(self).is_ok_and(|text| text == made)))
    }

    /// The weights with which it begins, and what they are.
    fn weights(&self, form: &Form, lab: &Lab) -> Result<(Weights, String)> {
        let Some(from) = &self.from else {
            return Ok((form.random(self.settings.seed)?, format!("seed {}", self.settings.seed)));
        };
        let entry = lab.registry.entry(from)?;
        lab.registry.check(from)?;
        let path = lab.registry.checkpoint(from).ok_or_else(|| {
            Error::Unsupported(format!("{from} has no checkpoint to begin with; leave --from out to begin at random"))
        })?;
        let mut weights = load::open(&path, wanted(&entry).as_ref())?;
        weights.take_classifier();
        let (found, asked) = (load::recognise(&weights, &path)?, form.describe()?);
        if found.maps != asked.maps || found.architecture != asked.architecture || found.embedding != asked.embedding {
            return Err(Error::OtherNetwork {
                from: from.clone(),
                found: format!("{} with embeddings of {}", found.architecture, found.embedding),
                asked: format!("{} with embeddings of {}", asked.architecture, asked.embedding),
            });
        }
        let sha256 = virboard_nn::files::sha256_file(&path)?;
        Ok((weights, sha256))
    }

    /// What is declared.
    fn encoders(&self, pictures: &Pictures, side: u32, lab: &Lab) -> Result<Vec<(Encoder, String)>> {
        let settings = &self.settings;
        let blank = rows::encoder("key = \"-\"")
            .map_err(|e| Error::NotDeclarable { key: self.encoder.clone(), reason: e.what })?;
        let data = settings.data.sources.join(" + ");
        let subset = settings.data.subset.name();
        let data = if subset == "full" { data } else { format!("{data} ({subset})") };
        let from = self.from.as_ref().map_or_else(String::new, |from| format!(" from the weights of {from}"));
        let row = |epoch: u32| {
            let note = format!(
                "Pre-trained here{from} for {epoch} of {}, seed {}, pictures {:.12}, Virboard {}.",
                counted(settings.epochs, "epoch"),
                settings.seed,
                pictures.sha256(),
                lab.version
            );
            let encoder = Encoder {
                key: self.key_after(epoch),
                name: self.key_after(epoch),
                method: settings.method.name().to_owned().into(),
                pretraining: data.clone().into(),
                images: Some(pictures.len() as u64),
                epochs: Some(epoch),
                side: Some(side),
                record: Some(lab.folders.below(&self.record(&lab.folders))),
                note,
                ..blank.clone()
            };
            (encoder, lab.folders.below(&self.checkpoint(&lab.folders, epoch)))
        };
        Ok(self.kept().into_iter().map(row).collect())
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically(path, |file| file.write_all(bytes).map_err(Error::io(path)))
}
