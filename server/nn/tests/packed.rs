//! Packed files: what they hold, and what is wrong with some.

use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;
use std::path::Path;
use virboard_nn::checkpoint::{TensorFile, packed};
use virboard_nn::testing::{Random, values};

type Tensors = BTreeMap<String, Tensor>;

/// A convolution with an output of zeros, a linear layer, and a vector.
fn tensors() -> Tensors {
    let random = Random::new("packed");
    let convolution = Tensor::cat(
        &[random.normal(0.1, (5, 3, 3, 3)), Tensor::zeros((1, 3, 3, 3), DType::F32, &Device::Cpu).expect("zeros")],
        0,
    );
    [
        ("conv.weight", convolution.expect("one behind the other")),
        ("fc.weight", random.normal(2.0, (4, 7))),
        ("bn.bias", random.normal(1.0, 6)),
    ]
    .map(|(name, tensor)| (name.to_owned(), tensor))
    .into()
}

fn written(tensors: &Tensors, entries: &[(&str, &str)]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("packed.safetensors");
    let entries = entries.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    packed::write(&path, tensors, &entries).expect("written");
    std::fs::read(path).expect("read")
}

fn read(bytes: &[u8]) -> virboard_nn::Result<Tensors> {
    TensorFile::open(Path::new("x.safetensors"), bytes)?.all()
}

#[test]
fn no_value_is_off_by_more_than_half_a_scale() {
    let wanted = tensors();
    let found = read(&written(&wanted, &[])).expect("read");
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    let mut compared = 0;
    for name in ["conv.weight", "fc.weight"] {
        assert_eq!(found[name].dims(), wanted[name].dims());
        for output in 0..wanted[name].dims()[0] {
            let [found, wanted] = [&found, &wanted].map(|t| values(&t[name].get(output).expect("an output")));
            let scale = wanted.iter().fold(0f32, |m, v| m.max(v.abs())) / 127.0;
            for (found, wanted) in found.iter().zip(&wanted) {
                assert!(found.is_finite());
                assert!((found - wanted).abs() <= scale * 0.50001, "{name}: {found} for {wanted}, scale {scale}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 6 * 27 + 4 * 7);
    assert!(values(&found["conv.weight"].get(5).expect("the last")).iter().all(|v| v.to_bits() == 0));
}

#[test]
fn vectors_are_the_same_bits() {
    let wanted = tensors();
    let found = read(&written(&wanted, &[])).expect("read");
    let bits = |t: &Tensor| values(t).iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&found["bn.bias"]), bits(&wanted["bn.bias"]));
}

#[test]
fn whole_numbers_are_the_nearest_and_halves_go_to_even_ones() {
    let values = [[127f32, 0.5, 1.5, -2.5, -126.6], [1e-44, 0.0, 0.0, 0.0, -1e-44]];
    let tensor = Tensor::new(&values, &Device::Cpu).expect("a tensor");
    let bytes = written(&Tensors::from([("w".to_owned(), tensor)]), &[]);
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let [integers, scales] = ["w", "w.scale"].map(|name| file.tensor(name).expect("there"));
    assert_eq!((integers.dtype(), scales.dtype()), (safetensors::Dtype::I8, safetensors::Dtype::F32));
    assert_eq!(integers.data()[..5], [127i8, 0, 2, -2, -127].map(i8::cast_unsigned));
    assert_eq!(scales.data(), [1f32, 0.0].map(f32::to_le_bytes).concat(), "the second is too small for a scale");
    assert!(self::values(&read(&bytes).expect("read")["w"])[5..].iter().all(|v| *v == 0.0));
}

#[test]
fn the_same_weights_give_the_same_bytes_whatever_else_the_file_says() {
    let entries = [("format", "pt"), ("made_by", "a \"run\""), ("a", "1"), ("b", "2"), ("c", "3")];
    let first = written(&tensors(), &entries);
    for _ in 0..8 {
        assert_eq!(written(&tensors(), &entries), first);
    }
    let file = TensorFile::open(Path::new("x"), &first).expect("read");
    let kept = file.entries();
    assert!(entries.iter().all(|(name, text)| kept[*name] == *text), "{kept:?}");
    assert_eq!((kept[packed::ENTRY].as_str(), kept.len()), ("1", entries.len() + 1));
}

#[test]
fn what_cannot_be_packed_is_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("packed.safetensors");
    let infinite = Tensor::new(&[[1f32, f32::INFINITY]], &Device::Cpu).expect("a tensor");
    let mut clash = tensors();
    clash.insert("fc.weight.scale".to_owned(), clash["bn.bias"].clone());
    for (tensors, says) in [(Tensors::from([("w".to_owned(), infinite)]), "`w`"), (clash, "`fc.weight.scale`")] {
        let error = packed::write(&path, &tensors, &BTreeMap::new()).expect_err("refused").to_string();
        assert!(error.contains(says), "{error}");
        assert!(!path.exists());
    }
}

/// The packed file with another header; lengths are kept with spaces.
fn changed(bytes: &[u8], change: impl FnOnce(String) -> String) -> Vec<u8> {
    let length = u64::from_le_bytes(*bytes.first_chunk().expect("a length")) as usize;
    let header = String::from_utf8(bytes[8..8 + length].to_vec()).expect("text");
    let header = change(header.trim_end().to_owned());
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes[8 + length..]].concat()
}

