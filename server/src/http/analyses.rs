//! Analyses over REST: the answers that the pages draw.

use super::api::Items;
use super::problem::Problem;
use crate::service::extract::{Format, file};
use crate::service::{ServiceError, Virboard};
use crate::table::csv;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::IntoParams;
use virboard_app::charts::document;
use virboard_core::analysis::kinds::{KINDS, kind};
use virboard_core::analysis::standing::standings;
use virboard_core::analysis::{Matrix, Options, Selection};
use virboard_core::leaderboard::View;
use virboard_core::protocol::Protocol;

/// The fields of a query that are not empty.
type Fields = BTreeMap<String, String>;

/// What stands in a query several times is joined by commas.
fn joined(fields: Vec<(String, String)>) -> Fields {
    let mut all = Fields::new();
    for (key, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
        all.entry(key).and_modify(|held| *held = format!("{held},{value}")).or_insert(value);
    }
    all
}

/// What to compute an analysis on.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
pub struct AnalysisQuery {
    /// Key of a suite, such as `paper` or `sample`; by default the first with scores.
    suite: String,
    /// `standard` or `virb`; by default the one with more scores.
    protocol: String,
    /// `json` (the default), `csv` for the table or `svg` for the pictures.
    format: String,
}

impl AnalysisQuery {
    /// The scores that are asked for, and how to look at them: read as the pages read it.
    async fn scores(&self, app: &Virboard, fields: &Fields) -> Result<(Matrix, Options), ServiceError> {
        let known = |ok: bool, what: &str| {
            if ok { Ok(()) } else { Err(ServiceError::Request(format!("There is no such {what}."))) }
        };
        known(self.suite.is_empty() || app.catalogue().suite(&self.suite).is_some(), "suite")?;
        known(self.protocol.is_empty() || Protocol::of(&self.protocol).is_some(), "protocol")?;
        known(["", "json", "csv", "svg"].contains(&self.format.as_str()), "format")?;
        let board = app.board().await?;
        let get = |key: &str| fields.get(key).map(String::as_str);
        let Selection { matrix, options, .. } =
            Selection::from_query(get, &board.catalogue, &board.results, &board.alignments);
        Ok((matrix, options))
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
    get, path = "/api/v1/analyses/{key}", tag = "analyses",
    params(
        ("key" = String, Path),
        ("x" = Option<String>, Query, description = "Key of the task on the x axis, where an analysis has one."),
        ("ranks" = Option<String>, Query, description = "`1` for ranks instead of values, where an analysis correlates."),
        ("reference" = Option<String>, Query, description = "`1` with the published figure’s points, `0` without; by default only where no score is stored."),
        AnalysisQuery,
    ),
    responses((status = 200, body = Object), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
pub async fn get_analysis(
    State(app): State<Virboard>,
    Path(key): Path<String>,
    Query(fields): Query<Vec<(String, String)>>,
    Query(query): Query<AnalysisQuery>,
) -> Result<Response, ServiceError> {
    let kind = kind(&key).ok_or(ServiceError::NotFound("There is no such analysis. See /api/v1/analyses."))?;
    let (matrix, options) = query.scores(&app, &joined(fields)).await?;
    // A thousand resampled tables take a while.
    let (answer, protocol, left_out) =
        tokio::task::spawn_blocking(move || ((kind.compute)(&matrix, &options), matrix.protocol, matrix.left_out))
            .await?;
    match query.format.as_str() {
        "csv" => {
            let table = csv(&answer.table.columns, answer.table.rows).map_err(ServiceError::internal)?;
            Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], table).into_response())
        }
        "svg" => {
            let picture = document(kind.title, &answer.panels);
            // The picture's own colours are in it.
            let policy = "default-src 'none'; style-src 'unsafe-inline'";
            let headers = [(header::CONTENT_TYPE, "image/svg+xml"), (header::CONTENT_SECURITY_POLICY, policy)];
            Ok((headers, picture).into_response())
        }
        _ => Ok(Json(json!({
            "key": kind.slug, "title": kind.title, "definition": kind.definition, "protocol": protocol,
            "left_out_of_other_protocol": left_out, "findings": answer.findings, "missing": answer.missing,
            "columns": answer.table.columns, "rows": answer.table.rows,
        }))
        .into_response()),
    }
}

/// Mean ranks over the tasks that all compared encoders have, with the interval that they take
/// when tasks are drawn anew, and groups that cannot be told apart.
#[utoipa::path(get, path = "/api/v1/standings", tag = "analyses", params(AnalysisQuery), responses((status = 200, body = Object)))]
pub async fn get_standings(
    State(app): State<Virboard>,
    Query(fields): Query<Vec<(String, String)>>,
    Query(query): Query<AnalysisQuery>,
) -> Result<Json<Value>, ServiceError> {
    let (matrix, _) = query.scores(&app, &joined(fields)).await?;
    let standings = tokio::task::spawn_blocking(move || standings(&matrix)).await?;
    Ok(Json(json!({ "coverage": standings.coverage(), "standings": standings })))
}

/// What to take of the leaderboard: the query of its page, the suite and the format.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
pub struct LeaderboardQuery {
    /// Key of a suite, such as `paper` (the default) or `sample`.
    suite: String,
    /// `csv` (the default), `json`, `parquet`, `tex` or `md`.
    format: String,
}

/// The leaderboard as it is seen under the same query, all pages of it. CSV, JSON and Parquet
/// have numbers (scores in the metric's own unit), LaTeX and Markdown the texts of the page.
#[utoipa::path(
    get, path = "/api/v1/leaderboard", tag = "results",
    params(
        ("show" = Option<String>, Query, description = "`score` (the default), `rank`, `relative` or `normalised`."),
        ("sort" = Option<String>, Query, description = "Columns to sort by, comma-separated; with a minus the other way round."),
        LeaderboardQuery,
    ),
    responses((status = 200, content_type = "text/csv"), (status = 400, body = Problem, content_type = "application/problem+json"))
)]
pub async fn get_leaderboard(
    State(app): State<Virboard>,
    Query(fields): Query<Vec<(String, String)>>,
    Query(query): Query<LeaderboardQuery>,
) -> Result<Response, ServiceError> {
    let unknown = |what: &str| ServiceError::Request(format!("There is no such {what}."));
    let name = if query.format.is_empty() { "csv" } else { &query.format };
    let format = Format::of(name).ok_or_else(|| unknown("format"))?;
    let suite = if query.suite.is_empty() { "paper" } else { &query.suite };
    let sheets = app.sheets().await?;
    let at = sheets.iter().position(|s| s.suite.key == suite).ok_or_else(|| unknown("suite"))?;
    let fields = joined(fields);
    let view = View::from_query(|key| fields.get(key).cloned());
    let made = tokio::task::spawn_blocking(move || file(&sheets[at].extract(&view), format)).await?;
    let bytes = made.map_err(ServiceError::internal)?;
    let attachment = format!("attachment; filename=\"virboard-{suite}.{name}\"");
    Ok(([(header::CONTENT_TYPE, format.media_type().to_owned()), (header::CONTENT_DISPOSITION, attachment)], bytes)
        .into_response())
}
