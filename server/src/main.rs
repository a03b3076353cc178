//! The program `virboard`.

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use virboard::cli::{Cli, run};

/// Time that threads are given which still compute when everything else is done.
const LEFT_OVER: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    end_quietly_without_readers();
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("VIRBOARD_LOG").unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    // A log that nobody takes is no reason to stop.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    // Machines read JSON, people on a terminal do not.
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        log.compact().init();
    } else {
        log.json().init();
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the system gives no threads: {error}")),
    };
    let ended = runtime.block_on(run(cli));
    // Nobody waits for what a thread still decodes or computes.
    runtime.shutdown_timeout(LEFT_OVER);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(sentence: &str) -> ExitCode {
    // Where nobody reads it, the exit code tells.
    let _ = writeln!(std::io::stderr(), "virboard: {sentence}");
    ExitCode::FAILURE
}

/// `virboard export | head` closes our output before its end. Rust's `println!` panics then; for whoever has closed it, the
/// program is done.
fn end_quietly_without_readers() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload_as_str().unwrap_or_default();
        if said.starts_with("failed printing to std") && said.contains("Broken pipe") {
            std::process::exit(0);
        }
        usual(panic);
    }));
}
