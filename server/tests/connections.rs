//! Connections that are slow, silent or no HTTP: they are ended or answered, and take nobody's place.

mod common;

use common::wire::{HONEST, HOSTILE, Listening, get, head, post, quick, rest, status};
use common::{multipart, sample};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use virboard::http::connections::Limits;

const ENCODER: (&str, &str) = ("encoder", "Mini_Random");
const TASK: (&str, &str) = ("task", "SamplePhotos");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_sent_headers_are_closed_after_seconds() {
    let server = Listening::start(quick()).await;
    let begun = Instant::now();
    for start in ["", "GET /", "GET / HTTP/1.1\r\nhost: te", "POST /try HTTP/1.1\r\nhost: test\r\n"] {
        let mut stream = server.connect(HOSTILE).await;
        stream.write_all(start.as_bytes()).await.expect("sent");
        rest(stream).await;
        assert!(begun.elapsed() < Duration::from_secs(20), "`{start}` is still open");
    }
    // One that is used again may wait as long between two requests, and no longer.
    let mut stream = server.connect(HOSTILE).await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("sent");
    assert_eq!(status(&rest(stream).await), 200, "answered, then closed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_that_stand_still_or_drip_are_ended_with_a_sentence() {
    let server = Listening::start(quick()).await;
    let body = multipart(&sample("china.jpg"), &[ENCODER, TASK]);
    let begun = Instant::now();
    // It stops in the midst of the photo.
    let mut stream = server.connect(HOSTILE).await;
    stream.write_all(&[head(body.len()).as_bytes(), &body[..10_000]].concat()).await.expect("sent");
    let answer = rest(stream).await;
    assert_eq!(status(&answer), 408, "{answer}");
    assert!(answer.contains("application/problem+json") && answer.contains("\"type\":\"stalled\""), "{answer}");
    // It goes on, a byte at a time.
    let stream = server.connect(HOSTILE).await;
    let (read, mut write) = stream.into_split();
    let drip = tokio::spawn(async move {
        let _ = write.write_all(head(body.len()).as_bytes()).await;
        for byte in body {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if write.write_all(&[byte]).await.is_err() {
                break;
            }
        }
        write
    });
    let mut answer = Vec::new();
    let mut read = read;
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert_eq!(status(&answer), 408, "{answer}");
    drip.abort();
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_uploads_never_take_all_places() {
    // Nobody is ended in this test: what is open stays open.
    let server =
        Listening::start(Limits { headers: Duration::from_mins(10), silence: Duration::from_mins(10), ..quick() })
            .await;
    let body = multipart(&sample("rocket.jpg"), &[ENCODER, TASK]);
    let mut open = Vec::new();
    for i in 0..Limits::default().per_address {
        let mut stream = server.connect(HOSTILE).await;
        let bytes = match i % 2 {
            0 => [head(body.len()).as_bytes(), &body[..5000]].concat(),
            _ => b"GET / HTTP/1.1\r\nhost: te".to_vec(),
        };
        stream.write_all(&bytes).await.expect("sent");
        open.push(stream);
    }
    // The next one of theirs is told.
    let answer = server.raw(HOSTILE, b"").await;
    assert!(answer.is_empty() || answer.contains("\"type\":\"busy\""), "{answer}");
    let answer = server.raw(HONEST, &post(&sample("rocket.jpg"), &[ENCODER, TASK])).await;
    assert_eq!(status(&answer), 200, "{answer}");
    let begun = Instant::now();
    server.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "nor do they hold up the end: {:?}", begun.elapsed());
    drop(open);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_no_answer_loses_the_place() {
    let server = Listening::start(Limits { connections: 1, ..quick() }).await;
    let mut greedy = server.connect(HOSTILE).await;
    // More pictures than all buffers between us hold.
    let ask = b"GET /samples/astronaut.png HTTP/1.1\r\nhost: test\r\n\r\n".repeat(200);
    let _ = tokio::time::timeout(Duration::from_millis(500), greedy.write_all(&ask)).await;
    let begun = Instant::now();
    while status(&server.raw(HONEST, &get("/healthz")).await) != 200 {
        assert!(begun.elapsed() < Duration::from_secs(20), "the only place is taken for ever");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(greedy);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http_is_told_so_in_a_problem_document() {
    let server = Listening::start(quick()).await;
    let long = "x".repeat(1_000_000);
    let many = "x: 1\r\n".repeat(200);
    let cases: [(&str, String, u16); 11] = [
        ("no HTTP", "hello\r\n\r\n".to_owned(), 400),
        ("TLS", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\r\n\r\n".to_owned(), 400),
        ("another version", "GET / HTTP/9.9\r\n\r\n".to_owned(), 400),
        ("a header without a name", "GET / HTTP/1.1\r\n: x\r\n\r\n".to_owned(), 400),
        ("a length that is none", "POST /try HTTP/1.1\r\ncontent-length: many\r\n\r\n".to_owned(), 400),
        ("two lengths", "POST /try HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".to_owned(), 400),
        ("an unknown coding", "POST /try HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(), 400),
        ("a long header", format!("GET / HTTP/1.1\r\nx: {long}\r\n\r\n"), 431),
        ("many headers", format!("GET / HTTP/1.1\r\n{many}\r\n"), 431),
        (
            "another server",
            "CONNECT example.org:443 HTTP/1.1\r\nhost: example.org\r\nconnection: close\r\n\r\n".to_owned(),
            405,
        ),
        ("all of it", "OPTIONS * HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n".to_owned(), 405),
    ];
    for (name, bytes, wanted) in cases {
        let mut answer = server.raw(HOSTILE, bytes.as_bytes()).await;
        for _ in 0..20 {
            // Who still sends when the server hangs up may not see the answer.
            if !answer.is_empty() {
                break;
            }
            answer = server.raw(HOSTILE, bytes.as_bytes()).await;
        }
        assert_eq!(status(&answer), wanted, "{name}: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
        assert!(head.to_lowercase().contains("content-type: application/problem+json"), "{name}: {head}");
        let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{name}: {e}: {body}"));
        assert_eq!(problem["status"], wanted, "{name}");
        assert!(problem["detail"].as_str().is_some_and(|d| d.len() > 10), "{name}: {problem}");
    }
    let answer = server.raw(HONEST, &get("/healthz")).await;
    assert_eq!(status(&answer), 200);
    server.stop().await;
}
