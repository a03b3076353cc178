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
            ServiceError::Stalled => ("stalled", 408, "Upload stood still"),
            ServiceError::DiskFull => ("disk-full", 507, "Disk full"),
            ServiceError::ReadOnly => ("read-only", 403, "Read only"),
            ServiceError::Busy => ("busy", 503, "Busy"),
            ServiceError::Stopped => ("stopped", 500, "Stopped"),
            ServiceError::Timeout => ("timeout", 503, "Timeout"),
            ServiceError::UnknownEncoder(_) => ("unknown-encoder", 404, "Unknown encoder"),
            ServiceError::UnknownTask(_) => ("unknown-task", 404, "Unknown task"),
            ServiceError::NoWeights(_) => ("no-weights", 409, "Weights missing"),
            ServiceError::NoHead { .. } => ("no-head", 409, "Head missing"),
            ServiceError::OtherWeights { .. } => ("other-weights", 409, "Head of other weights"),
            ServiceError::NotFound(_) => ("not-found", 404, "Not found"),
            ServiceError::SignIn => ("sign-in", 401, "Sign in"),
            ServiceError::NotAllowed(_) => ("not-allowed", 403, "Not allowed"),
            ServiceError::WrongPassword => ("wrong-password", 401, "Wrong name or password"),
            ServiceError::TooManyTries(_) => ("too-many-tries", 429, "Too many tries"),
            ServiceError::LinkSpent => ("link-spent", 410, "Link used or too old"),
            ServiceError::NoAdmin => ("no-admin", 503, "No admin yet"),
            ServiceError::Conflict(_) => ("conflict", 409, "Conflict"),
            ServiceError::Request(_) => ("bad-request", 400, "Bad request"),
            ServiceError::Internal(_) => ("internal", 500, "Internal error"),
        };
        Self::new(kind, status, title, error.to_string())
    }
}

/// Problems of requests that no handler has seen, by their status.
const STATUSES: [(u16, &str, &str, &str); 11] = [
    (
        400,
        "bad-request",
        "Bad request",
        "The request cannot be read: its address, a header or its body is not as it should be.",
    ),
    (404, "not-found", "Not found", "There is nothing at this address."),
    (
        405,
        "method-not-allowed",
        "Method not allowed",
        "This address is not for this method; the header Allow names those that it is for.",
    ),
    (408, "stalled", "Request stood still", "The request stood still for too long. Send it again."),
    (
        413,
        "file-too-large",
        "File too large",
        "The file has more than 20 MB. Save it smaller or with stronger compression.",
    ),
    (414, "address-too-long", "Address too long", "The address is too long."),
    (415, "unread-type", "Type is not read", "What was sent is of a type that this address does not read."),
    (416, "no-such-range", "No such range", "The file has no such range of bytes."),
    (422, "bad-request", "Bad request", "What was sent does not have the fields that this address reads."),
    (431, "headers-too-large", "Headers too large", "The headers of the request are too many or too long."),
    (503, "timeout", "Timeout", "This took too long and was stopped. Try a smaller picture."),
];

/// The problem of a bare status, with a reason if there is one.
#[must_use]
pub fn of_status(status: StatusCode, reason: Option<String>) -> Problem {
    let known = STATUSES.iter().find(|(code, ..)| *code == status.as_u16());
    match known {
        Some((code, kind, title, sentence)) => {
            Problem::new(kind, *code, title, reason.unwrap_or_else(|| (*sentence).to_owned()))
        }
        None if status.is_client_error() => {
            Problem::new("bad-request", status.as_u16(), "Bad request", "The request cannot be answered.")
        }
        None => Problem { status: status.as_u16(), ..Problem::internal() },
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (busy, sign_in) = (self.status == 503, self.status == 401);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if busy {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("3"));
        }
        if sign_in {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for ServiceError {
    fn into_response(self) -> Response {
        if let Self::Internal(cause) = &self {
            tracing::error!(%cause, "a request failed");
        }
        let mut response = Problem::from(&self).into_response();
        if let Self::TooManyTries(seconds) = self {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
