//! The explorer of runs over HTTP, on a database of generated runs.

mod common;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use common::{Server, bytes, server};
use serde_json::{Value, json};
use virboard::service::engine::{ANY, Asked, Card};
use virboard::store::Claim;
use virboard_core::run::{Epoch, Evidence, Origin, Run, Score};
use virboard_core::statistics::Interval;
use virboard_lab::work::{Job, key};

/// Runs that the test makes beside those that ship: three encoders, two tasks, two rates, four seeds.
const MADE: usize = 48;

fn made() -> Vec<Run> {
    let mut runs = Vec::new();
    for (e, encoder) in ["SWAV_800", "MoCov2_800", "PIRL_800"].into_iter().enumerate() {
        for task in ["Pets", "NYUDepth"] {
            for rate in ["0.1", "0.01"] {
                for seed in 0..4u64 {
                    let configuration = format!(
                        "{{\"name\":\"test\",\"epochs\":3,\"learning_rate\":{rate},\"list\":\"/home/me/list.txt\",\"seed\":{seed}}}"
                    );
                    let evidence = Evidence {
                        source: Origin::Measured,
                        encoder_sha256: "e".repeat(64),
                        dataset_sha256: "d".repeat(64),
                        precision: "f32".into(),
                        selected: seed == 0,
                        key: key::of_settings(&configuration),
                        configuration,
                        seed,
                        device: "cuda".into(),
                        version: "test".into(),
                        finished_at: 1_700_000_000 + runs.len() as i64,
                        seconds: 30.0,
                        test_samples: 100,
                        ..Evidence::default()
                    };
                    let value = 0.4 + 0.1 * e as f64 + 0.01 * seed as f64;
                    let score = Score {
                        encoder: encoder.into(),
                        task: task.into(),
                        value,
                        interval: Some(Interval { low: value - 0.05, high: value + 0.05 }),
                        evidence,
                        ..Score::default()
                    };
                    let epoch = |epoch: u32| Epoch {
                        epoch,
                        train_loss: 1.0 / f64::from(epoch),
                        test_metric: Some(value - 0.1 / f64::from(epoch)),
                    };
                    runs.push(Run { score, epochs: (1..=3).map(epoch).collect() });
                }
            }
        }
    }
    assert_eq!(runs.len(), MADE);
    runs
}

/// A job that a worker of the test has.
async fn claimed(server: &Server, key: &str) -> Claim {
    let engine = server.app.engine();
    let job = Job { kind: "evaluate".into(), key: key.into(), title: key.into(), work: json!({}) };
    let asked = Asked { by: "anna".into(), pool: ANY.into(), priority: 0, anew: false, again: false };
    engine.offer(&[job], &asked).await.expect("offered");
    let card = Card { name: "w".into(), host: "here".into(), device: "cpu".into(), pools: vec![ANY.into()] };
    engine.claim(&card).await.expect("asked").expect("it waits").claim()
}

/// A server with these runs, one that failed and one that goes on; gives the numbers of the last two.
async fn explorer() -> (Server, i64, i64) {
    let server = server().await;
    let store = server.app.store();
    assert_eq!(store.add_runs(&made()).await.expect("stored"), MADE as u64);
    let begun = |seed: u64| Evidence {
        configuration: "{\"name\":\"begun\",\"epochs\":9}".into(),
        key: "k".into(),
        seed,
        device: "cpu".into(),
        version: "begun".into(),
        ..Evidence::default()
    };
    let failed = store.begin_run("job-a", "SWAV_800", "dtd", &begun(1)).await.expect("begun");
    store.fail_run(failed, "/data/dtd/7.jpg: cannot be read <now>").await.expect("failed");
    let claim = claimed(&server, "b").await;
    let running = store.begin_run(&claim.job, "SWAV_800", "dtd", &begun(2)).await.expect("begun");
    let epoch = Epoch { epoch: 1, train_loss: 0.5, test_metric: None };
    store.add_epoch(&claim, running, epoch, 9, 0).await.expect("added");
    (server, failed, running)
}

/// The page at an address as it is before WebAssembly has loaded.
async fn page(server: &Server, path: &str) -> String {
    let (status, body) = server.get(path).await;
    assert_eq!(status, StatusCode::OK, "{path}");
    String::from_utf8_lossy(&body).into_owned()
}

fn items(answer: &Value) -> &Vec<Value> {
    answer["items"].as_array().expect("items")
}

