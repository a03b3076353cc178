//! Analyses over REST: the answers that the pages draw.

use super::api::Items;
use super::problem::Problem;
use super::query::{Choice, Fields, SWITCH};
use crate::service::extract::{Format, file};
use crate::service::{ServiceError, Virboard};
use crate::table::csv;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use utoipa::IntoParams;
use virboard_app::charts::document;
use virboard_core::analysis::kinds::{KINDS, kind};
use virboard_core::analysis::standing::standings;
use virboard_core::analysis::{Matrix, Options, Selection};
use virboard_core::catalogue::Catalogue;
use virboard_core::catalogue::task::Category;
use virboard_core::leaderboard::{Row, Sheet, Show, View};
use virboard_core::protocol::Protocol;

/// What to compute an analysis on.
#[derive(IntoParams)]
#[expect(dead_code, reason = "describes the query; its fields are read one by one")]
pub struct AnalysisQuery {
    /// Key of a suite, such as `paper` or `sample`; by default the first with scores.
    suite: String,
    /// `standard` or `virb`; by default the one with more scores.
    protocol: String,
}

/// Formats of an analysis.
const FORMATS: [&str; 3] = ["json", "csv", "svg"];

/// Names of protocols.
const PROTOCOLS: [&str; 2] = [Protocol::Standard.name(), Protocol::Virb.name()];

fn suites(catalogue: &Catalogue) -> Vec<&str> {
    catalogue.suites().iter().map(|s| s.key.as_str()).collect()
}

fn tasks(catalogue: &Catalogue) -> Vec<&str> {
    catalogue.tasks().iter().map(|t| t.key.as_str()).collect()
}

/// The scores that are asked for, and how to look at them: read as the pages read it.
async fn scores(app: &Virboard, fields: &Fields, more: &[&str]) -> Result<(Matrix, Options), ServiceError> {
    let board = app.board().await?;
    let mut known =
        vec![("suite", Choice::One(suites(&board.catalogue))), ("protocol", Choice::One(PROTOCOLS.to_vec()))];
    for name in ["format", "x", "ranks", "reference"].into_iter().filter(|name| more.contains(name)) {
        let choice = match name {
            "format" => FORMATS.to_vec(),
            "x" => tasks(&board.catalogue),
            _ => SWITCH.to_vec(),
        };
        known.push((name, Choice::One(choice)));
    }
    fields.check(&known)?;
    let selection = Selection::from_query(
        |key| fields.get(key),
        &board.catalogue,
        &board.results,
        &board.fine_tuned,
        &board.alignments,
    );
    Ok((selection.matrix, selection.options))
}

/// All analyses: what they ask and how they are computed.
#[utoipa::path(get, path = "/api/v1/analyses", tag = "analyses", responses((status = 200, body = Items)))]
pub async fn list_analyses(fields: Fields) -> Result<Json<Items>, ServiceError> {
    fields.check(&[])?;
    let items = KINDS.iter().map(|k| {
        json!({
            "key": k.slug, "title": k.title, "question": k.question, "definition": k.definition,
            "source": k.source, "options": k.options,
        })
    });
    Ok(Json(Items { items: items.collect() }))
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
        ("format" = Option<String>, Query, description = "`json` (the default), `csv` for the table or `svg` for the pictures."),
        AnalysisQuery,
    ),
    responses((status = 200, body = Object), (status = 400, description = "A parameter is not known, or not with this value; the answer lists the choices", body = Problem, content_type = "application/problem+json"), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
pub async fn get_analysis(
    State(app): State<Virboard>,
    Path(key): Path<String>,
    fields: Fields,
) -> Result<Response, ServiceError> {
    let kind = kind(&key).ok_or(ServiceError::NotFound("There is no such analysis. See /api/v1/analyses."))?;
    let (matrix, options) = scores(&app, &fields, &["format", "x", "ranks", "reference"]).await?;
    // A thousand resampled tables take a while.
    let (answer, protocol, left_out) =
        tokio::task::spawn_blocking(move || ((kind.compute)(&matrix, &options), matrix.protocol, matrix.left_out))
            .await?;
    match fields.get("format").unwrap_or_default() {
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
pub async fn get_standings(State(app): State<Virboard>, fields: Fields) -> Result<Json<Value>, ServiceError> {
    let (matrix, _) = scores(&app, &fields, &[]).await?;
    let standings = tokio::task::spawn_blocking(move || standings(&matrix)).await?;
    Ok(Json(json!({ "coverage": standings.coverage(), "standings": standings })))
}

/// What to take of the leaderboard: the query of its page, the suite and the format.
#[derive(IntoParams)]
#[expect(dead_code, reason = "describes the query; its fields are read one by one")]
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
pub async fn get_leaderboard(State(app): State<Virboard>, fields: Fields) -> Result<Response, ServiceError> {
    let (sheets, catalogue) = (app.sheets().await?, app.catalogue());
    check_view(&fields, &catalogue, &sheets)?;
    let name = fields.get("format").unwrap_or("csv");
    let unknown = |what: &str| ServiceError::Request(format!("There is no such {what}."));
    let format = Format::of(name).ok_or_else(|| unknown("format"))?;
    let suite = fields.get("suite").unwrap_or("paper").to_owned();
    let at = sheets.iter().position(|s| s.suite.key == suite).ok_or_else(|| unknown("suite"))?;
    let view = View::from_query(|key| fields.get(key).map(str::to_owned));
    let made = tokio::task::spawn_blocking(move || file(&sheets[at].extract(&view), format)).await?;
    let bytes = made.map_err(ServiceError::internal)?;
    let attachment = format!("attachment; filename=\"virboard-{suite}.{name}\"");
    Ok(([(header::CONTENT_TYPE, format.media_type().to_owned()), (header::CONTENT_DISPOSITION, attachment)], bytes)
        .into_response())
}

/// Columns by which rows are sorted, beside tasks and categories.
const SORTED_BY: [&str; 5] = ["place", "name", "method", "dataset", "epochs"];

/// Refuses a view that would not be the one that is asked for.
fn check_view(fields: &Fields, catalogue: &Catalogue, sheets: &[Sheet]) -> Result<(), ServiceError> {
    let categories: Vec<&str> = Category::ALL.iter().map(|c| c.slug()).collect();
    let rows = || sheets.iter().flat_map(|s| &s.rows);
    let slugs = |of: fn(&Row) -> String| rows().map(of).collect::<BTreeSet<String>>();
    let (methods, data) = (slugs(|r| r.method.slug().clone()), slugs(|r| r.pretraining.slug().clone()));
    let columns = SORTED_BY.into_iter().chain(categories.iter().copied()).chain(tasks(catalogue));
    fields.check(&[
        ("suite", Choice::One(suites(catalogue))),
        ("format", Choice::One(Format::NAMES.to_vec())),
        ("show", Choice::One(Show::ALL.map(Show::slug).to_vec())),
        ("sort", Choice::Signed(columns.collect())),
        ("method", Choice::One(methods.iter().map(String::as_str).collect())),
        ("dataset", Choice::One(data.iter().map(String::as_str).collect())),
        ("epochs", Choice::Number),
        ("q", Choice::Text),
        ("fold", Choice::Some(categories)),
        ("hide", Choice::Some(tasks(catalogue))),
        ("page", Choice::Number),
    ])
}
