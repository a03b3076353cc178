//! Users of a test's server, and requests in their name.

use super::{Server, bytes};
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};

/// The password of every user.
pub const PASSWORD: &str = "four plain words here";

/// A request in somebody's name: of a session (`vbs_…`), a token (`vbt_…`) or nobody (empty). The body is JSON or a form.
pub fn request(method: &str, path: &str, secret: &str, body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if !body.is_empty() {
        let json = body.starts_with('{');
        let kind = if json { "application/json" } else { "application/x-www-form-urlencoded" };
        request = request.header(header::CONTENT_TYPE, kind);
    }
    if secret.starts_with("vbs_") {
        request = request.header(header::COOKIE, format!("theme=dark; __Host-virboard={secret}"));
    } else if !secret.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {secret}"));
    }
    request.body(Body::from(body.to_owned())).expect("a request")
}

impl Server {
    /// Sends a request in somebody's name.
    pub async fn ask(&self, method: &str, path: &str, secret: &str, body: &str) -> Response<Body> {
        self.send(request(method, path, secret, body)).await
    }

    /// The same; gives status and text.
    pub async fn told(&self, method: &str, path: &str, secret: &str, body: &str) -> (u16, String) {
        let response = self.ask(method, path, secret, body).await;
        let status = response.status().as_u16();
        (status, String::from_utf8_lossy(&bytes(response).await).into_owned())
    }

    /// Signs a user in; gives their session.
    pub async fn sign_in(&self, name: &str) -> String {
        let body = format!("{{\"name\":\"{name}\",\"password\":\"{PASSWORD}\"}}");
        let response = self.ask("POST", "/api/v1/session", "", &body).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{name}");
        session(&response)
    }

    /// Makes the admin `admin`; gives their session.
    pub async fn admin(&self) -> String {
        self.add("", "admin", "admin").await;
        self.sign_in("admin").await
    }

    /// Adds a user in the name of an admin.
    pub async fn add(&self, admin: &str, name: &str, role: &str) {
        let body = format!("{{\"name\":\"{name}\",\"role\":\"{role}\",\"password\":\"{PASSWORD}\"}}");
        let (status, told) = self.told("POST", "/api/v1/users", admin, &body).await;
        assert_eq!(status, 201, "{name}: {told}");
    }

    /// Makes a token in the name of a user.
    pub async fn token(&self, secret: &str, role: &str) -> String {
        let body = format!("{{\"name\":\"a test\",\"role\":\"{role}\"}}");
        let (status, told) = self.told("POST", "/api/v1/tokens", secret, &body).await;
        assert_eq!(status, 201, "{told}");
        let made: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        made["token"].as_str().expect("a token").to_owned()
    }
}

/// The session that an answer begins.
pub fn session(response: &Response<Body>) -> String {
    let cookie = response.headers()[header::SET_COOKIE].to_str().expect("text");
    let value = cookie.split(';').next().and_then(|c| c.split_once('=')).map(|(_, value)| value.to_owned());
    value.filter(|v| v.starts_with("vbs_")).expect("a session")
}
