//! A photo in, outputs out.

mod plan;

pub use plan::Question;
use plan::{Asked, Plan};

use super::batcher::milliseconds;
use super::{Result, ServiceError, Virboard};
use super::{metrics, pictures};
use crate::store::StoredPrediction;
use ::image::RgbImage;
use futures::future::try_join_all;
use std::sync::Arc;
use std::time::{Duration, Instant};
use virboard_core::catalogue::encoder::Encoder;
use virboard_core::catalogue::task::OutputKind;
use virboard_core::prediction::{ClassProbability, Costs, ImageInfo, MaskLabel, Output, Prediction, Predictions};
use virboard_lab::head::HeadSpec;
use virboard_lab::image;
use virboard_lab::predict::Output as Raw;
use virboard_nn::files::sha256;
use virboard_nn::load::describe;
use virboard_nn::preprocess::Preprocessing;

/// Largest file that is taken in, in bytes (20 MB).
pub const MAX_BYTES: usize = 20 * 1000 * 1000;

/// Address below which the pictures of predictions are found.
const PICTURES: &str = "/api/v1/predictions";

/// A photo that was taken in; its pixels are there if it was decoded for this request.
struct Photo {
    info: ImageInfo,
    pixels: Option<Arc<RgbImage>>,
    /// What decoding it took, and preparing it for the encoder.
    decoding: Duration,
}

impl Photo {
    fn stored(info: ImageInfo) -> Self {
        Self { info, pixels: None, decoding: Duration::ZERO }
    }
}

impl Virboard {
    /// Takes in a photo and answers about it.
    pub async fn predict_upload(&self, bytes: Vec<u8>, question: Question) -> Result<Predictions> {
        let second = question.second.clone();
        let plan = self.plan(question).await?;
        let second = self.second(second.as_deref()).await?;
        let photo = self.take_in(bytes).await?;
        self.predict(photo, second, plan).await
    }

    /// The same for a photo that was taken in before.
    pub async fn predict_stored(&self, image: &str, question: Question) -> Result<Predictions> {
        let second = question.second.clone();
        let plan = self.plan(question).await?;
        let second = self.second(second.as_deref()).await?;
        let info = self.image_info(image).await?;
        self.predict(Photo::stored(info), second, plan).await
    }

    async fn second(&self, sha256: Option<&str>) -> Result<Option<Photo>> {
        match sha256 {
            Some(sha256) => Ok(Some(Photo::stored(self.image_info(sha256).await?))),
            None => Ok(None),
        }
    }

