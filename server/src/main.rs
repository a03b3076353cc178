//! The program `virboard`.

use clap::Parser;
use tracing_subscriber::EnvFilter;
use virboard::cli::{Cli, run};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("VIRBOARD_LOG").unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Machines read JSON, people on a terminal do not.
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        log.compact().init();
    } else {
        log.json().init();
    }
    match run(cli).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("virboard: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
