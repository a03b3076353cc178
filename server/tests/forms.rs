//! Forms that chance has changed: each is answered in time, and nothing of them is a defect of ours.
//!
//! `VIRBOARD_FUZZ_CASES=30000 cargo test --release -p virboard --test forms` runs for about ten minutes.

mod common;

use axum::body::Body;
use axum::http::{Request, header};
use common::{BOUNDARY, multipart, server};
use std::time::{Duration, Instant};
use virboard_nn::seeded::Stream;

/// What a form is made of.
const PIECES: [&[u8]; 14] = [
    b"\r\n",
    b"--",
    b"\r\n--virboard-test-boundary\r\n",
    b"--virboard-test-boundary--",
    b"Content-Disposition: form-data; name=\"image\"\r\n\r\n",
    b"Content-Disposition: form-data; name=\"encoder\"\r\n\r\n",
    b"name*=utf-8''image",
    b"filename=\"\xFF\"",
    b"Content-Type: multipart/mixed; boundary=x\r\n",
    b"Content-Length: 99999999999999\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"\0",
    b"\xFF\xFE",
    b": \r\n : \r\n",
];

fn changed(body: &[u8], random: &mut Stream) -> Vec<u8> {
    let mut out = body.to_vec();
    for _ in 0..=random.below(5) {
        let at = random.below(out.len().max(1));
        let to = (at + random.below(200)).min(out.len());
        match random.below(5) {
            0 => out.truncate(at),
            1 => drop(out.splice(at..at, PIECES[random.below(PIECES.len())].iter().copied())),
            2 => drop(out.drain(at..to)),
            3 => {
                let piece = out[at..to].to_vec();
                drop(out.splice(at..at, piece));
            }
            _ => {
                if let Some(byte) = out.get_mut(at) {
                    *byte = random.bits() as u8;
                }
            }
        }
        if out.is_empty() {
            break;
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_forms_are_answered_or_refused_and_never_a_defect() {
    let cases = std::env::var("VIRBOARD_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(1500);
    let server = server().await;
    let folder = common::root().join("server/lab/tests/pictures");
    let mut pictures: Vec<_> = std::fs::read_dir(folder).expect("listed").flatten().map(|e| e.path()).collect();
    pictures.sort();
    let pictures: Vec<Vec<u8>> = pictures.iter().map(|p| std::fs::read(p).expect("read")).collect();
    let mut random = Stream::new(20_261_126, "forms");
    let fields = [("encoder", "Mini_Random"), ("task", "SamplePhotos"), ("second", ""), ("with", "Random")];
    let mut statuses = std::collections::BTreeMap::<u16, usize>::new();
    for case in 0..cases {
        let whole = multipart(&pictures[random.below(pictures.len())], &fields[..random.below(fields.len() + 1)]);
        let body = changed(&whole, &mut random);
        let path = if random.below(4) == 0 { "/try" } else { "/api/v1/predictions" };
        let kind = match random.below(20) {
            0 => "multipart/form-data".to_owned(),
            1 => "multipart/mixed; boundary=virboard-test-boundary".to_owned(),
            2 => format!("multipart/form-data; boundary={}", "x".repeat(random.below(300))),
            _ => format!("multipart/form-data; boundary={BOUNDARY}"),
        };
        let request = Request::post(path).header(header::CONTENT_TYPE, kind).body(Body::from(body.clone()));
        let begun = Instant::now();
        let response = server.send(request.expect("a request")).await;
        let status = response.status().as_u16();
        assert!(status < 500, "case {case} met a defect: {status}: {}", body.escape_ascii());
        assert!(begun.elapsed() < Duration::from_secs(5), "case {case} took {:?}", begun.elapsed());
        if response.status().is_client_error() {
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json", "case {case}");
        }
        *statuses.entry(status).or_default() += 1;
    }
    assert!(statuses.len() >= 4, "all sorts of answers: {statuses:?}");
    let (status, _) = server.get("/readyz").await;
    assert_eq!(status, 200, "it lives on");
}
