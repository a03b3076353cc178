//! Encoders that people declare: shown like built-in ones, refused with one sentence, nothing half added.

mod common;

use common::program::{fails, run, works};
use common::{form, root, sample};
use std::path::Path;
use virboard::service::Virboard;
use virboard_nn::network::resnet::{Config, random_weights};

/// A narrow ResNet with seeded weights.
fn narrow(path: &Path) {
    let weights = random_weights(&Config::torchvision(4, 4), 1).expect("weights");
    let tensors: std::collections::HashMap<String, _> = weights.below("").into_iter().collect();
    candle_core::safetensors::save(&tensors, path).expect("saved");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_encoder_is_shown_like_a_built_in_one() {
    let data = tempfile::tempdir().expect("a folder");
    let file = data.path().join("my net.safetensors");
    narrow(&file);
    let arguments = ["--key", "Ours", "--name", "Our net", "--method", "DINO", "--data", "our slides", "--epochs", "7"];
    let said = works(data.path(), &[&["encoder", "add", text(&file)][..], &arguments].concat());
    assert!(said.contains("checkpoints/Ours.safetensors"), "{said}");
    // A table from a paper: scores without weights.
    works(data.path(), &["encoder", "add", "--key", "Theirs", "--method", "moco v2"]);
    let table = data.path().join("table.csv");
    std::fs::write(&table, "encoder,task,score\nours,Pets,0.91\nTheirs,Pets,0.5\nSWAV_800,pets,0.7\n")
        .expect("written");
    assert!(works(data.path(), &["import", text(&table)]).contains("3 new scores"));

    let app = Virboard::open(&common::settings(data.path())).await.expect("it opens");
    let router = virboard::http::router(app, Path::new("no-site"), root().join("public"));
    let get = async |path: &str| {
        let request = axum::http::Request::get(path).body(axum::body::Body::empty()).expect("a request");
        let response = tower::ServiceExt::oneshot(router.clone(), request).await.expect("an answer");
        assert!(response.status().is_success(), "{path}: {}", response.status());
        String::from_utf8(common::bytes(response).await.to_vec()).expect("text")
    };
    for (path, wanted) in [
        ("/", "Our net"),
        ("/?method=dino", "value=\"dino\" selected"),
        ("/?dataset=our-slides", "Our net"),
        ("/encoders/Ours", "our slides"),
        ("/encoders/Theirs", "declared for its scores"),
        ("/tasks/Pets", "Our net"),
        ("/compare?suite=paper&e=Ours,SWAV_800", "Our net"),
        ("/analyses/first?suite=paper", "Our net"),
        ("/analyses/datasets?suite=paper", "our slides"),
        ("/api/v1/leaderboard?suite=paper&format=csv", "Ours,Our net"),
        ("/api/v1/encoders", "\"key\":\"Ours\""),
    ] {
        let page = get(path).await;
        assert!(page.contains(wanted), "{path} lacks {wanted}");
    }
    assert!(!get("/?method=dino").await.contains("/encoders/SWAV_800\""), "the filter narrows");
    let photo = sample("coffee.png");

    // Files that come while the program runs are taken in, and bad ones are not.
    std::fs::write(data.path().join("encoders/Late.toml"), "key = \"Late\"\nname = \"A late one\"\n").expect("written");
    std::fs::write(data.path().join("encoders/Bad.toml"), "key = \"Bad\"\nnmae = \"?\"\n").expect("written");
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    get("/").await;
    let listed = get("/api/v1/encoders").await;
    assert!(listed.contains("A late one") && !listed.contains("\"Bad\""), "{listed}");

    // Trained on what ships, its head answers about photos.
    let small = data.path().join("small.yaml");
    let yaml = "SamplePhotos:\n task: \"SamplePhotos\"\n training_configs:\n   quick:\n     optimizer: adam\n     lr: 0.01\n num_epochs: 2\n batch_size: 32\n";
    std::fs::write(&small, yaml).expect("written");
    works(data.path(), &["evaluate", "--encoders", "our net", "--config", text(&small), "--no-probes"]);
    let request = form("/api/v1/predictions", &photo, &[("encoder", "Ours"), ("task", "SamplePhotos")]);
    let response = tower::ServiceExt::oneshot(router.clone(), request).await.expect("an answer");
    let status = response.status();
    let answer = String::from_utf8(common::bytes(response).await.to_vec()).expect("text");
    assert!(status.is_success() && answer.contains("\"classes\""), "{status} {answer}");

    let gone = works(data.path(), &["encoder", "remove", "Ours"]);
    assert!(gone.contains("scores stay") && gone.contains("checkpoint stays"), "{gone}");
    assert!(works(data.path(), &["export"]).contains("Ours"), "its scores are kept");
    // The copy is there already, and is the same.
    works(data.path(), &[&["encoder", "add", text(&file)][..], &arguments].concat());
}

#[test]
fn mistakes_are_one_sentence_and_nothing_is_half_added() {
    let data = tempfile::tempdir().expect("a folder");
    let encoders = data.path().join("encoders");
    std::fs::create_dir_all(&encoders).expect("made");
    for (name, content, says) in [
        ("A", "key = \"A\"\nnmae = \"x\"\n", "A.toml, line 2: there is no `nmae`; did you mean `name`?"),
        ("SWAV_800", "key = \"SWAV_800\"\n", "SWAV_800.toml, line 1: the key `SWAV_800` is taken by the encoder"),
        ("C", "key = \"D\"\n", "C.toml, line 1: the key is `D`; call the file D.toml"),
        ("E", "key = \"E\"\n\ncheckpoint = \"no.pt\"\n", "E.toml, line 3: there is no checkpoint"),
        ("F", "key = \"F\"\narchitecture = \"VGG\"\n", "F.toml, line 2: there is no architecture `VGG`"),
        ("G", "key = \"G\"\nsuites = [\"papers\"]\n", "G.toml, line 2: there is no suite `papers`"),
    ] {
        let file = encoders.join(format!("{name}.toml"));
        std::fs::write(&file, content).expect("written");
        let output = run(data.path(), &["encoder", "list"]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && error.contains(says), "{says}: {error}");
        let json: serde_json::Value =
            serde_json::from_str(&works(data.path(), &["encoder", "list", "--json"])).expect("JSON");
        assert_eq!(json["refused"].as_array().map(Vec::len), Some(1));
        assert!(json["encoders"].as_array().is_some_and(|all| all.len() >= 35));
        std::fs::remove_file(file).expect("removed");
    }
    let rubbish = data.path().join("rubbish.safetensors");
    let tensor = candle_core::Tensor::zeros(3, candle_core::DType::F32, &candle_core::Device::Cpu).expect("a tensor");
    candle_core::safetensors::save(&[("what", tensor)].into_iter().collect(), &rubbish).expect("saved");
    for (arguments, says) in [
        (&["encoder", "add", text(&rubbish), "--key", "Mine"][..], "the encoder was not added"),
        (&["encoder", "add", "nowhere.pt", "--key", "Mine"], "nowhere.pt"),
        (&["encoder", "add", "--key", "pets"], "the key `pets` is taken by the task Pets Cls."),
        (&["encoder", "add", "--key", "../up"], "cannot be a key"),
        (&["encoder", "remove", "SWAV_800"], "is built in"),
        (&["encoder", "remove", "Nobody"], "virboard encoder list"),
        (&["evaluate", "--encoders", "all", "--tasks", "Petz"], "did you mean `Pets`?"),
        (&["evaluate", "--encoders", "SWAV_8000", "--tasks", "Pets"], "did you mean `SWAV_800`?"),
    ] {
        let said = fails(data.path(), arguments);
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
    assert_eq!(std::fs::read_dir(&encoders).expect("listed").count(), 0);
    assert!(!data.path().join("checkpoints").exists(), "no copy is left");
}

#[test]
fn a_packed_checkpoint_says_what_it_costs_and_is_an_encoder() {
    let data = tempfile::tempdir().expect("a folder");
    let file = data.path().join("net.safetensors");
    narrow(&file);
    works(data.path(), &["encoder", "add", text(&file), "--key", "Ours"]);
    let out = data.path().join("packed.safetensors");
    let said = works(data.path(), &["encoder", "pack", "ours", "--out", text(&out)]);
    let number = |line: &str| -> f64 {
        let rest = said.lines().find_map(|l| l.strip_prefix(line)).unwrap_or_else(|| panic!("{line}: {said}"));
        rest.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{line}: {said}"))
    };
    let bytes = |path: &Path| std::fs::metadata(path).expect("there").len() as f64;
    assert_eq!((number("bytes before:"), number("bytes after:")), (bytes(&file), bytes(&out)));
    assert!(bytes(&out) < 0.5 * bytes(&file), "{said}");
    assert!(number("mean cosine similarity:") > 0.999, "{said}");
    let change = number("largest relative change:");
    assert!(change > 0.0 && change < 5.0, "{said}");
    assert!(said.contains("embeddings of 9 pictures"), "{said}");
    works(data.path(), &["encoder", "add", text(&out), "--key", "Packed"]);

    let (copy, empty) = (data.path().join("checkpoints/Ours.safetensors"), data.path().join("empty"));
    let before = std::fs::read(&copy).expect("read");
    std::fs::create_dir(&empty).expect("made");
    let pack = |key: &'static str, out, more: &[&str]| {
        fails(data.path(), &[&["encoder", "pack", key, "--out", text(out)][..], more].concat())
    };
    assert!(pack("Ours", &copy, &[]).contains("would overwrite"));
    assert_eq!(std::fs::read(&copy).expect("read"), before);
    let other = data.path().join("other.safetensors");
    assert!(pack("Ours", &other, &["--images", text(&empty)]).contains("holds no pictures"));
    assert!(pack("Random", &other, &[]).contains("is made of a seed"));
    assert!(pack("SWAV_800", &other, &[]).contains("no weights for encoder SWAV_800"));
    assert!(pack("Ourz", &other, &[]).contains("did you mean `Ours`?"));
    assert!(!other.exists());
}

#[test]
fn a_checkpoint_with_two_networks_asks_which_and_the_answer_is_kept() {
    let data = tempfile::tempdir().expect("a folder");
    let file = data.path().join("ema.safetensors");
    let weights = random_weights(&Config::torchvision(4, 4), 1).expect("weights").below("");
    let both =
        ["model.", "model_ema."].map(|prefix| weights.iter().map(move |(n, t)| (format!("{prefix}{n}"), t.clone())));
    let tensors: std::collections::HashMap<String, _> = both.into_iter().flatten().collect();
    candle_core::safetensors::save(&tensors, &file).expect("saved");
    let said = fails(data.path(), &["encoder", "add", text(&file), "--key", "Ema"]);
    assert!(said.contains("`model.`, `model_ema.`") && said.contains("--prefix"), "{said}");
    works(data.path(), &["encoder", "add", text(&file), "--key", "Ema", "--prefix", "model_ema."]);
    let row = std::fs::read_to_string(data.path().join("encoders/Ema.toml")).expect("written");
    assert!(row.contains("prefix = \"model_ema.\""), "{row}");
    let photos = root().join("public/samples");
    let out = data.path().join("out.safetensors");
    let encode = ["encode", "--checkpoint", text(&file), "--images", text(&photos), "--prefix", "model"];
    works(data.path(), &[&encode[..], &["--out", text(&out)]].concat());
    assert!(out.is_file());
    let said = fails(data.path(), &[&encode[..], &["--out", text(&file)]].concat());
    assert!(said.contains("would overwrite"), "{said}");
}