    /// What is known of a stored photo.
    pub async fn image_info(&self, image: &str) -> Result<ImageInfo> {
        if image.len() != 64 || !image.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ServiceError::NotFound("This is not the address of a photo."));
        }
        self.store.image(image).await?.ok_or(ServiceError::NotFound("This photo is not stored here. Upload it again."))
    }

    /// The photo as it is shown: an upright JPEG, made when it is first looked at.
    pub async fn shown_photo(&self, image: &str) -> Result<Vec<u8>> {
        let info = self.image_info(image).await?;
        let key = shown(&info.sha256);
        if self.blobs.has(&key).await {
            return self.blobs.get(&key).await;
        }
        let pixels = self.pixels(&mut Photo::stored(info)).await?;
        let jpeg = self.decoders.run(count(&pixels), move || pictures::photo(&pixels)).await??;
        self.kept(&key, jpeg).await
    }

    /// Keeps what was made to be looked at. Where nothing can be kept it can be shown all the same.
    async fn kept(&self, key: &str, bytes: Vec<u8>) -> Result<Vec<u8>> {
        match self.blobs.put(key, bytes.clone()).await {
            Ok(()) | Err(ServiceError::DiskFull | ServiceError::ReadOnly) => Ok(bytes),
            Err(error) => Err(error),
        }
    }

    /// A picture of a prediction, made when it is first looked at: `overlay.png` of a segmentation, and those of
    /// [`pictures::file`].
    pub async fn picture(&self, image: &str, encoder: &str, task: &str, version: &str, file: &str) -> Result<Vec<u8>> {
        let info = self.image_info(image).await?;
        let catalogue = self.catalogue();
        let (Some(encoder), Some(task)) = (catalogue.encoder(encoder), catalogue.task(task)) else {
            return Err(ServiceError::NotFound("There is no such encoder or task."));
        };
        if !version.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(ServiceError::NotFound("There is no such version of the head."));
        }
        let place = Place { info: &info, encoder: &encoder.key, task: &task.key, version };
        if file != "overlay.png" {
            return self.picture_of(place, file).await;
        }
        let mask = self.picture_of(place, "shown.png").await?;
        let photo = self.shown_photo(image).await?;
        tokio::task::spawn_blocking(move || pictures::overlay(&photo, &mask, 0.55)).await?
    }

    async fn picture_of(&self, place: Place<'_>, file: &str) -> Result<Vec<u8>> {
        let Place { info, encoder, task, version } = place;
        let none = ServiceError::NotFound("There is no such picture of this prediction.");
        let Some(stored) = self.store.prediction(&info.sha256, encoder, task, version).await? else {
            return Err(none);
        };
        // A file's name is only taken from the list of those that there are.
        let Some(file) = pictures::FILES.iter().find(|known| **known == file) else { return Err(none) };
        let folder = place.folder();
        let key = format!("{folder}/{file}");
        if self.blobs.has(&key).await {
            return self.blobs.get(&key).await;
        }
        let values = self.blobs.get(&format!("{folder}/{}", pictures::VALUES)).await?;
        let (width, height) = (info.width, info.height);
        let make = move || {
            let grid = pictures::grid_of(&values)?;
            pictures::file(file, &stored.output, &grid, width, height)
        };
        let bytes = self.decoders.run(u64::from(width) * u64::from(height), make).await??.ok_or(none)?;
        self.kept(&key, bytes).await
    }

    /// Decodes on a thread for heavy work; also gives the bytes back.
    async fn decode(&self, bytes: Vec<u8>) -> Result<(Arc<RgbImage>, Vec<u8>)> {
        if bytes.len() > MAX_BYTES {
            return Err(ServiceError::TooManyBytes);
        }
        let (work, bytes) = tokio::task::spawn_blocking(move || (image::work(&bytes), bytes)).await?;
        let decode = move || image::decode_upload(&bytes).map(|pixels| (Arc::new(pixels), bytes));
        Ok(self.decoders.run(work?, decode).await??)
    }

    /// Stores a photo unless it is stored already; only then it has to be decoded.
    async fn take_in(&self, bytes: Vec<u8>) -> Result<Photo> {
        let (sha256, bytes) = tokio::task::spawn_blocking(move || (sha256(&bytes), bytes)).await?;
        if let Some(info) = self.store.image(&sha256).await? {
            return Ok(Photo::stored(info));
        }
        if self.store.is_read_only() {
            return Err(ServiceError::ReadOnly);
        }
        let started = Instant::now();
        let (pixels, bytes) = self.decode(bytes).await?;
        let decoding = started.elapsed();
        let info = ImageInfo { sha256, width: pixels.width(), height: pixels.height() };
        let size = bytes.len();
        self.blobs.put(&original(&info.sha256), bytes).await?;
        // The row comes last: who sees it finds the files.
        self.store.add_image(&info, size).await?;
        Ok(Photo { info, pixels: Some(pixels), decoding })
    }

    /// The pixels of a photo, decoded from its stored file at first use.
    async fn pixels(&self, photo: &mut Photo) -> Result<Arc<RgbImage>> {
        if let Some(pixels) = &photo.pixels {
            return Ok(pixels.clone());
        }
        let started = Instant::now();
        let bytes = self.blobs.get(&original(&photo.info.sha256)).await?;
        let pixels = self.decode(bytes).await?.0;
        photo.decoding += started.elapsed();
        photo.pixels = Some(pixels.clone());
        Ok(pixels)
    }

    /// Takes in a photo and gives what is known of it.
    pub async fn add_photo(&self, bytes: Vec<u8>) -> Result<ImageInfo> {
        Ok(self.take_in(bytes).await?.info)
    }

    /// What was computed before is read from the store; the rest is computed.
    async fn predict(&self, mut photo: Photo, mut second: Option<Photo>, plan: Plan) -> Result<Predictions> {
        let (mut outputs, mut costs) = (Vec::new(), Costs::default());
        for (encoder, tasks) in plan {
            let mut found: Vec<Option<Prediction>> = Vec::with_capacity(tasks.len());
            for asked in &tasks {
                let stored =
                    self.store.prediction(&photo.info.sha256, &encoder.key, &asked.task, &asked.version).await?;
                let place =
                    Place { info: &photo.info, encoder: &encoder.key, task: &asked.task, version: &asked.version };
                found.push(stored.map(|s| place.answered(s)));
            }
            for images in [1, 2] {
                let missing: Vec<usize> =
                    (0..tasks.len()).filter(|i| found[*i].is_none() && tasks[*i].images == images).collect();
                if missing.is_empty() {
                    continue;
                }
                let asked: Vec<&Asked> = missing.iter().map(|i| &tasks[*i]).collect();
                let second = second.as_mut().filter(|_| images == 2);
                let new = self.compute(&mut photo, second, &encoder, &asked, &mut costs).await?;
                for (i, prediction) in missing.into_iter().zip(new) {
                    found[i] = Some(prediction);
                }
            }
            outputs.extend(found.into_iter().flatten());
        }
        let decoding = photo.decoding + second.map_or(Duration::ZERO, |p| p.decoding);
        costs.decode = milliseconds(decoding);
        metrics::record(&costs);
        Ok(Predictions { image: photo.info, outputs, costs })
    }

    /// How pictures become an encoder's input. One whose architecture is not declared is loaded for it.
    pub(super) async fn preprocessing(&self, encoder: &Encoder) -> Result<Preprocessing> {
        // What pictures an encoder wants that was trained at another size than its architecture's, the network says.
        if let (Some(architecture), None) = (encoder.architecture, encoder.side) {
            return Ok(describe(architecture).map_err(virboard_lab::Error::from)?.preprocessing);
        }
        let (registry, key) = (self.registry.clone(), encoder.key.clone());
        let loaded = tokio::task::spawn_blocking(move || registry.get(&key)).await??;
        Ok(*loaded.network.preprocessing())
    }

    async fn compute(
        &self,
        photo: &mut Photo,
        second: Option<&mut Photo>,
        encoder: &Encoder,
        tasks: &[&Asked],
        costs: &mut Costs,
    ) -> Result<Vec<Prediction>> {
        let preprocessing = self.preprocessing(encoder).await?;
        let mut input = Vec::new();
        for photo in std::iter::once(&mut *photo).chain(second) {
            let pixels = self.pixels(photo).await?;
            let started = Instant::now();
            input.push(tokio::task::spawn_blocking(move || preprocessing.input(&pixels)).await?);
            photo.decoding += started.elapsed();
        }
        let names = tasks.iter().map(|a| a.task.clone()).collect();
        let answer = self.batcher.predict(&encoder.key, names, input).await?;
        let Costs { wait, encoder: pass, heads, .. } = answer.costs;
        costs.wait += wait;
        costs.encoder += pass;
        costs.heads += heads;
        let started = Instant::now();
        let info = &photo.info;
        let places =
            tasks.iter().map(|Asked { task, version, .. }| Place { info, encoder: &encoder.key, task, version });
        let kept = answer.outputs.into_iter().zip(places).map(|((spec, raw), place)| async move {
            let output = self.keep(place, spec, raw).await?;
            Ok::<_, ServiceError>((place, StoredPrediction { output, milliseconds: pass + heads }))
        });
        let kept = try_join_all(kept).await?;
        let rows = kept.iter().map(|(place, stored)| (place.task, place.version, stored));
        self.store.add_predictions(&info.sha256, &encoder.key, rows).await?;
        let outputs = kept.into_iter().map(|(place, stored)| place.answered(stored)).collect();
        costs.pictures += milliseconds(started.elapsed());
        Ok(outputs)
    }

    /// Turns a raw output into what is stored, and keeps the values of which its pictures are made.
    async fn keep(&self, place: Place<'_>, spec: Arc<HeadSpec>, raw: Raw) -> Result<Output> {
        let (width, height) = (place.info.width, place.info.height);
        let (output, grid) = match raw {
            Raw::Classes(probabilities) => {
                let labelled = spec.labels.iter().zip(probabilities);
                let mut classes: Vec<ClassProbability> = labelled
                    .map(|(label, probability)| ClassProbability { label: label.name.clone(), probability })
                    .collect();
                classes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
                return Ok(Output::Classification { classes });
            }
            Raw::Pixels(grid) => {
                let (pixels, classes) = (u64::from(width) * u64::from(height), spec.labels.len());
                let count = move || (pictures::shares(&grid, classes, width, height), grid);
                let (shares, grid) = self.decoders.run(pixels, count).await?;
                let labels = spec.labels.iter().zip(shares).enumerate().map(|(index, (label, share))| MaskLabel {
                    index: index as u8,
                    name: label.name.clone(),
                    colour: label.colour.clone(),
                    share,
                });
                (Output::Segmentation { labels: labels.collect(), mask: "mask.png".to_owned() }, grid)
            }
            Raw::Depth(grid) => {
                debug_assert_eq!(spec.kind, OutputKind::Depth);
                let (minimum, maximum) = pictures::range(&grid);
                (Output::Depth { minimum, maximum, unit: spec.unit.clone(), map: "map.png".to_owned() }, grid)
            }
            Raw::Flow(grid) => {
                // A head without a reference measures in the photo's own pixels; one with a single
                // channel (ViRB's KITTI) puts out grey values that are no motion.
                if grid.channels != 2 {
                    return Err(ServiceError::Request(format!(
                        "The head of {} puts out no motion that could be shown.",
                        place.task
                    )));
                }
                let grid = pictures::scaled(grid, spec.reference.unwrap_or((width, height)), width, height);
                (Output::Flow { longest: pictures::longest(&grid), map: "flow.png".to_owned() }, grid)
            }
        };
        self.blobs.put(&format!("{}/{}", place.folder(), pictures::VALUES), pictures::values(&grid)).await?;
        Ok(output)
    }
}

