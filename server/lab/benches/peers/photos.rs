//! Files to inputs and embeddings.

use crate::Failure;
use crate::peer::{Peers, compare};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use virboard_lab::image::decode;
use virboard_lab::pipeline::ahead;
use virboard_lab::work::encode::pictures;
use virboard_nn::encoder::Encoder;
use virboard_nn::network::resnet::{Config, ResNet, random_weights};
use virboard_nn::preprocess::{Filter, resize};
use virboard_nn::testing::Random;

/// JPEGs of 500 x 375 to inputs, and to embeddings, and the encoder alone.
pub fn photos(peers: &mut Option<Peers>, folder: &Path, rounds: usize) -> Result<(), Failure> {
    const COUNT: usize = 1000;
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/photos");
    let mut sources = Vec::new();
    for class in ["animal", "fish", "household", "monument", "renewable energy", "tool"] {
        sources.extend(pictures(&own.join(class))?);
    }
    let photos = folder.join("photos");
    std::fs::create_dir_all(&photos)?;
    let mut files = Vec::new();
    for i in 0..COUNT {
        let picture = decode(&std::fs::read(&sources[i % sources.len()])?)?;
        let picture = resize(&picture, 500, 375, Filter::Bicubic);
        let file = photos.join(format!("{i:04}.jpg"));
        picture.save(&file)?;
        files.push(file);
    }
    let config = Config::resnet50();
    let network = ResNet::new(config, &mut random_weights(&config, 0)?, &Device::Cpu)?;
    let input = *network.preprocessing();
    let one = |file: &PathBuf| -> virboard_lab::Result<Vec<f32>> {
        let bytes = std::fs::read(file).map_err(virboard_lab::Error::io(file))?;
        Ok(input.input(&decode(&bytes)?))
    };
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let requests = [("Pillow, numpy", format!("photos pillow {COUNT}"))];
    let title = "JPEG of 500 x 375 to an input of 224 x 224, one thread";
    compare(
        peers,
        title,
        "images/s",
        COUNT as f64,
        rounds,
        &requests,
        &mut [("Virboard", &mut || Ok(one_thread.install(|| files.iter().try_for_each(|f| one(f).map(drop)))?))],
    )?;
    let random = Random::new("photos");
    let batches: Vec<Tensor> = (0..COUNT / 8).map(|_| random.normal(1.0, (8, 3, 224, 224))).collect();
    let title = "ResNet-50 alone, batch 8";
    compare(
        &mut None,
        title,
        "images/s",
        COUNT as f64,
        rounds,
        &[],
        &mut [("Virboard", &mut || Ok(batches.iter().try_for_each(|b| network.embedding(b).map(drop))?))],
    )?;
    let title = "JPEGs decoded, resized and encoded, batch 8";
    compare(
        &mut None,
        title,
        "images/s",
        COUNT as f64,
        rounds,
        &[],
        &mut [("Virboard", &mut || {
            let prepare = |chunk: &[PathBuf]| chunk.par_iter().map(one).collect::<virboard_lab::Result<Vec<_>>>();
            Ok(ahead(files.chunks(8), prepare, |inputs| {
                network.embedding(&input.batch(&inputs, &Device::Cpu)?)?;
                Ok(())
            })?)
        })],
    )
}
