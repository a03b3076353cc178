//! Checkpoints as people have them: of other machines, of other programs, damaged, or something else altogether.

mod saved;

use candle_core::{DType, Device, Tensor};
use saved::{File, Tensors, View, checkpoints, dictionary, object, plain, rows, save_safetensors, text, times, under};
use std::path::{Path, PathBuf};
use virboard_nn::Error;
use virboard_nn::checkpoint::Wanted;
use virboard_nn::encoder::Encoder;
use virboard_nn::load;
use virboard_nn::network::resnet::{Config, ResNet};
use virboard_nn::testing::{Random, Vectors};

/// A folder and a file in it.
fn place(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    (folder, path)
}

#[track_caller]
fn gives_the_same_maps(path: &Path, wanted: Option<&Wanted>, bound: f64) {
    let vectors = Vectors::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/resnet.safetensors"));
    let mut weights = load::open(path, wanted).unwrap_or_else(|e| panic!("{e}"));
    let network = ResNet::new(Config::torchvision(2, 2), &mut weights, &Device::Cpu).expect("built");
    weights.finish().expect("nothing is left over");
    let features = network.features(&Random::new("narrow").uniform(&[2, 3, 96, 80])).expect("computed");
    for (map, spec) in features.maps.iter().zip(network.maps()) {
        vectors.assert_near(map, &format!("narrow.{}", spec.name), bound);
    }
    vectors.assert_near(&features.embedding, "narrow.embedding", bound);
}

#[track_caller]
fn refused(path: &Path) -> String {
    load::open(path, None).expect_err("refused").to_string()
}

fn small(shape: &[usize]) -> Tensor {
    Tensor::ones(shape, DType::F32, &Device::Cpu).expect("ones")
}

#[test]
fn a_checkpoint_saved_on_a_big_endian_machine_gives_the_same_maps() {
    for dtype in [DType::F32, DType::F64] {
        let tensors: Tensors = plain().into_iter().map(|(n, t)| (n, t.to_dtype(dtype).expect("converted"))).collect();
        let (_folder, path) = place("big.pt");
        let file = File::big_endian(&tensors);
        file.save(&file.dictionary(), &path);
        gives_the_same_maps(&path, None, 1e-4);
    }
}

#[test]
fn a_big_endian_checkpoint_that_does_not_say_so_is_refused() {
    let (_folder, path) = place("big.pt");
    let file = File { order: None, ..File::big_endian(&plain()) };
    file.save(&file.dictionary(), &path);
    let error = load::open(&path, None).expect_err("refused");
    assert!(matches!(&error, Error::UnsoundTensor { .. }) && error.to_string().contains("big-endian"), "{error}");
    let file = File { order: Some("middle"), ..File::of(&plain()) };
    file.save(&file.dictionary(), &path);
    assert!(refused(&path).contains("`middle`"));
}

#[test]
fn a_legacy_checkpoint_of_a_big_endian_machine_gives_the_same_maps() {
    // PyTorch writes the numbers of that format with the least significant byte first on every machine.
    let mut bytes = std::fs::read(checkpoints().join("moco.pth.tar")).expect("read");
    let flag = bytes.windows(13).position(|w| w == b"little_endian").expect("it is said") + 13;
    let at = flag + bytes[flag..].iter().position(|b| *b == 0x88).expect("true");
    bytes[at] = 0x89;
    let (_folder, path) = place("moco.pth.tar");
    std::fs::write(&path, bytes).expect("written");
    gives_the_same_maps(&path, None, 1e-4);
}

