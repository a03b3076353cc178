//! What the contract tests share: a server on a temporary data folder, and forms.
#![allow(dead_code, reason = "every test file uses its own part")]

pub mod drawn;
pub mod people;
pub mod program;
pub mod wire;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode, header};
use image::{Rgb, RgbImage};
use std::path::{Path, PathBuf};
use tower::ServiceExt;
use virboard::service::precision::Choice;
use virboard::service::{Settings, Virboard};
use virboard_nn::encoder::Precision;
use virboard_nn::seeded::Stream;

/// A running application and its data folder.
pub struct Server {
    pub router: Router,
    pub app: Virboard,
    pub data: tempfile::TempDir,
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub fn settings(data: &Path) -> Settings {
    Settings {
        data: data.to_path_buf(),
        samples: root().join("server/samples"),
        anew: false,
        public: root().join("public"),
        device: "cpu".to_owned(),
        precision: Choice::Exactly(Precision::F32),
        memory: 1 << 30,
        queue: 16,
        cache_limit: u64::MAX,
        checkpoints: Vec::new(),
    }
}

pub async fn server() -> Server {
    let data = tempfile::tempdir().expect("a folder");
    let app = Virboard::open(&settings(data.path())).await.expect("it opens");
    let router = virboard::http::router(app.clone(), Path::new("no-site"), root().join("public"));
    Server { router, app, data }
}

impl Server {
    pub async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.expect("the router answers")
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Bytes) {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let response = self.send(request).await;
        (response.status(), bytes(response).await)
    }

    pub async fn json(&self, path: &str) -> serde_json::Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        serde_json::from_slice(&body).expect("JSON")
    }

    /// Posts a photo; gives status and JSON.
    pub async fn predict(&self, image: &[u8], fields: &[(&str, &str)]) -> (StatusCode, serde_json::Value) {
        let response = self.send(form("/api/v1/predictions", image, fields)).await;
        let status = response.status();
        if !status.is_success() {
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            assert!(response.headers().contains_key(header::RETRY_AFTER));
        }
        let body = bytes(response).await;
        (status, serde_json::from_slice(&body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&body))))
    }
}

pub async fn bytes(response: Response<Body>) -> Bytes {
    axum::body::to_bytes(response.into_body(), 100 << 20).await.expect("a body")
}

pub const BOUNDARY: &str = "virboard-test-boundary";

pub fn form(path: &str, image: &[u8], fields: &[(&str, &str)]) -> Request<Body> {
    Request::post(path)
        .header(header::CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(Body::from(multipart(image, fields)))
        .expect("a request")
}

/// The body of a form with a photo.
pub fn multipart(image: &[u8], fields: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes(),
        );
    }
    body.extend(
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"image\"; filename=\"photo.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n").bytes(),
    );
    body.extend(image);
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").bytes());
    body
}

/// Writes noisy pictures of the classes `dark` and `light`, a folder each with so many of them; gives the folder of both.
pub fn two_classes(data: &Path, each: u64) -> PathBuf {
    let folder = data.join("pictures");
    for (class, tint) in [("dark", 60u8), ("light", 180)] {
        std::fs::create_dir_all(folder.join(class)).expect("made");
        for i in 0..each {
            let mut random = Stream::new(i, class);
            let mut noise = |by: usize| tint.saturating_add(random.below(by) as u8);
            let picture = RgbImage::from_fn(40, 36, |_, _| Rgb([noise(70), noise(40), noise(20)]));
            picture.save(folder.join(class).join(format!("{i}.png"))).expect("written");
        }
    }
    folder
}

pub fn sample(file: &str) -> Vec<u8> {
    std::fs::read(root().join("public/samples").join(file)).expect("a sample photograph")
}

pub fn picture(file: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures").join(file)).expect("a test picture")
}
