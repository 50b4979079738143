//! Where to put the layer: other middleware above and below it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use axum::{
    Extension, Router,
    extract::{Request, State},
    http::HeaderMap,
    middleware::{Next, from_fn, from_fn_with_state},
    response::{AppendHeaders, IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use http::{StatusCode, header};
use shardflight::tower::Reason;

use crate::support::{Fixture, Gate, get_request, limited, texts};

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies
        .split("; ")
        .find_map(|cookie| Some(cookie.split_once('=').filter(|(named, _)| *named == name)?.1.to_string()))
}

/// The number of the session, which a handler finds in the request's extensions.
#[derive(Clone)]
struct Session(String);

#[derive(Clone, Default)]
struct Sessions(Arc<AtomicU32>);

/// Finds or starts a session, as tower-sessions does, and as a CSRF middleware does with its token.
async fn sessions(State(sessions): State<Sessions>, mut request: Request, next: Next) -> Response {
    let known = cookie(request.headers(), "session");
    let session = known.clone().unwrap_or_else(|| (sessions.0.fetch_add(1, Ordering::Relaxed) + 1).to_string());
    request.extensions_mut().insert(Session(session.clone()));
    let mut response = next.run(request).await;
    if known.is_none() {
        response.headers_mut().insert(header::SET_COOKIE, format!("session={session}").parse().unwrap());
    }
    response
}

/// A page with the visitor's own form, as it has the session's CSRF token.
async fn form(State(gate): State<Gate>, Extension(Session(session)): Extension<Session>) -> String {
    gate.pass().await;
    format!("token of session {session}")
}

/// Sends requests, opens the gate once all are under way, and returns the responses.
async fn send_all(
    fixture: &Fixture,
    router: &Router,
    requests: Vec<axum::extract::Request>,
) -> Vec<http::Response<Bytes>> {
    let count = requests.len() as u64;
    let tasks: Vec<_> =
        requests.into_iter().map(|request| tokio::spawn(crate::support::send(router, request))).collect();
    let passes = fixture.layer.passes();
    limited(async {
        fixture.until(|stats| stats.waiters as u64 + passes.total() == count).await;
        fixture.gate.open();
        let mut responses = Vec::new();
        for task in tasks {
            responses.push(task.await.unwrap());
        }
        responses
    })
    .await
}

#[tokio::test]
async fn sessions_and_csrf_tokens_below_the_layer_stay_with_their_visitors() {
    let fixture = Fixture::new();
    let router = Router::new()
        .route("/form", get(form))
        .with_state(fixture.gate.clone())
        .layer(from_fn_with_state(Sessions::default(), sessions))
        .layer(fixture.layer.clone());
    let responses = send_all(&fixture, &router, vec![get_request("/form", &[]), get_request("/form", &[])]).await;
    let cookies: Vec<_> = responses.iter().map(|response| cookie_set(response).unwrap()).collect();
    assert_ne!(cookies[0], cookies[1]);
    for (response, cookie) in responses.iter().zip(cookies) {
        assert_eq!(*response.body(), format!("token of session {}", &cookie["session=".len()..]));
    }
    assert_eq!(fixture.passes(Reason::SetCookie), 2);

    let requests = ["7", "8"].map(|session| get_request("/form", &[("cookie", &format!("session={session}"))]));
    let responses = send_all(&fixture, &router, requests.into()).await;
    assert_eq!(texts(&responses), ["token of session 7", "token of session 8"]);
}

fn cookie_set(response: &http::Response<Bytes>) -> Option<String> {
    Some(response.headers().get(header::SET_COOKIE)?.to_str().ok()?.to_string())
}

/// Why the other order is wrong: the layer sees two equal requests, and no `Set-Cookie`.
#[tokio::test]
async fn sessions_above_the_layer_need_a_principal() {
    let session =
        |parts: &http::request::Parts| parts.extensions.get::<Session>().map(|Session(session)| session.clone());
    for (has_principal, expected) in [(false, ["1", "1"]), (true, ["1", "2"])] {
        let fixture = Fixture::with(|layer| if has_principal { layer.principal(session) } else { layer });
        let router = Router::new()
            .route("/form", get(form))
            .with_state(fixture.gate.clone())
            .layer(fixture.layer.clone())
            .layer(from_fn_with_state(Sessions::default(), sessions));
        let responses = send_all(&fixture, &router, vec![get_request("/form", &[]), get_request("/form", &[])]).await;
        assert_eq!(texts(&responses), expected.map(|session| format!("token of session {session}")), "{has_principal}");
    }
}

