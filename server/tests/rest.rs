//! Lists, description, pages without WebAssembly, and headers.

mod common;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use common::{form, sample, server};
use std::collections::HashSet;

#[tokio::test]
async fn lists_have_keys_and_say_what_is_here() {
    let server = server().await;
    for (path, least) in [("/api/v1/encoders", 35), ("/api/v1/tasks", 29), ("/api/v1/results", 9)] {
        let list = server.json(path).await;
        let items = list["items"].as_array().expect("items");
        assert!(items.len() >= least, "{path}: {}", items.len());
        let keys: HashSet<_> = items.iter().map(|i| i["key"].as_str().expect("a key")).collect();
        assert_eq!(keys.len(), items.len(), "{path}");
    }
    let encoders = server.json("/api/v1/encoders").await;
    let find = |key: &str| {
        encoders["items"].as_array().expect("items").iter().find(|i| i["key"] == key).expect("it is there").clone()
    };
    assert_eq!(
        find("EfficientNetLite0")["heads"],
        serde_json::json!([
            "Imagenet",
            "SamplePhotos",
            "SceneSegmentation",
            "SceneDepth",
            "SceneSegmentation-Deeplabv3",
            "SceneCount",
            "SceneSteps",
            "SceneEgomotion",
            "SceneFlow"
        ])
    );
    assert_eq!(find("SWAV_800")["weights"], false);
    assert_eq!(find("Random")["weights"], true);
}

#[tokio::test]
async fn shipped_scores_beat_chance_by_a_wide_margin() {
    let server = server().await;
    let list = server.json("/api/v1/results").await;
    let score = |encoder: &str, task: &str, field: &str| {
        let key = format!("{encoder}/{task}");
        let items = list["items"].as_array().expect("items");
        items
            .iter()
            .find(|i| i["key"] == key.as_str())
            .and_then(|i| i[field].as_f64())
            .unwrap_or_else(|| panic!("{key}"))
    };
    for encoder in ["EfficientNetLite0", "OpenNsfw"] {
        let photos = score(encoder, "SamplePhotos", "score");
        assert!(photos > score("Mini_Random", "SamplePhotos", "score") + 0.3);
        assert!(photos > score(encoder, "SamplePhotos", "constant") + 0.5);
        assert!(score(encoder, "SceneSegmentation", "score") > score(encoder, "SceneSegmentation", "constant") + 0.3);
        assert!(score(encoder, "SceneDepth", "score") < 0.5 * score(encoder, "SceneDepth", "constant"));
    }
}

#[tokio::test]
async fn every_encoder_that_ships_answers_a_photo() {
    let server = server().await;
    let list = server.json("/api/v1/encoders").await;
    let ready = list["items"].as_array().expect("items").iter().filter(|e| e["heads"][0].is_string());
    let mut answered = 0;
    for encoder in ready {
        let key = encoder["key"].as_str().expect("a key");
        let response = server.send(form("/api/v1/predictions", &sample("coffee.png"), &[("encoder", key)])).await;
        assert_eq!(response.status(), StatusCode::OK, "{key}");
        let answer: serde_json::Value = serde_json::from_slice(&common::bytes(response).await).expect("JSON");
        assert!(answer["outputs"].as_array().is_some_and(|outputs| !outputs.is_empty()), "{key}: {answer}");
        answered += 1;
    }
    assert!(answered > 30, "{answered}");
}

