//! Runs over REST: the table as it is seen, one run, and its curve.

use super::api::Items;
use super::problem::Problem;
use super::query::{Choice, Fields};
use crate::service::people::Actor;
use crate::service::{ServiceError, Virboard};
use crate::table::csv;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::IntoParams;
use virboard_core::explorer::{self, Cell, Kind, Line, Listing, Reading, RunRow, Runs, SEEDS, View};

/// Formats of tables.
const FORMATS: [&str; 2] = ["json", "csv"];

/// Which runs, and what of them: the query of the page.
#[derive(IntoParams)]
#[expect(dead_code, reason = "describes the query; its fields are read one by one")]
#[into_params(parameter_in = Query)]
pub struct RunsQuery {
    /// A line of filters, such as `task:Pets state:failed lr<0.01 -encoder:/mini/`.
    q: Option<String>,
    /// Columns to sort by, comma-separated; with a minus the other way round. By default the newest come first.
    sort: Option<String>,
    /// Columns whose values make groups, or `seeds` for all but the seed.
    group: Option<String>,
    /// Columns, comma-separated; `auto` for those in which the runs differ, as the page shows them. By default all.
    columns: Option<String>,
    /// A page of 200 lines, from 1; without it all lines.
    page: Option<u32>,
    /// `json` (the default) or `csv`.
    format: Option<String>,
}

/// All runs, or those that a filter lets through, as the page `/runs` shows them under the same query. Of a group numbers
/// are objects with `mean`, `deviation` and `n`, in CSV three columns.
#[utoipa::path(
    get, path = "/api/v1/runs", tag = "runs", params(RunsQuery),
    responses(
        (status = 200, description = "`items` with the columns by name; `total` runs, `matched` of them by the filter", body = Object),
        (status = 400, description = "The filter or a parameter is not understood; the answer says where", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn list_runs(State(app): State<Virboard>, actor: Actor, fields: Fields) -> Result<Response, ServiceError> {
    let runs = app.explored(&actor).await?;
    check(&fields, &runs)?;
    let mut view = View::from_query(|key| fields.get(key).map(str::to_owned));
    if view.columns.is_empty() && view.group.is_empty() {
        view.columns = vec!["all".to_owned()];
    }
    let paged = fields.get("page").is_some();
    let format = fields.get("format").unwrap_or("json").to_owned();
    tokio::task::spawn_blocking(move || answer(&runs, &view, paged, &format)).await?
}

fn answer(runs: &Runs, view: &View, paged: bool, format: &str) -> Result<Response, ServiceError> {
    let listing = Listing::of(runs, view);
    if let Some(error) = &listing.error {
        return Err(ServiceError::Request(error.to_string()));
    }
    let lines = if paged { listing.page() } else { &listing.lines[..] };
    let grouped = !listing.group.is_empty();
    if format == "csv" {
        let table =
            csv(&heads(&listing.columns, grouped), lines.iter().map(|l| texts(l, &listing.columns, grouped, runs)));
        let attachment = "attachment; filename=\"virboard-runs.csv\"";
        let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, attachment)];
        return Ok((headers, table.map_err(ServiceError::internal)?).into_response());
    }
    let items: Vec<Value> = lines.iter().map(|l| item(l, &listing.columns, grouped, runs)).collect();
    Ok(Json(json!({ "total": listing.total, "matched": listing.matched.len(), "items": items })).into_response())
}

/// Refuses a view that would not be the one that is asked for.
fn check(fields: &Fields, runs: &Runs) -> Result<(), ServiceError> {
    let known = |more: &[&'static str]| -> Vec<String> {
        let named = |list: Option<&str>| -> Vec<String> {
            let names = list.unwrap_or_default().split(',').map(|n| n.trim_start_matches('-'));
            // Other names of columns are as good.
            names.filter(|n| runs.reading(n).is_some()).map(str::to_owned).collect()
        };
        let asked = ["sort", "group", "columns"].into_iter().flat_map(|f| named(fields.get(f)));
        more.iter().map(|m| (*m).to_owned()).chain(runs.names().map(str::to_owned)).chain(asked).collect()
    };
    let (sorts, groups, columns) = (known(&[]), known(&[SEEDS]), known(&["all", "auto"]));
    fields.check(&[
        ("q", Choice::Text),
        ("sort", Choice::Signed(sorts.iter().map(String::as_str).collect())),
        ("group", Choice::Some(groups.iter().map(String::as_str).collect())),
        ("columns", Choice::Some(columns.iter().map(String::as_str).collect())),
        ("page", Choice::Number),
        ("format", Choice::One(FORMATS.to_vec())),
    ])
}

