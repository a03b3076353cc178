//! The pages of the queue and their forms, which work without WebAssembly.

use super::AppState;
use super::people::SMALL;
use super::people::forms::{field, read, refused, signed_in_page};
use crate::service::ServiceError;
use crate::service::people::Actor;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use virboard_app::content::{Address, queue};

/// The routes.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/queue", get(signed_in_page).post(change))
        .route("/launch", get(signed_in_page).post(launch))
        .layer(DefaultBodyLimit::max(SMALL))
}

/// Does what a form of the queue asks for.
async fn change(State(state): State<AppState>, actor: Actor, request: Request) -> Response {
    let (parts, fields) = match read(request).await {
        Ok(read) => read,
        Err(response) => return response,
    };
    let (what, name) = (field(&fields, "do"), field(&fields, "name"));
    let app = &state.app;
    let done = match what {
        "cancel" => app.cancel_job(&actor, name).await,
        "retry" => app.retry_job(&actor, name).await,
        "drain" | "resume" => app.drain_worker(&actor, name, what == "drain").await,
        _ => Err(ServiceError::Request("The form asks for nothing that this page does.".to_owned())),
    };
    match done {
        Ok(()) => Redirect::to(&format!("/queue?done={what}")).into_response(),
        Err(error) => refused(state, &parts, "/queue", error).await,
    }
}

/// Puts the evaluations of a plan into the queue.
async fn launch(State(state): State<AppState>, actor: Actor, request: Request) -> Response {
    let (parts, fields) = match read(request).await {
        Ok(read) => read,
        Err(response) => return response,
    };
    match state.app.launch_grid(&actor, &queue::grid(&Address::of("/launch", fields.into_iter()))).await {
        Ok(_) => Redirect::to("/queue?done=launch").into_response(),
        Err(error) => refused(state, &parts, "/launch", error).await,
    }
}
