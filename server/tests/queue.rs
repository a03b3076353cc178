//! The queue over HTTP: plan, launch, change, and hear of it.

mod common;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use common::{Server, bytes, server};
use futures::StreamExt;
use serde_json::{Value, json};
use std::time::Duration;

async fn post(server: &Server, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .expect("a request");
    let response = server.send(request).await;
    let status = response.status();
    let body = bytes(response).await;
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn grid() -> Value {
    json!({ "encoders": ["Random", "EfficientNetLite0"], "tasks": ["SceneCount"], "seeds": [3] })
}

/// What a stream of events says until it has said so many things; each with its number.
async fn heard(server: &Server, request: axum::http::request::Builder, most: usize) -> Vec<(i64, Value)> {
    let response = server.send(request.body(Body::empty()).expect("a request")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert!(response.headers().get(header::CONTENT_ENCODING).is_none(), "what is packed comes late");
    let mut parts = response.into_body().into_data_stream();
    let (mut text, mut said) = (String::new(), Vec::new());
    while said.len() < most {
        let part = tokio::time::timeout(Duration::from_secs(20), parts.next()).await.expect("in time");
        text.push_str(&String::from_utf8_lossy(&part.expect("no end").expect("no fault")));
        while let Some((event, rest)) = text.split_once("\n\n") {
            let field = |name: &str| event.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
            if let (Some(id), Some(data)) = (field("id:"), field("data:")) {
                said.push((id.parse().expect("a number"), serde_json::from_str(data).expect("JSON")));
            }
            text = rest.to_owned();
        }
    }
    said
}

#[tokio::test]
async fn a_grid_is_planned_launched_cancelled_and_tried_again() {
    let server = server().await;
    let packed = Request::get("/api/v1/events?after=0").header(header::ACCEPT_ENCODING, "gzip");
    let (status, plan) = post(&server, "/api/v1/plans", &grid()).await;
    assert_eq!(status, StatusCode::OK, "{plan}");
    assert_eq!(plan["jobs"].as_array().map(Vec::len), Some(2), "{plan}");
    assert!(plan["seconds"].as_f64().is_some_and(|s| s > 0.0 && s.is_finite()), "{plan}");
    assert_eq!(server.json("/api/v1/jobs").await["items"], json!([]), "a plan begins nothing");

    let (status, launched) = post(&server, "/api/v1/jobs", &grid()).await;
    assert_eq!((status, &launched["jobs"]), (StatusCode::ACCEPTED, &plan["jobs"]));
    let (_, again) = post(&server, "/api/v1/plans", &grid()).await;
    assert_eq!(again["waiting"], 2, "{again}");
    let jobs = server.json("/api/v1/jobs").await;
    let items = jobs["items"].as_array().expect("items");
    assert!(items.iter().all(|j| j["state"] == "queued" && j["asked_by"] == "local"), "{jobs}");
    let name = items[0]["name"].as_str().expect("a name");

    let nothing = json!({});
    let at = |what: &str| format!("/api/v1/jobs/{name}/{what}");
    assert_eq!(post(&server, &at("retry"), &nothing).await.0, StatusCode::CONFLICT, "it waits");
    assert_eq!(post(&server, &at("cancel"), &nothing).await.0, StatusCode::ACCEPTED);
    let (status, why) = post(&server, &at("cancel"), &nothing).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(why["detail"].as_str().is_some_and(|d| d.contains("cancelled")), "{why}");
    assert_eq!(server.json(&format!("/api/v1/jobs/{name}")).await["state"], "cancelled");
    assert_eq!(post(&server, &at("retry"), &nothing).await.0, StatusCode::ACCEPTED);

    let kinds = |said: &[(i64, Value)]| -> Vec<String> {
        said.iter().map(|(_, e)| e["kind"].as_str().expect("a kind").to_owned()).collect()
    };
    let all = heard(&server, packed, 4).await;
    assert_eq!(kinds(&all), ["queued", "queued", "cancelled", "queued"]);
    assert!(all.windows(2).all(|w| w[0].0 < w[1].0), "{all:?}");
    // Who comes back hears what came after the last that was heard, and nothing twice.
    let later = Request::get("/api/v1/events?after=0").header("last-event-id", all[2].0.to_string());
    assert_eq!(heard(&server, later, 1).await, all[3..]);
    let newest = Request::get("/api/v1/events?after=0&newest=true");
    assert_eq!(heard(&server, newest, 1).await, all[3..], "a page need not know how much has happened");
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused_with_a_sentence() {
    let server = server().await;
    for (body, part) in [
        (json!({ "encoders": ["Random"], "tasks": [] }), "at least one"),
        (json!({ "encoders": ["Randon"], "tasks": ["SceneCount"] }), "Randon"),
        (json!({ "encoders": ["Random"], "tasks": ["SceneCont"] }), "SceneCont"),
        (json!({ "encoders": ["Random"], "tasks": ["SceneCount"], "seed": 1 }), "seed"),
        (json!({ "encoders": ["SWAV_800"], "tasks": ["SceneCount"] }), "SWAV_800"),
        (json!({ "encoders": vec!["Random"; 100], "tasks": vec!["SceneCount"; 100] }), "At most"),
    ] {
        for path in ["/api/v1/plans", "/api/v1/jobs"] {
            let (status, why) = post(&server, path, &body).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {why}");
            assert!(why["detail"].as_str().is_some_and(|d| d.contains(part)), "{body}: {why}");
        }
    }
    assert_eq!(server.json("/api/v1/jobs").await["items"], json!([]), "nothing waits");
}

#[tokio::test]
async fn the_pages_show_the_plan_before_the_click_and_strangers_nothing() {
    let server = server().await;
    let page = async |path: &str| String::from_utf8_lossy(&server.get(path).await.1).into_owned();
    let form = page("/launch").await;
    assert!(
        form.contains("value=\"Random\"") && form.contains("value=\"SceneCount\"") && !form.contains("class=\"plan\"")
    );
    let planned = page("/launch?encoders=Random&tasks=SceneCount&seeds=3").await;
    assert!(planned.contains("1 job") && planned.contains("Random on SceneCount"), "the plan");
    let (status, _) = post(&server, "/api/v1/jobs", &grid()).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let queue = page("/queue").await;
    assert!(
        queue.contains("Random on SceneCount") && queue.contains("value=\"cancel\"") && queue.contains("No worker")
    );

    assert!(page("/queue/").await.contains("Random on SceneCount"), "a slash at the end changes nothing");

    let admin = server.admin().await;
    for (path, there) in [("/queue", false), ("/launch", false), ("/runs", true), ("/runs/1", true)] {
        let response = server.ask("GET", path, "", "").await;
        let cached = response.headers()[header::CACHE_CONTROL].to_str().expect("text").to_owned();
        assert!(cached.contains("private") || cached.contains("no-store"), "{path}: {cached}");
        assert_eq!(response.status() == StatusCode::OK, there, "{path}");
        let html = String::from_utf8_lossy(&bytes(response).await).into_owned();
        assert!(!html.contains("SceneCount"), "{path} tells a stranger of runs");
        assert!(!there || html.contains("action=\"/sign-in\""), "{path} leads to signing in");
    }
    assert_eq!(server.told("GET", "/queue", &admin, "").await.0, 200);
    server.add(&admin, "vera", "viewer").await;
    let viewer = server.sign_in("vera").await;
    let told = server.told("GET", "/launch", &viewer, "").await.1;
    assert!(told.contains("For members") && !told.contains("action=\"/launch\""), "{told}");
}