/// Whether the mean of a group is told in this column.
const fn is_averaged(column: &Reading) -> bool {
    matches!(column.kind(), Kind::Number | Kind::Seconds | Kind::Score)
}

fn heads(columns: &[Reading], grouped: bool) -> Vec<String> {
    let mut heads: Vec<String> = Vec::new();
    if grouped {
        heads.push("runs".to_owned());
    }
    for column in columns {
        heads.push(column.name().to_owned());
        if grouped && is_averaged(column) {
            heads.extend(["deviation", "n"].map(|part| format!("{}_{part}", column.name())));
        }
    }
    heads
}

fn texts(line: &Line, columns: &[Reading], grouped: bool, runs: &Runs) -> Vec<String> {
    let mut cells: Vec<String> = Vec::new();
    if grouped {
        cells.push(line.runs.len().to_string());
    }
    for column in columns {
        let cell = line.cell(column, runs);
        let (text, deviation, n) = match &cell {
            Cell::One(value) => (value.plain(), None, None),
            Cell::Mean { mean, deviation, n } => (mean.to_string(), *deviation, Some(*n)),
            Cell::Several(n) => (format!("{n} different"), None, None),
        };
        cells.push(text);
        if grouped && is_averaged(column) {
            cells.push(deviation.map_or_else(String::new, |d| d.to_string()));
            cells.push(n.map_or_else(String::new, |n| n.to_string()));
        }
    }
    cells
}

fn item(line: &Line, columns: &[Reading], grouped: bool, runs: &Runs) -> Value {
    let mut item = Map::new();
    if grouped {
        item.insert("runs".to_owned(), json!(line.rows(runs).map(|r| r.id).collect::<Vec<_>>()));
    }
    for column in columns {
        let value = match line.cell(column, runs) {
            Cell::One(value) => plain(&value),
            Cell::Mean { mean, deviation, n } => json!({ "mean": mean, "deviation": deviation, "n": n }),
            Cell::Several(n) => json!({ "different": n }),
        };
        item.insert(column.name().to_owned(), value);
    }
    Value::Object(item)
}

/// A value; whole numbers without a point.
fn plain(value: &explorer::Value<'_>) -> Value {
    match value {
        explorer::Value::Text(text) => json!(text),
        explorer::Value::Number(n) if n.fract() == 0.0 && n.abs() < 9e15 => json!(*n as i64),
        explorer::Value::Number(n) => json!(n),
        explorer::Value::Nothing => Value::Null,
    }
}

/// The number in an address, and the run with it.
fn run<'a>(runs: &'a Runs, id: &str) -> Result<&'a RunRow, ServiceError> {
    let found = id.parse().ok().and_then(|id| runs.get(id));
    found.ok_or(ServiceError::NotFound("There is no run with this number. See /api/v1/runs."))
}

/// One run: how it stands and why, its settings, and all its scores with their evidence.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}", tag = "runs", params(("id" = String, Path, description = "Its number.")),
    responses((status = 200, body = Object), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
pub async fn get_run(
    State(app): State<Virboard>,
    actor: Actor,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Json<Value>, ServiceError> {
    fields.check(&[])?;
    let runs = app.explored(&actor).await?;
    let run = run(&runs, &id)?;
    let mut item = json!(run);
    item["settings"] = run.settings.iter().map(|(name, _)| (name.clone(), plain(&run.setting(name)))).collect();
    let scores = app.scores_of(run.id).await?.into_iter().map(|(score, replaced)| {
        let mut score = json!(score);
        score["replaced"] = json!(replaced);
        score
    });
    item["scores"] = scores.collect();
    Ok(Json(item))
}

/// The epochs of a run: training loss, and the metric where it was computed.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/epochs", tag = "runs",
    params(
        ("id" = String, Path, description = "Number of the run."),
        ("format" = Option<String>, Query, description = "`json` (the default) or `csv`."),
    ),
    responses((status = 200, body = Items), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
pub async fn get_epochs(
    State(app): State<Virboard>,
    actor: Actor,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, ServiceError> {
    fields.check(&[("format", Choice::One(FORMATS.to_vec()))])?;
    let runs = app.explored(&actor).await?;
    let epochs = app.epochs_of(run(&runs, &id)?.id).await?;
    if fields.get("format") != Some("csv") {
        return Ok(Json(Items { items: epochs.iter().map(|e| json!(e)).collect() }).into_response());
    }
    let heads = ["epoch", "train_loss", "test_metric"].map(str::to_owned);
    let rows = epochs.iter().map(|e| {
        let metric = e.test_metric.map_or_else(String::new, |m| m.to_string());
        vec![e.epoch.to_string(), e.train_loss.to_string(), metric]
    });
    let table = csv(&heads, rows).map_err(ServiceError::internal)?;
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], table).into_response())
}
