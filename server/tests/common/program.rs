//! The program itself, on a data folder.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A command of the program on a data folder.
pub fn virboard(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_virboard"));
    command.current_dir(super::root()).arg("--data-dir").arg(data).arg("--device").arg("cpu");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
    command
}

/// Runs a command; gives its output.
pub fn run(data: &Path, arguments: &[&str]) -> Output {
    virboard(data).args(arguments).output().expect("it runs")
}

/// Runs a command that has to work; gives what it printed.
pub fn works(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).expect("text")
}

/// Runs a command that has to fail with exit code 1; gives its last sentence.
pub fn fails(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
    let last = error.lines().rfind(|l| l.starts_with("virboard:")).unwrap_or_default().to_owned();
    assert!(!last.is_empty(), "one sentence at the end: {error}");
    last
}

/// Copies a folder.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("listed").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// A data folder with some miniatures of data sets.
pub fn miniatures(folders: &[&str]) -> tempfile::TempDir {
    let data = tempfile::tempdir().expect("a folder");
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/miniatures");
    for folder in folders {
        copy(&all.join(folder), &data.path().join("datasets").join(folder));
    }
    data
}

/// A ViRB configuration of tasks: key, epochs.
pub fn config(data: &Path, tasks: &[(&str, u32)]) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for (task, epochs) in tasks {
        let _ = write!(
            text,
            "{task}:\n task: \"{task}\"\n training_configs:\n   adam-0.001:\n     optimizer: \"adam\"\n     lr: 0.001\n num_epochs: {epochs}\n batch_size: 2\n test_batch_size: 2\n"
        );
    }
    let path = data.join("config.yaml");
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}
