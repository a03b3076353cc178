//! A photo in, outputs out.

use super::pictures;
use super::{Result, ServiceError, Virboard};
use crate::store::StoredPrediction;
use image::RgbImage;
use std::sync::Arc;
use virboard_core::catalog::task::OutputKind;
use virboard_core::catalog::{self, encoder::Encoder};
use virboard_core::prediction::{ClassProbability, ImageInfo, MaskLabel, Output, Prediction, Predictions};
use virboard_engine::files::sha256;
use virboard_engine::head::HeadSpec;
use virboard_engine::predict::Output as Raw;

/// Address below which the pictures of predictions are found.
pub const PICTURES: &str = "/api/v1/predictions";

/// Encoders, each with the tasks that it is asked for and the versions of their heads.
type Plan = Vec<(&'static Encoder, Vec<(String, String)>)>;

/// A photo that was taken in; its pixels are there if it was decoded for this request.
struct Photo {
    info: ImageInfo,
    pixels: Option<Arc<RgbImage>>,
}

impl Virboard {
    /// Takes in a photo and predicts with every encoder and task that is asked for; with no
    /// tasks, every task for which the encoder has a head.
    pub async fn predict_upload(&self, bytes: Vec<u8>, encoders: &[String], tasks: &[String]) -> Result<Predictions> {
        let plan = self.plan(encoders, tasks)?;
        let photo = self.take_in(bytes).await?;
        self.predict(photo, plan).await
    }

    /// The same for a photo that was taken in before.
    pub async fn predict_stored(&self, image: &str, encoders: &[String], tasks: &[String]) -> Result<Predictions> {
        let plan = self.plan(encoders, tasks)?;
        let info = self.image_info(image).await?;
        self.predict(Photo { info, pixels: None }, plan).await
    }

    /// What is known of a stored photo.
    pub async fn image_info(&self, image: &str) -> Result<ImageInfo> {
        if image.len() != 64 || !image.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ServiceError::NotFound("This is not the address of a photo."));
        }
        self.store.image(image).await?.ok_or(ServiceError::NotFound("This photo is not stored here. Upload it again."))
    }

    /// The photo as it is shown: an upright JPEG.
    pub async fn shown_photo(&self, image: &str) -> Result<Vec<u8>> {
        let info = self.image_info(image).await?;
        self.blobs.get(&shown(&info.sha256)).await
    }

    /// A picture of a prediction: `mask.png`, `map.png`, `shown.png`, `overlay.png` or `grid.bin`.
    pub async fn picture(&self, image: &str, encoder: &str, task: &str, version: &str, file: &str) -> Result<Vec<u8>> {
        let info = self.image_info(image).await?;
        let (Some(encoder), Some(task)) = (catalog::encoder(encoder), catalog::task(task)) else {
            return Err(ServiceError::NotFound("There is no such encoder or task."));
        };
        if !version.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(ServiceError::NotFound("There is no such version of the head."));
        }
        let folder = folder(&info.sha256, encoder.key, task.key, version);
        match file {
            "mask.png" | "map.png" | "shown.png" | "grid.bin" => self.blobs.get(&format!("{folder}/{file}")).await,
            "overlay.png" => {
                let (photo, mask) = (
                    self.blobs.get(&shown(&info.sha256)).await?,
                    self.blobs.get(&format!("{folder}/shown.png")).await?,
                );
                tokio::task::spawn_blocking(move || pictures::overlay(&photo, &mask, 0.55)).await?
            }
            _ => Err(ServiceError::NotFound("There is no such picture of this prediction.")),
        }
    }

    /// Encoders with their tasks; every name is checked before any work is done.
    fn plan(&self, encoders: &[String], tasks: &[String]) -> Result<Plan> {
        if encoders.is_empty() {
            return Err(ServiceError::Request("Name at least one encoder in the field `encoder`.".to_owned()));
        }
        for task in tasks {
            catalog::task(task).ok_or_else(|| ServiceError::UnknownTask(task.clone()))?;
        }
        let mut plan: Plan = Vec::new();
        for key in encoders {
            let encoder = catalog::encoder(key).ok_or_else(|| ServiceError::UnknownEncoder(key.clone()))?;
            if plan.iter().any(|(e, _)| e.key == encoder.key) {
                continue;
            }
            if !self.registry.available(key) {
                return Err(ServiceError::NoWeights(encoder.name.to_owned()));
            }
            let wanted = if tasks.is_empty() { self.heads.tasks(encoder) } else { tasks.to_vec() };
            let mut versioned: Vec<(String, String)> = Vec::new();
            for task in wanted {
                let version = self
                    .heads
                    .version(encoder, &task)
                    .ok_or_else(|| ServiceError::NoHead { encoder: key.clone(), task: task.clone() })?;
                if !versioned.iter().any(|(t, _)| *t == task) {
                    versioned.push((task, version));
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
            let pixels = virboard_engine::image::decode(&bytes)?;
            Ok((Arc::new(pixels), bytes))
        })
        .await?
    }

    /// Stores a photo unless it is stored already; only then it has to be decoded.
    async fn take_in(&self, bytes: Vec<u8>) -> Result<Photo> {
        let (sha256, bytes) = tokio::task::spawn_blocking(move || (sha256(&bytes), bytes)).await?;
        if let Some(info) = self.store.image(&sha256).await? {
            return Ok(Photo { info, pixels: None });
        }
        let (pixels, bytes) = self.decode(bytes).await?;
        let info = ImageInfo { sha256, width: pixels.width(), height: pixels.height() };
        let size = bytes.len();
        let for_show = pixels.clone();
        let jpeg = tokio::task::spawn_blocking(move || pictures::photo(&for_show)).await??;
        self.blobs.put(&shown(&info.sha256), jpeg).await?;
        self.blobs.put(&original(&info.sha256), bytes).await?;
        // The row comes last: who sees it finds the files.
        self.store.add_image(&info, size).await?;
        Ok(Photo { info, pixels: Some(pixels) })
    }

    /// The pixels of a photo, decoded from its stored file at first use.
    async fn pixels(&self, photo: &mut Photo) -> Result<Arc<RgbImage>> {
        if let Some(pixels) = &photo.pixels {
            return Ok(pixels.clone());
        }
        let bytes = self.blobs.get(&original(&photo.info.sha256)).await?;
        let pixels = self.decode(bytes).await?.0;
        photo.pixels = Some(pixels.clone());
        Ok(pixels)
    }

    /// Takes in a photo and gives what is known of it.
    pub async fn add_photo(&self, bytes: Vec<u8>) -> Result<ImageInfo> {
        Ok(self.take_in(bytes).await?.info)
    }

    /// What was computed before is read from the store; the rest is computed.
    async fn predict(&self, mut photo: Photo, plan: Plan) -> Result<Predictions> {
        let mut outputs = Vec::new();
        for (encoder, tasks) in plan {
            let mut found: Vec<Option<Prediction>> = Vec::with_capacity(tasks.len());
            for (task, version) in &tasks {
                let stored = self.store.prediction(&photo.info.sha256, encoder.key, task, version).await?;
                found.push(stored.map(|s| prediction(encoder.key, task, s)));
            }
            let missing: Vec<&(String, String)> =
                tasks.iter().zip(&found).filter(|(_, f)| f.is_none()).map(|(t, _)| t).collect();
            if !missing.is_empty() {
                let mut new = self.compute(&mut photo, encoder, &missing).await?.into_iter();
                found.iter_mut().filter(|f| f.is_none()).for_each(|f| *f = new.next());
            }
            outputs.extend(found.into_iter().flatten());
        }
        Ok(Predictions { image: photo.info, outputs })
    }

    async fn compute(
        &self,
        photo: &mut Photo,
        encoder: &'static Encoder,
        tasks: &[&(String, String)],
    ) -> Result<Vec<Prediction>> {
        let preprocessing = virboard_engine::encoder::preprocessing(encoder.architecture);
        let pixels = self.pixels(photo).await?;
        let input = tokio::task::spawn_blocking(move || preprocessing.input(&pixels)).await?;
        let names = tasks.iter().map(|(task, _)| task.clone()).collect();
        let answer = self.batcher.predict(encoder.key, names, input).await?;
        let mut outputs = Vec::new();
        for ((spec, raw), (task, version)) in answer.outputs.into_iter().zip(tasks) {
            let output = self.keep(&photo.info, encoder.key, task, version, &spec, raw).await?;
            let stored = StoredPrediction { output, milliseconds: answer.milliseconds };
            self.store.add_prediction(&photo.info.sha256, encoder.key, task, version, &stored).await?;
            outputs.push(prediction(encoder.key, task, stored));
        }
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
