//! Who asks: from a cookie or a header to an [`Actor`], which everything behind finds in the request.

pub mod forms;
pub mod rest;

use super::browser::cookie;
use super::problem::Problem;
use crate::service::people::{Actor, Origin, SESSION, Secret};
use crate::service::{ServiceError, Virboard};
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tower_http::csrf::{ConfigError, CsrfLayer, ProtectionError};

/// Most bytes of what people send about themselves.
pub const SMALL: usize = 16 << 10;
/// Longest description of a program that is kept, in characters.
const AGENT: usize = 200;
/// What is the same for everybody, and is not worth asking the database who asks.
const STATIC: [&str; 4] = ["/pkg/", "/icons/", "/samples/", "/healthz"];
/// What is there while the server waits for its first admin.
const BEFORE: [&str; 5] = ["/first-admin", "/theme", "/readyz", "/metrics", "/rpc/"];

/// How a server is reached, upon which depends whom it believes.
#[derive(Debug, Clone)]
pub struct Door {
    /// Whether it listens to its own machine alone: without users, whoever sits there may do everything.
    local: bool,
    /// Whether cookies also travel over plain http.
    insecure: bool,
    /// Whether a proxy shows it to others.
    proxied: bool,
    csrf: CsrfLayer,
}

impl Default for Door {
    fn default() -> Self {
        Self { local: true, insecure: false, proxied: false, csrf: CsrfLayer::new() }
    }
}

impl Door {
    /// Of a server that listens at an address.
    #[must_use]
    pub fn at(address: IpAddr) -> Self {
        Self { local: address.to_canonical().is_loopback(), ..Self::default() }
    }

    /// The same with cookies that also travel over plain http.
    #[must_use]
    pub fn insecure(self) -> Self {
        Self { insecure: true, ..self }
    }

    /// The same behind a proxy that shows the server at an address such as `https://virboard.example`.
    pub fn behind(self, public: &str) -> Result<Self, ConfigError> {
        let csrf = self.csrf.add_trusted_origin(public.trim_end_matches('/'))?;
        Ok(Self { proxied: true, csrf, ..self })
    }

    /// Whether others than its own machine reach it.
    #[must_use]
    pub fn is_public(&self) -> bool {
        !self.local || self.proxied
    }

    /// Name of the cookie. Browsers take the first only over https, from this host, for all of its paths.
    #[must_use]
    pub fn cookie(&self) -> &'static str {
        if self.insecure { "virboard" } else { "__Host-virboard" }
    }

    /// The header that begins a session in a browser, or ends it.
    fn set_cookie(&self, secret: Option<&Secret>) -> [(header::HeaderName, String); 1] {
        let (value, age) = secret.map_or(("", 0), |s| (s.text(), SESSION));
        let secure = if self.insecure { "" } else { "; Secure" };
        let cookie = format!("{}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}", self.cookie());
        [(header::SET_COOKIE, cookie)]
    }

    /// Refuses what another site makes a browser send. Programs send neither of the headers by which it is known.
    pub fn csrf(&self) -> CsrfLayer<impl Fn(ProtectionError) -> Response + Clone + Send + Sync + 'static> {
        self.csrf.clone().with_rejection_response(|_| {
            let detail = "Another site has sent this, or a proxy has changed the header Host (see --public-url).";
            Problem::new("cross-site", 403, "Sent by another site", detail).into_response()
        })
    }

    /// Where a request comes from.
    fn origin(&self, request: &Request) -> Origin {
        let headers = request.headers();
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|c| c.0.ip());
        // The last address is what the proxy itself has seen; those before it anybody may have written.
        let forwarded = || {
            let all = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
            all.rsplit(',').next()?.trim().parse::<IpAddr>().ok()
        };
        let address = if self.proxied { forwarded().or(peer) } else { peer };
        let agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
        Origin { address, agent: agent.chars().take(AGENT).collect() }
    }

    /// Whether a request comes from this machine and nowhere else. A proxy says for whom it asks, and a name that
    /// somebody made to mean this machine is not one of its own.
    fn is_local(&self, request: &Request) -> bool {
        let headers = request.headers();
        let here = |host: &Authority| {
            let host = host.host().trim_matches(['[', ']']);
            host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        };
        let host = headers.get(header::HOST).map(|h| h.to_str().ok().and_then(|h| h.parse().ok()));
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        !self.is_public()
            && peer.is_none_or(|c| c.0.ip().to_canonical().is_loopback())
            && host.is_none_or(|h| h.as_ref().is_some_and(here))
            && request.uri().authority().is_none_or(here)
            && !["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"]
                .iter()
                .any(|h| headers.contains_key(*h))
    }
}

