//! Taking in a photo from a multipart form, counted while it streams in.

use crate::http::problem::Problem;
use crate::service::predictions::{MAX_BYTES, Question};
use crate::service::{ServiceError, Virboard};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{Multipart, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

/// What a form holds.
#[derive(Debug, Default)]
pub struct Form {
    /// The photo's bytes.
    pub image: Vec<u8>,
    /// Keys of encoders.
    pub encoders: Vec<String>,
    /// Keys of tasks.
    pub tasks: Vec<String>,
    /// Hash of the second photo, for tasks about the motion between two.
    pub second: Option<String>,
    /// The encoder to compare with (the page's form only).
    pub with: Option<String>,
}

/// Longest text field.
const MAX_TEXT: usize = 200;

/// Lets a form be read, or refuses it. What is refused is read and dropped all the same: a
/// connection that is cut while the sender still sends shows no answer.
pub async fn admit(
    app: &Virboard,
    mut multipart: Multipart,
) -> Result<(tokio::sync::OwnedSemaphorePermit, Multipart), ServiceError> {
    match app.admit() {
        Ok(permit) => Ok((permit, multipart)),
        Err(busy) => {
            while let Ok(Some(mut field)) = multipart.next_field().await {
                while let Ok(Some(_)) = field.chunk().await {}
            }
            Err(busy)
        }
    }
}

/// Reads the form.
pub async fn read(mut multipart: Multipart) -> Result<Form, ServiceError> {
    let mut form = Form::default();
    let mut has_image = false;
    while let Some(field) = multipart.next_field().await.map_err(refused)? {
        match field.name() {
            Some("image") if !has_image => {
                form.image = bytes(field, MAX_BYTES).await?;
                has_image = true;
            }
            Some("image") => {
                return Err(ServiceError::Request("Send one photo at a time in the field `image`.".to_owned()));
            }
            Some("encoder") => form.encoders.push(text(field).await?),
            Some("task") => form.tasks.push(text(field).await?),
            Some("second") => form.second = Some(text(field).await?).filter(|s| !s.is_empty()),
            Some("with") => form.with = Some(text(field).await?).filter(|w| !w.is_empty()),
            _ => drop(bytes(field, MAX_TEXT).await?),
        }
    }
    if has_image {
        Ok(form)
    } else {
        Err(ServiceError::Request("Send the photo in the field `image` of a multipart form.".to_owned()))
    }
}

async fn bytes(mut field: Field<'_>, limit: usize) -> Result<Vec<u8>, ServiceError> {
    let mut bytes = Vec::new();
    let mut too_many = false;
    while let Some(chunk) = field.chunk().await.map_err(refused)? {
        if too_many || bytes.len() + chunk.len() > limit {
            // The rest is read and dropped (up to the request's own limit): a connection that
            // is cut while the browser still sends shows no answer.
            (too_many, bytes) = (true, Vec::new());
        } else {
            bytes.extend_from_slice(&chunk);
        }
    }
    if too_many { Err(ServiceError::TooManyBytes) } else { Ok(bytes) }
}

async fn text(field: Field<'_>) -> Result<String, ServiceError> {
    String::from_utf8(bytes(field, MAX_TEXT).await?)
        .map_err(|_| ServiceError::Request("A field is not text.".to_owned()))
}

fn refused(error: MultipartError) -> ServiceError {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        ServiceError::TooManyBytes
    } else {
        tracing::debug!(%error, "a form could not be read");
        ServiceError::Request("The form was cut off or is damaged. Send it again.".to_owned())
    }
}

/// The form of the Try page, for browsers without WebAssembly: answers with the address of
/// the result, or of the page with the problem's name.
pub async fn form(
    State(app): State<Virboard>,
    multipart: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Response {
    let Ok(multipart) = multipart else {
        return Redirect::to("/try?problem=bad-request").into_response();
    };
    let (_permit, multipart) = match admit(&app, multipart).await {
        Ok(admitted) => admitted,
        Err(error) => return failed(&error),
    };
    let mut form = match read(multipart).await {
        Ok(form) => form,
        Err(error) => return failed(&error),
    };
    form.encoders.truncate(1);
    let encoder = form.encoders.first().cloned().unwrap_or_default();
    let mut encoders = form.encoders.clone();
    encoders.extend(form.with.clone());
    let question = Question { encoders, second: form.second.clone(), ..Question::default() };
    match app.predict_upload(form.image, question).await {
        // All are keys of the catalogue or hex by now.
        Ok(done) => {
            let with = form.with.map(|w| format!("&with={w}")).unwrap_or_default();
            let second = form.second.map(|s| format!("&second={s}")).unwrap_or_default();
            Redirect::to(&format!("/try?image={}{second}&encoder={encoder}{with}", done.image.sha256)).into_response()
        }
        Err(error) => failed(&error),
    }
}

/// Back to the page, with the name of the problem.
pub(super) fn failed(error: &ServiceError) -> Response {
    if let ServiceError::Internal(cause) = error {
        tracing::error!(%cause, "an upload failed");
    }
    Redirect::to(&format!("/try?problem={}", Problem::from(error).kind)).into_response()
}