#[tokio::test]
async fn cookie_jars_below_the_layer_stay_with_their_clients() {
    /// Adds to the cookies of the request, as a jar that a handler returns.
    async fn visit(State(gate): State<Gate>, headers: HeaderMap) -> impl IntoResponse {
        gate.pass().await;
        let visits = cookie(&headers, "visits").map_or(0, |visits| visits.parse::<u32>().unwrap()) + 1;
        (AppendHeaders([(header::SET_COOKIE, format!("visits={visits}"))]), format!("visit {visits}"))
    }
    for keyed in [false, true] {
        let fixture = Fixture::with(|layer| if keyed { layer.vary([header::COOKIE]) } else { layer });
        let router = Router::new().route("/", get(visit)).with_state(fixture.gate.clone()).layer(fixture.layer.clone());
        let requests = ["1", "1", "5"].map(|visits| get_request("/", &[("cookie", &format!("visits={visits}"))]));
        let responses = send_all(&fixture, &router, requests.into()).await;
        assert_eq!(texts(&responses), ["visit 2", "visit 2", "visit 6"]);
        assert_eq!(cookie_set(&responses[0]).unwrap(), "visits=2");
        let reason = if keyed { Reason::SetCookie } else { Reason::Credentials };
        assert_eq!(fixture.passes(reason), 3, "{keyed}");
    }
}

#[tokio::test]
async fn a_flash_message_below_the_layer_is_shown_to_its_client() {
    /// Shows the message of an earlier request, and removes it.
    async fn flash(State(gate): State<Gate>, request: Request, next: Next) -> Response {
        gate.pass().await;
        let message = cookie(request.headers(), "flash");
        let mut response = next.run(request).await;
        if let Some(message) = message {
            response.headers_mut().insert(header::SET_COOKIE, "flash=; Max-Age=0".parse().unwrap());
            *response.body_mut() = format!("{message}, ").into();
        }
        response
    }
    let fixture = Fixture::with(|layer| layer.vary([header::COOKIE]));
    let router = Router::new()
        .route("/", get(async || "home"))
        .layer(from_fn_with_state(fixture.gate.clone(), flash))
        .layer(fixture.layer.clone());
    let requests = vec![
        get_request("/", &[("cookie", "flash=saved")]),
        get_request("/", &[("cookie", "flash=deleted")]),
        get_request("/", &[]),
    ];
    let responses = send_all(&fixture, &router, requests).await;
    assert_eq!(texts(&responses), ["saved, ", "deleted, ", "home"]);
    assert_eq!(responses.iter().filter_map(cookie_set).count(), 2);
}

/// The user whom a token names.
#[derive(Clone)]
struct User(String);

/// Validates a token, removes it, and inserts its user.
async fn authenticate(mut request: Request, next: Next) -> Response {
    let token = request.headers_mut().remove(header::AUTHORIZATION);
    let user = token.as_ref().and_then(|token| token.to_str().ok()?.strip_prefix("valid ")?.split('.').next());
    let Some(user) = user else { return StatusCode::UNAUTHORIZED.into_response() };
    request.extensions_mut().insert(User(user.to_string()));
    next.run(request).await
}

async fn account(State(gate): State<Gate>, Extension(User(user)): Extension<User>) -> String {
    gate.pass().await;
    format!("account of {user}")
}

fn user(parts: &http::request::Parts) -> Option<String> {
    parts.extensions.get::<User>().map(|User(user)| user.clone())
}

fn with_token(token: &str) -> axum::extract::Request {
    get_request("/account", &[("authorization", token)])
}

#[tokio::test]
async fn authentication_above_the_layer_with_a_principal_keeps_users_apart() {
    let fixture = Fixture::with(|layer| layer.principal(user));
    let router = Router::new()
        .route("/account", get(account))
        .with_state(fixture.gate.clone())
        .layer(fixture.layer.clone())
        .layer(from_fn(authenticate));
    let requests = ["valid alice.1", "valid bob.1", "valid alice.2"].map(with_token);
    let responses = send_all(&fixture, &router, requests.into()).await;
    assert_eq!(texts(&responses), ["account of alice", "account of bob", "account of alice"]);
    assert_eq!(fixture.handle.stats().await.unwrap().executions, 2);
    let refused = crate::support::send(&router, with_token("alice.1")).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
}

/// Below the layer, the token is in the key, so a follower's token is as valid as its leader's.
#[tokio::test]
async fn authentication_below_the_layer_keeps_tokens_apart() {
    let fixture = Fixture::with(|layer| layer.vary([header::AUTHORIZATION]));
    let router = Router::new()
        .route("/account", get(account))
        .with_state(fixture.gate.clone())
        .layer(from_fn(authenticate))
        .layer(fixture.layer.clone());
    let requests = ["valid alice.1", "valid bob.1", "valid alice.1"].map(with_token);
    let responses = send_all(&fixture, &router, requests.into()).await;
    assert_eq!(texts(&responses), ["account of alice", "account of bob", "account of alice"]);
    assert_eq!(fixture.handle.stats().await.unwrap().executions, 2);
    let refused = crate::support::send(&router, with_token("alice.1")).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
}