/// Whose output about which photo.
#[derive(Clone, Copy)]
struct Place<'a> {
    info: &'a ImageInfo,
    encoder: &'a str,
    task: &'a str,
    version: &'a str,
}

impl Place<'_> {
    /// Where its pictures are kept.
    fn folder(self) -> String {
        folder(&self.info.sha256, self.encoder, self.task, self.version)
    }

    /// The answer: what is stored, with addresses in the place of the pictures' names.
    fn answered(self, stored: StoredPrediction) -> Prediction {
        let Self { info, encoder, task, version } = self;
        let mut output = stored.output;
        if let Some(picture) = output.picture_mut() {
            *picture = format!("{PICTURES}/{}/{encoder}/{task}/{version}/{picture}", info.sha256);
        }
        Prediction { encoder: encoder.into(), task: task.into(), milliseconds: stored.milliseconds, output }
    }
}

fn count(picture: &RgbImage) -> u64 {
    u64::from(picture.width()) * u64::from(picture.height())
}

fn original(image: &str) -> String {
    format!("originals/{image}")
}

fn shown(image: &str) -> String {
    format!("shown/{image}.jpg")
}

fn folder(image: &str, encoder: &str, task: &str, version: &str) -> String {
    format!("predictions/{image}/{encoder}/{task}/{version}")
}