fn renamed(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    changed(bytes, |header| {
        assert!(header.contains(from), "{from}: {header}");
        header.replace(from, to)
    })
}

/// The packed file with another number as the second scale of the convolution.
fn with_scale(bytes: &[u8], scale: f32) -> Vec<u8> {
    let (length, metadata) = safetensors::SafeTensors::read_metadata(bytes).expect("a header");
    let at = 8 + length + metadata.info("conv.weight.scale").expect("its scales").data_offsets.0 + 4;
    [&bytes[..at], &scale.to_le_bytes()[..], &bytes[at + 4..]].concat()
}

#[test]
fn what_is_wrong_with_a_packed_file_is_said_with_the_tensor() {
    let bytes = written(&tensors(), &[]);
    for (bytes, says) in [
        (renamed(&bytes, "conv.weight.scale", "conv.weight.other"), "`conv.weight` of x.safetensors"),
        (renamed(&bytes, "conv.weight.scale", "conv.weight.other"), "no `conv.weight.scale`"),
        (renamed(&bytes, "\"F32\",\"shape\":[4]", "\"F32\",\"shape\":[2,2]"), "F32 of shape [2, 2]"),
        (renamed(&bytes, "\"F32\",\"shape\":[4]", "\"F16\",\"shape\":[8]"), "F16 of shape [8]"),
        (renamed(&bytes, "\"shape\":[4,7]", "\"shape\":[2,14]"), "`fc.weight` of x.safetensors"),
        (renamed(&bytes, "\"shape\":[4,7]", "\"shape\":[28]"), "shape [28] has no outputs"),
        (renamed(&bytes, "\"shape\":[4,7]", "\"shape\":[0,7,28]"), "x.safetensors"),
        (with_scale(&bytes, f32::NAN), "scale 1 is NaN"),
        (with_scale(&bytes, f32::INFINITY), "scale 1 is inf"),
        (with_scale(&bytes, f32::MAX), "scale 1 is 3"),
        (with_scale(&bytes, -0.5), "scale 1 is -0.5"),
        (renamed(&bytes, "\"virboard_packed\":\"1\"", "\"virboard_packed\":\"2\""), "form `2`"),
        (renamed(&bytes, "\"virboard_packed\":\"1\"", "\"virboard_other\":\"1\""), "I8"),
        (bytes[..bytes.len() - 1].to_vec(), "x.safetensors"),
    ] {
        let error = read(&bytes).expect_err(says).to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
    assert!(read(&with_scale(&bytes, 0.25)).is_ok(), "another scale is no mistake");
}

#[test]
fn tensors_without_numbers_are_kept() {
    let empty = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).expect("zeros");
    let wanted: Tensors = [("a", empty(&[3, 0])), ("b", empty(&[0, 3])), ("c", empty(&[0]))]
        .map(|(name, tensor)| (name.to_owned(), tensor))
        .into();
    let found = read(&written(&wanted, &[])).expect("read");
    let shapes = |t: &Tensors| t.values().map(|t| t.dims().to_vec()).collect::<Vec<_>>();
    assert_eq!(shapes(&found), shapes(&wanted));
}
