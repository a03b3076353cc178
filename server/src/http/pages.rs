//! Pages: what Leptos needs around it.

use super::AppState;
use super::browser::{back, cookie};
use super::problem::Problem;
use crate::service::backend::Visit;
use crate::service::people::{Actor, Origin};
use axum::Form;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use leptos::prelude::*;
use serde::Deserialize;
use std::sync::Arc;
use virboard_app::api::{Backend, Missing, Version};
use virboard_app::content::Said;
use virboard_app::theme::Theme;

/// What pages and server functions find in their context.
pub fn provide(state: &AppState) {
    provide_context(Version(crate::VERSION));
    if let Some(parts) = use_context::<axum::http::request::Parts>() {
        provide_context(theme_of(&parts.headers));
        let actor = parts.extensions.get::<Actor>().cloned().unwrap_or_else(|| Actor::nobody(Origin::default()));
        provide_context(actor.person());
        let said = parts.extensions.get::<Said>().cloned();
        provide_context::<Arc<dyn Backend>>(Arc::new(Visit { app: state.app.clone(), actor, said }));
    }
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        provide_context(Missing(Arc::new(move || response.set_status(StatusCode::NOT_FOUND))));
    }
    // Only our own files and the one inline script with this page's nonce may run.
    if let (Some(nonce), Some(response)) = (leptos::nonce::use_nonce(), use_context::<leptos_axum::ResponseOptions>()) {
        let policy = format!(
            "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; \
             img-src 'self' blob: data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'"
        );
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
        }
    }
}

/// Runs a server function.
pub async fn server_function(State(state): State<AppState>, request: Request<Body>) -> impl IntoResponse {
    leptos_axum::handle_server_fns_with_context(move || provide(&state), request).await
}

/// An address of the programs' interface at which nothing is.
pub async fn no_interface() -> Problem {
    Problem::new("not-found", 404, "Not found", "There is nothing at this address. See /api/openapi.json.")
}

/// Everything else: the page that says so.
pub async fn not_found(State(state): State<AppState>, request: Request<Body>) -> Response {
    let (context, shell) = (state.clone(), state.clone());
    let handler = leptos_axum::render_app_to_stream_with_context(
        move || provide(&context),
        move || virboard_app::shell(&shell.assets),
    );
    let mut response = handler(request).await.into_response();
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// The wish of a theme.
#[derive(Debug, Deserialize)]
pub struct Wish {
    to: Theme,
    #[serde(default)]
    back: String,
}

/// Remembers a theme in a cookie and goes back to the page.
pub async fn theme(Form(wish): Form<Wish>) -> Response {
    let remembered = format!("theme={}; Path=/; Max-Age=31536000; SameSite=Lax", wish.to.name());
    ([(header::SET_COOKIE, remembered)], Redirect::to(back(&wish.back))).into_response()
}

fn theme_of(headers: &HeaderMap) -> Theme {
    cookie(headers, "theme").and_then(Theme::parse).unwrap_or_default()
}
