//! 32 photographs through every checkpoint format, against torchvision on the same files, and
//! through published weights that nobody here made, against their authors' package.

mod saved;

use candle_core::Device;
use std::path::{Path, PathBuf};
use virboard_lab::work::encode::{encode, pictures};
use virboard_nn::checkpoint::entry;
use virboard_nn::encoder::Precision;
use virboard_nn::load::load_any;
use virboard_nn::testing::{Vectors, assert_near, values};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn vectors() -> Vectors {
    Vectors::open(&root().join("tests/vectors/photographs.safetensors"))
}

/// Copies the photographs that the vectors are of, named so that they sort in their order.
fn copies(wanted: &Vectors, folder: &Path) -> Vec<String> {
    let names: Vec<u8> = wanted["files"].to_vec1().expect("bytes");
    let names = std::str::from_utf8(&names).expect("text").lines();
    names
        .enumerate()
        .map(|(i, name)| {
            let copy = format!("{i:02}.jpg");
            std::fs::copy(root().join("../..").join(name), folder.join(&copy)).expect("copied");
            copy
        })
        .collect()
}

#[test]
fn published_weights_give_their_authors_embeddings() {
    let wanted = vectors();
    let photos = tempfile::tempdir().expect("a folder");
    let names = copies(&wanted, photos.path());
    let encoder =
        load_any(&root().join("../samples/encoders/EfficientNetLite0.safetensors"), None, &Device::Cpu, Precision::F32);
    let out = photos.path().join("out.safetensors");
    let files = pictures(photos.path()).expect("listed");
    encode(&encoder.expect("it ships"), &files, &["embedding".to_owned()], &out, &Device::Cpu, &()).expect("encoded");
    let got = candle_core::safetensors::load(&out, &Device::Cpu).expect("readable");
    let (got, wanted) = (values(&got["embedding"]), values(&wanted["efficientnet.embedding"]));
    assert_near(format!("{} photographs", names.len()), &got, &wanted, 1e-4);
}

#[test]
fn every_format_encodes_photographs_as_torchvision_does() {
    let wanted = vectors();
    let photos = tempfile::tempdir().expect("a folder");
    let names = copies(&wanted, photos.path());
    std::fs::write(photos.path().join("notes.txt"), "no picture").expect("written");
    let files = pictures(photos.path()).expect("listed");
    assert_eq!(files.len(), names.len());
    let layers = ["conv", "block1", "block2", "block3", "block4", "embedding"].map(str::to_owned);
    for checkpoint in [
        "virb.pt",
        "swav.pth.tar",
        "moco.pth.tar",
        "pirl.torch",
        "simclr.pth.tar",
        "torchvision.pth",
        "plain.safetensors",
    ] {
        let path = root().join("tests/vectors/checkpoints").join(checkpoint);
        let encoder = load_any(&path, None, &Device::Cpu, Precision::F32).expect(checkpoint);
        let out = photos.path().join("out.safetensors");
        encode(&encoder, &files, &layers, &out, &Device::Cpu, &()).expect(checkpoint);
        let got = candle_core::safetensors::load(&out, &Device::Cpu).expect("readable");
        for layer in &layers {
            let error = wanted.relative_error(&got[layer], layer);
            let (got, wanted) = (wanted.places(&got[layer], layer), values(&wanted[layer]));
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            let cosine = dot(&got, &wanted) / (dot(&got, &got) * dot(&wanted, &wanted)).sqrt();
            println!("{checkpoint:20} {layer:10} relative error {error:.1e}, cosine {cosine:.6}");
            assert!(cosine > 0.999_999, "{checkpoint} {layer}: cosine {cosine}");
            assert!(error < 1e-4, "{checkpoint} {layer}: {error}");
        }
        let listed = entry(&out, "files").expect("read").expect("the files");
        assert_eq!(serde_json::from_str::<Vec<String>>(&listed).expect("JSON"), names);
    }
}

