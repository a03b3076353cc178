//! The two ends of a connection that hyper leaves open: somebody who takes no answer, and requests that are no HTTP, which
//! hyper refuses itself with a bare status.

use crate::http::problem::{Problem, of_status};
use axum::http::StatusCode;
use std::future::Future;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// A stream that fails when nobody takes what is written, and explains bare refusals.
pub(super) struct Watched {
    stream: TcpStream,
    silence: Duration,
    /// Runs while the other side takes nothing.
    waits: Option<Pin<Box<Sleep>>>,
    /// What is written in the place of a bare refusal, and how much of it is.
    instead: Vec<u8>,
    written: usize,
}

impl Watched {
    /// A stream whose other side has to take something within a time.
    pub fn new(stream: TcpStream, silence: Duration) -> Self {
        Self { stream, silence, waits: None, instead: Vec::new(), written: 0 }
    }

    fn try_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if done.is_ready() {
            self.waits = None;
            return done;
        }
        let silence = self.silence;
        let waits = self.waits.get_or_insert_with(|| Box::pin(sleep(silence)));
        ready!(waits.as_mut().poll(cx));
        Poll::Ready(Err(Error::from(ErrorKind::TimedOut)))
    }

    /// Writes what is to stand in the place of a refusal.
    fn write_instead(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while self.written < self.instead.len() {
            let instead = std::mem::take(&mut self.instead);
            let done = self.try_write(cx, &instead[self.written..]);
            self.instead = instead;
            let more = ready!(done)?;
            if more == 0 {
                return Poll::Ready(Err(Error::from(ErrorKind::WriteZero)));
            }
            self.written += more;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, to)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let this = self.get_mut();
        ready!(this.write_instead(cx))?;
        if let Some(explained) = explained(bytes) {
            (this.instead, this.written) = (explained, 0);
            // Taken whole; whatever comes next writes the rest first.
            return match this.write_instead(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => Poll::Ready(Ok(bytes.len())),
            };
        }
        this.try_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        ready!(this.write_instead(cx))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        ready!(this.write_instead(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

/// What to write in the place of `bytes` that end in a refusal without a word; `None` if they do not. Whatever the router
/// answers has a type, so that this is hyper's.
fn explained(bytes: &[u8]) -> Option<Vec<u8>> {
    const START: &[u8] = b"HTTP/1.1 4";
    // Quick for everything else, pictures above all.
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let at = bytes.windows(START.len()).rposition(|w| w == START)?;
    let head = std::str::from_utf8(&bytes[at..]).ok()?.strip_suffix("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?;
    let mut bare = false;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => bare = value.trim() == "0",
            "content-type" | "x-request-id" => return None,
            _ => {}
        }
    }
    let code = StatusCode::from_bytes(status.get(..3)?.as_bytes()).ok().filter(|_| bare)?;
    let answer = on_the_wire(status, "", &of_status(code, None));
    Some([&bytes[..at], &answer].concat())
}

/// An answer as bytes, after which the connection is closed.
pub(super) fn on_the_wire(status: &str, headers: &str, problem: &Problem) -> Vec<u8> {
    // A struct of numbers and texts is JSON.
    let body = serde_json::to_string(problem).unwrap_or_default();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n{headers}connection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_without_a_word_is_explained() {
        let bare = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        let before = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        let told = explained(&[before.as_slice(), bare].concat()).expect("explained");
        let told = String::from_utf8(told).expect("text");
        assert!(
            told.starts_with("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 400 Bad Request\r\n"),
            "{told}"
        );
        let (_, body) = told.rsplit_once("\r\n\r\n").expect("a body");
        assert!(told.contains(&format!("content-length: {}\r\n", body.len())), "{told}");
        assert!(body.contains("\"type\":\"bad-request\""), "{body}");
        for other in [
            b"HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n".as_slice(),
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            b"a picture whose bytes say HTTP/1.1 400 by chance",
        ] {
            assert_eq!(explained(other), None, "{}", other.escape_ascii());
        }
    }
}