#[test]
fn a_flipped_bit_never_gives_other_weights() {
    let (_folder, path) = place("flipped.pt");
    let file = File::of(&plain().into_iter().filter(|(name, _)| !name.contains(".1.")).collect());
    file.save(&file.dictionary(), &path);
    let whole = std::fs::read(&path).expect("read");
    let values = |path: &Path| -> Option<Vec<(String, Vec<f32>)>> {
        let all = load::open(path, None).ok()?.below("");
        Some(all.into_iter().map(|(name, t)| (name, virboard_nn::testing::values(&t))).collect())
    };
    let wanted = values(&path).expect("it loads");
    let mut stream = virboard_nn::seeded::Stream::new(0, "flips");
    let (mut refused, mut harmless) = (0, 0);
    // The directory at the end decides most.
    for at in (0..whole.len()).step_by(211).chain((whole.len() - 4096..whole.len()).step_by(3)) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << stream.below(8);
        std::fs::write(&path, bytes).expect("written");
        match values(&path) {
            None => refused += 1,
            Some(found) => {
                assert!(found == wanted, "byte {at} gives other weights");
                harmless += 1;
            }
        }
    }
    println!("{refused} refused, {harmless} harmless");
    assert!(refused > 1000 && harmless > 0, "{refused} refused, {harmless} harmless (times, comments)");
}

#[test]
fn a_damaged_storage_is_named() {
    let (_folder, path) = place("damaged.pt");
    let file = File::of(&plain());
    let mut bytes = file.archive(&[b"\x80\x02".to_vec(), file.dictionary(), b".".to_vec()].concat());
    let storage = &file.storages[100];
    let at = bytes.windows(storage.len()).position(|w| w == storage).expect("it is there");
    bytes[at] ^= 0x10;
    std::fs::write(&path, bytes).expect("written");
    let said = refused(&path);
    assert!(said.contains("data/") && said.contains("its checksum does not fit"), "{said}");
}

#[test]
fn moco_trained_without_data_parallel_gives_the_same_maps() {
    let plain = plain();
    for (query, key) in [
        ("encoder_q.", "encoder_k."),
        ("encoder_q.0.", "encoder_k.0."),
        ("module.encoder_q.", "module.encoder_k."),
        ("teacher.backbone.", "student.module.backbone."),
        ("state_dict.module.base_encoder.", "state_dict.module.momentum_encoder."),
    ] {
        let mut tensors = under(query, &plain);
        tensors.extend(under(key, &times(1.5, &plain)));
        tensors.insert(format!("{query}fc.0.weight"), small(&[4, 4]));
        tensors.insert("queue".to_owned(), small(&[4, 8]));
        let (_folder, path) = place("moco.safetensors");
        save_safetensors(&tensors, &path);
        gives_the_same_maps(&path, None, 1e-4);
        let error = ResNet::new(
            Config::torchvision(2, 2),
            &mut load::open(&path, Some(&Wanted::Prefix(key.to_owned()))).expect("the other one"),
            &Device::Cpu,
        );
        assert!(error.is_ok(), "the other one is whole as well");
    }
}

#[test]
fn a_backbone_of_other_programs_gives_the_same_maps() {
    for (outer, prefix) in [
        (&["state_dict"][..], "backbone."),
        (&["state_dict"], "model.backbone."),
        (&["checkpoint", "network", "weights"], "visual.trunk."),
        (&[], "0.features.encoder."),
    ] {
        let mut tensors = under(prefix, &plain());
        tensors.insert("projection_head.layers.0.weight".to_owned(), small(&[4, 4]));
        tensors.insert("online_classifier.linear.weight".to_owned(), small(&[4, 4]));
        let file = File::of(&tensors);
        let nested = outer.iter().rev().fold(file.dictionary(), |inner, key| dictionary(&[(key, inner)]));
        let (_folder, path) = place("backbone.pt");
        file.save(&nested, &path);
        gives_the_same_maps(&path, None, 1e-4);
    }
}

