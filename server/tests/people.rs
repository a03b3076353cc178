//! Signing in and out, tokens, users, other sites, and what is kept of all that.

mod common;

use axum::body::Body;
use axum::http::{Request, header};
use common::people::{PASSWORD, request, session};
use common::program::virboard;
use common::{Server, bytes, root, server, settings};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use virboard::http::people::Door;
use virboard::service::Virboard;

/// A server that others reach, too.
async fn reached() -> Server {
    let data = tempfile::tempdir().expect("a folder");
    let app = Virboard::open(&settings(data.path())).await.expect("it opens");
    let door = Door::at([0, 0, 0, 0].into());
    let router = virboard::http::router_behind(app.clone(), Path::new("no-site"), root().join("public"), door);
    Server { router, app, data }
}

/// Actions of the audit, the oldest first, as `who action object before>after`.
async fn audit(server: &Server, admin: &str) -> Vec<String> {
    let (_, told) = server.told("GET", "/api/v1/audit", admin, "").await;
    let list: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let text = |entry: &serde_json::Value, field: &str| entry[field].as_str().expect("text").to_owned();
    let line = |e: &serde_json::Value| {
        ["user", "action", "object", "before", "after"].map(|field| text(e, field)).join(" ").trim_end().to_owned()
    };
    list["items"].as_array().expect("items").iter().rev().map(line).collect()
}

#[tokio::test]
async fn without_users_the_machine_itself_needs_no_sign_in_and_with_them_it_does() {
    let server = server().await;
    let (status, told) = server.told("GET", "/api/v1/me", "", "").await;
    assert_eq!((status, told.contains("\"admin\"")), (200, true), "{told}");
    let elsewhere = Request::get("/api/v1/me").header(header::HOST, "rebound.example:3000");
    let response = server.send(elsewhere.body(Body::empty()).expect("a request")).await;
    assert_eq!(response.status(), 401, "a name that somebody made to mean this machine");
    let (_, page) = server.told("GET", "/", "", "").await;
    assert!(!page.contains("/sign-in"), "there is nothing to sign in to");

    let viewer = format!("{{\"name\":\"v\",\"role\":\"viewer\",\"password\":\"{PASSWORD}\"}}");
    let (status, told) = server.told("POST", "/api/v1/users", "", &viewer).await;
    assert_eq!(status, 409, "the first user is an admin: {told}");
    let admin = server.admin().await;
    assert_eq!(server.told("GET", "/api/v1/me", "", "").await.0, 401);
    assert_eq!(server.told("GET", "/api/v1/me", &admin, "").await.0, 200);
    let (status, page) = server.told("GET", "/", "", "").await;
    assert!(status == 200 && page.contains("/sign-in?back="), "the leaderboard stays everybody's");
}

#[tokio::test]
async fn a_session_is_a_cookie_that_scripts_and_other_sites_never_get() {
    let server = server().await;
    server.admin().await;
    let body = format!("name=Admin+&password={}&back=/analyses", PASSWORD.replace(' ', "+"));
    let response = server.ask("POST", "/sign-in", "", &body).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()[header::LOCATION]),
        (303, &"/analyses".parse().expect("a header"))
    );
    let cookie = response.headers()[header::SET_COOKIE].to_str().expect("text").to_owned();
    let secret = session(&response);
    assert_eq!(cookie, format!("__Host-virboard={secret}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure"));
    let (_, page) = server.told("GET", "/account", &secret, "").await;
    assert!(page.contains("You are <strong>admin</strong>, admin."), "{page}");

    let response = server.ask("POST", "/sign-out", &secret, "").await;
    assert!(
        response.headers()[header::SET_COOKIE]
            .to_str()
            .is_ok_and(|c| c.starts_with("__Host-virboard=; Path=/; Max-Age=0"))
    );
    assert_eq!(server.told("GET", "/api/v1/me", &secret, "").await.0, 401, "it ended on the server, too");

    let again = server.sign_in("admin").await;
    let body = format!("{{\"name\":\"admin\",\"password\":\"{PASSWORD}\"}}");
    let next = session(&server.ask("POST", "/api/v1/session", &again, &body).await);
    assert_eq!(server.told("GET", "/api/v1/me", &again, "").await.0, 401, "signing in anew ends the former session");
    assert_eq!(server.told("GET", "/api/v1/me", &next, "").await.0, 200);
}

