//! What each role may do: every route and every server function, asked by everybody.

mod common;

use axum::Router;
use common::people::PASSWORD;
use common::server;
use std::collections::{BTreeMap, BTreeSet};

/// A request and the status that nobody, a viewer, a member and an admin get.
struct Row {
    /// The route, as the router has it.
    route: (&'static str, &'static str),
    /// An address of it.
    at: &'static str,
    body: &'static str,
    statuses: [u16; 4],
}

/// For everybody the same.
const fn open(method: &'static str, route: &'static str, at: &'static str, status: u16) -> Row {
    Row { route: (method, route), at, body: "", statuses: [status; 4] }
}

const fn row(method: &'static str, route: &'static str, body: &'static str, statuses: [u16; 4]) -> Row {
    Row { route: (method, route), at: route, body, statuses }
}

const NOBODY: &str = "name=nobody-here&password=wrong+wrong+wrong";
const FIRST: &str = "name=late&password=four+plain+words+here&link=vbl_wrong";

/// All routes. A new one needs a row: a test compares them with the router's.
const ROWS: &[Row] = &[
    open("GET", "/", "/", 200),
    open("GET", "/try", "/try", 200),
    open("GET", "/{*page}", "/analyses", 200),
    // Uploads are limited by room and time, not by who sends them.
    open("POST", "/try", "/try", 303),
    open("POST", "/api/v1/predictions", "/api/v1/predictions", 400),
    open(
        "GET",
        "/api/v1/predictions/{sha256}/{encoder}/{task}/{version}/{file}",
        "/api/v1/predictions/a/b/c/d/e.png",
        404,
    ),
    open("GET", "/api/v1/images/{sha256}", "/api/v1/images/a", 404),
    open("GET", "/api/v1/encoders", "/api/v1/encoders", 200),
    open("GET", "/api/v1/tasks", "/api/v1/tasks", 200),
    open("GET", "/api/v1/results", "/api/v1/results", 200),
    open("GET", "/api/v1/analyses", "/api/v1/analyses", 200),
    open("GET", "/api/v1/analyses/{key}", "/api/v1/analyses/first", 200),
    open("GET", "/api/v1/standings", "/api/v1/standings", 200),
    open("GET", "/api/v1/leaderboard", "/api/v1/leaderboard", 200),
    open("GET", "/api/openapi.json", "/api/openapi.json", 200),
    open("ANY", "/api/{*path}", "/api/v1/nothing", 404),
    open("POST", "/theme", "/theme", 415),
    open("GET", "/healthz", "/healthz", 200),
    open("GET", "/readyz", "/readyz", 200),
    open("GET", "/metrics", "/metrics", 200),
    // Server functions have a table of their own.
    open("POST", "/rpc/{*name}", "/rpc/nothing", 400),
    row("POST", "/api/v1/session", "{\"name\":\"who\",\"password\":\"wrong wrong wrong\"}", [401; 4]),
    row("DELETE", "/api/v1/session", "", [204; 4]),
    row("GET", "/api/v1/me", "", [401, 200, 200, 200]),
    // A token cannot take over its user.
    row(
        "PATCH",
        "/api/v1/me",
        "{\"present\":\"four plain words here\",\"password\":\"four other words here\"}",
        [401, 400, 400, 400],
    ),
    row("GET", "/api/v1/tokens", "", [401, 200, 200, 200]),
    row("POST", "/api/v1/tokens", "{\"name\":\"t\",\"role\":\"viewer\"}", [401, 201, 201, 201]),
    row("POST", "/api/v1/tokens", "{\"name\":\"t\",\"role\":\"member\"}", [401, 403, 201, 201]),
    row("POST", "/api/v1/tokens", "{\"name\":\"t\",\"role\":\"admin\"}", [401, 403, 403, 201]),
    Row {
        route: ("DELETE", "/api/v1/tokens/{prefix}"),
        at: "/api/v1/tokens/vbt_nothing1",
        body: "",
        statuses: [401, 404, 404, 404],
    },
    row("GET", "/api/v1/users", "", [401, 403, 403, 200]),
    row("POST", "/api/v1/users", "{\"name\":\"new\",\"role\":\"viewer\"}", [401, 403, 403, 201]),
    Row {
        route: ("PATCH", "/api/v1/users/{name}"),
        at: "/api/v1/users/new",
        body: "{\"role\":\"member\"}",
        statuses: [401, 403, 403, 204],
    },
    row("GET", "/api/v1/audit", "", [401, 403, 403, 200]),
    row("GET", "/api/v1/runs", "", [401, 200, 200, 200]),
    Row { route: ("GET", "/api/v1/runs/{id}"), at: "/api/v1/runs/0", body: "", statuses: [401, 404, 404, 404] },
    Row {
        route: ("GET", "/api/v1/runs/{id}/epochs"),
        at: "/api/v1/runs/0/epochs",
        body: "",
        statuses: [401, 404, 404, 404],
    },
    row("GET", "/api/v1/jobs", "", [401, 200, 200, 200]),
    row("POST", "/api/v1/jobs", "{\"encoders\":[],\"tasks\":[]}", [401, 403, 400, 400]),
    row("POST", "/api/v1/plans", "{\"encoders\":[],\"tasks\":[]}", [401, 403, 400, 400]),
    Row { route: ("GET", "/api/v1/jobs/{name}"), at: "/api/v1/jobs/a", body: "", statuses: [401, 404, 404, 404] },
    Row {
        route: ("POST", "/api/v1/jobs/{name}/cancel"),
        at: "/api/v1/jobs/a/cancel",
        body: "",
        statuses: [401, 403, 404, 404],
    },
    Row {
        route: ("POST", "/api/v1/jobs/{name}/retry"),
        at: "/api/v1/jobs/a/retry",
        body: "",
        statuses: [401, 403, 404, 404],
    },
    row("GET", "/api/v1/workers", "", [401, 200, 200, 200]),
    Row {
        route: ("POST", "/api/v1/workers/{name}/drain"),
        at: "/api/v1/workers/a/drain",
        body: "",
        statuses: [401, 403, 403, 404],
    },
    // Whoever may listen gets an answer without end, which a test of its own reads.
    Row { route: ("GET", "/api/v1/events"), at: "/api/v1/events?after=x", body: "", statuses: [400; 4] },
    row("GET", "/queue", "", [303, 200, 200, 200]),
    row("POST", "/queue", "do=cancel&name=a", [401, 403, 404, 404]),
    row("POST", "/queue", "do=drain&name=a", [401, 403, 403, 404]),
    row("GET", "/launch", "", [303, 200, 200, 200]),
    row("POST", "/launch", "encoders=Random", [401, 403, 400, 400]),
    row("GET", "/sign-in", "", [200; 4]),
    row("POST", "/sign-in", NOBODY, [401; 4]),
    row("POST", "/sign-out", "", [303; 4]),
    row("GET", "/account", "", [303, 200, 200, 200]),
    row("POST", "/account", "do=token&label=t&role=viewer", [401, 200, 200, 200]),
    row("POST", "/account", "do=revoke&prefix=vbt_nothing1", [401, 404, 404, 404]),
    row("POST", "/account", "do=user&name=newer&role=viewer&password=four+plain+words+here", [401, 403, 403, 303]),
    row("POST", "/account", "do=role&name=newer&role=member", [401, 403, 403, 303]),
    row("POST", "/account", "do=reset&name=newer&password=four+other+words+here", [401, 403, 403, 303]),
    row("POST", "/account", "do=disable&name=newer", [401, 403, 403, 303]),
    row("POST", "/account", "do=enable&name=newer", [401, 403, 403, 303]),
    row("POST", "/account", "do=password&present=a&password=b", [401, 400, 400, 400]),
    row("GET", "/first-admin", "", [200; 4]),
    row("POST", "/first-admin", FIRST, [410; 4]),
];