#[test]
fn two_networks_that_nothing_tells_apart_are_listed_until_one_is_named() {
    let plain = plain();
    let mut tensors = under("model.", &plain);
    tensors.extend(under("model_ema.", &times(1.5, &plain)));
    let (_folder, path) = place("ema.safetensors");
    save_safetensors(&tensors, &path);
    let first = refused(&path);
    assert!(first.contains("`model.`, `model_ema.`") && first.contains("--prefix"), "{first}");
    for _ in 0..5 {
        assert_eq!(refused(&path), first, "every run says the same");
    }
    gives_the_same_maps(&path, Some(&Wanted::Prefix("model".to_owned())), 1e-4);
    assert!(load::has_classifier(&path, Some(&Wanted::Prefix("model_ema".to_owned()))).is_ok());
}

#[test]
fn names_in_messages_are_the_same_in_every_run() {
    let tensors: Tensors = ["z", "b", "a", "k", "c"].map(|name| (format!("{name}.weight"), small(&[1]))).into();
    let (_folder, path) = place("strange.safetensors");
    save_safetensors(&tensors, &path);
    for _ in 0..5 {
        let said = refused(&path);
        assert!(said.contains("of 5 tensors the first are `a.weight`, `b.weight`, `c.weight`"), "{said}");
    }
}

/// A checkpoint with something beside its weights.
fn with(beside: Vec<u8>, path: &Path) {
    let file = File::of(&under("model.", &plain()));
    file.save(&dictionary(&[("state_dict", file.dictionary()), ("hyper_parameters", beside)]), path);
}

#[test]
fn settings_inside_a_checkpoint_are_read_past() {
    let any = b"ctyping\nAny\n".to_vec();
    let settings = dictionary(&[("lr", b"G\x3f\xb9\x99\x99\x99\x99\x99\x9a".to_vec()), ("type", any)]);
    let (_folder, path) = place("settings.pt");
    for beside in [
        object("omegaconf.dictconfig", "DictConfig", &dictionary(&[("_content", settings.clone())])),
        object("omegaconf.listconfig", "ListConfig", &settings),
        object("mmengine.config.config", "ConfigDict", &settings),
        [b"cpytorch_lightning.utilities.parsing\nAttributeDict\n)\x81(".to_vec(), text("lr"), b"K\x01u".to_vec()]
            .concat(),
        b"cpathlib\nPosixPath\n(X\x04\x00\x00\x00datatR".to_vec(),
        b"(cbuiltins\nstr\ncbuiltins\nfloat\nc__builtin__\nunicode\ncnumpy\nfloat64\ntq\x01".to_vec(),
        b"ccollections\ndefaultdict\n(cbuiltins\nlist\ntR".to_vec(),
    ] {
        with(beside, &path);
        gives_the_same_maps(&path, None, 1e-4);
    }
}

#[test]
fn what_runs_something_is_refused_by_name_wherever_it_stands() {
    let (_folder, path) = place("getattr.pt");
    for (module, name) in [("builtins", "getattr"), ("builtins", "eval"), ("os", "system"), ("subprocess", "Popen")] {
        with(dictionary(&[("f", format!("c{module}\n{name}\n").into_bytes())]), &path);
        let error = load::open(&path, None).expect_err("refused");
        assert!(matches!(&error, Error::UnsafePickle { name: n, .. } if *n == format!("{module}.{name}")), "{error}");
        assert!(error.to_string().contains("state_dict()"), "it says what to save instead: {error}");
    }
}

/// A network that was saved as a whole: an object for each of its parts.
fn whole(names: &[(&str, Vec<u8>)], module: &str) -> Vec<u8> {
    let mut parts: std::collections::BTreeMap<&str, Vec<(&str, Vec<u8>)>> = std::collections::BTreeMap::new();
    let (mut own, mut buffers) = (Vec::new(), Vec::new());
    for (name, value) in names {
        match name.split_once('.') {
            Some((part, rest)) => parts.entry(part).or_default().push((rest, value.clone())),
            None if name.starts_with("running") => buffers.push((*name, value.clone())),
            None => own.push((*name, value.clone())),
        }
    }
    let parts: Vec<(&str, Vec<u8>)> = parts.into_iter().map(|(name, inner)| (name, whole(&inner, module))).collect();
    let state = [
        ("training", b"\x89".to_vec()),
        ("_parameters", dictionary(&own)),
        ("_buffers", dictionary(&buffers)),
        ("_modules", dictionary(&parts)),
    ];
    object(module, "Part", &dictionary(&state))
}

