//! Taking in a photo from a multipart form, counted while it streams in.

use crate::http::problem::Problem;
use crate::service::predictions::{MAX_BYTES, Question};
use crate::service::uploads::Upload;
use crate::service::{ServiceError, Virboard};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{Multipart, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use virboard_lab::image::ImageError;

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

/// Most fields of a form: every encoder and every task, several times over.
const MAX_FIELDS: usize = 500;

/// Reads the form into the room that the upload takes. What is refused is read and dropped all the same, up to the
/// request's own limit: a connection that is cut while the sender still sends shows no answer.
pub async fn read(mut multipart: Multipart, upload: &mut Upload) -> Result<Form, ServiceError> {
    let mut form = Form::default();
    let mut has_image = false;
    let mut fields = 0;
    while let Some(field) = multipart.next_field().await.map_err(refused)? {
        fields += 1;
        if fields > MAX_FIELDS {
            return Err(ServiceError::Request(format!("The form has more than {MAX_FIELDS} fields.")));
        }
        match field.name() {
            Some("image") if !has_image => {
                form.image = bytes(field, MAX_BYTES, upload).await?;
                has_image = true;
            }
            Some("image") => {
                return Err(ServiceError::Request("Send one photo at a time in the field `image`.".to_owned()));
            }
            Some("encoder") => form.encoders.push(text(field, upload).await?),
            Some("task") => form.tasks.push(text(field, upload).await?),
            Some("second") => form.second = Some(text(field, upload).await?).filter(|s| !s.is_empty()),
            Some("with") => form.with = Some(text(field, upload).await?).filter(|w| !w.is_empty()),
            _ => drop(bytes(field, MAX_TEXT, upload).await?),
        }
    }
    if has_image {
        Ok(form)
    } else {
        Err(ServiceError::Request("Send the photo in the field `image` of a multipart form.".to_owned()))
    }
}

async fn bytes(mut field: Field<'_>, limit: usize, upload: &mut Upload) -> Result<Vec<u8>, ServiceError> {
    let mut bytes = Vec::new();
    let mut refusal = None;
    while let Some(chunk) = field.chunk().await.map_err(refused)? {
        if refusal.is_some() {
            continue;
        }
        let fits = bytes.len() + chunk.len() <= limit;
        match if fits { upload.take(chunk.len()) } else { Err(ServiceError::TooManyBytes) } {
            Ok(()) => bytes.extend_from_slice(&chunk),
            Err(error) => {
                bytes = Vec::new();
                upload.release();
                refusal = Some(error);
            }
        }
    }
    refusal.map_or(Ok(bytes), Err)
}

async fn text(field: Field<'_>, upload: &mut Upload) -> Result<String, ServiceError> {
    String::from_utf8(bytes(field, MAX_TEXT, upload).await?)
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
    let mut upload = app.admit();
    let mut form = match read(multipart, &mut upload).await {
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
    let name = match error {
        // The page knows their sentences by their keys.
        ServiceError::Image(ImageError::Unread(kind)) => kind.key,
        _ => Problem::from(error).kind,
    };
    Redirect::to(&format!("/try?problem={name}")).into_response()
}