#[tokio::test]
async fn the_description_names_every_route() {
    let server = server().await;
    let openapi = server.json("/api/openapi.json").await;
    let paths = openapi["paths"].as_object().expect("paths");
    let described: Vec<(&str, &str)> = paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().expect("methods").keys().map(move |m| (path.as_str(), m.as_str()))
        })
        .collect();
    let routes: HashSet<(&str, &str)> = [
        ("/api/v1/analyses", "get"),
        ("/api/v1/audit", "get"),
        ("/api/v1/analyses/{key}", "get"),
        ("/api/v1/encoders", "get"),
        ("/api/v1/images/{sha256}", "get"),
        ("/api/v1/leaderboard", "get"),
        ("/api/v1/me", "get"),
        ("/api/v1/me", "patch"),
        ("/api/v1/events", "get"),
        ("/api/v1/jobs", "get"),
        ("/api/v1/jobs", "post"),
        ("/api/v1/jobs/{name}", "get"),
        ("/api/v1/jobs/{name}/cancel", "post"),
        ("/api/v1/jobs/{name}/retry", "post"),
        ("/api/v1/plans", "post"),
        ("/api/v1/predictions", "post"),
        ("/api/v1/predictions/{sha256}/{encoder}/{task}/{version}/{file}", "get"),
        ("/api/v1/results", "get"),
        ("/api/v1/runs", "get"),
        ("/api/v1/runs/{id}", "get"),
        ("/api/v1/runs/{id}/epochs", "get"),
        ("/api/v1/session", "delete"),
        ("/api/v1/session", "post"),
        ("/api/v1/standings", "get"),
        ("/api/v1/tasks", "get"),
        ("/api/v1/tokens", "get"),
        ("/api/v1/tokens", "post"),
        ("/api/v1/tokens/{prefix}", "delete"),
        ("/api/v1/workers", "get"),
        ("/api/v1/workers/{name}/drain", "post"),
        ("/api/v1/users", "get"),
        ("/api/v1/users", "post"),
        ("/api/v1/users/{name}", "patch"),
    ]
    .into();
    assert_eq!(described.iter().copied().collect::<HashSet<_>>(), routes);
    // Each is answered by a handler of its own: a page that is not there is no problem document.
    for (path, method) in described {
        let request = Request::builder().method(method.to_uppercase().as_str()).uri(path.replace(['{', '}'], "x"));
        let response = server.send(request.body(Body::empty()).expect("a request")).await;
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|k| k.to_str().ok()).unwrap_or_default();
        let listening = path == "/api/v1/events" && kind == "text/event-stream";
        assert!(
            kind.contains("json")
                || kind.starts_with("text/csv")
                || response.status() == StatusCode::NO_CONTENT
                || listening,
            "{method} {path}: {} as `{kind}`",
            response.status()
        );
    }
}

#[tokio::test]
async fn pages_read_well_without_webassembly() {
    let server = server().await;
    for (path, text) in [
        ("/", "SwAV ImageNet 800"),
        ("/?method=pirl", "PIRL ImageNet 800"),
        ("/try", "Choose a photo"),
        ("/encoders/SWAV_800", "swav_800ep_pretrain.pth.tar"),
        ("/encoders/OpenNsfw", "Sample Photos"),
        ("/tasks/NYUDepth", "Predict the distance"),
        ("/tasks/SceneDepth", "OpenNsfw"),
        ("/tasks/SceneDepth", "shown.png"),
        ("/tasks/SceneFlow", "shown.png"),
        ("/tasks/SamplePhotos", "side by side"),
    ] {
        let (status, body) = server.get(path).await;
        let body = String::from_utf8_lossy(&body);
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(body.contains(text), "{path} lacks {text}");
    }
    // Nobody has looked at the sample photographs before: their pictures are there all the same.
    let (_, page) = server.get("/tasks/SceneSegmentation").await;
    let page = String::from_utf8_lossy(&page).into_owned();
    let overlays: Vec<&str> = page.split('"').filter(|a| a.ends_with("/overlay.png")).collect();
    assert!(overlays.len() >= 2, "the best and the worst encoder");
    for overlay in overlays {
        assert_eq!(server.get(overlay).await.0, StatusCode::OK, "{overlay}");
    }
    let (_, filtered) = server.get("/?method=pirl").await;
    assert!(!String::from_utf8_lossy(&filtered).contains("/encoders/SWAV_800\""));
    let (status, body) = server.get("/nowhere").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(String::from_utf8_lossy(&body).contains("nothing at this address"));
    let (status, body) = server.get("/api/v1/nothing").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(String::from_utf8_lossy(&body).contains("See /api/openapi.json"), "a program is told where to look");
}

#[tokio::test]
async fn pages_set_their_headers() {
    let server = server().await;
    let response = server.send(Request::get("/").body(Body::empty()).expect("a request")).await;
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("text").to_owned();
    assert!(
        policy.contains("script-src 'self' 'nonce-") && !policy.contains("script-src 'self' 'unsafe-inline'"),
        "{policy}"
    );
    assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert!(response.headers().contains_key("x-request-id"));
}