#[test]
fn a_network_that_was_saved_as_a_whole_gives_the_same_maps() {
    let file = File::of(&plain());
    let names: Vec<(&str, Vec<u8>)> = file.tensors.iter().map(|(n, v)| (n.as_str(), v.clone())).collect();
    let (_folder, path) = place("whole.pt");
    for module in ["torchvision.models.resnet", "__main__", "__torch__.torchvision.models.resnet"] {
        file.save(&whole(&names, module), &path);
        gives_the_same_maps(&path, None, 1e-4);
    }
}

#[test]
fn halves_and_doubles_are_weights_and_whole_numbers_are_none() {
    let (_folder, path) = place("x");
    for (dtype, bound) in [(DType::F16, 2e-2), (DType::BF16, 1e-1), (DType::F64, 1e-4)] {
        let tensors: Tensors = plain().into_iter().map(|(n, t)| (n, t.to_dtype(dtype).expect("converted"))).collect();
        let file = File::of(&tensors);
        file.save(&file.dictionary(), &path);
        gives_the_same_maps(&path, None, bound);
        save_safetensors(&tensors, &path);
        gives_the_same_maps(&path, None, bound);
    }
    let mut tensors = plain();
    tensors.insert("conv1.weight".to_owned(), small(&[2, 3, 7, 7]).to_dtype(DType::I64).expect("converted"));
    let file = File::of(&tensors);
    file.save(&file.dictionary(), &path);
    assert!(refused(&path).contains("`conv1.weight`: it holds whole numbers (torch.LongStorage)"));
    save_safetensors(&tensors, &path);
    assert!(refused(&path).contains("`conv1.weight`: it holds whole numbers"));
}

#[test]
fn numbers_that_are_not_finite_are_named_with_their_tensor() {
    for (value, says) in
        [(f32::NAN, "1 of 2 numbers that are not finite"), (f32::INFINITY, "not finite"), (-1.0, "the variance -1")]
    {
        let mut tensors = plain();
        let strange = Tensor::new(&[1.0, value], &Device::Cpu).expect("a tensor");
        tensors.insert("bn1.running_var".to_owned(), strange);
        let (_folder, path) = place("strange");
        save_safetensors(&tensors, &path);
        let said = refused(&path);
        assert!(said.contains("`bn1.running_var`") && said.contains(says), "{said}");
        let file = File::of(&tensors);
        file.save(&file.dictionary(), &path);
        assert_eq!(refused(&path), said);
    }
}

#[test]
fn tensors_that_share_a_storage_and_lie_in_other_orders_give_the_same_maps() {
    // All in one storage, kernels with their channels last.
    let (mut storage, mut tensors) = (Vec::new(), Vec::new());
    let plain = plain();
    let len = 7 + plain.values().map(Tensor::elem_count).sum::<usize>();
    storage.resize(7 * 4, 0u8);
    for (name, tensor) in &plain {
        let offset = storage.len() / 4;
        let shape = tensor.dims().to_vec();
        let stride = if let [_, c, h, w] = shape[..] {
            storage.extend(saved::bytes(&tensor.permute((0, 2, 3, 1)).and_then(|t| t.contiguous()).expect("permuted")));
            vec![c * h * w, 1, w * c, c]
        } else {
            storage.extend(saved::bytes(tensor));
            rows(&shape)
        };
        let view = View { class: "FloatStorage", key: 0, len, offset, shape, stride };
        tensors.push((name.clone(), view.pickled()));
    }
    let mut file = File { tensors, storages: vec![storage], order: Some("little") };
    let (_folder, path) = place("shared.pt");
    file.save(&file.dictionary(), &path);
    gives_the_same_maps(&path, None, 1e-4);
    file.storages[0].chunks_exact_mut(4).for_each(<[u8]>::reverse);
    file.order = Some("big");
    file.save(&file.dictionary(), &path);
    gives_the_same_maps(&path, None, 1e-4);
}