#[tokio::test]
async fn an_unknown_name_and_a_wrong_password_are_answered_alike_and_tries_are_counted() {
    let server = server().await;
    let admin = server.admin().await;
    let ask = async |name: &str| {
        let body = format!("{{\"name\":\"{name}\",\"password\":\"wrong wrong wrong\"}}");
        let response = server.ask("POST", "/api/v1/session", "", &body).await;
        let wait = response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        (response.status().as_u16(), wait, String::from_utf8_lossy(&bytes(response).await).into_owned())
    };
    let (unknown, wrong) = (ask("nobody").await, ask("admin").await);
    assert_eq!((unknown.0, &unknown), (401, &wrong));
    let mut last = wrong;
    for _ in 0..5 {
        last = ask("admin").await;
    }
    assert_eq!(last.0, 429, "{last:?}");
    assert!(last.1.is_some_and(|seconds| (1..=60).contains(&seconds)), "{last:?}");
    let body = format!("name=admin&password={}", PASSWORD.replace(' ', "+"));
    let response = server.ask("POST", "/sign-in", "", &body).await;
    assert!(response.status() == 429 && response.headers().contains_key(header::RETRY_AFTER), "the form counts, too");
    let page = String::from_utf8_lossy(&bytes(response).await).into_owned();
    assert!(page.contains("Too many tries to sign in.") && page.contains("name=\"password\""), "{page}");
    assert_eq!(server.told("GET", "/api/v1/me", &admin, "").await.0, 200, "who is in stays in");
}

