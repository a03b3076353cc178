//! Connections: taken in up to a number, watched, and ended when the server is.
//!
//! hyper reads and writes HTTP; what it leaves to its user is who may connect how often, and how long anybody may say
//! nothing.

mod crowd;
mod pace;
mod watched;

use axum::extract::ConnectInfo;
use axum::middleware::AddExtension;
use axum::response::IntoResponse;
use axum::{Extension, Router};
use crowd::{Crowd, Place};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::Layer;
use watched::Watched;

/// Hears that the server is asked to stop: an answer without end has to end by itself then.
#[derive(Debug, Clone)]
pub struct Closing(watch::Receiver<bool>);

impl Closing {
    /// Waits for it.
    pub async fn wait(mut self) {
        // A server that is gone has stopped, too.
        let _ = self.0.wait_for(|closed| *closed).await;
    }
}

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Connections at a time from one address (of IPv6: from one network of 64 bits).
    pub per_address: usize,
    /// Time for the headers of a request, and between two requests.
    pub headers: Duration,
    /// Time in which some of a request's body has to arrive, or some of an answer to leave.
    pub silence: Duration,
    /// Bytes a second of a body that suffice; slower ones are ended.
    pub slowest: u32,
    /// Time that running requests are given when the server is asked to stop.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            per_address: 128,
            headers: Duration::from_secs(15),
            silence: Duration::from_secs(10),
            slowest: 8000,
            farewell: Duration::from_secs(7),
        }
    }
}

/// Answers connections until `stop` ends; then running requests are finished, or ended when their time is over.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: impl Future<Output = ()>) {
    let router = router.layer(axum::middleware::from_fn(move |request, next| pace::keep(limits, request, next)));
    let crowd = Arc::new(Crowd::new(limits));
    let (closing, closed) = watch::channel(false);
    let router = router.layer(Extension(Closing(closed.clone())));
    let mut running = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = running.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => match crowd.enter(address.ip()) {
                    Some(place) => {
                        // Who asks is known by the address, too.
                        let service = Extension(ConnectInfo(address)).layer(router.clone());
                        drop(running.spawn(answer(stream, service, limits, closed.clone(), place)));
                    }
                    None => refuse(&stream),
                },
                Err(error) => {
                    // Often too many open files: some are closed soon.
                    tracing::warn!(%error, "a connection could not be taken in");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(listener);
    closing.send_replace(true);
    let finished = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.farewell, finished).await.is_err() {
        tracing::warn!(connections = running.len(), "requests that did not end in time were cut off");
        running.shutdown().await;
    }
}

/// What answers the requests of a connection: it knows the address at the other end.
type Served = AddExtension<Router, ConnectInfo<SocketAddr>>;

/// Answers the requests of a connection.
async fn answer(stream: TcpStream, service: Served, limits: Limits, mut closed: watch::Receiver<bool>, _place: Place) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection goes on with delays");
    }
    let io = TokioIo::new(Watched::new(stream, limits.silence));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .serve_connection(io, TowerToHyperService::new(service));
    let mut connection = pin!(connection);
    let mut asked = false;
    let ended = loop {
        tokio::select! {
            ended = connection.as_mut() => break ended,
            _ = closed.wait_for(|closed| *closed), if !asked => {
                asked = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Tells somebody that there is no place, as far as the system takes it at once, and hangs up.
fn refuse(stream: &TcpStream) {
    tracing::debug!("a connection was refused: all places are taken");
    let problem = super::problem::Problem::from(&crate::service::ServiceError::Busy);
    if let Err(error) =
        stream.try_write(&watched::on_the_wire("503 Service Unavailable", "retry-after: 3\r\n", &problem))
    {
        tracing::debug!(%error, "nor could it be told why");
    }
}

/// The answer to a request that stood still.
fn stalled(path: &str) -> axum::response::Response {
    let error = crate::service::ServiceError::Stalled;
    if path == "/try" { super::upload::failed(&error) } else { error.into_response() }
}