#[test]
fn a_small_file_that_asks_for_all_memory_is_refused() {
    let (_folder, path) = place("bomb.pt");
    let file = File::of(&plain());
    let key = file.storages.len();
    let view = |len, shape: Vec<usize>, stride| View { class: "FloatStorage", key, len, offset: 0, shape, stride };
    for (view, says) in [
        (view(1, vec![1 << 28], vec![0]), "unfolds to far more"),
        (view(1 << 28, vec![4], vec![1]), "unfolds to far more"),
        (view(100, vec![4], vec![1]), "has 4 bytes where 400 are wanted"),
        (view(1, vec![4], vec![1]), "reaches beyond its storage"),
    ] {
        let mut file = File::of(&plain());
        file.tensors.retain(|(name, _)| name != "conv1.weight");
        file.storages.push(vec![0; 4]);
        file.tensors.push(("conv1.weight".to_owned(), view.pickled()));
        file.save(&file.dictionary(), &path);
        let said = refused(&path);
        assert!(said.contains(says), "{says}: {said}");
    }
}

#[test]
fn files_that_are_something_else_are_called_by_their_name() {
    let lfs = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 94340000\n", "0".repeat(64));
    let tar = [vec![b'a'; 257], b"ustar\0".to_vec(), vec![0; 300]].concat();
    let inner = saved::archive(&[("readme.txt".to_owned(), b"x".to_vec()), ("a/resnet50.pth".to_owned(), vec![0; 9])]);
    let model = saved::archive(&[("net/saved_model.pb".to_owned(), b"x".to_vec())]);
    let arrays = saved::archive(&[("a.npy".to_owned(), b"x".to_vec())]);
    let cases: [(&[u8], &str); 17] = [
        (lfs.as_bytes(), "a Git LFS pointer to a file of 94340000 bytes"),
        (b"<!DOCTYPE html><title>Sign in</title>", "a web page"),
        (b"\xef\xbb\xbf\n <HTML>", "a web page"),
        (b"{\"error\": \"not found\"}", "JSON"),
        (b"{\"metadata\": {}, \"weight_map\": {\"conv1.weight\": \"1.safetensors\"}}", "several files"),
        (b"Not found", "a text, `Not found`"),
        (b"\x08\x07\x12\x07pytorch\x1a\x05", "ONNX"),
        (b"\x08\x01\x12\xff\xff\xff", "TensorFlow"),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0", "HDF5"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\0", "a gzip archive"),
        (&tar, "a tar archive"),
        (&inner, "a zip archive with `a/resnet50.pth` in it"),
        (&model, "TensorFlow"),
        (&arrays, "numpy's arrays"),
        (&[0; 4096], "a file of zeros"),
        (b"\x89PNG\r\n\x1a\n....", "a picture"),
        (b"\x80\x04\x95\x0c\0\0\0\0\0\0\0}\x94\x8c\x01a\x94K\x01s.", "a pickle that torch.save did not write"),
    ];
    for (bytes, is) in cases {
        for name in ["SWAV_800.pt", "SWAV_800.safetensors"] {
            let (_folder, path) = place(name);
            std::fs::write(&path, bytes).expect("written");
            let error = load::open(&path, None).expect_err(is);
            let said = error.to_string();
            assert!(matches!(error, Error::OtherFile { .. }) && said.contains(is), "{is}: {said}");
        }
    }
    let (folder, _) = place("x");
    assert!(refused(folder.path()).contains("it is a folder"));
}
