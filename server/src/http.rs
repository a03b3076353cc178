//! The web side: router, middleware, uploads, REST and pages.

pub mod analyses;
pub mod api;
pub mod browser;
pub mod connections;
pub mod jobs;
pub mod middleware;
pub mod pages;
pub mod people;
pub mod problem;
pub mod query;
pub mod queue;
pub mod runs;
pub mod upload;

use crate::service::Virboard;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use axum::{Json, Router};
use leptos::config::LeptosOptions;
use leptos_axum::{LeptosRoutes, generate_route_list};
use people::Door;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::services::ServeDir;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use virboard_app::assets::Assets;

/// Bytes of a whole request. Larger photos than allowed are read up to here, so that whoever
/// sends one gets to see the answer instead of a broken connection.
const MAX_REQUEST: usize = 3 * crate::service::predictions::MAX_BYTES;
/// Longest time for an answer.
const TIMEOUT: Duration = Duration::from_secs(90);

/// What handlers share.
#[derive(Clone, FromRef)]
pub struct AppState {
    /// The use cases.
    pub app: Virboard,
    /// Leptos' settings.
    pub options: LeptosOptions,
    /// Addresses of the browser's files.
    pub assets: Arc<Assets>,
    /// How the server is reached.
    pub door: Arc<Door>,
}

/// The REST interface's description.
#[derive(OpenApi)]
#[openapi(info(
    title = "Virboard",
    description = "Which frozen image encoder should you use? Predictions, encoders, tasks and results. Errors are RFC 9457 problem documents."
))]
struct Description;

/// The REST routes with their description.
fn rest() -> (Router<AppState>, utoipa::openapi::OpenApi) {
    let mut description = Description::openapi();
    crate::VERSION.clone_into(&mut description.info.version);
    OpenApiRouter::<AppState>::with_openapi(description)
        .routes(routes!(api::create_predictions))
        .routes(routes!(api::list_encoders))
        .routes(routes!(api::list_tasks))
        .routes(routes!(api::list_results))
        .routes(routes!(analyses::list_analyses))
        .routes(routes!(analyses::get_analysis))
        .routes(routes!(analyses::get_standings))
        .routes(routes!(analyses::get_leaderboard))
        .routes(routes!(runs::list_runs))
        .routes(routes!(runs::get_run))
        .routes(routes!(runs::get_epochs))
        .routes(routes!(api::get_photo))
        .routes(routes!(api::get_picture))
        .merge(jobs::routes())
        .merge(people::rest::routes())
        .split_for_parts()
}

/// The whole server on its own machine. `site` holds the browser's files, `public` the static ones.
pub fn router(app: Virboard, site: &std::path::Path, public: PathBuf) -> Router {
    router_behind(app, site, public, Door::default())
}

/// The whole server, reached as the door says.
pub fn router_behind(app: Virboard, site: &std::path::Path, public: PathBuf, door: Door) -> Router {
    let options = LeptosOptions::builder().output_name("virboard").build();
    let assets = Arc::new(Assets::find(site));
    let door = Arc::new(door);
    let identify = axum::middleware::from_fn_with_state((app.clone(), door.clone()), people::identify);
    let csrf = door.csrf();
    let state = AppState { app, options, assets, door };
    let (rest, openapi) = rest();
    let routes = generate_route_list(virboard_app::App);
    let context_state = state.clone();
    let shell_state = state.clone();
    let pages = Router::new().leptos_routes_with_context(
        &state,
        routes,
        move || pages::provide(&context_state),
        move || virboard_app::shell(&shell_state.assets),
    );
    // Pictures are compressed already.
    let compressible = SizeAbove::new(512)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::new("application/wasm"))
        .and(NotForContentType::SSE);
    Router::new()
        .merge(rest)
        .route("/api/openapi.json", get(move || async move { Json(openapi) }))
        .route("/api/{*path}", any(pages::no_interface))
        .route("/rpc/{*name}", post(pages::server_function))
        .merge(pages)
        .merge(people::forms::routes())
        .merge(queue::routes())
        .route("/try", post(upload::form))
        .route("/theme", post(pages::theme))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(api::metrics))
        .nest_service(
            "/pkg",
            middleware::immutable(ServeDir::new(site.join("pkg")).precompressed_br().precompressed_gzip()),
        )
        .nest_service("/samples", ServeDir::new(public.join("samples")))
        .nest_service("/icons", ServeDir::new(public.join("icons")))
        .fallback(pages::not_found)
        .with_state(state)
        .layer(CompressionLayer::new().quality(tower_http::CompressionLevel::Fastest).compress_when(compressible))
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(MAX_REQUEST))
        .layer(identify)
        .layer(csrf)
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, TIMEOUT))
        .layer(axum::middleware::from_fn(middleware::explain))
        .layer(axum::middleware::from_fn(middleware::security_headers))
        .layer(axum::middleware::from_fn(middleware::measure))
        .layer(CatchPanicLayer::custom(|_| problem::Problem::internal().into_response()))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(TraceLayer::new_for_http().make_span_with(middleware::span))
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
}

async fn ready(axum::extract::State(app): axum::extract::State<Virboard>) -> Result<&'static str, problem::Problem> {
    app.ready().await.map_err(|error| {
        tracing::error!(%error, "not ready");
        problem::Problem { status: 503, ..problem::Problem::from(&error) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::extract::Request;
    use tower::ServiceExt;

    #[tokio::test]
    async fn readiness_turns_red_when_the_devices_thread_has_ended() {
        let data = tempfile::tempdir().expect("a folder");
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let settings = crate::service::Settings {
            data: data.path().to_path_buf(),
            samples: root.join("server/samples"),
            anew: false,
            public: data.path().to_path_buf(),
            device: "cpu".to_owned(),
            precision: crate::service::precision::Choice::Auto,
            memory: 1 << 30,
            queue: 4,
            cache_limit: u64::MAX,
            checkpoints: Vec::new(),
        };
        let mut app = Virboard::open(&settings).await.expect("it opens");
        let ask = async |app: &Virboard| {
            let router = router(app.clone(), std::path::Path::new("no-site"), data.path().to_path_buf());
            let request = Request::get("/readyz").body(Body::empty()).expect("a request");
            let response = router.oneshot(request).await.expect("answered");
            let status = response.status().as_u16();
            let body = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a body");
            (status, String::from_utf8_lossy(&body).into_owned())
        };
        assert_eq!(ask(&app).await, (200, "ready".to_owned()));
        app.end_device().await;
        let (status, body) = ask(&app).await;
        assert_eq!(status, 503, "{body}");
        assert!(body.contains("\"type\":\"stopped\""), "{body}");
    }
}