#[test]
fn an_unknown_layer_and_an_empty_folder_are_named() {
    let path = root().join("tests/vectors/checkpoints/plain.safetensors");
    let encoder = load_any(&path, None, &Device::Cpu, Precision::F32).expect("loaded");
    let error = encode(&encoder, &[], &["block9".to_owned()], Path::new("x"), &Device::Cpu, &()).expect_err("refused");
    assert!(error.to_string().contains("block9") && error.to_string().contains("block4"), "{error}");
    let empty = tempfile::tempdir().expect("a folder");
    assert!(pictures(empty.path()).expect_err("refused").to_string().contains("holds no pictures"));
}

/// A folder with one photograph, and the same turned by a tag.
fn turned_twins() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let photo = std::fs::read(root().join("../../public/samples/china.jpg")).expect("read");
    // An EXIF segment with orientation 6 behind the first two bytes.
    let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let segment = [&b"\xff\xe1"[..], &(exif.len() as u16 + 2).to_be_bytes(), exif].concat();
    std::fs::write(folder.path().join("a.jpg"), &photo).expect("written");
    std::fs::write(folder.path().join("b.JPG"), [&photo[..2], &segment, &photo[2..]].concat()).expect("written");
    folder
}

#[test]
fn a_picture_with_an_orientation_is_encoded_as_it_is_stored() {
    let folder = turned_twins();
    std::fs::write(folder.path().join("._a.jpg"), "not a picture").expect("written");
    std::fs::write(folder.path().join("Thumbs.db"), "not a picture").expect("written");
    std::fs::create_dir(folder.path().join("more.jpg")).expect("made");
    let files = pictures(folder.path()).expect("listed");
    assert_eq!(files.len(), 2, "{files:?}");
    let path = saved::checkpoints().join("plain.safetensors");
    let encoder = load_any(&path, None, &Device::Cpu, Precision::F32).expect("loaded");
    let out = folder.path().join("out.safetensors");
    encode(&encoder, &files, &["embedding".to_owned()], &out, &Device::Cpu, &()).expect("encoded");
    let rows = candle_core::safetensors::load(&out, &Device::Cpu).expect("readable");
    let rows: Vec<Vec<f32>> = rows["embedding"].to_vec2().expect("rows");
    assert_eq!(rows[0], rows[1]);
    assert!(rows[0].iter().any(|v| *v != 0.0));
}

#[test]
fn an_output_never_overwrites_what_it_is_made_of() {
    let folder = turned_twins();
    let checkpoint = folder.path().join("net.safetensors");
    std::fs::copy(saved::checkpoints().join("plain.safetensors"), &checkpoint).expect("copied");
    let encoder = load_any(&checkpoint, None, &Device::Cpu, Precision::F32).expect("loaded");
    let files = pictures(folder.path()).expect("listed");
    for input in [&checkpoint, &files[0]] {
        let before = std::fs::read(input).expect("read");
        let error = encode(&encoder, &files, &["embedding".to_owned()], input, &Device::Cpu, &()).expect_err("refused");
        assert!(error.to_string().contains("would overwrite"), "{error}");
        assert_eq!(std::fs::read(input).expect("read"), before);
    }
}

#[test]
fn features_that_are_no_numbers_are_not_written() {
    let folder = turned_twins();
    let checkpoint = folder.path().join("large.safetensors");
    let mut tensors = saved::plain();
    for (name, tensor) in &mut tensors {
        if name.ends_with("bn3.weight") {
            *tensor = (&*tensor * 1e15).expect("scaled");
        }
    }
    saved::save_safetensors(&tensors, &checkpoint);
    let encoder = load_any(&checkpoint, None, &Device::Cpu, Precision::F32).expect("its weights are finite");
    let files = pictures(folder.path()).expect("listed");
    let out = folder.path().join("out.safetensors");
    let error = encode(&encoder, &files, &["embedding".to_owned()], &out, &Device::Cpu, &()).expect_err("refused");
    assert!(error.to_string().contains("embedding of ") && error.to_string().contains("a.jpg"), "{error}");
    assert!(!out.exists());
}
