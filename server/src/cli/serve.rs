//! `virboard serve`.

use super::Failure;
use crate::http::connections::{self, Limits};
use crate::http::people::Door;
use crate::http::router_behind;
use crate::service::{Settings, Virboard, working};
use clap::Args;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;

/// Time that the database is given to close.
const CLOSING: Duration = Duration::from_secs(1);
/// Time that workers are given to give back their jobs once the last request has ended. They are told when requests are,
/// and need 5 seconds at most.
const GIVING_BACK: Duration = Duration::from_secs(6);

/// What is said, in red, where people sign in over plain http.
const INSECURE: &str = "\x1b[31mPeople sign in over plain http: whoever can listen in this network can act as they. \
    Do this only where you trust everybody on it; otherwise put a proxy with https in front.\x1b[0m";

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
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    queue: u32,
    /// Connections at a time
    #[arg(long, default_value_t = Limits::default().connections)]
    connections: usize,
    /// Connections at a time from one address; as many as --connections behind a proxy, which is one address
    #[arg(long, default_value_t = Limits::default().per_address)]
    connections_per_address: usize,
    /// Address at which a proxy shows this server, such as https://virboard.example; the proxy sets X-Forwarded-For
    #[arg(long, env = "VIRBOARD_PUBLIC_URL")]
    public_url: Option<String>,
    /// Let people sign in over plain http; whoever can listen in the network can then act as they
    #[arg(long)]
    insecure_http: bool,
    /// Encoders to load before the first photo comes
    #[arg(long, default_value_t = 3)]
    warm: usize,
    /// Workers that do jobs in this process, one a GPU; 0 leaves them to `virboard worker`
    #[arg(long, default_value_t = 0, env = "VIRBOARD_WORKERS", value_parser = clap::value_parser!(u32).range(..=64))]
    workers: u32,
}

impl Default for Serve {
    fn default() -> Self {
        let Limits { connections, per_address, .. } = Limits::default();
        Self {
            addr: ([127, 0, 0, 1], 3000).into(),
            site_dir: None,
            queue: 128,
            connections,
            connections_per_address: per_address,
            public_url: None,
            insecure_http: false,
            warm: 3,
            workers: 0,
        }
    }
}

impl Serve {
    /// Serves until the process is asked to stop; running requests are finished first.
    pub async fn run(self, mut settings: Settings) -> Result<(), Failure> {
        settings.queue = self.queue as usize;
        let door = self.door()?;
        let site = self.site_dir.unwrap_or_else(default_site);
        let app = Virboard::open(&settings).await?;
        let store = app.store().clone();
        let (tell, told) = watch::channel(false);
        let workers = match (store.is_read_only(), self.workers) {
            (true, 0) => Vec::new(),
            (true, _) => {
                return Err("the data folder is read-only; workers keep what they do there: leave out --workers".into());
            }
            (false, workers) => working::start(&settings, &store, app.engine(), workers, &told)?,
        };
        let (warmed, most) = (app.clone(), self.warm);
        tokio::spawn(async move { warmed.warm(most).await });
        let people = app.people().clone();
        let public = door.is_public();
        let router = router_behind(app, &site, settings.public.clone(), door);
        let listener = tokio::net::TcpListener::bind(self.addr).await.map_err(|e| {
            format!("cannot listen on {}: {e}. Is another Virboard running? Try --addr 127.0.0.1:3001", self.addr)
        })?;
        let addr = listener.local_addr()?;
        tracing::info!(address = %format!("http://{addr}"), "Virboard is ready");
        // A server goes on where nobody reads what it says.
        let _ = writeln!(std::io::stdout(), "Virboard is ready at http://{addr}");
        if self.insecure_http {
            let _ = writeln!(std::io::stderr(), "{INSECURE}");
        }
        if public && !store.is_read_only() && !people.any().await? {
            let at = self
                .public_url
                .as_deref()
                .map_or_else(|| format!("http://{addr}"), |url| url.trim_end_matches('/').to_owned());
            let link = people.first_link().await?;
            // Never in the log: whoever opens it first is the admin.
            let _ = writeln!(
                std::io::stdout(),
                "Others can reach this address and there are no users yet, so that nothing else is shown until the first admin is made.\n\
                 Open this link within a day; it works once: {at}/first-admin?link={}",
                link.text()
            );
        }
        let limits =
            Limits { connections: self.connections, per_address: self.connections_per_address, ..Limits::default() };
        let stopped = async move {
            stop().await;
            tracing::info!("stopping; running requests are finished first");
            let _ = tell.send(true);
        };
        connections::serve(listener, router, limits, stopped).await;
        working::wait(workers, GIVING_BACK).await;
        if tokio::time::timeout(CLOSING, store.close()).await.is_err() {
            tracing::warn!("the database was still at work and was left; it puts itself right when it is opened");
        }
        tracing::info!("stopped");
        Ok(())
    }
}

impl Serve {
    /// How the server is reached.
    fn door(&self) -> Result<Door, Failure> {
        let door = Door::at(self.addr.ip());
        let door = if self.insecure_http { door.insecure() } else { door };
        match &self.public_url {
            Some(url) => door.behind(url).map_err(|e| format!("--public-url cannot be {url}: {e}").into()),
            None => Ok(door),
        }
    }
}

/// `../site` from the program's folder (target/release/virboard, target/site).
fn default_site() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.parent()?.join("site")));
    beside.filter(|p| p.join("pkg").is_dir()).unwrap_or_else(|| PathBuf::from("target/site"))
}

/// Ends when the process is asked to stop.
pub(super) async fn stop() {
    let interrupt = tokio::signal::ctrl_c();
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(signal) => signal,
        Err(error) => {
            tracing::warn!(%error, "only Ctrl-C stops this process");
            let _ = interrupt.await;
            return;
        }
    };
    tokio::select! {
        _ = interrupt => {}
        _ = terminate.recv() => {}
    }
}
