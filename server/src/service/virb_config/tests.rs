use super::*;

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    file
}

fn read(text: &str, protocol: Protocol) -> Result<Tasks, ConfigError> {
    tasks(&Catalogue::builtin(), file(text).path(), Rules { seed: 3, protocol, selection: None })
}

/// The shape of ViRB's `imagenet_grid_search.yaml`.
const GRID: &str = r#"
# ImageNet grid search config
Imagenet:
 task: "Imagenet"
 training_configs:
   adam-0.0001:
     optimizer: "adam"
     lr: 0.0001
   sgd-0.01-StepLR:
     optimizer: "sgd"
     lr: 0.01
     scheduler:
       type: "StepLR"
       step_size: 50
       gamma: 0.1
   sgd-0.01-OneCycle:
     optimizer: "sgd"
     lr: 0.01
     scheduler:
       type: "OneCycle"
   sgd-0.01-Poly:
     optimizer: "sgd"
     lr: 0.001
     scheduler:
       type: "Poly"
       exponent: 0.9
 num_epochs: 100
 batch_size: 32
"#;

#[test]
fn a_grid_search_is_read_as_it_is() {
    let plans = read(GRID, Protocol::Standard).expect("read").plans;
    assert_eq!(plans.len(), 1);
    let c = &plans[0].configurations;
    assert_eq!(plans[0].task.key, "Imagenet");
    assert_eq!(c.len(), 4);
    assert_eq!((c[0].name.as_str(), c[0].optimiser, c[0].learning_rate), ("adam-0.0001", Kind::Adam, 1e-4));
    assert!(c.iter().any(|c| c.schedule == Schedule::StepLr { step_size: 50, gamma: 0.1 }));
    assert!(
        c.iter()
            .any(|c| c.schedule == Schedule::OneCycle && c.optimiser == Kind::Sgd { momentum: 0.0, weight_decay: 0.0 })
    );
    assert!(c.iter().any(|c| c.schedule == Schedule::Poly { exponent: 0.9 }));
    assert!(c.iter().all(|c| c.selection == Selection::Validation && c.epochs == 100 && c.seed == 3));
    let virb = read(GRID, Protocol::Virb).expect("read").plans;
    assert!(virb[0].configurations.iter().all(|c| c.selection == Selection::LastEpoch));
}

#[test]
fn pixel_wise_tasks_old_names_and_strays_are_read() {
    let text = "Pets-Detection:\n task: \"Pets-Detection\"\n pre_encode: false\n training_configs:\n   adam-0.0001:\n     optimizer: \"adam\"\n     lr: 0.0001\n num_epochs: 100\n batch_size: 16\n";
    let plans = read(text, Protocol::Virb).expect("read").plans;
    assert_eq!((&*plans[0].task.key, plans[0].configurations[0].batch_size), ("PetsDetection", 16));
    let text = "Imagenetv2:\n task: \"Imagenetv2\"\n task_head_weights_path: \"out/%s/Imagenet*/model_head.pt\"\nbatch_size: 32\n";
    let plans = read(text, Protocol::Virb).expect("read").plans;
    assert_eq!((&*plans[0].task.key, plans[0].configurations[0].epochs), ("Imagenetv2", 0));
    let list = file("####### SWAV\nSWAV_800: 'pretrained_weights/SWAV_800.pt'\n");
    assert_eq!(experiments(list.path()).expect("read")["SWAV_800"], Path::new("pretrained_weights/SWAV_800.pt"));
}

fn say(text: &str) -> String {
    read(text, Protocol::Standard).expect_err("refused").to_string()
}

#[test]
fn mistakes_are_named() {
    assert!(say("A:\n task: COCODetection\n").contains("COCODetection"));
    let adagrad = GRID.replace("\"adam\"", "\"adagrad\"");
    assert!(say(&adagrad).contains("Imagenet/adam-0.0001"), "{}", say(&adagrad));
    assert!(say("").contains("ViRB"));
    assert!(say(&GRID.replace("lr: 0.0001", "lr: -1")).contains("learning rate"));
    assert!(say(&GRID.replace("num_epochs: 100", "")).contains("num_epochs"));
}

#[test]
fn an_unknown_key_is_named_with_its_task_and_configuration_and_drops_no_task() {
    let decay = GRID.replace("lr: 0.0001\n", "lr: 0.0001\n     weight_decay: 0.0001\n");
    let pets = "Pets:\n task: Pets\n training_configs:\n  a: {optimizer: adam, lr: 1e-4}\n num_epochs: 1\n";
    for text in [decay.clone(), format!("{decay}{pets}")] {
        let said = say(&text);
        assert!(said.contains("Imagenet/adam-0.0001: `weight_decay` is not known"), "{said}");
    }
    let said = say(&GRID.replace("num_epochs", "num_epoch"));
    assert!(said.contains("Imagenet: `num_epoch` is not known, did you mean `num_epochs`?"), "{said}");
    let said = say(&GRID.replace("optimizer: \"sgd\"\n     lr: 0.001", "optimiser: \"sgd\"\n     lr: 0.001"));
    assert!(said.contains("Imagenet/sgd-0.01-Poly: `optimiser` is not known, did you mean `optimizer`?"), "{said}");
    let said = say(&GRID.replace("step_size", "stepsize"));
    assert!(said.contains("in `scheduler` `stepsize` is not known, did you mean `step_size`?"), "{said}");
    let said = say(&GRID.replace("lr: 0.0001\n", "lr: 0.0001\n     momentum: 0.9\n"));
    assert!(said.contains("with adam `momentum` is not known"), "{said}");
    let said = say(&GRID.replace("\"OneCycle\"", "\"OneCycel\""));
    assert!(said.contains("did you mean `OneCycle`?"), "{said}");
}

