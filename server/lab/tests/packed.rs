//! Packed checkpoints and heads in the place of those that they were made of.

mod saved;

use candle_core::Device;
use saved::{File, Tensors, save_safetensors, under};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use virboard_core::catalogue::task::OutputKind;
use virboard_core::catalogue::{Catalogue, rows};
use virboard_lab::head::{self, Architecture, Head, HeadSpec, Label};
use virboard_lab::packing::pack;
use virboard_lab::registry::Registry;
use virboard_nn::checkpoint::{entry, packed};
use virboard_nn::encoder::Precision;
use virboard_nn::load::{self, LoadedEncoder, load_any};
use virboard_nn::network::resnet::{Config, random_weights};
use virboard_nn::testing::{Random, relative_error, values};

/// A ResNet-18 of width 8 with seeded weights, whose batch normalisations do something, and a layer for ImageNet's
/// classes.
fn weights() -> Tensors {
    let random = Random::new("packed encoder");
    let mut tensors = random_weights(&Config::basic(8, [2, 2, 2, 2]), 3).expect("weights").below("");
    for (name, tensor) in &mut tensors {
        let noise = random.normal(0.1, tensor.dims());
        if tensor.rank() == 1 && !name.ends_with("running_var") {
            *tensor = (&*tensor + noise).expect("added");
        }
    }
    tensors.insert("fc.weight".to_owned(), random.normal(0.1, (1000, 64)));
    tensors.insert("fc.bias".to_owned(), random.normal(0.1, 1000));
    tensors
}

fn place() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let [whole, packed] = ["whole.safetensors", "packed.safetensors"].map(|name| folder.path().join(name));
    (folder, whole, packed)
}

fn loaded(path: &Path) -> LoadedEncoder {
    load_any(path, None, &Device::Cpu, Precision::F32).expect("loaded")
}

fn embedding(encoder: &LoadedEncoder) -> Vec<f32> {
    let input = Random::new("packed input").uniform((3, 3, 64, 48));
    values(&encoder.network.embedding(&input).expect("computed"))
}

fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).expect("there").len()
}

/// Asserts that two rows are near, and not the same.
#[track_caller]
fn close(what: &str, found: &[f32], wanted: &[f32], bound: f64) {
    let error = relative_error(what, found, wanted);
    println!("{what}: relative error {error:.1e}");
    assert!(error > 0.0 && error < bound, "{what}: {error}");
}

#[test]
fn a_packed_encoder_embeds_almost_as_the_one_it_was_made_of() {
    let (_folder, whole, packed) = place();
    save_safetensors(&weights(), &whole);
    let before = loaded(&whole);
    before.pack(&packed).expect("packed");
    let after = loaded(&packed);
    assert!(4 * bytes(&packed) < 5 * bytes(&whole) / 4, "{} of {}", bytes(&packed), bytes(&whole));
    assert_eq!(format!("{:?}", after.description()), format!("{:?}", before.description()));
    assert_eq!(before.bytes, after.bytes, "as many numbers");
    assert_ne!(before.provenance.sha256, after.provenance.sha256, "they are other weights");
    close("embedding", &embedding(&after), &embedding(&before), 0.05);
    let [after, before] = [&after, &before].map(|e| values(&e.classifier.as_ref().expect("it has one").0));
    close("classes", &after, &before, 1.0 / 250.0);
    assert!(load::has_classifier(&packed, None).expect("read"));
    assert!(entry(&packed, packed::ENTRY).expect("read").is_some());
}

#[test]
fn a_packed_encoder_can_be_trained_on() {
    let (_folder, whole, packed) = place();
    save_safetensors(&weights(), &whole);
    loaded(&whole).pack(&packed).expect("packed");
    let [before, after] = [&whole, &packed].map(|path| {
        let network = loaded(path).trainable(&Device::Cpu).expect("trainable");
        let input = Random::new("packed input").uniform((2, 3, 64, 64));
        values(&network.embedding(&input, virboard_nn::trainable::Normalising::EVAL).expect("computed"))
    });
    close("embedding", &after, &before, 0.05);
}

#[test]
fn a_packed_file_of_a_larger_checkpoint_has_the_encoder_alone_under_its_names() {
    let (_folder, whole, packed) = place();
    let mut tensors = under("module.encoder_q.", &weights());
    tensors.extend(under("module.encoder_k.", &weights()));
    tensors.insert("queue".to_owned(), Random::new("queue").normal(1.0, (8, 16)));
    let file = File::of(&tensors);
    file.save(&saved::dictionary(&[("state_dict", file.dictionary())]), &whole);
    let before = loaded(&whole);
    before.pack(&packed).expect("packed");
    let after = loaded(&packed);
    assert_eq!((after.prefix.as_str(), &after.prefix), ("state_dict.module.encoder_q.", &before.prefix));
    assert!(load::open(&packed, None).expect("open").others().is_empty());
    close("embedding", &embedding(&after), &embedding(&before), 0.05);
}

#[test]
fn packing_never_overwrites_what_it_is_made_of_and_needs_a_checkpoint() {
    let (_folder, whole, _) = place();
    save_safetensors(&weights(), &whole);
    let before = bytes(&whole);
    let error = loaded(&whole).pack(&whole).expect_err("refused").to_string();
    assert!(error.contains("would overwrite"), "{error}");
    assert_eq!(bytes(&whole), before);
    let random = LoadedEncoder { file: None, key: "Seeded".to_owned(), ..loaded(&whole) };
    let error = random.pack(&whole).expect_err("refused").to_string();
    assert!(error.contains("Seeded is made of a seed"), "{error}");
}

