//! Encoders that are made here: pre-trained, interrupted, declared, used.

mod common;

use common::program::{fails, run, virboard, works};
use common::two_classes;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use virboard_nn::seeded::Stream;

const NETWORK: &str = "network: {architecture: resnet18, width: 8, blocks: [1, 1, 1, 1]}\n";
const SUPERVISED: &str = "method: {supervised: {}}\nviews: [{count: 1, side: 32, scale: [0.3, 1.0]}]\n";
const MOCO: &str = "method: {moco_v2: {projection: {hidden: 16, out: 8, batch_norm: true}, temperature: 0.2, queue: 16, momentum: 0.9, groups: 2}}\nviews: [{count: 2, side: 32, scale: [0.3, 1.0], jitter: {brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1}}]\n";

/// The other methods.
const OTHERS: [(&str, &str); 4] = [
    (
        "moco_v1",
        "method: {moco_v1: {projection: {out: 8}, temperature: 0.2, queue: 16, momentum: 0.9, groups: 2}}\nviews: [{count: 2, side: 32, scale: [0.3, 1.0]}]\n",
    ),
    (
        "swav",
        "method: {swav: {projection: {hidden: 16, out: 8, batch_norm: true}, prototypes: 6, temperature: 0.1, epsilon: 0.05, iterations: 3, assigned: 2, frozen_epochs: 1, queue: {length: 16, from_epoch: 1}}}\nviews: [{count: 2, side: 32, scale: [0.3, 1.0]}, {count: 2, side: 16, scale: [0.1, 0.4]}]\n",
    ),
    (
        "pirl",
        "method: {pirl: {out: 8, patches: 4, temperature: 0.2, negatives: 16, momentum: 0.5, jigsaw_weight: 0.5}}\nviews: [{count: 1, side: 32, scale: [0.3, 1.0]}, {count: 1, side: 36, scale: [0.6, 1.0], jigsaw: {grid: 2, patch: 16}}]\n",
    ),
    (
        "simclr",
        "method: {simclr: {projection: {hidden: 16, out: 8, batch_norm: true}, temperature: 0.2}}\nviews: [{count: 2, side: 32, scale: [0.3, 1.0]}]\n",
    ),
];

