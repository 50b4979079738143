//! The routes, the page and the headers of all responses.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use axum::{
    Router,
    body::Bytes,
    extract::DefaultBodyLimit,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};

use super::{actions, events, shared::Shared, viewers::Viewer};

/// A page of another version asks its viewer to load it anew.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The routes hold what records, if it does so always: the application may drop the dashboard.
pub(super) fn router(shared: &Arc<Shared>, recording: Option<Arc<Viewer>>) -> Router {
    let clone = || Arc::clone(shared);
    let (streamed, snapped) = (clone(), clone());
    let events = async move |headers: HeaderMap| {
        with_headers(if is_foreign(&headers) { foreign() } else { events::events(&streamed) })
    };
    let snapshot = async move |headers: HeaderMap| {
        with_headers(if is_foreign(&headers) { foreign() } else { events::snapshot(&snapped).await })
    };
    let page = async move || {
        let _recording = &recording;
        page()
    };
    let router =
        Router::new().route("/", get(page)).route("/events", get(events)).route("/snapshot.json", get(snapshot));
    if shared.actions.is_empty() { router } else { router.route("/actions", actions_route(clone())) }
}

fn actions_route(shared: Arc<Shared>) -> MethodRouter {
    let act = async move |uri: Uri, headers: HeaderMap, body: Bytes| {
        with_headers(actions::act(&shared, &uri, &headers, &body).await)
    };
    post(act).layer(DefaultBodyLimit::max(actions::LONGEST))
}

fn page() -> Response {
    let nonce = nonce();
    let html = HTML
        .replace("{{version}}", VERSION)
        .replace("{{nonce}}", &nonce)
        .replace("{{style}}", STYLE)
        .replace("{{script}}", SCRIPT);
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    );
    let mut response = with_headers(html.into_response());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// 128 bits that can't be foretold, as they are hashed under keys from the operating system.
fn nonce() -> String {
    let half = || RandomState::new().hash_one(VERSION);
    format!("{:016x}{:016x}", half(), half())
}

/// No response may be kept, read by another site, or taken for what it isn't.
fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

/// Another site can't read a response, but its visitors' browsers could take all the viewers' places.
fn is_foreign(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}

fn foreign() -> Response {
    plain(StatusCode::FORBIDDEN, "another site's page can't read this")
}

pub(super) fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, text).into_response()
}
