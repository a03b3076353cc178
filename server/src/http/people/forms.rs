//! Pages about a person, and their forms, which work without WebAssembly.

use super::{Door, SMALL};
use crate::http::browser::back;
use crate::http::problem::Problem;
use crate::http::{AppState, pages};
use crate::service::people::{Actor, NewToken, NewUser, Secret};
use crate::service::{ServiceError, Virboard};
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Form, FromRequest, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use std::collections::HashMap;
use std::sync::Arc;
use virboard_app::content::Said;
use virboard_core::people::Role;

/// The routes.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/sign-in", get(page).post(sign_in))
        .route("/sign-out", post(sign_out))
        .route("/account", get(signed_in_page).post(change))
        .route("/first-admin", get(page).post(first_admin))
        .layer(DefaultBodyLimit::max(SMALL))
}

/// What a form holds.
pub type Fields = HashMap<String, String>;

/// A field of a form; empty where there is none.
pub fn field<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).map_or("", String::as_str)
}

/// A form, and the request that it came with.
pub async fn read(request: Request) -> Result<(Parts, Fields), Response> {
    let (parts, body) = request.into_parts();
    let rebuilt = Request::from_parts(parts.clone(), body);
    let Form(fields) = Form::<Fields>::from_request(rebuilt, &()).await.map_err(IntoResponse::into_response)?;
    Ok((parts, fields))
}

/// The page at an address for whoever has sent a request, with what came of it.
async fn shown(state: AppState, parts: &Parts, address: &str, said: Said) -> Response {
    let Ok(mut request) = Request::get(address).body(Body::empty()) else {
        return Problem::internal().into_response();
    };
    request.headers_mut().clone_from(&parts.headers);
    for of_the_form in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        request.headers_mut().remove(of_the_form);
    }
    request.extensions_mut().extend(parts.extensions.clone());
    request.extensions_mut().insert(said);
    page(State(state), request).await
}

/// The page again, with the reason why the form was refused.
pub async fn refused(state: AppState, parts: &Parts, address: &str, error: ServiceError) -> Response {
    // What has no page, or is ours to mend.
    if matches!(error, ServiceError::Internal(_)) {
        return error.into_response();
    }
    let mut response = shown(state, parts, address, Said::Refused(error.to_string())).await;
    let problem = error.into_response();
    *response.status_mut() = problem.status();
    if let Some(seconds) = problem.headers().get(header::RETRY_AFTER) {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.clone());
    }
    response
}

/// A page about a person, which is kept nowhere.
pub async fn page(State(state): State<AppState>, request: Request) -> Response {
    let (context, shell) = (state.clone(), state.clone());
    let handler = leptos_axum::render_app_async_with_context(
        move || pages::provide(&context),
        move || virboard_app::shell(&shell.assets),
    );
    let mut response = handler(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A page for whoever has signed in, or the way there.
pub async fn signed_in_page(State(state): State<AppState>, actor: Actor, uri: Uri, request: Request) -> Response {
    if actor.role().is_none() {
        return Redirect::to(&format!("/sign-in?back={}", uri.path())).into_response();
    }
    page(State(state), request).await
}

fn signed_in(door: &Door, secret: &Secret, to: &str) -> Response {
    (door.set_cookie(Some(secret)), Redirect::to(to)).into_response()
}

async fn sign_in(State(state): State<AppState>, actor: Actor, request: Request) -> Response {
    let (parts, fields) = match read(request).await {
        Ok(read) => read,
        Err(response) => return response,
    };
    let to = match back(field(&fields, "back")) {
        "/" => "/account",
        to if to.starts_with("/sign-") || to.starts_with("/first-") => "/account",
        to => to,
    };
    let password = field(&fields, "password").to_owned();
    match state.app.people().sign_in(&actor, field(&fields, "name"), password).await {
        Ok(secret) => signed_in(&state.door, &secret, to),
        Err(error) => refused(state, &parts, "/sign-in", error).await,
    }
}

async fn sign_out(State(app): State<Virboard>, State(door): State<Arc<Door>>, actor: Actor) -> Response {
    match app.people().sign_out(&actor).await {
        Ok(()) => (door.set_cookie(None), Redirect::to("/")).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn first_admin(State(state): State<AppState>, actor: Actor, request: Request) -> Response {
    let (parts, fields) = match read(request).await {
        Ok(read) => read,
        Err(response) => return response,
    };
    let link = field(&fields, "link");
    let (name, password) = (field(&fields, "name"), field(&fields, "password").to_owned());
    match state.app.people().first_admin(&actor, link, name, password).await {
        Ok(secret) => signed_in(&state.door, &secret, "/account"),
        Err(error) => {
            let is_ours = link.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
            let address = if is_ours { format!("/first-admin?link={link}") } else { "/first-admin".to_owned() };
            refused(state, &parts, &address, error).await
        }
    }
}

/// What came of a change.
enum Changed {
    /// It is done.
    Done,
    /// One has another session.
    Session(Secret),
    /// A token is to be shown.
    Token(Secret),
}

async fn change(State(state): State<AppState>, actor: Actor, request: Request) -> Response {
    let (parts, fields) = match read(request).await {
        Ok(read) => read,
        Err(response) => return response,
    };
    let what = field(&fields, "do");
    let to = format!("/account?done={what}");
    match done(&state, &actor, what, &fields).await {
        Ok(Changed::Done) => Redirect::to(&to).into_response(),
        Ok(Changed::Session(secret)) => signed_in(&state.door, &secret, &to),
        Ok(Changed::Token(secret)) => shown(state, &parts, "/account", Said::Token(secret.text().to_owned())).await,
        Err(error) => refused(state, &parts, "/account", error).await,
    }
}

/// Does what a form of the account asks for.
async fn done(state: &AppState, actor: &Actor, what: &str, fields: &Fields) -> Result<Changed, ServiceError> {
    let people = state.app.people();
    let of = |name: &str| field(fields, name);
    let role = || {
        let written = of("role");
        Role::of(written).ok_or_else(|| ServiceError::Request(format!("There is no role “{written}”.")))
    };
    match what {
        "password" => {
            let (present, new) = (of("present").to_owned(), of("password").to_owned());
            return Ok(Changed::Session(people.change_password(actor, present, new).await?));
        }
        "token" => {
            let days = Some(of("days")).filter(|d| !d.is_empty()).map(str::parse).transpose();
            let days = days.map_err(|_| ServiceError::Request("Days are a whole number, or empty.".to_owned()))?;
            let new = NewToken { label: of("label").to_owned(), role: role()?, days };
            return Ok(Changed::Token(people.add_token(actor, new).await?));
        }
        "revoke" => people.revoke(actor, of("prefix")).await?,
        "user" => {
            let password = Some(of("password").to_owned());
            let new = NewUser { name: of("name").to_owned(), role: role()?, password };
            people.add_user(actor, new).await?;
        }
        "role" => people.change_role(actor, of("name"), role()?).await?,
        "reset" => people.reset_password(actor, of("name"), of("password").to_owned()).await?,
        "disable" | "enable" => people.disable(actor, of("name"), what == "disable").await?,
        _ => return Err(ServiceError::Request("The form asks for nothing that this page does.".to_owned())),
    }
    Ok(Changed::Done)
}