/// The secret that a request shows.
fn secret<'a>(headers: &'a HeaderMap, door: &Door) -> Option<&'a str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    bearer.or_else(|| cookie(headers, door.cookie()))
}

/// Finds out who asks, and says of each answer that depends on it that it is theirs alone.
pub async fn identify(State((app, door)): State<(Virboard, Arc<Door>)>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if STATIC.iter().any(|p| path.starts_with(p)) {
        return next.run(request).await;
    }
    let waits = match waits(&app, &door).await {
        Ok(waits) => waits,
        Err(error) => return error.into_response(),
    };
    if waits && !BEFORE.iter().any(|p| path.starts_with(p)) {
        let page = *request.method() == Method::GET && !path.starts_with("/api/");
        return if page { Redirect::to("/first-admin").into_response() } else { ServiceError::NoAdmin.into_response() };
    }
    let origin = door.origin(&request);
    let local = door.is_local(&request);
    let actor = match app.people().actor(secret(request.headers(), &door), origin, local).await {
        Ok(actor) => actor,
        Err(error) => return error.into_response(),
    };
    request.extensions_mut().insert(actor);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("cookie, authorization"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    response
}

/// Whether the server waits for its first admin: others than its own machine reach it, and it has no users.
async fn waits(app: &Virboard, door: &Door) -> Result<bool, ServiceError> {
    Ok(door.is_public() && !app.store().is_read_only() && !app.people().any().await?)
}

impl<S: Sync> FromRequestParts<S> for Actor {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ServiceError> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| ServiceError::internal("nobody has found out who asks"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn request(headers: &[(&str, &str)], peer: &str) -> Request {
        let mut request = Request::get("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).expect("a request");
        request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().expect("an address")));
        request
    }

    #[test]
    fn only_what_comes_from_the_machine_itself_is_local() {
        let door = Door::default();
        for host in ["localhost:3000", "127.0.0.1", "[::1]:3000", "LOCALHOST"] {
            assert!(door.is_local(&request(&[("host", host)], "127.0.0.1:5000")), "{host}");
        }
        assert!(door.is_local(&request(&[], "[::1]:5000")), "programs may send no host");
        for (headers, peer) in [
            (&[("host", "virboard.example")][..], "127.0.0.1:5000"),
            (&[("host", "localhost.evil.example:3000")], "127.0.0.1:5000"),
            (&[("host", "")], "127.0.0.1:5000"),
            (&[("host", "localhost"), ("x-forwarded-for", "10.0.0.1")], "127.0.0.1:5000"),
            (&[("host", "localhost"), ("forwarded", "for=10.0.0.1")], "127.0.0.1:5000"),
            (&[("host", "localhost")], "10.0.0.1:5000"),
        ] {
            assert!(!door.is_local(&request(headers, peer)), "{headers:?} {peer}");
        }
        let asked = request(&[("host", "localhost")], "127.0.0.1:5000");
        assert!(!Door::at([10, 0, 0, 2].into()).is_local(&asked));
        assert!(!Door::default().behind("https://a.example/").expect("an address").is_local(&asked));
        assert!(Door::default().behind("a.example").is_err(), "an address says how it is reached");
    }

    #[test]
    fn a_proxy_is_believed_only_where_there_is_one() {
        let forged = request(&[("x-forwarded-for", "1.1.1.1, 10.0.0.9")], "127.0.0.1:5000");
        assert_eq!(Door::default().origin(&forged).ip(), "127.0.0.1");
        let behind = Door::default().behind("https://a.example").expect("an address");
        assert_eq!(behind.origin(&forged).ip(), "10.0.0.9", "what the proxy saw, not what was sent to it");
    }

    #[test]
    fn a_secret_comes_from_the_right_cookie_or_header() {
        let door = Door::default();
        for (headers, found) in [
            (&[("cookie", "theme=dark; __Host-virboard=vbs_1")][..], Some("vbs_1")),
            (&[("cookie", "virboard=vbs_1; x__Host-virboard=vbs_2")], None),
            (&[("authorization", "bearer vbt_1"), ("cookie", "__Host-virboard=vbs_1")], Some("vbt_1")),
            (&[("authorization", "Basic dXNlcg==")], None),
        ] {
            let request = request(headers, "127.0.0.1:1");
            assert_eq!(secret(request.headers(), &door), found, "{headers:?}");
        }
    }
}