/// Files below these are for everybody.
const FILES: [&str; 3] = ["/icons", "/pkg", "/samples"];

/// Server functions, what they are sent, and the status that each role gets.
const FUNCTIONS: [(&str, &str, [u16; 4]); 4] = [
    ("load_content", "{\"path\":\"/\",\"query\":\"\"}", [200; 4]),
    ("load_overview", "{}", [200; 4]),
    // No such photo.
    ("load_predictions", "{\"image\":\"a\",\"second\":null,\"encoder\":\"Random\"}", [500; 4]),
    ("load_samples", "{}", [200; 4]),
];

/// Methods and paths of a router, as it prints itself; `ANY` stands for all methods.
fn routes(router: &Router) -> BTreeSet<(String, String)> {
    let text = format!("{router:?}");
    let (head, _) = text.split_once("fallback_router").expect("a router prints itself");
    let (endpoints, paths) = head.split_once("node: Node").expect("and its paths");
    // `RouteId(7): …`, in no order.
    let by_number = |printed: &str| -> BTreeMap<String, String> {
        let one = |p: &str| p.split_once("): ").map(|(id, rest)| (id.to_owned(), rest.to_owned()));
        printed.split("RouteId(").skip(1).filter_map(one).collect()
    };
    let (endpoints, paths) = (by_number(endpoints), by_number(paths));
    let methods = |printed: &str| -> Vec<String> {
        let allowed = printed.split_once("allow_header: Bytes(b\"").and_then(|(_, rest)| rest.split_once('"'));
        let allowed = allowed.map_or("ANY", |(methods, _)| methods);
        allowed.split(',').filter(|m| *m != "HEAD").map(str::to_owned).collect()
    };
    let mut found = BTreeSet::new();
    for (id, path) in paths {
        let path = path.trim_start_matches('"').split('"').next().expect("a path").to_owned();
        found.extend(methods(&endpoints[&id]).into_iter().map(|method| (method, path.clone())));
    }
    found
}