#[tokio::test]
async fn runs_are_listed_filtered_sorted_and_paged() {
    let (server, failed, running) = explorer().await;
    let all = server.json("/api/v1/runs").await;
    let total = items(&all).len();
    assert!(total >= MADE + 2 && all["total"] == total && all["matched"] == total, "{total}");
    let first = &items(&all)[0];
    assert!(first["run"].is_i64() && first["learning_rate"].is_null() && first["name"] == "begun", "{first}");
    let some =
        server.json("/api/v1/runs?q=version=test+lr%3C0.05+task:pets&sort=-score,seed&columns=run,score,seed").await;
    assert_eq!((some["matched"].as_u64(), items(&some).len()), (Some(12), 12));
    let scores: Vec<f64> = items(&some).iter().map(|i| i["score"].as_f64().expect("a score")).collect();
    assert!(scores.windows(2).all(|w| w[0] >= w[1]) && (scores[0] - 0.63).abs() < 1e-9, "{scores:?}");
    assert_eq!(items(&some)[0].as_object().expect("an object").len(), 3);
    let page = server.json("/api/v1/runs?page=1&columns=run").await;
    assert_eq!(items(&page).len(), 200.min(total));
    // States are true, with their reason, and no folder of this machine is told.
    let open = server.json("/api/v1/runs?q=task=dtd+version=begun&sort=seed").await;
    assert_eq!(items(&open)[0]["run"], failed);
    assert_eq!((&items(&open)[0]["state"], &items(&open)[1]["state"]), (&json!("failed"), &json!("running")));
    assert_eq!(items(&open)[0]["reason"], "7.jpg: cannot be read <now>");
    assert_eq!((&items(&open)[1]["epoch"], &items(&open)[1]["epochs"]), (&json!(1), &json!(9)));
    // What changes is seen at once.
    let store = server.app.store();
    let epoch = Epoch { epoch: 2, train_loss: 0.25, test_metric: None };
    let claim = Claim { job: "evaluate-b".to_owned(), attempt: 1 };
    store.add_epoch(&claim, running, epoch, 9, 0).await.expect("added");
    let one = server.json(&format!("/api/v1/runs/{running}")).await;
    assert_eq!((&one["epoch"], &one["loss"], &one["scores"]), (&json!(2), &json!(0.25), &json!([])));
    assert_eq!((&one["attempt"], &one["worker"]), (&json!(1), &json!("w")), "who does it");
    store.interrupt_job(&claim.job).await.expect("interrupted");
    let one = server.json(&format!("/api/v1/runs/{running}")).await;
    assert_eq!(one["state"], "interrupted");
    assert!(one["reason"].as_str().is_some_and(|r| r.contains("takes it up again")), "{one}");
}

#[tokio::test]
async fn seeds_are_folded_to_their_mean_and_spread() {
    let (server, ..) = explorer().await;
    let answer = server.json("/api/v1/runs?q=version=test&group=seeds&columns=encoder,task,score,lr&sort=score").await;
    assert_eq!(items(&answer).len(), MADE / 4);
    for item in items(&answer) {
        assert_eq!(item["runs"].as_array().expect("members").len(), 4);
        assert_eq!(item["score"]["n"], 4);
        let deviation = item["score"]["deviation"].as_f64().expect("a spread");
        assert!((deviation - 0.012_909_944).abs() < 1e-6, "{item}");
    }
    let (status, text) = server.get("/api/v1/runs?q=version=test&group=seeds&columns=task,score&format=csv").await;
    assert_eq!(status, StatusCode::OK);
    let mut csv = csv::Reader::from_reader(&text[..]);
    assert_eq!(csv.headers().expect("a head"), vec!["runs", "task", "score", "score_deviation", "score_n"]);
    assert_eq!(csv.records().count(), MADE / 4);
}