#[test]
fn what_packing_costs_is_measured_with_the_row_of_the_encoder() {
    let (folder, _, out) = place();
    let checkpoint = folder.path().join("Mine.safetensors");
    save_safetensors(&under("model_ema.", &weights()), &checkpoint);
    let mut catalogue = (*Catalogue::builtin()).clone();
    let row = rows::encoder("key = \"Mine\"\nprefix = \"model_ema.\"\nside = 64\n").expect("a row");
    catalogue.add_encoder(row).expect("added");
    let registry = Registry::new(Arc::new(catalogue), vec![folder.path().to_owned()], Device::Cpu, 1 << 30);
    let photos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../public/samples");
    let packing = pack(&registry, "Mine", &out, &photos, &()).expect("packed");
    println!("{packing:?}");
    assert_eq!((packing.bytes_before, packing.bytes_after), (bytes(&checkpoint), bytes(&out)));
    let likeness = packing.likeness;
    assert!(likeness.pictures > 5 && likeness.cosine > 0.999 && likeness.cosine < 1.0 + 1e-9, "{likeness:?}");
    assert!(likeness.largest_change > 0.0 && likeness.largest_change < 0.05, "{likeness:?}");

    // In the place of the checkpoint it is the same encoder.
    std::fs::rename(&out, &checkpoint).expect("moved");
    let again = Registry::new(registry.catalogue(), vec![folder.path().to_owned()], Device::Cpu, 1 << 30);
    assert_eq!(again.get("Mine").expect("loaded").network.preprocessing().width, 64);
}

fn spec(kind: OutputKind, architecture: Architecture) -> HeadSpec {
    let label = |i: usize| Label { name: format!("class {i}"), colour: "#102030".to_owned() };
    HeadSpec {
        task: "Pets".to_owned(),
        encoder: "Mine".to_owned(),
        encoder_sha256: "abc".to_owned(),
        kind,
        architecture,
        labels: (0..5).map(label).collect(),
        unit: String::new(),
        scale: 1.0,
        seed: 4,
        images: 1,
        channels: None,
        reference: None,
    }
}

#[test]
fn a_packed_head_is_the_same_head_but_for_what_8_bits_lose() {
    let (_folder, whole, packed) = place();
    for (architecture, kind) in [
        (Architecture::Linear { input: 24 }, OutputKind::Classification),
        (Architecture::Pixelwise { channels: vec![8, 16], slim: Some(vec![4, 6]) }, OutputKind::Segmentation),
    ] {
        let head = Head::new(spec(kind, architecture), &Device::Cpu).expect("built");
        head.save(&whole).expect("saved");
        head::pack(&whole, &packed).expect("packed");
        let after = Head::load(&packed, &Device::Cpu).expect("loaded");
        assert_eq!(after.spec, head.spec, "its description is kept");
        let mut compared = 0;
        for (name, var) in Head::load(&whole, &Device::Cpu).expect("loaded").parameters().all() {
            let [found, wanted] = [after.parameters().get(name).expect("there"), var].map(|v| values(v.as_tensor()));
            if var.rank() == 1 {
                assert_eq!(found, wanted, "{name}");
            } else {
                close(name, &found, &wanted, 1.0 / 250.0);
            }
            compared += 1;
        }
        assert!(compared >= 2);
        // The file itself may be packed, too.
        head::pack(&whole, &whole).expect("packed");
        assert_eq!(std::fs::read(&whole).expect("read"), std::fs::read(&packed).expect("read"));
    }
}

#[test]
fn a_file_that_is_no_head_is_not_packed_as_one() {
    let (_folder, whole, packed) = place();
    save_safetensors(&weights(), &whole);
    let error = head::pack(&whole, &packed).expect_err("refused").to_string();
    assert!(error.contains("it does not say which head it is"), "{error}");
    assert!(!packed.exists());
    std::fs::write(&whole, "no tensors").expect("written");
    assert!(head::pack(&whole, &packed).is_err() && Head::load(&whole, &Device::Cpu).is_err());
}

#[test]
fn a_packed_head_with_a_scale_that_is_no_number_is_refused() {
    let (_folder, whole, packed) = place();
    let head = Head::new(spec(OutputKind::Classification, Architecture::Linear { input: 24 }), &Device::Cpu);
    head.expect("built").save(&whole).expect("saved");
    head::pack(&whole, &packed).expect("packed");
    let mut bytes = std::fs::read(&packed).expect("read");
    let (length, metadata) = safetensors::SafeTensors::read_metadata(&bytes).expect("a header");
    let at = 8 + length + metadata.info("linear.weight.scale").expect("its scales").data_offsets.0;
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&packed, bytes).expect("written");
    let error = Head::load(&packed, &Device::Cpu).expect_err("refused").to_string();
    assert!(error.contains("`linear.weight`") && error.contains("scale 0 is NaN"), "{error}");
}

#[test]
fn a_file_of_8_bits_that_does_not_say_so_is_refused() {
    let (_folder, whole, packed) = place();
    save_safetensors(&weights(), &whole);
    loaded(&whole).pack(&packed).expect("packed");
    let mut bytes = std::fs::read(&packed).expect("read");
    let at = bytes.windows(packed::ENTRY.len()).position(|w| w == packed::ENTRY.as_bytes()).expect("it says so");
    bytes[at] ^= 1;
    std::fs::write(&packed, &bytes).expect("written");
    let error = load::open(&packed, None).expect_err("refused").to_string();
    assert!(error.contains("tensor `conv1.weight`") && error.contains("I8"), "{error}");
}