#[tokio::test]
async fn the_plain_form_leads_to_its_result() {
    let server = server().await;
    let response =
        server.send(form("/try", &sample("coffee.png"), &[("encoder", "EfficientNetLite0"), ("with", "")])).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let to = response.headers()[header::LOCATION].to_str().expect("an address").to_owned();
    let (status, page) = server.get(&to).await;
    let page = String::from_utf8_lossy(&page);
    assert_eq!(status, StatusCode::OK);
    for (output, sign) in [("classes", "espresso"), ("segmentation", "overlay.png"), ("depth", "shown.png")] {
        assert!(page.contains(sign), "the page lacks the {output}: {sign}");
    }
    let response = server.send(form("/try", b"", &[("encoder", "EfficientNetLite0")])).await;
    assert_eq!(response.headers()[header::LOCATION], "/try?problem=empty-file");
    let (_, page) = server.get("/try?problem=empty-file").await;
    assert!(String::from_utf8_lossy(&page).contains("The file is empty."));
}

#[tokio::test]
async fn a_theme_is_remembered_and_leads_back_to_this_site_only() {
    let server = server().await;
    for (back, to) in [("/try", "/try"), ("//evil.example", "/"), ("https://evil.example", "/")] {
        let request = Request::post("/theme")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(format!("to=dark&back={back}")))
            .expect("a request");
        let response = server.send(request).await;
        assert_eq!(response.headers()[header::LOCATION], to);
        assert!(response.headers()[header::SET_COOKIE].to_str().is_ok_and(|c| c.starts_with("theme=dark")));
    }
    let request = Request::get("/").header(header::COOKIE, "theme=dark").body(Body::empty()).expect("a request");
    let page = common::bytes(server.send(request).await).await;
    assert!(String::from_utf8_lossy(&page).contains("data-theme=\"dark\""));
}

