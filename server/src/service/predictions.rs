//! A photo in, outputs out.

use super::batcher::milliseconds;
use super::{Result, ServiceError, Virboard};
use super::{metrics, pictures};
use crate::store::StoredPrediction;
use image::RgbImage;
use std::sync::Arc;
use std::time::{Duration, Instant};
use virboard_core::catalogue::task::OutputKind;
use virboard_core::catalogue::{self, encoder::Encoder};
use virboard_core::prediction::{ClassProbability, Costs, ImageInfo, MaskLabel, Output, Prediction, Predictions};
use virboard_lab::head::HeadSpec;
use virboard_lab::predict::Output as Raw;
use virboard_nn::files::sha256;

/// Address below which the pictures of predictions are found.
pub const PICTURES: &str = "/api/v1/predictions";

/// Encoders, each with the tasks that it is asked for and the versions of their heads.
type Plan = Vec<(&'static Encoder, Vec<Asked>)>;

/// A task that is asked for.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    task: String,
    /// Photos that it looks at: 1 or 2.
    images: u32,
    /// Names the head's weights, and the second photo where there is one.
    version: String,
}

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
    /// Takes in a photo and predicts with every encoder and task that is asked for; with no
    /// tasks, every task for which the encoder has a head. Tasks about the motion between two
    /// photos need `second`, the hash of a photo that was taken in before.
    pub async fn predict_upload(
        &self,
        bytes: Vec<u8>,
        second: Option<&str>,
        encoders: &[String],
        tasks: &[String],
    ) -> Result<Predictions> {
        let plan = self.plan(encoders, tasks, second)?;
        let second = self.second(second).await?;
        let photo = self.take_in(bytes).await?;
        self.predict(photo, second, plan).await
    }

    /// The same for a photo that was taken in before.
    pub async fn predict_stored(
        &self,
        image: &str,
        second: Option<&str>,
        encoders: &[String],
        tasks: &[String],
    ) -> Result<Predictions> {
        let plan = self.plan(encoders, tasks, second)?;
        let second = self.second(second).await?;
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
        let jpeg = tokio::task::spawn_blocking(move || pictures::photo(&pixels)).await??;
        self.blobs.put(&key, jpeg.clone()).await?;
        Ok(jpeg)
    }

    /// A picture of a prediction: `mask.png`, `map.png`, `flow.png`, `shown.png`, `overlay.png` or `grid.bin`.
    pub async fn picture(&self, image: &str, encoder: &str, task: &str, version: &str, file: &str) -> Result<Vec<u8>> {
        let info = self.image_info(image).await?;
        let (Some(encoder), Some(task)) = (catalogue::encoder(encoder), catalogue::task(task)) else {
            return Err(ServiceError::NotFound("There is no such encoder or task."));
        };
        if !version.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(ServiceError::NotFound("There is no such version of the head."));
        }
        let folder = folder(&info.sha256, encoder.key, task.key, version);
        match file {
            "mask.png" | "map.png" | "flow.png" | "arrows.svg" | "shown.png" | "grid.bin" => {
                self.blobs.get(&format!("{folder}/{file}")).await
            }
            "overlay.png" => {
                let mask = self.blobs.get(&format!("{folder}/shown.png")).await?;
                // Nobody may have looked at the photo itself yet.
                let photo = self.shown_photo(image).await?;
                tokio::task::spawn_blocking(move || pictures::overlay(&photo, &mask, 0.55)).await?
            }
            _ => Err(ServiceError::NotFound("There is no such picture of this prediction.")),
        }
    }

    /// Encoders with their tasks; every name is checked before any work is done.
    fn plan(&self, encoders: &[String], tasks: &[String], second: Option<&str>) -> Result<Plan> {
        if encoders.is_empty() {
            return Err(ServiceError::Request("Name at least one encoder in the field `encoder`.".to_owned()));
        }
        for task in tasks {
            let entry = catalogue::task(task).ok_or_else(|| ServiceError::UnknownTask(task.clone()))?;
            match (entry.images, second) {
                (1, _) | (2, Some(_)) => {}
                (2, None) => {
                    return Err(ServiceError::Request(format!(
                        "{} is about two photos. Name the second one by its hash in the field `second`.",
                        entry.name
                    )));
                }
                (n, _) => {
                    return Err(ServiceError::Request(format!(
                        "{} looks at {n} pictures; photos cannot be tried with it.",
                        entry.name
                    )));
                }
            }
        }
        let mut plan: Plan = Vec::new();
        for key in encoders {
            let encoder = catalogue::encoder(key).ok_or_else(|| ServiceError::UnknownEncoder(key.clone()))?;
            if plan.iter().any(|(e, _)| e.key == encoder.key) {
                continue;
            }
            if !self.registry.available(key) {
                return Err(ServiceError::NoWeights(encoder.name.to_owned()));
            }
            let images = |task: &str| catalogue::task(task).map_or(1, |t| t.images);
            let most = if second.is_some() { 2 } else { 1 };
            let mut wanted = if tasks.is_empty() { self.heads.tasks(encoder) } else { tasks.to_vec() };
            wanted.retain(|t| images(t) <= most);
            let mut versioned: Vec<Asked> = Vec::new();
            for task in wanted {
                let head = self
                    .heads
                    .version(encoder, &task)
                    .ok_or_else(|| ServiceError::NoHead { encoder: key.clone(), task: task.clone() })?;
                let images = images(&task);
                // Answers in another precision are other answers.
                let precision = self.registry.precision().of_network(encoder.architecture);
                let head = if precision.is_default() { head } else { format!("{head}{}", precision.name()) };
                let version = match second {
                    Some(sha256) if images == 2 => format!("{head}{}", sha256.get(..16).unwrap_or_default()),
                    _ => head,
                };
                if !versioned.iter().any(|a| a.task == task) {
                    versioned.push(Asked { task, images, version });
                }
            }
            plan.push((encoder, versioned));
        }
        Ok(plan)
    }

    /// Decodes on a thread for heavy work; also gives the bytes back.
    async fn decode(&self, bytes: Vec<u8>) -> Result<(Arc<RgbImage>, Vec<u8>)> {
        // Few pictures are decoded at once: each may take a few hundred megabytes.
        let permit = self.decoders.clone().acquire_owned().await.map_err(ServiceError::internal)?;
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let pixels = virboard_lab::image::decode(&bytes)?;
            Ok((Arc::new(pixels), bytes))
        })
        .await?
    }

    /// Stores a photo unless it is stored already; only then it has to be decoded.
    async fn take_in(&self, bytes: Vec<u8>) -> Result<Photo> {
        let (sha256, bytes) = tokio::task::spawn_blocking(move || (sha256(&bytes), bytes)).await?;
        if let Some(info) = self.store.image(&sha256).await? {
            return Ok(Photo::stored(info));
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
                    self.store.prediction(&photo.info.sha256, encoder.key, &asked.task, &asked.version).await?;
                found.push(stored.map(|s| prediction(encoder.key, &asked.task, s)));
            }
            for images in [1, 2] {
                let missing: Vec<usize> =
                    (0..tasks.len()).filter(|i| found[*i].is_none() && tasks[*i].images == images).collect();
                if missing.is_empty() {
                    continue;
                }
                let asked: Vec<&Asked> = missing.iter().map(|i| &tasks[*i]).collect();
                let second = second.as_mut().filter(|_| images == 2);
                let new = self.compute(&mut photo, second, encoder, &asked, &mut costs).await?;
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

    async fn compute(
        &self,
        photo: &mut Photo,
        second: Option<&mut Photo>,
        encoder: &'static Encoder,
        tasks: &[&Asked],
        costs: &mut Costs,
    ) -> Result<Vec<Prediction>> {
        let preprocessing = virboard_nn::load::preprocessing(encoder.architecture);
        let mut input = Vec::new();
        for photo in std::iter::once(&mut *photo).chain(second) {
            let pixels = self.pixels(photo).await?;
            let started = Instant::now();
            input.push(tokio::task::spawn_blocking(move || preprocessing.input(&pixels)).await?);
            photo.decoding += started.elapsed();
        }
        let names = tasks.iter().map(|a| a.task.clone()).collect();
        let answer = self.batcher.predict(encoder.key, names, input).await?;
        let Costs { wait, encoder: pass, heads, .. } = answer.costs;
        costs.wait += wait;
        costs.encoder += pass;
        costs.heads += heads;
        let started = Instant::now();
        let mut outputs = Vec::new();
        for ((spec, raw), Asked { task, version, .. }) in answer.outputs.into_iter().zip(tasks.iter().copied()) {
            let output = self.keep(&photo.info, encoder.key, task, version, &spec, raw).await?;
            let stored = StoredPrediction { output, milliseconds: pass + heads };
            self.store.add_prediction(&photo.info.sha256, encoder.key, task, version, &stored).await?;
            outputs.push(prediction(encoder.key, task, stored));
        }
        costs.pictures += milliseconds(started.elapsed());
        Ok(outputs)
    }

    /// Turns a raw output into what is stored and answered.
    async fn keep(
        &self,
        info: &ImageInfo,
        encoder: &str,
        task: &str,
        version: &str,
        spec: &HeadSpec,
        raw: Raw,
    ) -> Result<Output> {
        let (width, height) = (info.width, info.height);
        let folder = folder(&info.sha256, encoder, task, version);
        let address = |file: &str| format!("{PICTURES}/{}/{encoder}/{task}/{version}/{file}", info.sha256);
        match raw {
            Raw::Classes(probabilities) => {
                let mut classes: Vec<ClassProbability> = spec
                    .labels
                    .iter()
                    .zip(probabilities)
                    .map(|(label, probability)| ClassProbability { label: label.name.clone(), probability })
                    .collect();
                classes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
                Ok(Output::Classification { classes })
            }
            Raw::Pixels(grid) => {
                let labels = spec.labels.clone();
                let (files, shares) =
                    tokio::task::spawn_blocking(move || pictures::mask(&grid, &labels, width, height)).await??;
                self.put(&folder, "mask.png", files).await?;
                let labels = spec.labels.iter().zip(shares).enumerate().map(|(index, (label, share))| MaskLabel {
                    index: index as u8,
                    name: label.name.clone(),
                    colour: label.colour.clone(),
                    share,
                });
                Ok(Output::Segmentation { labels: labels.collect(), mask: address("mask.png") })
            }
            Raw::Depth(grid) => {
                let (files, minimum, maximum) =
                    tokio::task::spawn_blocking(move || pictures::depth(&grid, width, height)).await??;
                self.put(&folder, "map.png", files).await?;
                debug_assert_eq!(spec.kind, OutputKind::Depth);
                Ok(Output::Depth { minimum, maximum, unit: spec.unit.clone(), map: address("map.png") })
            }
            Raw::Flow(grid) => {
                // A head without a reference measures in the photo's own pixels; one with a single
                // channel (ViRB's KITTI) puts out grey values that are no motion.
                if grid.channels != 2 {
                    return Err(ServiceError::Request(format!(
                        "The head of {task} puts out no motion that could be shown."
                    )));
                }
                let reference = spec.reference.unwrap_or((width, height));
                let flow =
                    tokio::task::spawn_blocking(move || pictures::flow(&grid, reference, width, height)).await??;
                self.put(&folder, "flow.png", flow.files).await?;
                self.blobs.put(&format!("{folder}/arrows.svg"), flow.arrows.into_bytes()).await?;
                Ok(Output::Flow { longest: flow.longest, map: address("flow.png") })
            }
        }
    }

    async fn put(&self, folder: &str, exact: &str, files: pictures::Files) -> Result<()> {
        self.blobs.put(&format!("{folder}/{exact}"), files.exact).await?;
        self.blobs.put(&format!("{folder}/shown.png"), files.shown).await?;
        self.blobs.put(&format!("{folder}/grid.bin"), files.grid).await
    }
}

fn prediction(encoder: &str, task: &str, stored: StoredPrediction) -> Prediction {
    Prediction { encoder: encoder.into(), task: task.into(), milliseconds: stored.milliseconds, output: stored.output }
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
