//! The queue over REST: jobs, workers, new evaluations, and what happens, as it happens.

use super::AppState;
use super::api::Items;
use super::connections::Closing;
use super::people::SMALL;
use super::problem::Problem;
use crate::service::people::Actor;
use crate::service::{ServiceError, Virboard};
use crate::store::Event;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::stream::{self, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use virboard_core::queue::Grid;

/// Time between two looks at what has happened.
const LOOK: Duration = Duration::from_secs(1);
/// Looks between two checks that who listens still may: a revoked session hears no more after a minute.
const RECHECK: u32 = 60;
/// Silence after which a listener is told that there is nothing; connections that say nothing for longer are ended.
const ALIVE: Duration = Duration::from_secs(5);
/// Most events that are read at once.
const AT_ONCE: u32 = 500;

/// The routes. Their answers are kept nowhere.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_jobs, launch))
        .routes(routes!(plan))
        .routes(routes!(get_job))
        .routes(routes!(cancel))
        .routes(routes!(retry))
        .routes(routes!(list_workers))
        .routes(routes!(drain))
        .routes(routes!(listen))
        .layer(DefaultBodyLimit::max(SMALL))
        .layer(SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

/// All jobs: those that run, those that wait in the order in which they are done, and those that have ended.
#[utoipa::path(
    get, path = "/api/v1/jobs", tag = "jobs",
    responses((status = 200, body = Items), (status = 401, body = Problem, content_type = "application/problem+json"))
)]
pub async fn list_jobs(State(app): State<Virboard>, actor: Actor) -> Result<Json<Items>, ServiceError> {
    Ok(Json(Items { items: app.jobs(&actor).await?.iter().map(|job| json!(job)).collect() }))
}

fn read(body: Result<Json<Value>, axum::extract::rejection::JsonRejection>) -> Result<Grid, ServiceError> {
    let Json(value) = body.map_err(|e| ServiceError::Request(e.body_text()))?;
    serde_json::from_value(value).map_err(|e| ServiceError::Request(format!("This asks for no evaluations: {e}.")))
}

/// Put evaluations into the queue: every encoder on every task with every seed. What waits or runs already stays as it is.
#[utoipa::path(
    post, path = "/api/v1/jobs", tag = "jobs", request_body(content = Object, description = "`encoders` and `tasks` (keys), `seeds`, `probes`, `priority`, `again`"),
    responses(
        (status = 202, description = "The plan, whose `jobs` wait", body = Object),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn launch(
    State(app): State<Virboard>,
    actor: Actor,
    body: Result<Json<Value>, axum::extract::rejection::JsonRejection>,
) -> Result<Response, ServiceError> {
    actor.needs(virboard_core::people::Role::Member)?;
    let plan = app.launch_grid(&actor, &read(body)?).await?;
    Ok((StatusCode::ACCEPTED, Json(json!(plan))).into_response())
}

/// What evaluations would be: jobs, missing data, seconds and bytes. Nothing is begun.
#[utoipa::path(
    post, path = "/api/v1/plans", tag = "jobs", request_body(content = Object, description = "As for `POST /api/v1/jobs`"),
    responses((status = 200, body = Object), (status = 400, body = Problem, content_type = "application/problem+json"))
)]
pub async fn plan(
    State(app): State<Virboard>,
    actor: Actor,
    body: Result<Json<Value>, axum::extract::rejection::JsonRejection>,
) -> Result<Json<Value>, ServiceError> {
    actor.needs(virboard_core::people::Role::Member)?;
    Ok(Json(json!(app.plan_grid(&actor, &read(body)?).await?)))
}

