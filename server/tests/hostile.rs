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

/// A picture from which the tests of decoders start.
fn corpus(file: &str) -> Vec<u8> {
    std::fs::read(common::root().join("server/lab/tests/pictures").join(file)).expect("a picture")
}

#[tokio::test]
async fn what_a_phone_makes_of_a_photo_is_read_or_named() {
    let server = server().await;
    let jpeg = sample("china.jpg");
    let video = [b"MotionPhoto_Data\0\0\0\x18ftypmp42".as_slice(), &[0x11; 200], &[0xFF, 0xDA], &[0x11; 200]].concat();
    let (status, plain) = server.predict(&jpeg, &[ENCODER, TASK]).await;
    assert_eq!(status, StatusCode::OK);
    for (name, bytes) in [
        ("motion photo", [jpeg.as_slice(), &video].concat()),
        ("without its end mark", jpeg[..jpeg.len() - 2].to_vec()),
    ] {
        let (status, answer) = server.predict(&bytes, &[ENCODER, TASK]).await;
        assert_eq!(status, StatusCode::OK, "{name}: {answer}");
        assert_eq!(answer["outputs"][0]["output"], plain["outputs"][0]["output"], "{name}: the same classes");
    }
    for (bytes, status, kind, says) in [
        (corpus("kind-floats.tif"), 415, "unread-kind", "TIFF"),
        (corpus("other-avif.avif"), 415, "unread-format", "AVIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec(), 415, "unread-format", "HEIC"),
        (b"https://example.org/cat.jpg".to_vec(), 415, "unread-format", "address"),
        (b"<!doctype html><title>Sign in</title>".to_vec(), 415, "unread-format", "web page"),
    ] {
        let (found, problem) = server.predict(&bytes, &[ENCODER, TASK]).await;
        assert_eq!((found.as_u16(), problem["type"].as_str()), (status, Some(kind)), "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|d| d.contains(says)), "{problem}");
    }
    let response = server.send(form("/try", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", &[ENCODER])).await;
    assert_eq!(response.headers()[header::LOCATION], "/try?problem=heic");
    let (_, page) = server.get("/try?problem=heic").await;
    assert!(String::from_utf8_lossy(&page).contains("This is a HEIC photo"), "without WebAssembly, too");
}

#[tokio::test]
async fn every_refusal_is_a_problem_document() {
    let server = server().await;
    let cases = [
        ("DELETE", "/api/v1/predictions", "", 405),
        ("PUT", "/api/v1/encoders", "", 405),
        ("POST", "/readyz", "", 405),
        ("POST", "/encoders/Random", "", 405),
        ("TRACE", "/", "", 405),
        ("GET", "/api/v1/images/%ff", "", 400),
        ("GET", "/api/v1/nothing", "", 404),
        ("GET", "/samples/nothing.png", "", 404),
        ("GET", "/pkg/../../etc/passwd", "", 404),
        ("POST", "/samples/astronaut.png", "", 405),
        ("POST", "/theme", "to=purple", 422),
        ("POST", "/theme", "", 415),
    ];
    for (method, path, body, wanted) in cases {
        let mut request = Request::builder().method(method).uri(path);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let response = server.send(request.body(Body::from(body)).expect("a request")).await;
        let status = response.status();
        assert_eq!(status.as_u16(), wanted, "{method} {path}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json", "{method} {path}");
        assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{method} {path}");
        assert_eq!(response.headers().contains_key(header::ALLOW), status == 405, "{method} {path}");
        let problem: serde_json::Value = serde_json::from_slice(&common::bytes(response).await).expect("JSON");
        assert_eq!(problem["status"], wanted, "{method} {path}: {problem}");
        assert!(problem["detail"].as_str().is_some_and(|d| !d.is_empty()), "{method} {path}: {problem}");
    }
    let odd = Request::get("/samples/astronaut.png").header(header::RANGE, "bytes=99999999-").body(Body::empty());
    let response = server.send(odd.expect("a request")).await;
    assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    for (name, value) in [
        (header::CONTENT_TYPE, b"multipart/form-data".as_slice()),
        (header::CONTENT_TYPE, b"multipart/form-data; boundary=\"\xFF\""),
        (header::CONTENT_TYPE, b"\xFF\xFE"),
        (header::COOKIE, b"theme=\xFF"),
    ] {
        let value = axum::http::HeaderValue::from_bytes(value).expect("bytes");
        let request = Request::post("/api/v1/predictions").header(name, value).body(Body::from("x"));
        let response = server.send(request.expect("a request")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }
    let fields = vec![ENCODER; 501];
    let (status, problem) = server.predict(&sample("chelsea.png"), &fields).await;
    assert_eq!((status, problem["type"].as_str()), (StatusCode::BAD_REQUEST, Some("bad-request")), "{problem}");
}

#[tokio::test]
async fn folders_of_the_server_are_shown_to_nobody() {
    let server = server().await;
    let folder = server.data.path().display().to_string();
    // Everything of which an answer might tell where it lies: scores that were imported, declarations with mistakes.
    let table = server.data.path().join("scores.csv");
    std::fs::write(&table, "encoder,task,score\nSWAV_800,Imagenet,0.75\n").expect("written");
    let (settings, wish) = (common::settings(server.data.path()), virboard::service::import::Wish::default());
    let (store, catalogue) = (server.app.store(), server.app.catalogue());
    virboard::service::import::table(&settings, store, &catalogue, &table, wish).await.expect("imported");
    let declared = server.data.path().join("datasets/mine");
    std::fs::create_dir_all(&declared).expect("made");
    std::fs::write(declared.join("dataset.toml"), "name = 7\n").expect("written");
    std::fs::create_dir_all(server.data.path().join("encoders")).expect("made");
    std::fs::write(server.data.path().join("nowhere.pt"), "no checkpoint").expect("written");
    let encoder = format!("key = \"Mine\"\nname = \"Mine\"\ncheckpoint = \"{folder}/nowhere.pt\"\n");
    std::fs::write(server.data.path().join("encoders/Mine.toml"), encoder).expect("written");
    let (_, found) = server.predict(&sample("coffee.png"), &[("encoder", "Mine")]).await;
    assert!(!found.to_string().contains(&folder), "{found}");
    for path in [
        "/",
        "/encoders/Mine",
        "/encoders/SWAV_800",
        "/tasks/Imagenet",
        "/analyses",
        "/choose",
        "/try?encoder=Mine",
        "/readyz",
        "/metrics",
        "/api/v1/encoders",
        "/api/v1/tasks",
        "/api/v1/results",
        "/api/v1/leaderboard?format=json",
        "/api/v1/leaderboard?format=csv",
        "/api/openapi.json",
    ] {
        let (status, body) = server.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        let body = String::from_utf8_lossy(&body).into_owned();
        for secret in [folder.as_str(), env!("CARGO_MANIFEST_DIR")] {
            assert!(!body.contains(secret), "{path} tells of {secret}");
        }
    }
    let results = server.json("/api/v1/results").await;
    let item = results["items"].as_array().expect("items").iter().find(|i| i["key"] == "SWAV_800/Imagenet");
    assert!(item.is_some_and(|i| i.to_string().contains("scores.csv")), "the file's name is evidence: {item:?}");
}