#[tokio::test]
async fn another_site_makes_no_browser_change_anything() {
    let server = server().await;
    let admin = server.admin().await;
    let body = "{\"name\":\"a\",\"role\":\"viewer\"}";
    for (name, headers, status) in [
        ("another site", &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")][..], 403),
        ("a neighbour", &[("sec-fetch-site", "same-site"), ("origin", "https://x.board.example")], 403),
        ("an old browser", &[("origin", "https://evil.example"), ("host", "board.example")], 403),
        ("a hidden origin", &[("origin", "null"), ("host", "board.example")], 403),
        ("this site", &[("sec-fetch-site", "same-origin"), ("origin", "https://board.example")], 201),
        ("this site in an old browser", &[("origin", "https://board.example"), ("host", "board.example")], 201),
        ("a program", &[], 201),
    ] {
        let mut asked = request("POST", "/api/v1/tokens", &admin, body);
        for (name, value) in headers {
            asked.headers_mut().insert(*name, value.parse().expect("a header"));
        }
        let response = server.send(asked).await;
        assert_eq!(response.status(), status, "{name}");
        if status == 403 {
            let told = String::from_utf8_lossy(&bytes(response).await).into_owned();
            assert!(told.contains("\"type\":\"cross-site\""), "{name}: {told}");
        }
    }
    for form in ["/sign-in", "/sign-out", "/account", "/first-admin", "/theme", "/try", "/rpc/load_samples"] {
        let mut asked = request("POST", form, &admin, "do=user");
        asked.headers_mut().insert("sec-fetch-site", "cross-site".parse().expect("a header"));
        assert_eq!(server.send(asked).await.status(), 403, "{form}");
    }
    let token = server.token(&admin, "admin").await;
    assert_eq!(server.told("POST", "/api/v1/tokens", &token, body).await.0, 201, "a token without an origin");
}

#[tokio::test]
async fn a_token_is_shown_once_and_the_database_knows_its_hash_alone() {
    let server = server().await;
    let admin = server.admin().await;
    let body = "do=token&label=laptop&role=viewer&days=30";
    let response = server.ask("POST", "/account", &admin, body).await;
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    let page = String::from_utf8_lossy(&bytes(response).await).into_owned();
    let at = page.find("<code>vbt_").expect("the token") + 6;
    let token = page[at..at + 47].to_owned();
    let (_, later) = server.told("GET", "/account", &admin, "").await;
    assert!(later.contains(&token[..12]) && !later.contains(&token), "it is known by how it begins");
    let (status, told) = server.told("GET", "/api/v1/users", &token, "").await;
    assert_eq!(status, 403, "a viewer's token of an admin is a viewer: {told}");
    assert_eq!(server.told("POST", "/api/v1/tokens", &token, "{\"name\":\"b\",\"role\":\"member\"}").await.0, 403);

    let link = server.app.people().first_link().await.expect("a link");
    for file in ["virboard.db", "virboard.db-wal"] {
        let bytes = std::fs::read(server.data.path().join(file)).unwrap_or_default();
        let holds = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
        for secret in [&token, &admin, &link.text().to_owned(), &PASSWORD.to_owned()] {
            assert!(!holds(secret), "{file} holds {}", &secret[..8]);
        }
    }
    let hash = virboard_nn::files::sha256(token.as_bytes());
    let held =
        ["virboard.db", "virboard.db-wal"].map(|f| std::fs::read(server.data.path().join(f)).unwrap_or_default());
    assert!(held.iter().any(|bytes| bytes.windows(64).any(|w| w == hash.as_bytes())), "the search finds what is there");

    assert_eq!(server.told("DELETE", &format!("/api/v1/tokens/{}", &token[..12]), &admin, "").await.0, 204);
    assert_eq!(server.told("GET", "/api/v1/me", &token, "").await.0, 401, "revoked at once");
}

#[tokio::test]
async fn who_is_disabled_or_changed_is_out_at_once() {
    let server = server().await;
    let admin = server.admin().await;
    server.add(&admin, "anna", "member").await;
    let is_in = async |secret: &str| server.told("GET", "/api/v1/me", secret, "").await.0 == 200;
    let change = async |body: &str| server.told("PATCH", "/api/v1/users/anna", &admin, body).await.0;

    let (own, token) = (server.sign_in("anna").await, server.token(&server.sign_in("anna").await, "member").await);
    assert_eq!(change("{\"role\":\"viewer\"}").await, 204);
    assert!(!is_in(&own).await && is_in(&token).await);
    let (_, me) = server.told("GET", "/api/v1/me", &token, "").await;
    assert!(me.contains("\"viewer\""), "a token does no more than its user: {me}");

    let own = server.sign_in("anna").await;
    let other = server.sign_in("anna").await;
    let body = format!("{{\"present\":\"{PASSWORD}\",\"password\":\"four newer words here\"}}");
    let next = session(&server.ask("PATCH", "/api/v1/me", &own, &body).await);
    assert!(!is_in(&own).await && !is_in(&other).await && is_in(&next).await, "a new password ends all sessions");

    assert_eq!(change("{\"disabled\":true}").await, 204);
    assert!(!is_in(&next).await && !is_in(&token).await);
    assert_eq!(change("{\"disabled\":false}").await, 204);
    assert!(!is_in(&next).await && !is_in(&token).await, "what has ended stays ended");

    for body in ["{\"disabled\":true}", "{\"role\":\"member\"}"] {
        let (status, told) = server.told("PATCH", "/api/v1/users/admin", &admin, body).await;
        assert_eq!(status, 409, "somebody has to be admin: {told}");
    }
    assert!(is_in(&admin).await);
}

#[tokio::test]
async fn every_change_says_who_made_it() {
    let server = server().await;
    let admin = server.admin().await;
    server.add(&admin, "anna", "member").await;
    let token = server.token(&admin, "viewer").await;
    for body in [
        "{\"role\":\"viewer\"}",
        "{\"disabled\":true}",
        "{\"disabled\":false}",
        "{\"password\":\"four newer words here\"}",
    ] {
        assert_eq!(server.told("PATCH", "/api/v1/users/anna", &admin, body).await.0, 204, "{body}");
    }
    let prefix = &token[..12];
    server.told("DELETE", &format!("/api/v1/tokens/{prefix}"), &admin, "").await;
    assert_eq!(server.told("DELETE", &format!("/api/v1/tokens/{prefix}"), &admin, "").await.0, 404);
    assert_eq!(
        audit(&server, &admin).await,
        [
            "local user.add admin  admin".to_owned(),
            "admin session.begin admin".to_owned(),
            "admin user.add anna  member".to_owned(),
            format!("admin token.add admin  {prefix} viewer (a test)"),
            "admin user.role anna member viewer".to_owned(),
            "admin user.disable anna".to_owned(),
            "admin user.enable anna".to_owned(),
            "admin user.password anna".to_owned(),
            format!("admin token.revoke {prefix}"),
        ],
        "and what was refused is not among them"
    );
}

#[tokio::test]
async fn a_server_that_others_reach_waits_for_the_first_admin_who_is_made_by_a_link_once() {
    let server = reached().await;
    let link = server.app.people().first_link().await.expect("a link");
    let response = server.ask("GET", "/", "", "").await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()[header::LOCATION]),
        (303, &"/first-admin".parse().expect("a header"))
    );
    for path in ["/api/v1/results", "/api/v1/me"] {
        let (status, told) = server.told("GET", path, "", "").await;
        assert!(status == 503 && told.contains("\"no-admin\""), "{path}: {status} {told}");
    }
    let (status, page) = server.told("GET", &format!("/first-admin?link={}", link.text()), "", "").await;
    assert!(status == 200 && page.contains(link.text()), "{page}");

    let body = |link: &str, password: &str| format!("link={link}&name=anna&password={}", password.replace(' ', "+"));
    let (status, page) = server.told("POST", "/first-admin", "", &body(link.text(), "short")).await;
    assert!(status == 400 && page.contains("take 12 or more") && page.contains(link.text()), "{page}");
    assert_eq!(server.told("POST", "/first-admin", "", &body("vbl_wrong", PASSWORD)).await.0, 410);
    let former = link;
    let link = server.app.people().first_link().await.expect("another");
    assert_eq!(
        server.told("POST", "/first-admin", "", &body(former.text(), PASSWORD)).await.0,
        410,
        "the newest counts"
    );
    let response = server.ask("POST", "/first-admin", "", &body(link.text(), PASSWORD)).await;
    assert_eq!(response.status(), 303);
    let admin = session(&response);
    let (_, me) = server.told("GET", "/api/v1/me", &admin, "").await;
    assert!(me.contains("\"anna\"") && me.contains("\"admin\""), "{me}");
    assert_eq!(server.told("POST", "/first-admin", "", &body(link.text(), PASSWORD)).await.0, 410, "it works once");
    assert_eq!(server.told("GET", "/api/v1/results", "", "").await.0, 200, "the server is open");
    let first = format!("command line link.add first admin  {}", former.prefix());
    assert_eq!(audit(&server, &admin).await[0], first);
}

