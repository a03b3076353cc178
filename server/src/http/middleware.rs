//! What every request passes through.

use super::problem::of_status;
use crate::service::{ServiceError, metrics};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::time::Instant;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

/// Headers that keep browsers from doing what our pages never need. Pages set their own
/// content security policy with their nonce; everything else gets one that allows nothing.
pub async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: header::HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "same-origin");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(header::HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()");
    set(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    response
}

/// Headers of a refusal that stay when it is explained.
const KEPT: [header::HeaderName; 3] = [header::ALLOW, header::RETRY_AFTER, header::CONTENT_RANGE];
/// Longest reason of a refusal that is passed on, in bytes.
const REASON: usize = 500;

/// Gives the refusals of the layers below and of the router itself the form and the sentences that handlers give theirs,
/// and refuses what no route is asked for.
pub async fn explain(request: Request, next: Next) -> Response {
    let form = request.uri().path() == "/try";
    // CONNECT asks for another server, TRACE for the request itself; a path may be missing.
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) || !request.uri().path().starts_with('/') {
        let allow = [(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"))];
        return (allow, of_status(StatusCode::METHOD_NOT_ALLOWED, None)).into_response();
    }
    let response = next.run(request).await;
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || says_why(response.headers()) {
        return response;
    }
    match status {
        StatusCode::PAYLOAD_TOO_LARGE if form => super::upload::failed(&ServiceError::TooManyBytes),
        StatusCode::SERVICE_UNAVAILABLE if form => super::upload::failed(&ServiceError::Timeout),
        _ => explained(response).await,
    }
}

/// Whether a refusal has a form already: a problem document, a page, or what server functions send.
fn says_why(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    kind == "application/problem+json" || kind.starts_with("text/html") || headers.contains_key("serverfnerror")
}

async fn explained(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    // What a part of a request was refused for, such as an address that is no text.
    let reason = axum::body::to_bytes(body, REASON).await.ok();
    let reason = reason.and_then(|b| String::from_utf8(b.to_vec()).ok()).filter(|r| !r.trim().is_empty());
    let mut response = of_status(parts.status, reason).into_response();
    for name in KEPT {
        if let Some(value) = parts.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// Notes how long every answer took.
pub async fn measure(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let kind = ["/api/", "/rpc/", "/pkg/", "/samples/", "/icons/"].iter().find(|k| path.starts_with(**k));
    let kind = kind.map_or("page", |k| k.trim_matches('/'));
    let started = Instant::now();
    let response = next.run(request).await;
    metrics::answered(kind, response.status().as_u16(), started.elapsed());
    response
}

/// The span of a request in the log.
pub fn span(request: &axum::http::Request<Body>) -> tracing::Span {
    let id = request.headers().get("x-request-id").and_then(|v| v.to_str().ok()).unwrap_or_default();
    tracing::info_span!("request", method = %request.method(), path = request.uri().path(), id)
}

/// Serves files whose address changes with their content.
pub fn immutable<F: Clone + Send + Sync + 'static>(files: ServeDir<F>) -> Router
where
    ServeDir<F>: tower::Service<
            Request,
            Response: axum::response::IntoResponse,
            Error = std::convert::Infallible,
            Future: Send + 'static,
        >,
{
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    Router::new().fallback_service(files).layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, forever))
}