/// A job, and what has happened to it.
#[utoipa::path(
    get, path = "/api/v1/jobs/{name}", tag = "jobs", params(("name" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
pub async fn get_job(
    State(app): State<Virboard>,
    actor: Actor,
    Path(name): Path<String>,
) -> Result<Json<Value>, ServiceError> {
    let (job, events) = app.job(&actor, &name).await?;
    let mut item = json!(job);
    item["events"] = events.iter().map(told).collect();
    Ok(Json(item))
}

/// Take back a job that waits, or ask that a running one stops.
#[utoipa::path(
    post, path = "/api/v1/jobs/{name}/cancel", tag = "jobs", params(("name" = String, Path)),
    responses(
        (status = 202, description = "A running one stops a little later"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has ended", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn cancel(
    State(app): State<Virboard>,
    actor: Actor,
    Path(name): Path<String>,
) -> Result<StatusCode, ServiceError> {
    app.cancel_job(&actor, &name).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Let a job wait again that failed or was cancelled.
#[utoipa::path(
    post, path = "/api/v1/jobs/{name}/retry", tag = "jobs", params(("name" = String, Path)),
    responses(
        (status = 202, description = "It waits"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has not failed", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn retry(
    State(app): State<Virboard>,
    actor: Actor,
    Path(name): Path<String>,
) -> Result<StatusCode, ServiceError> {
    app.retry_job(&actor, &name).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Who does jobs, and what each has.
#[utoipa::path(
    get, path = "/api/v1/workers", tag = "jobs",
    responses((status = 200, body = Items), (status = 401, body = Problem, content_type = "application/problem+json"))
)]
pub async fn list_workers(State(app): State<Virboard>, actor: Actor) -> Result<Json<Items>, ServiceError> {
    Ok(Json(Items { items: app.workers(&actor).await?.iter().map(|worker| json!(worker)).collect() }))
}

/// Whether a worker is drained.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Draining {
    /// `true`, the default, lets it finish what it has and take nothing more; `false` takes that back.
    #[serde(default = "yes")]
    on: bool,
}

const fn yes() -> bool {
    true
}

/// Let a worker finish what it has and take nothing more, or take that back.
#[utoipa::path(
    post, path = "/api/v1/workers/{name}/drain", tag = "jobs", params(("name" = String, Path), Draining),
    responses((status = 204), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
pub async fn drain(
    State(app): State<Virboard>,
    actor: Actor,
    Path(name): Path<String>,
    Query(Draining { on }): Query<Draining>,
) -> Result<StatusCode, ServiceError> {
    app.drain_worker(&actor, &name, on).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// From where a listener wants to hear.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct From {
    /// Number of the last event that is known; by default what happens from now on. The header `Last-Event-ID`, which
    /// browsers send when they connect again, goes before it.
    after: Option<i64>,
    /// Of several events that are known at once only the newest is told: enough to know that something has happened.
    #[serde(default)]
    newest: bool,
}

/// What happens to jobs, as it happens: server-sent events with a number each, from which a listener goes on.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "jobs", params(From),
    responses((status = 200, content_type = "text/event-stream"), (status = 401, body = Problem, content_type = "application/problem+json"))
)]
pub async fn listen(
    State(app): State<Virboard>,
    actor: Actor,
    Query(From { after, newest }): Query<From>,
    closing: Option<Extension<Closing>>,
    headers: HeaderMap,
) -> Result<Response, ServiceError> {
    let known = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let after = match known.or(after) {
        Some(after) => after,
        None => app.last_event(&actor).await?,
    };
    // The first look also refuses whoever may not listen.
    let first = app.events(&actor, after, AT_ONCE).await?;
    let listener = Listener { app, actor, after, waiting: VecDeque::new(), looks: 0, newest }.with(first);
    let events = stream::unfold(listener, Listener::next).take_until(async move {
        match closing {
            Some(Extension(closing)) => closing.wait().await,
            None => std::future::pending().await,
        }
    });
    let keep = KeepAlive::new().interval(ALIVE);
    let headers = [(header::HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((headers, Sse::new(events).keep_alive(keep)).into_response())
}

struct Listener {
    app: Virboard,
    actor: Actor,
    after: i64,
    waiting: VecDeque<Event>,
    looks: u32,
    newest: bool,
}

impl Listener {
    /// With events to be told.
    fn with(mut self, events: Vec<Event>) -> Self {
        let skipped = if self.newest { events.len().saturating_sub(1) } else { 0 };
        self.waiting = events.into_iter().skip(skipped).collect();
        self
    }

    /// The next event, once there is one; nothing where who listens may no longer.
    async fn next(mut self) -> Option<(Result<sse::Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.after = event.id;
                let data = told(&event).to_string();
                let sent = sse::Event::default().id(event.id.to_string()).data(data);
                return Some((Ok(sent), self));
            }
            tokio::time::sleep(LOOK).await;
            self.looks += 1;
            if self.looks.is_multiple_of(RECHECK) {
                self.actor = self.app.people().again(&self.actor).await.ok()?;
            }
            let events = self.app.events(&self.actor, self.after, AT_ONCE).await.ok()?;
            self = self.with(events);
        }
    }
}

/// An event as it is told: what belongs to its kind stands beside the rest.
fn told(event: &Event) -> Value {
    let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
    json!({ "id": event.id, "at": event.at, "job": event.job, "attempt": event.attempt, "kind": event.kind, "data": data })
}