#[test]
fn numbers_in_other_clothes_are_read_or_refused_by_name() {
    let rate = |text: &str| {
        let grid = GRID.replace("lr: 0.0001\n", &format!("lr: {text}\n"));
        read(&grid, Protocol::Standard).map(|t| t.plans[0].configurations[0].learning_rate).map_err(|e| e.to_string())
    };
    for text in ["1e-4", "\"0.0001\"", "'1e-4'", "1.0E-4"] {
        assert_eq!(rate(text), Ok(1e-4), "{text}");
    }
    for text in ["[0.001, 0.0001]", "0", "0.0", "-1e-4", "fast", "{a: 1}", "true", "", "\"1,5\""] {
        let said = rate(text).expect_err(text);
        assert!(said.contains("Imagenet/adam-0.0001") && said.contains("`lr`"), "{text}: {said}");
    }
    // These are no numbers to the reader of YAML, which shows the line.
    for text in [".nan", ".inf"] {
        assert!(rate(text).expect_err(text).contains(&format!("lr: {text}")), "{text}");
    }
    let epochs = |text: &str| {
        let grid = GRID.replace("num_epochs: 100", &format!("num_epochs: {text}"));
        read(&grid, Protocol::Standard).map(|t| t.plans[0].configurations[0].epochs).map_err(|e| e.to_string())
    };
    for text in ["1e2", "100", "100.0", "\"100\""] {
        assert_eq!(epochs(text), Ok(100), "{text}");
    }
    for text in ["0", "-1", "2.5", "1e99", "many", "[100]"] {
        let said = epochs(text).expect_err(text);
        assert!(said.contains("Imagenet") && said.contains("`num_epochs`"), "{text}: {said}");
    }
}

#[test]
fn zeros_and_empty_tables_are_no_settings() {
    for (from, to, key) in [
        ("batch_size: 32", "batch_size: 0", "`batch_size` is 0"),
        ("batch_size: 32", "test_batch_size: 0", "`test_batch_size` is 0"),
        ("batch_size: 32", "num_dataset_repeats: 0", "`num_dataset_repeats` is 0"),
        ("step_size: 50", "step_size: 0", "`step_size` is 0"),
        ("gamma: 0.1", "gamma: 0", "`gamma` is 0"),
        ("exponent: 0.9", "exponent:", "`exponent` is missing"),
    ] {
        let said = say(&GRID.replace(from, to));
        assert!(said.contains(key), "{to}: {said}");
    }
    for (text, wanted) in [
        ("A:\n task: Pets\n num_epochs: 1\n training_configs: {}\n", "`training_configs` is empty"),
        ("A:\n task: Pets\n num_epochs: 1\n training_configs: []\n", "`training_configs` is []"),
        ("A:\n task: Pets\n num_epochs: 1\n training_configs:\n", "`training_configs` is missing"),
        ("A:\n task: Pets\n num_epochs: 1\n training_configs:\n  adam:\n", "A/adam: it has to be a table"),
        ("A:\n task: ''\n", "`task` is \"\""),
        ("A:\n num_epochs: 1\n", "`task` is missing"),
        // Nothing is indented.
        ("Pets:\ntask: Pets\nnum_epochs: 1\n", "it is no task"),
        ("Pets:\n", "it is no task"),
        ("- task: Pets\n", "no table of names"),
        ("A: {task: Imagenetv2, training_configs: {a: {optimizer: adam, lr: 1}}}\n", "only tests a head"),
        ("A:\n task: Pets\n task: dtd\n", "task"),
    ] {
        let said = say(text);
        assert!(said.contains(wanted), "{text}: {said}");
    }
}

#[test]
fn what_stands_beside_the_tasks_is_noted() {
    let text = "Imagenetv2:\n task: \"Imagenetv2\"\nbatch_size: 32\n";
    let notes = read(text, Protocol::Virb).expect("read").notes;
    assert!(notes.len() == 1 && notes[0].contains("`batch_size` stands beside the tasks"), "{notes:?}");
    assert!(say(&format!("{text}batch_sise: 32\n")).contains("batch_sise: it is no task"));
}

#[test]
fn an_experiment_list_names_its_mistakes() {
    let said = |text: &str| experiments(file(text).path()).expect_err("refused").to_string();
    assert!(said("SWAV_800:\n").contains("SWAV_800: it has to be the path"));
    assert!(said("SWAV_800: [a.pt, b.pt]\n").contains("SWAV_800"));
    assert!(said("- SWAV_800\n").contains("no table of names") && said("").contains("empty"));
}