#[tokio::test]
async fn what_is_not_understood_is_a_problem_document_that_says_where() {
    let (server, ..) = explorer().await;
    for (path, wanted) in [
        ("/api/v1/runs?q=state:failed+lr%3C", "Letter 17 of the filter: a value is missing behind lr<"),
        ("/api/v1/runs?q=taks:Pets", "did you mean task?"),
        ("/api/v1/runs?q=/(/", "this is no regular expression"),
        ("/api/v1/runs?sort=-scroe", "`sort` cannot be `scroe`; did you mean `score`?"),
        ("/api/v1/runs?columns=lr,nothing", "`columns` cannot be `nothing`"),
        ("/api/v1/runs?group=sedes", "did you mean `seeds`?"),
        ("/api/v1/runs?format=xlsx", "Choose from json, csv."),
        ("/api/v1/runs?filter=x", "no parameter `filter`"),
        ("/api/v1/runs?page=0", "`page` is a whole number from 1"),
    ] {
        let response = server.send(Request::get(path).body(Body::empty()).expect("a request")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json", "{path}");
        let problem: Value = serde_json::from_slice(&bytes(response).await).expect("JSON");
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(detail.contains(wanted), "{path}: {detail}");
    }
    for path in ["/api/v1/runs/0", "/api/v1/runs/x", "/api/v1/runs/999999/epochs"] {
        let (status, body) = server.get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(String::from_utf8_lossy(&body).contains("\"type\":\"not-found\""), "{path}");
    }
    assert_eq!(server.get("/runs/999999").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_export_is_exactly_what_is_seen() {
    let (server, ..) = explorer().await;
    let made = page(&server, "/runs?q=version%3Dtest+task%3DPets&sort=score,seed").await;
    let heads: Vec<&str> = made
        .split("<th scope=\"col\"")
        .skip(1)
        .filter_map(|h| h.split("noscroll>").nth(1).and_then(|h| h.split('<').next()))
        .collect();
    let link = made.split('"').find(|a| a.contains("/api/v1/runs?") && a.contains("format=csv")).expect("a link");
    let (status, text) = server.get(&link.replace("&amp;", "&")).await;
    assert_eq!(status, StatusCode::OK, "{link}");
    let mut csv = csv::Reader::from_reader(&text[..]);
    // The run's number heads the lines of the page.
    assert_eq!(csv.headers().expect("a head").len(), heads.len() + 1, "{heads:?}");
    let rows: Vec<csv::StringRecord> = csv.records().map(|r| r.expect("a row")).collect();
    let lines: Vec<&str> =
        made.split("class=\"open\" href=\"/runs/").skip(1).map(|l| l.split('"').next().unwrap_or("")).collect();
    assert_eq!(rows.iter().map(|r| r[0].to_owned()).collect::<Vec<_>>(), lines, "the same runs in the same order");
    assert_eq!(lines.len(), MADE / 2);
    let json = server.json(&link.replace("&amp;", "&").replace("format=csv", "format=json")).await;
    assert_eq!(items(&json).len(), lines.len());
}

#[tokio::test]
async fn pages_are_complete_without_webassembly() {
    let (server, failed, running) = explorer().await;
    let all = page(&server, "/runs").await;
    assert!(all.matches("class=\"pick\"").count() <= 200, "one page");
    for part in
        ["name=\"q\"", "<datalist", "state:failed", "Group by", "Compare", "rel=\"next\"", "aria-label=\"Views\""]
    {
        assert!(all.contains(part), "{part}");
    }
    assert!(!all.contains("NaN") && !all.contains("<now>"));
    let wrong = page(&server, "/runs?q=lr%3C").await;
    assert!(wrong.contains("role=\"alert\"") && wrong.contains("a value is missing behind lr"), "{wrong}");
    let grid = page(&server, "/runs?view=grid&q=version%3Dtest").await;
    assert!(grid.contains("3 encoders on 2 tasks: every pair has a run."), "{grid}");
    let list = server.json("/api/v1/runs?q=version=test+task=Pets+seed=0&columns=run,lr&sort=run").await;
    let ids: Vec<String> = items(&list).iter().map(|i| i["run"].to_string()).collect();
    assert_eq!(ids.len(), 6);
    // Twelve at once, as a form without WebAssembly sends them.
    let query = ids.iter().map(|id| format!("ids={id}")).collect::<Vec<_>>().join("&");
    let compare = page(&server, &format!("/runs/compare?{query}&ids={failed}")).await;
    for part in ["7 runs side by side", "learning_rate", "Training loss", "top-1 on Pets", "The same in all"] {
        assert!(compare.contains(part), "{part}");
    }
    let one = page(&server, &format!("/runs/{}", ids[0])).await;
    for part in ["SWAV_800", "Other seeds of the same settings", "list.txt", "class=\"evidence\"", "Training loss"] {
        assert!(one.contains(part), "{part}");
    }
    assert!(!one.contains("/home/me"), "no folder is told");
    let bad = page(&server, &format!("/runs/{failed}")).await;
    assert!(bad.contains("7.jpg: cannot be read &lt;now&gt;") && !bad.contains("/data/dtd"), "{bad}");
    assert!(page(&server, &format!("/runs/{running}")).await.contains("running"));
    let epochs = server.json(&format!("/api/v1/runs/{}/epochs", ids[0])).await;
    assert_eq!((items(&epochs).len(), &items(&epochs)[2]["epoch"]), (3, &json!(3)));
    let (_, text) = server.get(&format!("/api/v1/runs/{}/epochs?format=csv", ids[0])).await;
    assert_eq!(String::from_utf8_lossy(&text).lines().count(), 4);
}

#[tokio::test]
async fn a_score_that_was_replaced_is_still_a_run() {
    let (server, ..) = explorer().await;
    let mut again = made();
    again.truncate(1);
    again[0].score.value = 0.9;
    // As a work that is done again ends.
    let store = server.app.store();
    let before = server.json("/api/v1/runs?q=replaced=yes").await;
    assert_eq!(before["matched"], 0);
    let e = again[0].score.evidence.clone();
    let claim = claimed(&server, "c").await;
    let number = store.begin_run(&claim.job, "SWAV_800", "Pets", &e).await.expect("begun");
    again[0].score.run = Some(number);
    assert!(store.finish_job(&claim, &[number], &again, 0).await.expect("stored"));
    let after = server.json("/api/v1/runs?q=replaced=yes").await;
    assert_eq!(after["matched"], 1);
    let old = items(&after)[0]["run"].as_i64().expect("a number");
    assert_ne!(old, number);
    let one = server.json(&format!("/api/v1/runs/{old}")).await;
    assert_eq!((&one["scores"][0]["replaced"], &one["scores"][0]["score"]), (&json!(true), &json!(0.4)));
    assert!(page(&server, &format!("/runs/{old}")).await.contains("replaced by a later score"));
}
