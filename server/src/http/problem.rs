//! Errors as RFC 9457 problem documents.

use crate::service::ServiceError;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use virboard_lab::image::ImageError;

/// A problem: `application/problem+json`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Stable short name of the kind of problem.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// HTTP status.
    pub status: u16,
    /// The kind of problem for people.
    pub title: &'static str,
    /// What happened here and what to do.
    pub detail: String,
}

impl Problem {
    /// A defect of ours.
    #[must_use]
    pub fn internal() -> Self {
        Self::new("internal", 500, "Internal error", "Something went wrong on the server. It was logged; try again.")
    }

    /// A problem of the given kind.
    pub fn new(kind: &'static str, status: u16, title: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, status, title, detail: detail.into() }
    }
}

impl From<&ServiceError> for Problem {
    fn from(error: &ServiceError) -> Self {
        let (kind, status, title) = match error {
            ServiceError::Image(ImageError::Empty) => ("empty-file", 400, "Empty file"),
            ServiceError::TooManyBytes => ("file-too-large", 413, "File too large"),
            ServiceError::Image(ImageError::TooManyPixels { .. }) => ("picture-too-large", 413, "Picture too large"),
            ServiceError::Image(ImageError::Svg) => ("svg", 415, "SVG is not read"),
            ServiceError::Image(ImageError::Unsupported) => ("not-a-picture", 415, "Not a picture"),
            ServiceError::Image(ImageError::Unread(_)) => ("unread-format", 415, "Format is not read"),
            ServiceError::Image(ImageError::Kind { .. }) => ("unread-kind", 415, "Kind of file is not read"),
            ServiceError::Image(ImageError::TooMuchMemory { .. }) => ("picture-too-deep", 413, "Picture too large"),
            ServiceError::Image(ImageError::TooManyScans { .. }) => ("too-many-passes", 413, "Too many passes"),
            ServiceError::Image(ImageError::TooSlow) => ("picture-too-slow", 413, "Decoding takes too long"),
            ServiceError::Image(ImageError::Damaged { .. }) => ("damaged-picture", 422, "Damaged picture"),
            ServiceError::Busy => ("busy", 503, "Busy"),
            ServiceError::Stopped => ("stopped", 500, "Stopped"),
            ServiceError::Timeout => ("timeout", 503, "Timeout"),
            ServiceError::UnknownEncoder(_) => ("unknown-encoder", 404, "Unknown encoder"),
            ServiceError::UnknownTask(_) => ("unknown-task", 404, "Unknown task"),
            ServiceError::NoWeights(_) => ("no-weights", 409, "Weights missing"),
            ServiceError::NoHead { .. } => ("no-head", 409, "Head missing"),
            ServiceError::OtherWeights { .. } => ("other-weights", 409, "Head of other weights"),
            ServiceError::NotFound(_) => ("not-found", 404, "Not found"),
            ServiceError::Request(_) => ("bad-request", 400, "Bad request"),
            ServiceError::Internal(_) => ("internal", 500, "Internal error"),
        };
        Self::new(kind, status, title, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let busy = self.status == 503;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if busy {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("3"));
        }
        response
    }
}

impl IntoResponse for ServiceError {
    fn into_response(self) -> Response {
        if let Self::Internal(cause) = &self {
            tracing::error!(%cause, "a request failed");
        }
        Problem::from(&self).into_response()
    }
}
