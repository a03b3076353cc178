//! A server on a socket, and requests as bytes: what a router never sees.

use super::{BOUNDARY, multipart, root, settings};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use virboard::http::connections::{Limits, serve};
use virboard::service::Virboard;

/// A server on a port of its own.
pub struct Listening {
    pub address: SocketAddr,
    pub data: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

/// Times that tests wait for.
pub fn quick() -> Limits {
    Limits {
        headers: Duration::from_secs(1),
        silence: Duration::from_secs(1),
        farewell: Duration::from_secs(2),
        ..Limits::default()
    }
}

/// Where honest clients of the tests come from, and where others do.
pub const HONEST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub const HOSTILE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

impl Listening {
    pub async fn start(limits: Limits) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let app = Virboard::open(&settings(data.path())).await.expect("it opens");
        let router = virboard::http::router(app, Path::new("no-site"), root().join("public"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(serve(listener, router, limits, async {
            let _ = stopped.await;
        }));
        Self { address, data, stop, running }
    }

    /// Asks the server to stop and waits until it has.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.running.await.expect("no panic");
    }

    /// A connection from an address of this machine.
    pub async fn connect(&self, from: IpAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(from, 0)).expect("the whole of 127/8 is ours");
        socket.connect(self.address).await.expect("connected")
    }

    /// Sends bytes and reads until the server hangs up.
    pub async fn raw(&self, from: IpAddr, bytes: &[u8]) -> String {
        let mut stream = self.connect(from).await;
        // The server may hang up before all is sent.
        let _ = stream.write_all(bytes).await;
        rest(stream).await
    }
}

/// What is still read from a connection.
pub async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request after which the connection is closed.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").into_bytes()
}

/// The same with a photo in a form.
pub fn post(image: &[u8], fields: &[(&str, &str)]) -> Vec<u8> {
    let body = multipart(image, fields);
    [head(body.len()).as_bytes(), &body].concat()
}

/// The head of a form of a length.
pub fn head(length: usize) -> String {
    format!(
        "POST /api/v1/predictions HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: multipart/form-data; boundary={BOUNDARY}\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// The status of an answer; 0 if there is none.
pub fn status(answer: &str) -> u16 {
    answer.strip_prefix("HTTP/1.1 ").and_then(|a| a.get(..3)?.parse().ok()).unwrap_or_default()
}