#[tokio::test]
async fn nothing_about_a_person_is_in_what_others_get() {
    let server = server().await;
    server.add("", "admin", "admin").await;
    let admin = server.sign_in("admin").await;
    server.add(&admin, "zz-quentin", "admin").await;
    let quentin = server.sign_in("zz-quentin").await;
    for path in ["/", "/analyses", "/choose", "/try", "/encoders/Random", "/sign-in", "/nowhere"] {
        let (_, own) = server.told("GET", path, &quentin, "").await;
        assert!(own.contains("zz-quentin"), "{path} shows who is signed in");
        for (who, secret) in [("nobody", ""), ("the admin", admin.as_str())] {
            let response = server.ask("GET", path, secret, "").await;
            let headers = response.headers().clone();
            let page = String::from_utf8_lossy(&bytes(response).await).into_owned();
            assert!(!page.contains("zz-quentin"), "{who} at {path}");
            let vary: Vec<_> = headers.get_all(header::VARY).iter().filter_map(|v| v.to_str().ok()).collect();
            assert!(vary.iter().any(|v| v.contains("cookie")), "{path}: {vary:?}");
            let cached = headers[header::CACHE_CONTROL].to_str().expect("text");
            assert!(cached.contains("private") || cached == "no-store", "{path}: {cached}");
            assert!(!headers.contains_key(header::ETAG), "{path}");
        }
    }
    let content = "{\"path\":\"/account\",\"query\":\"\"}";
    let paths: Vec<_> = leptos::server_fn::axum::server_fn_paths().map(|(path, _)| path).collect();
    let load = paths.iter().find(|p| p.starts_with("/rpc/load_content")).expect("a server function");
    let (_, own) = server.told("POST", load, &quentin, content).await;
    let (_, others) = server.told("POST", load, "", content).await;
    assert!(
        own.contains("zz-quentin") && !others.contains("zz-quentin") && others.contains("Nobody is signed in"),
        "{others}"
    );
}