#[tokio::test]
async fn an_answer_says_where_its_time_went_and_the_metrics_count_it() {
    let server = server().await;
    let ask = || async {
        let response =
            server.send(form("/api/v1/predictions", &sample("coffee.png"), &[("encoder", "OpenNsfw")])).await;
        assert_eq!(response.status(), StatusCode::OK);
        let timing = response.headers()["server-timing"].to_str().expect("text").to_owned();
        let body: serde_json::Value = serde_json::from_slice(&common::bytes(response).await).expect("JSON");
        (timing, body["costs"].clone())
    };
    let (timing, costs) = ask().await;
    for stage in ["decode", "wait", "encoder", "heads", "pictures"] {
        assert!(timing.contains(&format!("{stage};dur=")), "{timing}");
        assert!(costs[stage].as_f64().expect("milliseconds") > 0.0, "{costs}");
    }
    let (_, again) = ask().await;
    assert_eq!(again["encoder"], 0.0, "the second answer comes from the store");
    let (status, text) = server.get("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    let text = String::from_utf8(text.to_vec()).expect("text");
    for name in
        ["virboard_stage_seconds_bucket{stage=\"encoder\"", "virboard_request_seconds_count", "virboard_pictures_total"]
    {
        assert!(text.contains(name), "{name}: {text}");
    }
}

#[tokio::test]
async fn analyses_answer_on_the_shipped_scores() {
    let server = server().await;
    let list = server.json("/api/v1/analyses").await;
    for item in list["items"].as_array().expect("items") {
        let key = item["key"].as_str().expect("a key");
        let paper = server.json(&format!("/api/v1/analyses/{key}?suite=paper")).await;
        assert!(paper["missing"].is_string() || key == "claims", "{key}: nothing of the paper is measured here");
        let sample = server.json(&format!("/api/v1/analyses/{key}?suite=miniature")).await;
        let columns = sample["columns"].as_array().expect("columns").len();
        let (status, csv) = server.get(&format!("/api/v1/analyses/{key}?suite=miniature&format=csv")).await;
        assert_eq!(status, StatusCode::OK);
        let mut csv = csv::Reader::from_reader(&csv[..]);
        assert_eq!(csv.headers().expect("a head").len(), columns, "{key}");
        assert_eq!(csv.records().count(), sample["rows"].as_array().expect("rows").len(), "{key}");
        let (_, svg) = server.get(&format!("/api/v1/analyses/{key}?suite=miniature&format=svg")).await;
        let svg = String::from_utf8(svg.to_vec()).expect("text");
        assert!(svg.starts_with("<svg") && !svg.contains("NaN"), "{key}");
        for suite in ["paper", "miniature"] {
            let (status, page) = server.get(&format!("/analyses/{key}?suite={suite}")).await;
            let page = String::from_utf8(page.to_vec()).expect("text");
            assert_eq!(status, StatusCode::OK);
            assert!(page.contains("How it is computed") && !page.contains("NaN"), "{key} of {suite}");
            let answer = if suite == "paper" { &paper } else { &sample };
            let explained = answer["missing"].is_null() || page.contains("class=\"caveat\"");
            assert!(explained, "{key} of {suite} does not explain itself");
        }
    }
    let first = server.json("/api/v1/analyses/first?suite=miniature").await;
    assert!(!first["rows"].as_array().expect("rows").is_empty(), "{first}");
    let standings = server.json("/api/v1/standings?suite=miniature").await;
    let places = standings["standings"]["places"].as_array().expect("places");
    assert!(places.len() > 20, "{standings}");
    assert!(places.iter().all(|place| place["encoder"] != "EfficientNetLite0"), "references have no place");
    for (path, status) in [
        ("/api/v1/analyses/nothing", StatusCode::NOT_FOUND),
        ("/analyses/nothing", StatusCode::NOT_FOUND),
        ("/encoders/nothing", StatusCode::NOT_FOUND),
        ("/api/v1/analyses/first?suite=nothing", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(server.get(path).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn a_parameter_that_is_not_understood_is_refused_with_the_choices() {
    let server = server().await;
    for (path, wanted) in [
        ("/api/v1/leaderboard?show=ranks", "`show` cannot be `ranks`; did you mean `rank`? Choose from score, rank,"),
        ("/api/v1/leaderboard?shwo=rank", "no parameter `shwo`; did you mean `show`? Choose from suite, format,"),
        ("/api/v1/leaderboard?sort=Petz", "`sort` cannot be `Petz`; did you mean `Pets`?"),
        ("/api/v1/leaderboard?sort=-name,-plaze", "`sort` cannot be `plaze`; did you mean `place`?"),
        ("/api/v1/leaderboard?format=xlsx", "Choose from csv, json, parquet, tex, md."),
        ("/api/v1/leaderboard?suite=papers", "did you mean `paper`?"),
        ("/api/v1/leaderboard?fold=pixels", "Choose from image-semantic,"),
        ("/api/v1/leaderboard?hide=nothing", "`hide` cannot be `nothing`"),
        ("/api/v1/leaderboard?method=mocov2", "did you mean `moco-v2`?"),
        ("/api/v1/leaderboard?epochs=many", "`epochs` is a whole number from 1, not `many`"),
        ("/api/v1/leaderboard?page=0", "`page` is a whole number from 1"),
        ("/api/v1/leaderboard?show=rank&show=score", "`show` cannot be `rank,score`"),
        ("/api/v1/analyses/imagenet?x=Imagnet", "`x` cannot be `Imagnet`; did you mean `Imagenet`?"),
        ("/api/v1/analyses/correlation?ranks=yes", "Choose from 0, 1, false, true."),
        ("/api/v1/analyses/first?protocol=virbs", "did you mean `virb`?"),
        ("/api/v1/analyses/first?suite=nothing", "Choose from miniature, paper, aside"),
        ("/api/v1/standings?format=csv", "no parameter `format`"),
        ("/api/v1/results?encoder=Random", "no parameter `encoder`. There is none at this address."),
        ("/api/v1/encoders?all=1", "no parameter `all`"),
    ] {
        let response = server.send(Request::get(path).body(Body::empty()).expect("a request")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json", "{path}");
        let problem: serde_json::Value = serde_json::from_slice(&common::bytes(response).await).expect("JSON");
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(problem["type"] == "bad-request" && detail.contains(wanted), "{path}: {detail}");
    }
    for path in [
        "/api/v1/leaderboard?suite=miniature&show=normalised&sort=-SceneDepth,name&fold=pixel-semantic&hide=Pets&page=1&q=a+b&format=md",
        "/api/v1/leaderboard?method=moco-v2&dataset=imagenet&epochs=200&show=&sort=place&sort=epochs",
        "/api/v1/analyses/imagenet?suite=miniature&x=SceneDepth&reference=0&protocol=standard&format=csv",
        "/api/v1/analyses/correlation?ranks=1",
        "/api/v1/standings?suite=miniature&protocol=virb",
    ] {
        assert_eq!(server.get(path).await.0, StatusCode::OK, "{path}");
    }
}