#[tokio::test]
async fn every_route_has_a_row() {
    let server = server().await;
    let is_file =
        |path: &str| FILES.iter().any(|f| path.strip_prefix(f).is_some_and(|p| p.is_empty() || p.starts_with('/')));
    // Server functions have a table of their own.
    let functions: BTreeSet<_> = leptos::server_fn::axum::server_fn_paths().map(|(path, _)| path).collect();
    let there = routes(&server.router).into_iter();
    let there: BTreeSet<_> = there.filter(|(_, p)| !is_file(p) && !functions.contains(p.as_str())).collect();
    let named: BTreeSet<_> = ROWS.iter().map(|r| (r.route.0.to_owned(), r.route.1.to_owned())).collect();
    assert_eq!(there, named, "give each route a row that says who may ask for it");
    assert!(there.len() > 30, "{}", there.len());
}

/// Sessions would end on the way; tokens stay.
async fn tokens(server: &common::Server) -> [String; 4] {
    let admin = server.admin().await;
    let mut tokens = [String::new(), String::new(), String::new(), server.token(&admin, "admin").await];
    for (token, role) in tokens[1..3].iter_mut().zip(["viewer", "member"]) {
        server.add(&admin, role, role).await;
        let own = server.sign_in(role).await;
        *token = server.token(&own, role).await;
    }
    tokens
}

#[tokio::test]
async fn each_role_may_do_what_its_row_says() {
    let server = server().await;
    let tokens = tokens(&server).await;
    let mut wrong = Vec::new();
    for row in ROWS {
        let method = if row.route.0 == "ANY" { "GET" } else { row.route.0 };
        for (token, wanted) in tokens.iter().zip(row.statuses) {
            let (status, told) = server.told(method, row.at, token, row.body).await;
            let who = token.get(..12).unwrap_or("nobody");
            if status != wanted {
                wrong.push(format!("{method} {} {} as {who}: {status}, not {wanted}: {told:.300}", row.at, row.body));
            }
            assert!(!told.contains(PASSWORD) && !told.contains("$argon2"), "{} tells a password", row.at);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_server_function_has_a_row_and_does_what_it_says() {
    let server = server().await;
    let tokens = tokens(&server).await;
    let mut there: Vec<_> = leptos::server_fn::axum::server_fn_paths().collect();
    there.sort_by_key(|(path, _)| *path);
    assert_eq!(there.len(), FUNCTIONS.len(), "give each server function a row: {there:?}");
    for ((path, method), (name, body, statuses)) in there.into_iter().zip(FUNCTIONS) {
        assert!(path.starts_with(&format!("/rpc/{name}")), "{path} is not {name}");
        assert_eq!(method.as_str(), "POST", "{path}: what a link reaches has no protection against other sites");
        for (token, wanted) in tokens.iter().zip(statuses) {
            let (status, told) = server.told("POST", path, token, body).await;
            assert_eq!(status, wanted, "{path}: {told:.300}");
        }
    }
}
