//! People over REST: the session, who one is, tokens, users, the audit.

use super::{Door, SMALL};
use crate::http::AppState;
use crate::http::api::Items;
use crate::http::problem::Problem;
use crate::service::people::{Actor, NewToken, NewUser};
use crate::service::{ServiceError, Virboard};
use axum::Json;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use virboard_core::people::Role;

/// Changes that the audit shows.
const SHOWN: u32 = 500;

/// The routes. Their answers are kept nowhere.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create_session, delete_session))
        .routes(routes!(get_me, change_me))
        .routes(routes!(list_tokens, create_token))
        .routes(routes!(revoke_token))
        .routes(routes!(list_users, create_user))
        .routes(routes!(change_user))
        .routes(routes!(list_audit))
        .layer(DefaultBodyLimit::max(SMALL))
        .layer(SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

/// A name and a password.
#[derive(Deserialize, ToSchema)]
pub struct SignIn {
    /// Name of a user.
    name: String,
    /// Their password.
    password: String,
}

/// A new password for oneself.
#[derive(Deserialize, ToSchema)]
pub struct OwnChange {
    /// The present password.
    present: String,
    /// The new one, of 12 to 128 characters.
    password: String,
}

/// A token to make.
#[derive(Deserialize, ToSchema)]
pub struct TokenToMake {
    /// What it is for.
    name: String,
    /// The most that it may do: `viewer`, `member` or `admin`; by default as much as oneself.
    #[schema(value_type = Option<String>)]
    role: Option<Role>,
    /// Days that it is good for; without end, if left out.
    days: Option<u32>,
}

/// A token that was made.
#[derive(Serialize, ToSchema)]
pub struct TokenMade {
    /// The secret, which is shown this once. Send it as `Authorization: Bearer …`.
    token: String,
    /// How it begins, by which it is revoked.
    prefix: String,
}

/// A user to add.
#[derive(Deserialize, ToSchema)]
pub struct UserToAdd {
    /// Letters a to z, digits and `._@-`.
    name: String,
    /// `viewer`, `member` or `admin`.
    #[schema(value_type = String)]
    role: Role,
    /// Of 12 to 128 characters; without one, the user has tokens alone.
    password: Option<String>,
}

/// What is to be another of a user; what is left out stays.
#[derive(Deserialize, ToSchema)]
pub struct UserChange {
    /// `viewer`, `member` or `admin`.
    #[schema(value_type = Option<String>)]
    role: Option<Role>,
    /// Whether the user is kept out.
    disabled: Option<bool>,
    /// A new password.
    password: Option<String>,
}

fn items<T: Serialize>(all: &[T], key: &str) -> Json<Items> {
    let item = |one: &T| {
        let mut item = json!(one);
        item["key"] = item.get(key).cloned().unwrap_or(Value::Null);
        item
    };
    Json(Items { items: all.iter().map(item).collect() })
}

/// Sign in: begins a session, in a cookie. Five tries a minute for a name.
#[utoipa::path(
    post, path = "/api/v1/session", tag = "people", request_body = SignIn,
    responses(
        (status = 204, description = "Signed in; the cookie is set"),
        (status = 401, description = "The name or the password is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many tries; try again after `Retry-After` seconds", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn create_session(
    State(app): State<Virboard>,
    State(door): State<Arc<Door>>,
    actor: Actor,
    Json(asked): Json<SignIn>,
) -> Result<Response, ServiceError> {
    let secret = app.people().sign_in(&actor, &asked.name, asked.password).await?;
    Ok((StatusCode::NO_CONTENT, door.set_cookie(Some(&secret))).into_response())
}

/// Sign out: ends the session.
#[utoipa::path(delete, path = "/api/v1/session", tag = "people", responses((status = 204, description = "Signed out")))]
pub async fn delete_session(
    State(app): State<Virboard>,
    State(door): State<Arc<Door>>,
    actor: Actor,
) -> Result<Response, ServiceError> {
    app.people().sign_out(&actor).await?;
    Ok((StatusCode::NO_CONTENT, door.set_cookie(None)).into_response())
}

/// Who one is: name and role.
#[utoipa::path(get, path = "/api/v1/me", tag = "people", responses(
    (status = 200, body = Object), (status = 401, body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_me(actor: Actor) -> Result<Response, ServiceError> {
    actor.needs(Role::Viewer)?;
    Ok(Json(actor.person()).into_response())
}

/// Change one's own password. All other sessions end.
#[utoipa::path(patch, path = "/api/v1/me", tag = "people", request_body = OwnChange, responses(
    (status = 204, description = "Changed; the cookie is another"),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub async fn change_me(
    State(app): State<Virboard>,
    State(door): State<Arc<Door>>,
    actor: Actor,
    Json(asked): Json<OwnChange>,
) -> Result<Response, ServiceError> {
    let secret = app.people().change_password(&actor, asked.present, asked.password).await?;
    Ok((StatusCode::NO_CONTENT, door.set_cookie(Some(&secret))).into_response())
}

/// One's own tokens, without their secrets; for admins all.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "people", responses((status = 200, body = Items)))]
pub async fn list_tokens(State(app): State<Virboard>, actor: Actor) -> Result<Json<Items>, ServiceError> {
    let all = match actor.role() {
        Some(Role::Admin) => app.people().all_tokens(&actor).await?,
        _ => app.people().tokens(&actor).await?,
    };
    Ok(items(&all, "prefix"))
}

/// Make a token of one's own, up to one's own role.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "people", request_body = TokenToMake, responses(
    (status = 201, body = TokenMade), (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub async fn create_token(
    State(app): State<Virboard>,
    actor: Actor,
    Json(asked): Json<TokenToMake>,
) -> Result<Response, ServiceError> {
    let role = asked.role.or(actor.role()).unwrap_or(Role::Viewer);
    let secret = app.people().add_token(&actor, NewToken { label: asked.name, role, days: asked.days }).await?;
    let made = TokenMade { token: secret.text().to_owned(), prefix: secret.prefix().to_owned() };
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// Revoke a token of one's own by how it begins; for admins anybody's.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{prefix}", tag = "people", params(("prefix" = String, Path)),
    responses((status = 204, description = "Revoked"), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
pub async fn revoke_token(
    State(app): State<Virboard>,
    actor: Actor,
    Path(prefix): Path<String>,
) -> Result<StatusCode, ServiceError> {
    app.people().revoke(&actor, &prefix).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All users, for admins.
#[utoipa::path(get, path = "/api/v1/users", tag = "people", responses((status = 200, body = Items)))]
pub async fn list_users(State(app): State<Virboard>, actor: Actor) -> Result<Json<Items>, ServiceError> {
    Ok(items(&app.people().users(&actor).await?, "name"))
}

/// Add a user, as an admin.
#[utoipa::path(post, path = "/api/v1/users", tag = "people", request_body = UserToAdd, responses(
    (status = 201, body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub async fn create_user(
    State(app): State<Virboard>,
    actor: Actor,
    Json(asked): Json<UserToAdd>,
) -> Result<Response, ServiceError> {
    let new = NewUser { name: asked.name, role: asked.role, password: asked.password };
    Ok((StatusCode::CREATED, Json(app.people().add_user(&actor, new).await?)).into_response())
}

/// Change the role of a user, keep them out or let them in, or set their password, as an admin. Their sessions end.
#[utoipa::path(
    patch, path = "/api/v1/users/{name}", tag = "people", params(("name" = String, Path)), request_body = UserChange,
    responses((status = 204, description = "Changed"), (status = "4XX", body = Problem, content_type = "application/problem+json"))
)]
pub async fn change_user(
    State(app): State<Virboard>,
    actor: Actor,
    Path(name): Path<String>,
    Json(asked): Json<UserChange>,
) -> Result<StatusCode, ServiceError> {
    let people = app.people();
    actor.needs(Role::Admin)?;
    if let Some(password) = asked.password {
        people.reset_password(&actor, &name, password).await?;
    }
    if let Some(role) = asked.role {
        people.change_role(&actor, &name, role).await?;
    }
    if let Some(disabled) = asked.disabled {
        people.disable(&actor, &name, disabled).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The latest changes and who made them, for admins.
#[utoipa::path(get, path = "/api/v1/audit", tag = "people", responses((status = 200, body = Items)))]
pub async fn list_audit(State(app): State<Virboard>, actor: Actor) -> Result<Json<Items>, ServiceError> {
    let all = app.people().audit(&actor, SHOWN).await?;
    Ok(items(&all, "id"))
}
