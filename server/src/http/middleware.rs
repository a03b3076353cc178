//! What every request passes through.

use crate::service::{ServiceError, metrics};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
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

/// Gives the refusals of the layers below (too many bytes, too slow) the sentences that
/// handlers give theirs.
pub async fn explain(request: Request, next: Next) -> Response {
    let form = request.uri().path() == "/try";
    let response = next.run(request).await;
    let explained = response.headers().get(header::CONTENT_TYPE).is_some_and(|t| t == "application/problem+json");
    let error = match response.status() {
        StatusCode::PAYLOAD_TOO_LARGE if !explained => ServiceError::TooManyBytes,
        StatusCode::SERVICE_UNAVAILABLE if !explained => ServiceError::Timeout,
        _ => return response,
    };
    if form { super::upload::failed(&error) } else { error.into_response() }
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
