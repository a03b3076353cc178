//! The REST interface: handlers only translate.

use super::problem::Problem;
use super::upload;
use crate::service::{ServiceError, Virboard};
use axum::Json;
use axum::extract::multipart::MultipartRejection;
use axum::extract::{Multipart, Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use virboard_core::analysis::figures::{KINDS, Options, kind};
use virboard_core::analysis::standing::standings;
use virboard_core::analysis::{Matrix, Suite};
use virboard_core::catalog::{ENCODERS, TASKS};
use virboard_core::protocol::Protocol;
use virboard_core::results::Probe;

/// A list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Items {
    /// The entries; each has its `key`.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Value>,
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
    let (_permit, multipart) = upload::admit(&app, multipart).await?;
    let form = upload::read(multipart).await?;
    let answer = app.predict_upload(form.image, form.second.as_deref(), &form.encoders, &form.tasks).await?;
    let timing = answer.costs.parts().map(|(stage, ms)| format!("{stage};dur={ms:.1}")).join(", ");
    Ok(([("server-timing", timing)], Json(answer)).into_response())
}

/// What the server measures of itself, in Prometheus' text format.
pub async fn metrics(State(app): State<Virboard>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics()).into_response()
}

/// All encoders: what they are, whether their weights and which heads are here.
#[utoipa::path(get, path = "/api/v1/encoders", tag = "catalogue", responses((status = 200, body = Items)))]
pub async fn list_encoders(State(app): State<Virboard>) -> Json<Items> {
    let states = app.encoders();
    let items = ENCODERS.iter().zip(states).map(|(encoder, state)| {
        let mut item = json!(encoder);
        item["weights"] = json!(state.weights);
        item["heads"] = json!(state.heads);
        item
    });
    Json(Items { items: items.collect() })
}

/// All end tasks.
#[utoipa::path(get, path = "/api/v1/tasks", tag = "catalogue", responses((status = 200, body = Items)))]
pub async fn list_tasks() -> Json<Items> {
    let items = TASKS.iter().map(|task| {
        let mut item = json!(task);
        item["higher_is_better"] = json!(task.metric.higher_is_better());
        item
    });
    Json(Items { items: items.collect() })
}

/// The current score of each encoder and task, with its provenance: by its head, and by
/// nearest neighbours (`knn`) and logistic regression where the task has one answer a picture.
#[utoipa::path(get, path = "/api/v1/results", tag = "results", responses((status = 200, body = Items)))]
pub async fn list_results(State(app): State<Virboard>) -> Result<Json<Items>, ServiceError> {
    let heads = app.board().await?.results;
    let opinions = app.store().second_opinions().await?;
    let items = heads.into_iter().chain(opinions).map(|result| {
        let mut item = json!(result);
        let probe = result.provenance.probe;
        let which = if probe == Probe::Head { String::new() } else { format!("/{}", probe.name()) };
        item["key"] = json!(format!("{}/{}{which}", result.encoder, result.task));
        item
    });
    Ok(Json(Items { items: items.collect() }))
}

/// What to compute an analysis on.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
pub struct AnalysisQuery {
    /// `paper` (the default) or `sample`.
    suite: Option<String>,
    /// `standard` or `virb`; by default the one with more scores.
    protocol: Option<String>,
    /// Key of the task on the x axis, where an analysis has one.
    x: String,
    /// Ranks instead of values, where an analysis correlates.
    ranks: bool,
    /// The published figure's points as well, where there are any.
    reference: bool,
}

impl AnalysisQuery {
    async fn matrix(&self, app: &Virboard) -> Result<Matrix, ServiceError> {
        let unknown = |what: &str| ServiceError::Request(format!("There is no such {what}."));
        let suite = self.suite.as_deref().map(|s| Suite::of(s).ok_or_else(|| unknown("suite"))).transpose()?;
        let protocol =
            self.protocol.as_deref().map(|p| Protocol::of(p).ok_or_else(|| unknown("protocol"))).transpose()?;
        Ok(Matrix::of(&app.store().current_results().await?, suite.unwrap_or_default(), protocol))
    }
}

/// All analyses: what they ask and how they are computed.
#[utoipa::path(get, path = "/api/v1/analyses", tag = "analyses", responses((status = 200, body = Items)))]
pub async fn list_analyses() -> Json<Items> {
    let items = KINDS.iter().map(|k| {
        json!({
            "key": k.slug, "title": k.title, "question": k.question, "definition": k.definition,
            "source": k.source, "options": k.options,
        })
    });
    Json(Items { items: items.collect() })
}

/// An analysis of the present scores: sentences that follow from the numbers, the numbers as a
/// table, and what is missing where there are too few.
#[utoipa::path(
    get, path = "/api/v1/analyses/{key}", tag = "analyses", params(("key" = String, Path), AnalysisQuery),
    responses((status = 200, body = Object), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
pub async fn get_analysis(
    State(app): State<Virboard>,
    Path(key): Path<String>,
    Query(query): Query<AnalysisQuery>,
) -> Result<Json<Value>, ServiceError> {
    let kind = kind(&key).ok_or(ServiceError::NotFound("There is no such analysis. See /api/v1/analyses."))?;
    let matrix = query.matrix(&app).await?;
    let options = Options { x: query.x, ranks: query.ranks, reference: query.reference, layers: None };
    // A thousand resampled tables take a while.
    let (answer, protocol, left_out) =
        tokio::task::spawn_blocking(move || ((kind.compute)(&matrix, &options), matrix.protocol, matrix.left_out))
            .await?;
    Ok(Json(json!({
        "key": kind.slug, "title": kind.title, "definition": kind.definition, "protocol": protocol,
        "left_out_of_other_protocol": left_out, "findings": answer.findings, "missing": answer.missing,
        "columns": answer.table.columns, "rows": answer.table.rows,
    })))
}

/// Mean ranks over the tasks that all compared encoders have, with the interval that they take
/// when tasks are drawn anew, and groups that cannot be told apart.
#[utoipa::path(get, path = "/api/v1/standings", tag = "analyses", params(AnalysisQuery), responses((status = 200, body = Object)))]
pub async fn get_standings(
    State(app): State<Virboard>,
    Query(query): Query<AnalysisQuery>,
) -> Result<Json<Value>, ServiceError> {
    let matrix = query.matrix(&app).await?;
    let standings = tokio::task::spawn_blocking(move || standings(&matrix)).await?;
    Ok(Json(json!({ "coverage": standings.coverage(), "standings": standings })))
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