/// Settings of a small run.
fn settings(data: &Path, name: &str, method: &str, rest: &str) -> String {
    let text = format!(
        "{method}{NETWORK}data: {{sources: [\"{}\"]}}\noptimiser: {{sgd: {{momentum: 0.9}}}}\nlearning_rate: 0.05\nschedule: {{cosine: {{}}}}\nweight_decay: 0.0001\nbatch: 8\n{rest}",
        two_classes(data, 12).display()
    );
    let path = data.join(format!("{name}.yaml"));
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

fn weights(data: &Path, key: &str) -> Vec<u8> {
    std::fs::read(data.join(format!("checkpoints/{key}.safetensors"))).expect("a checkpoint")
}

/// The epochs that are over by a line of what a run tells.
fn epochs_over(line: &str) -> Option<u32> {
    let rest = line.strip_prefix("epoch ").or_else(|| line.strip_prefix("going on after "))?;
    rest.split(['/', ' ']).next()?.parse().ok()
}

/// Starts a run, lets it come to `epochs` and then work for `more`, and kills it; `false` if it ended before.
fn kill(data: &Path, arguments: &[&str], epochs: u32, more: Duration) -> bool {
    let mut child = virboard(data).args(arguments).spawn().expect("it starts");
    // Kept open until the end: who writes to a closed pipe dies by itself.
    let mut told = BufReader::new(child.stderr.take().expect("its output"));
    let came = epochs == 0
        || (&mut told).lines().map_while(Result::ok).any(|line| epochs_over(&line).is_some_and(|over| over >= epochs));
    std::thread::sleep(more);
    let ended = child.try_wait().expect("asked").is_some();
    child.kill().expect("killed");
    child.wait().expect("ended");
    came && !ended
}

/// The seed of the moments of kills: `VIRBOARD_KILL_SEED`, or another one every time.
fn seed() -> u64 {
    let given = std::env::var("VIRBOARD_KILL_SEED").ok().map(|text| text.parse().expect("a number"));
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time").subsec_nanos().into();
    let seed = given.unwrap_or_else(clock);
    println!("VIRBOARD_KILL_SEED={seed}");
    seed
}

/// Whether everything that came of a run is in both folders and the same.
fn assert_same(one: &Path, other: &Path, key: &str, kept: u32) {
    for key in [key.to_owned(), format!("{key}_{kept}")] {
        assert!(weights(one, &key) == weights(other, &key), "the weights of {key}");
        assert!(other.join(format!("encoders/{key}.toml")).is_file(), "{key} is declared");
    }
    assert!(weights(one, key) != weights(one, &format!("{key}_{kept}")), "{key} went on learning");
}

/// Kills are at epochs and parts of epochs drawn at random, the first before the first epoch ends.
/// `VIRBOARD_KILL_SEED=N` repeats the moments of the seed that is printed.
#[test]
fn ten_kills_at_random_moments_end_with_the_same_weights() {
    const KILLS: usize = 10;
    const EPOCHS: u32 = 40;
    let seed = seed();
    for (name, method) in [("supervised", SUPERVISED), ("moco", MOCO)] {
        let (whole, killed) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let config = settings(whole.path(), name, method, &format!("epochs: {EPOCHS}\nkeep: [20]\n"));
        let arguments = ["pretrain", "--config", &config, "--out", "Mine", "--json"];
        let began = Instant::now();
        let said = works(whole.path(), &arguments);
        let all = began.elapsed().as_secs_f64();
        let trained: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        let trained = trained["seconds"].as_f64().expect("a number");
        let epoch = trained / f64::from(EPOCHS);
        let mut random = Stream::new(seed, name);
        let mut moments: Vec<f64> = (1..KILLS).map(|_| random.range(1.0, f64::from(EPOCHS - 1))).collect();
        moments.sort_by(f64::total_cmp);
        let first = random.uniform() * (all - trained + epoch);
        assert!(kill(killed.path(), &arguments, 0, Duration::from_secs_f64(first)), "{name} ended in {first:.3} s");
        for moment in moments {
            let more = Duration::from_secs_f64(moment.fract() * epoch);
            let ended = !kill(killed.path(), &arguments, moment as u32, more);
            assert!(!ended, "{name} ended before it could be killed in epoch {moment:.3}");
            assert!(!killed.path().join("encoders/Mine.toml").exists(), "{name} is not declared yet");
        }
        works(killed.path(), &arguments);
        assert_same(whole.path(), killed.path(), "Mine", 20);
    }
}

#[test]
fn every_method_goes_on_after_a_kill() {
    for (name, method) in OTHERS {
        let (whole, killed) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let config = settings(whole.path(), name, method, "epochs: 6\nkeep: [2]\n");
        let arguments = ["pretrain", "--config", &config, "--out", "Mine"];
        works(whole.path(), &arguments);
        kill(killed.path(), &arguments, 1, Duration::ZERO);
        works(killed.path(), &arguments);
        assert_same(whole.path(), killed.path(), "Mine", 2);
    }
}

#[test]
fn a_run_that_is_killed_while_it_declares_is_finished_by_the_next() {
    let alone = tempfile::tempdir().expect("a folder");
    let config = settings(alone.path(), "small", SUPERVISED, "epochs: 2\nkeep: [1]\n");
    let arguments = ["pretrain", "--config", &config, "--out", "Mine"];
    works(alone.path(), &arguments);
    let declared = |data: &Path, key: &str| data.join(format!("encoders/{key}.toml")).exists();
    // Declaring the second takes as long as loading it, so that a kill comes in time sooner or later.
    let between = || {
        let data = tempfile::tempdir().expect("a folder");
        let mut child = virboard(data.path()).args(arguments).spawn().expect("it starts");
        while !declared(data.path(), "Mine_1") && child.try_wait().expect("asked").is_none() {
            std::thread::yield_now();
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
        (declared(data.path(), "Mine_1") && !declared(data.path(), "Mine")).then_some(data)
    };
    let data = (0..50).find_map(|_| between()).expect("one kill in 50 comes between two declarations");
    // Not so for other settings: the name is taken.
    let other = settings(alone.path(), "other", SUPERVISED, "epochs: 2\nkeep: [1]\nseed: 7\n");
    let said = fails(data.path(), &["pretrain", "--config", &other, "--out", "Mine"]);
    assert!(said.contains("cannot be called `Mine_1`"), "{said}");
    works(data.path(), &arguments);
    assert_same(alone.path(), data.path(), "Mine", 1);
    assert!(fails(data.path(), &arguments).contains("cannot be called `Mine_1`"), "it is finished");
}

#[test]
fn two_runs_side_by_side_do_not_disturb_each_other() {
    let together = tempfile::tempdir().expect("a folder");
    let runs = [("first", SUPERVISED), ("second", MOCO)].map(|(key, method)| {
        let alone = tempfile::tempdir().expect("a folder");
        let config = settings(together.path(), key, method, "epochs: 12\nkeep: [6]\n");
        works(alone.path(), &["pretrain", "--config", &config]);
        (key, alone, config)
    });
    let start = |config: &str| virboard(together.path()).args(["pretrain", "--config", config]).spawn();
    let children = runs.each_ref().map(|(_, _, config)| start(config).expect("it starts"));
    for child in children {
        let output = child.wait_with_output().expect("ended");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for (key, alone, _) in &runs {
        assert_same(alone.path(), together.path(), key, 6);
    }
}

#[test]
fn a_name_is_refused_while_another_run_has_it() {
    let data = tempfile::tempdir().expect("a folder");
    let long = settings(data.path(), "long", SUPERVISED, "epochs: 1000000\nkeep: [2]\n");
    let short = settings(data.path(), "short", SUPERVISED, "epochs: 1\n");
    let mut child = virboard(data.path()).args(["pretrain", "--config", &long, "--out", "Mine"]).spawn().expect("ok");
    let mut told = BufReader::new(child.stderr.take().expect("its output"));
    assert!((&mut told).lines().map_while(Result::ok).any(|line| epochs_over(&line) == Some(3)), "it trains");
    // Its errors are read on, or it would wait for room to write.
    let reader = std::thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
    for (config, key, taken) in [(&long, "Mine", "Mine_2"), (&short, "Mine", "Mine"), (&short, "Mine_2", "Mine_2")] {
        let said = fails(data.path(), &["pretrain", "--config", config, "--out", key]);
        assert!(said.contains(&format!("`{taken}` is being pre-trained by another process")), "{said}");
    }
    assert!(child.try_wait().expect("asked").is_none(), "it still trains");
    child.kill().expect("killed");
    child.wait().expect("ended");
    reader.join().expect("read").expect("to the end");
    // What an unfinished run has kept is not another's to overwrite.
    let said = fails(data.path(), &["pretrain", "--config", &short, "--out", "Mine_2"]);
    assert!(said.contains("Mine_2.safetensors is there already"), "{said}");
}

#[test]
fn what_was_pre_trained_is_an_encoder_like_any_other() {
    let data = tempfile::tempdir().expect("a folder");
    let config = settings(data.path(), "small", SUPERVISED, "epochs: 12\nkeep: [6]\n");
    let said = works(data.path(), &["pretrain", "--config", &config, "--json"]);
    let trained: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let curve = trained["curve"].as_array().expect("a curve");
    let loss = |i: usize| curve[i]["loss"].as_f64().expect("a number");
    assert_eq!(curve.len(), 12);
    let (waited, seconds) = (trained["waited"].as_f64(), trained["seconds"].as_f64().expect("a number"));
    assert!(waited.is_some_and(|waited| waited >= 0.0 && waited <= seconds), "{waited:?} of {seconds}");
    assert!(loss(11).is_finite() && loss(11) < loss(0), "{} to {}", loss(0), loss(11));
    let listed = works(data.path(), &["encoder", "list"]);
    assert!(listed.contains("small ") && listed.contains("small_6 "), "{listed}");
    let out = data.path().join("features.safetensors");
    let checkpoint = data.path().join("checkpoints/small.safetensors").display().to_string();
    let folder = data.path().join("pictures/dark").display().to_string();
    works(
        data.path(),
        &["encode", "--checkpoint", &checkpoint, "--images", &folder, "--out", &out.display().to_string()],
    );
    assert!(out.is_file());
    let list = std::fs::read_to_string(data.path().join("pretraining/small.pictures.txt")).expect("a list");
    assert!(list.contains("dark/3.png") && list.lines().count() >= 24, "{list}");
    // It begins where that one ended, and its name is taken.
    let said = works(data.path(), &["pretrain", "--config", &config, "--from", "small", "--out", "again"]);
    let last = said.lines().last().expect("a line");
    assert!(last == "views ready in time" || last.ends_with("% of the time for views"), "{said}");
    assert!(weights(data.path(), "again") != weights(data.path(), "small"));
    assert!(fails(data.path(), &["pretrain", "--config", &config]).contains("cannot be called `small_6`"));
}

#[test]
fn what_cannot_be_trained_is_a_sentence() {
    let data = tempfile::tempdir().expect("a folder");
    let refused = |name: &str, method: &str, rest: &str, more: &[&str]| {
        let config = settings(data.path(), name, method, rest);
        fails(data.path(), &[&["pretrain", "--config", &config][..], more].concat())
    };
    let two =
        SUPERVISED.replace("{supervised: {}}", "{supervised: {}, simclr: {projection: {out: 8}, temperature: 0.1}}");
    let said = refused("two", &two, "epochs: 1\n", &[]);
    assert!(said.contains("supervised") && said.contains("simclr"), "{said}");
    let said = refused("other", SUPERVISED, "epochs: 1\n", &["--from", "EfficientNetLite0"]);
    assert!(said.contains("EfficientNetLite0") && said.contains("ResNet"), "{said}");
    let said = refused("large", SUPERVISED, "accumulate: 9\nepochs: 1\n", &[]);
    assert!(said.contains("24") && said.contains("72"), "{said}");
    let said = refused("far", SUPERVISED, "epochs: 1\nkeep: [2]\n", &[]);
    assert!(said.contains("`keep` names epoch 2"), "{said}");
    std::fs::write(data.path().join("pictures/dark/0.png"), b"no picture").expect("written");
    let config = data.path().join("far.yaml");
    let text = std::fs::read_to_string(&config).expect("read").replace("keep: [2]\n", "");
    std::fs::write(&config, text).expect("written");
    let said = fails(data.path(), &["pretrain", "--config", &config.display().to_string()]);
    assert!(said.contains("0.png"), "{said}");
    let output = run(data.path(), &["pretrain", "--config", "nowhere.yaml"]);
    assert_eq!(output.status.code(), Some(1));
}
