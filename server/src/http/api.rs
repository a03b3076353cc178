//! The REST interface: handlers only translate.

use super::problem::Problem;
use super::query::Fields;
use super::upload;
use crate::service::predictions::Question;
use crate::service::{ServiceError, Virboard, places};
use axum::Json;
use axum::extract::multipart::MultipartRejection;
use axum::extract::{Multipart, Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use virboard_core::run::Probe;

/// A list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Items {
    /// The entries; each has its `key`.
    #[schema(value_type = Vec<Object>)]
    pub items: Vec<Value>,
}

/// The form of a prediction.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form; it is read field by field")]
struct PredictionForm {
    /// One photo: JPEG, PNG, WebP, GIF, BMP or TIFF, at most 20 MB and 40 megapixels.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
    /// Keys of encoders; may occur several times.
    encoder: Vec<String>,
    /// Keys of tasks; without any, every task for which the encoder has a head.
    task: Option<Vec<String>>,
    /// SHA-256 of a photo that was sent before: the second one for tasks about two.
    second: Option<String>,
}

/// Predict: one photo through one or more encoders and their heads.
#[utoipa::path(
    post, path = "/api/v1/predictions", tag = "predictions",
    request_body(content = inline(PredictionForm), content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "Outputs. `kind` is `classification` (`classes`), `segmentation` (`labels`, `mask`) or `depth` (`minimum`, `maximum`, `unit`, `map`) or `flow` (`longest`, `map`). `costs` and the header `Server-Timing` say where the time went, in milliseconds.", body = Object),
        (status = "4XX", description = "The photo or a name cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Busy; try again after `Retry-After` seconds", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn create_predictions(
    State(app): State<Virboard>,
    multipart: Result<Multipart, MultipartRejection>,
) -> Result<Response, ServiceError> {
    let multipart =
        multipart.map_err(|_| ServiceError::Request("Send a multipart form with the field `image`.".to_owned()))?;
    let mut room = app.admit();
    let form = upload::read(multipart, &mut room).await?;
    let asked = Question { encoders: form.encoders, tasks: form.tasks, second: form.second };
    let answer = app.predict_upload(form.image, asked).await?;
    let timing = answer.costs.parts().map(|(stage, ms)| format!("{stage};dur={ms:.1}")).join(", ");
    Ok(([("server-timing", timing)], Json(answer)).into_response())
}

/// What the server measures of itself, in Prometheus' text format.
pub async fn metrics(State(app): State<Virboard>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics()).into_response()
}

/// All encoders: what they are, whether their weights and which heads are here.
#[utoipa::path(get, path = "/api/v1/encoders", tag = "catalogue", responses((status = 200, body = Items)))]
pub async fn list_encoders(State(app): State<Virboard>, fields: Fields) -> Result<Json<Items>, ServiceError> {
    fields.check(&[])?;
    let catalogue = app.catalogue();
    let items = app.encoder_states().await?.into_iter().filter_map(|state| {
        let mut item = json!(**catalogue.encoder(&state.key)?);
        places::hide(&mut item);
        item["weights"] = json!(state.weights);
        item["heads"] = json!(state.heads);
        Some(item)
    });
    Ok(Json(Items { items: items.collect() }))
}

/// All end tasks.
#[utoipa::path(get, path = "/api/v1/tasks", tag = "catalogue", responses((status = 200, body = Items)))]
pub async fn list_tasks(State(app): State<Virboard>, fields: Fields) -> Result<Json<Items>, ServiceError> {
    fields.check(&[])?;
    let catalogue = app.catalogue();
    let items = catalogue.tasks().iter().map(|task| {
        let mut item = json!(**task);
        item["higher_is_better"] = json!(task.metric.higher_is_better());
        item
    });
    Ok(Json(Items { items: items.collect() }))
}

/// The current score of each encoder and task, with its provenance: by its head, and by
/// nearest neighbours (`knn`) and logistic regression where the task has one answer a picture;
/// and, where the encoder was trained along, `fine-tuned`. `provenance.probe` says which.
#[utoipa::path(get, path = "/api/v1/results", tag = "results", responses((status = 200, body = Items)))]
pub async fn list_results(State(app): State<Virboard>, fields: Fields) -> Result<Json<Items>, ServiceError> {
    fields.check(&[])?;
    let board = app.board().await?;
    let items = board.results.iter().chain(&board.opinions).chain(&board.fine_tuned).map(|result| {
        let mut item = json!(result);
        let probe = result.evidence.probe;
        let which = if probe == Probe::Head { String::new() } else { format!("/{}", probe.name()) };
        item["key"] = json!(format!("{}/{}{which}", result.encoder, result.task));
        item
    });
    Ok(Json(Items { items: items.collect() }))
}

/// A stored photo, upright, as JPEG of at most 1280 pixels a side.
#[utoipa::path(
    get, path = "/api/v1/images/{sha256}", tag = "predictions", params(("sha256" = String, Path)),
    responses((status = 200, content_type = "image/jpeg"), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
pub async fn get_photo(State(app): State<Virboard>, Path(sha256): Path<String>) -> Result<Response, ServiceError> {
    Ok(file("image/jpeg", app.shown_photo(&sha256).await?))
}

/// A picture of a prediction: `mask.png` (8-bit class indices) `map.png` (16-bit depths) or
/// `flow.png` (KITTI's 16-bit displacements) at the photo's size, `arrows.svg` (of a motion), `shown.png` (coloured), `overlay.png` (mask over the photo) or
/// `grid.bin` (values at the head's resolution: width, height, values, all `u16` little-endian).
#[utoipa::path(
    get, path = "/api/v1/predictions/{sha256}/{encoder}/{task}/{version}/{file}", tag = "predictions",
    params(("sha256" = String, Path), ("encoder" = String, Path), ("task" = String, Path), ("version" = String, Path), ("file" = String, Path)),
    responses((status = 200, content_type = "image/png"), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
pub async fn get_picture(
    State(app): State<Virboard>,
    Path((sha256, encoder, task, version, name)): Path<(String, String, String, String, String)>,
) -> Result<Response, ServiceError> {
    let bytes = app.picture(&sha256, &encoder, &task, &version, &name).await?;
    let kind = match name.rsplit('.').next() {
        Some("bin") => "application/octet-stream",
        Some("svg") => "image/svg+xml",
        _ => "image/png",
    };
    Ok(file(kind, bytes))
}

/// The address names the content, so it may be kept for ever.
fn file(kind: &'static str, bytes: Vec<u8>) -> Response {
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "private, max-age=31536000, immutable")];
    (headers, bytes).into_response()
}
