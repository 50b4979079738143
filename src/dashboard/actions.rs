//! What a page may change, if it was allowed to: by POST, and from the page itself only.

use std::{sync::Arc, time::Duration};

use axum::{
    http::{HeaderMap, StatusCode, Uri, header},
    response::Response,
};
use serde_json::Value;
use tokio::time::timeout;

use super::{page::plain, shared::Shared};
use crate::error::Closed;

/// The longest body of a request: a name, a number, and what is around them.
pub(super) const LONGEST: usize = 4096;
const PATIENCE: Duration = Duration::from_secs(3);

/// Something that viewers of a page may do: see [`allow_actions`](crate::dashboard::DashboardBuilder::allow_actions).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Detach one of the oldest flights, so that the next join of its key starts anew, as [`Handle::forget`](crate::Handle::forget)
    /// does.
    Forget,
    /// Switch coalescing off and on again: [`Handle::set_enabled`](crate::Handle::set_enabled).
    SetEnabled,
}

impl Action {
    /// All actions, in the order of their declaration.
    pub const ALL: &'static [Self] = &[Self::Forget, Self::SetEnabled];

    /// Its name in requests and in snapshots, in snake case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forget => "forget",
            Self::SetEnabled => "set_enabled",
        }
    }
}

/// `POST actions`
pub(super) async fn act(shared: &Arc<Shared>, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
    if !is_same_origin(uri, headers) {
        return plain(StatusCode::FORBIDDEN, "actions are taken from the page itself only");
    }
    // No form of another site can send this type.
    if headers.get(header::CONTENT_TYPE).is_none_or(|sent| sent != "application/json") {
        return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json");
    }
    let Ok(order) = serde_json::from_slice::<Value>(body) else {
        return plain(StatusCode::BAD_REQUEST, "this is no JSON");
    };
    let text = |field: &str| order.get(field).and_then(Value::as_str);
    let Some(action) = Action::ALL.iter().find(|action| text("action") == Some(action.as_str())) else {
        return plain(StatusCode::BAD_REQUEST, "there is no such action");
    };
    if !shared.actions.contains(action) {
        return plain(StatusCode::FORBIDDEN, "this action is not allowed here");
    }
    let Some(watched) = text("coalescer").and_then(|name| shared.find(name)) else {
        return plain(StatusCode::NOT_FOUND, "there is no such coalescer");
    };
    match action {
        Action::Forget => {
            let Some(flight) = text("flight").and_then(|number| number.parse().ok()) else {
                return plain(StatusCode::BAD_REQUEST, "name the flight by its number, as text");
            };
            match timeout(PATIENCE, watched.source.forget(flight)).await {
                Ok(Ok(true)) => plain(StatusCode::OK, "forgotten"),
                Ok(Ok(false)) => plain(StatusCode::NOT_FOUND, "the flight is over, or forgotten already"),
                Ok(Err(Closed)) => plain(StatusCode::GONE, "the coalescer has stopped"),
                Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "no answer in time"),
            }
        }
        Action::SetEnabled => {
            let Some(enabled) = order.get("enabled").and_then(Value::as_bool) else {
                return plain(StatusCode::BAD_REQUEST, "say whether it is to be enabled");
            };
            if watched.source.set_enabled(enabled) {
                plain(StatusCode::OK, if enabled { "enabled" } else { "disabled" })
            } else {
                plain(StatusCode::GONE, "the coalescer has stopped")
            }
        }
    }
}

/// As the browser says, which no script of another site can forge. Browsers send `Sec-Fetch-Site` over HTTPS and to local
/// addresses, and `Origin` with every POST. Without either, the request isn't the page's.
fn is_same_origin(uri: &Uri, headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // HTTP/2 has the authority in the target.
    let host = text(header::HOST).or_else(|| uri.authority().map(axum::http::uri::Authority::as_str));
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    // Whatever the scheme: the server may stand behind one that ends TLS.
    host.zip(origin).is_some_and(|(host, (_, origin))| host.eq_ignore_ascii_case(origin))
}
