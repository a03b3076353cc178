//! `virboard serve`.

use super::Failure;
use crate::http;
use crate::service::{Settings, Virboard};
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Options of the server.
#[derive(Debug, Args)]
pub struct Serve {
    /// Address and port to listen on
    #[arg(long, default_value = "127.0.0.1:3000", env = "VIRBOARD_ADDR")]
    addr: SocketAddr,
    /// Folder of the browser's files; by default beside the program's own folder, else target/site
    #[arg(long, env = "VIRBOARD_SITE_DIR")]
    site_dir: Option<PathBuf>,
    /// Predictions that may wait before requests are refused
    #[arg(long, default_value_t = 128)]
    queue: usize,
    /// Encoders to load before the first photo comes
    #[arg(long, default_value_t = 3)]
    warm: usize,
}

impl Default for Serve {
    fn default() -> Self {
        Self { addr: ([127, 0, 0, 1], 3000).into(), site_dir: None, queue: 128, warm: 3 }
    }
}

impl Serve {
    /// Serves until the process is asked to stop; running requests are finished first.
    pub async fn run(self, mut settings: Settings) -> Result<(), Failure> {
        settings.queue = self.queue;
        let site = self.site_dir.unwrap_or_else(default_site);
        let app = Virboard::open(&settings).await?;
        let store = app.store().clone();
        let (warmed, most) = (app.clone(), self.warm);
        tokio::spawn(async move { warmed.warm(most).await });
        let router = http::router(app, &site, settings.public.clone());
        let listener = tokio::net::TcpListener::bind(self.addr).await.map_err(|e| {
            format!("cannot listen on {}: {e}. Is another Virboard running? Try --addr 127.0.0.1:3001", self.addr)
        })?;
        let addr = listener.local_addr()?;
        tracing::info!(address = %format!("http://{addr}"), "Virboard is ready");
        println!("Virboard is ready at http://{addr}");
        axum::serve(listener, router).with_graceful_shutdown(stop()).await?;
        store.close().await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// `../site` from the program's folder (target/release/virboard, target/site).
fn default_site() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.parent()?.join("site")));
    beside.filter(|p| p.join("pkg").is_dir()).unwrap_or_else(|| PathBuf::from("target/site"))
}

/// Ends when the process is asked to stop.
async fn stop() {
    let interrupt = tokio::signal::ctrl_c();
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(signal) => signal,
        Err(error) => {
            tracing::warn!(%error, "only Ctrl-C stops the server");
            let _ = interrupt.await;
            return;
        }
    };
    tokio::select! {
        _ = interrupt => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping; running requests are finished first");
}