/// Runs `virboard user` with something on its standard input; gives whether it worked, and what it said.
fn user(data: &Path, arguments: &[&str], input: &str) -> (bool, String) {
    let mut command = virboard(data);
    let mut child = command.arg("user").args(arguments).stdin(Stdio::piped()).spawn().expect("it runs");
    // A command that reads nothing may have ended.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let said = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8_lossy(&said).trim().to_owned())
}

#[tokio::test]
async fn the_command_line_makes_users_and_tokens_for_a_running_server() {
    let server = server().await;
    let data = server.data.path();
    let (worked, said) = user(data, &["add", "anna"], "");
    assert!(!worked && said.contains("no admin"), "{said}");
    let password = format!("{PASSWORD}\n");
    for (arguments, input, wanted) in [
        (&["add", "Anna", "--role", "admin", "--password-stdin"][..], password.as_str(), "anna is added as admin."),
        (&["add", "bert", "--role", "member"], "", "bert is added as member."),
        (&["role", "bert", "viewer"], "", ""),
    ] {
        assert_eq!(user(data, arguments, input), (true, wanted.to_owned()), "{arguments:?}");
    }
    let admin = server.sign_in("anna").await;
    let (worked, token) = user(data, &["token", "bert", "--name", "cluster", "--days", "3"], "");
    assert!(worked && token.starts_with("vbt_"), "{token}");
    let (_, me) = server.told("GET", "/api/v1/me", &token, "").await;
    assert!(me.contains("\"bert\"") && me.contains("\"viewer\""), "{me}");
    let (_, listed) = user(data, &["list"], "");
    assert!(listed.lines().count() == 2 && listed.contains("bert"), "{listed}");
    assert!(user(data, &["disable", "bert"], "").0);
    assert_eq!(server.told("GET", "/api/v1/me", &token, "").await.0, 401);
    for (arguments, wanted) in [
        (&["disable", "anna"][..], "no admin"),
        (&["disable", "nobody"], "no user of this name"),
        (&["add", "bert"], "already"),
        (&["add", "b ert"], "letters a to z"),
        (&["token", "bert", "--name", "x"], "disabled"),
    ] {
        let (worked, said) = user(data, arguments, "");
        assert!(!worked && said.contains(wanted), "{arguments:?}: {said}");
    }
    let lines = audit(&server, &admin).await;
    assert!(lines.contains(&"command line user.disable bert".to_owned()), "{lines:?}");
}
