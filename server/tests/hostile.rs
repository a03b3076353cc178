//! Hostile input: each kind has its own sentence and status, and the server lives on.

mod common;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use common::{form, sample, server};

const ENCODER: (&str, &str) = ("encoder", "EfficientNetLite0");
const TASK: (&str, &str) = ("task", "Imagenet");

/// A PNG of 30,000 x 30,000 black pixels in a few kilobytes... of header and honest chunks.
fn bomb() -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(30_000u32.to_be_bytes());
    header.extend(30_000u32.to_be_bytes());
    header.extend([8, 0, 0, 0, 0]);
    let crc = |bytes: &[u8]| {
        !bytes.iter().fold(!0u32, |crc, b| {
            (0..8).fold(crc ^ u32::from(*b), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xEDB8_8320 } else { c >> 1 })
        })
    };
    let data = [b"IDAT".to_vec(), vec![0; 3000]].concat();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for chunk in [header, data, b"IEND".to_vec()] {
        png.extend((chunk.len() as u32 - 4).to_be_bytes());
        png.extend(&chunk);
        png.extend(crc(&chunk).to_be_bytes());
    }
    png
}

#[tokio::test]
async fn every_bad_photo_has_its_own_sentence() {
    let server = server().await;
    let jpeg = sample("china.jpg");
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    let cases: [(&str, Vec<u8>, u16, &str); 6] = [
        ("empty file", Vec::new(), 400, "empty-file"),
        ("text named .jpg", b"hello, I am a photo".to_vec(), 415, "not-a-picture"),
        ("truncated JPEG", jpeg[..jpeg.len() / 3].to_vec(), 422, "damaged-picture"),
        ("bomb", bomb(), 413, "picture-too-large"),
        ("SVG", svg.to_vec(), 415, "svg"),
        ("21 MB", vec![0xFF; 20_010_000], 413, "file-too-large"),
    ];
    let mut sentences = std::collections::HashSet::new();
    for (name, bytes, status, kind) in cases {
        let (found, problem) = server.predict(&bytes, &[ENCODER]).await;
        assert_eq!((found.as_u16(), problem["type"].as_str()), (status, Some(kind)), "{name}: {}", problem["detail"]);
        assert_eq!(problem["status"], status);
        assert!(sentences.insert(problem["detail"].to_string()), "{name} says what another one says");
    }
    for (field, kind) in [(("encoder", "ResNet9000"), "unknown-encoder"), (("task", "Astrology"), "unknown-task")] {
        let fields = if field.0 == "task" { vec![ENCODER, field] } else { vec![field] };
        let (status, problem) = server.predict(&sample("chelsea.png"), &fields).await;
        assert_eq!((status, problem["type"].as_str()), (StatusCode::NOT_FOUND, Some(kind)));
        assert!(problem["detail"].as_str().is_some_and(|d| d.contains(field.1)));
    }
    let (status, problem) = server.predict(&sample("chelsea.png"), &[("encoder", "SWAV_800")]).await;
    assert_eq!((status, problem["type"].as_str()), (StatusCode::CONFLICT, Some("no-weights")));
    let (status, problem) = server.predict(&sample("chelsea.png"), &[]).await;
    assert_eq!((status, problem["type"].as_str()), (StatusCode::BAD_REQUEST, Some("bad-request")));
    let (status, _) = server.predict(&sample("chelsea.png"), &[ENCODER, TASK]).await;
    assert_eq!(status, StatusCode::OK, "it still works");
}

#[tokio::test]
async fn a_request_of_25_megabytes_is_refused() {
    let server = server().await;
    for megabytes in [25, 70] {
        let (status, problem) = server.predict(&vec![0; megabytes * 1_000_000], &[ENCODER]).await;
        assert_eq!((status, problem["type"].as_str()), (StatusCode::PAYLOAD_TOO_LARGE, Some("file-too-large")));
        let response = server.send(form("/try", &vec![0; megabytes * 1_000_000], &[ENCODER])).await;
        assert_eq!(response.headers()[header::LOCATION], "/try?problem=file-too-large");
    }
    let (status, _) = server.get("/healthz").await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_no_form_is_refused() {
    let server = server().await;
    let plain = Request::post("/api/v1/predictions").body(Body::from("hello")).expect("a request");
    assert_eq!(server.send(plain).await.status(), StatusCode::BAD_REQUEST);
    let cut = Request::post("/api/v1/predictions")
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=x")
        .body(Body::from("--x\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nabc"))
        .expect("a request");
    assert_eq!(server.send(cut).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_uploads_at_once_are_answered_or_refused() {
    let server = std::sync::Arc::new(server().await);
    let photos: Vec<Vec<u8>> = (0..50u8)
        .map(|i| {
            let picture = image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([x as u8 * 3, y as u8 * 5, i * 5]));
            let mut png = std::io::Cursor::new(Vec::new());
            picture.write_to(&mut png, image::ImageFormat::Png).expect("encoded");
            png.into_inner()
        })
        .collect();
    let tasks: Vec<_> = photos
        .into_iter()
        .map(|photo| {
            let server = server.clone();
            tokio::spawn(async move { server.predict(&photo, &[ENCODER, TASK]).await.0 })
        })
        .collect();
    let mut answered = 0;
    for task in tasks {
        match task.await.expect("no panic") {
            StatusCode::OK => answered += 1,
            // `predict` has checked Retry-After.
            status => assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE),
        }
    }
    assert!(answered >= 16, "the queue holds 16, so at least these are answered: {answered}");
    let (status, _) = server.get("/readyz").await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn addresses_cannot_leave_their_folder() {
    let server = server().await;
    for path in [
        "/api/v1/images/..%2f..%2fvirboard.db",
        "/api/v1/images/abc",
        "/samples/..%2f..%2fCargo.toml",
        "/pkg/..%2fCargo.toml",
        "/api/v1/predictions/0000000000000000000000000000000000000000000000000000000000000000/Random/SceneDepth/..%2f..%2fx/map.png",
    ] {
        let (status, _) = server.get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
}
