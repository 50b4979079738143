//! Which responses may be shared. The table in the module's documentation says the same in words.

use http::{HeaderMap, HeaderName, Method, StatusCode, header, response};
use http_body::Body;

use super::{
    headers::{lists, members},
    reason::Reason,
    rules::Rules,
};

/// Of all that blames the client, these blame the target alone. The others speak of who asked, how often, by which
/// connection or with which headers; shared, a client could have others refused that did nothing wrong.
const OF_THE_TARGET: [StatusCode; 5] = [
    StatusCode::NOT_FOUND,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::GONE,
    StatusCode::URI_TOO_LONG,
    StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS,
];

impl Rules {
    /// Why a response is its requester's alone, as far as its head can tell.
    pub(super) fn objection(&self, method: &Method, parts: &response::Parts, body: &impl Body) -> Option<Reason> {
        let headers = &parts.headers;
        if is_not_for_others(parts.status) {
            return Some(Reason::Status);
        }
        if headers.contains_key(header::SET_COOKIE) || headers.contains_key("set-cookie2") {
            return Some(Reason::SetCookie);
        }
        if ["private", "no-store", "no-cache"].iter().any(|name| lists(headers, &header::CACHE_CONTROL, name)) {
            return Some(Reason::ResponseCacheControl);
        }
        if !members(headers, &header::VARY).all(|name| name.is_empty() || self.is_keyed(name)) {
            return Some(Reason::Vary);
        }
        if members(headers, &header::CONTENT_TYPE).any(is_a_stream) {
            return Some(Reason::Streaming);
        }
        if self.is_too_large(method, headers, body) {
            return Some(Reason::TooLarge);
        }
        (!(self.share_if)(parts)).then_some(Reason::ResponseVetoed)
    }

    fn is_keyed(&self, name: &[u8]) -> bool {
        HeaderName::from_bytes(name).is_ok_and(|name| self.keyed.contains(&name))
    }

    fn is_too_large(&self, method: &Method, headers: &HeaderMap, body: &impl Body) -> bool {
        // The length that a response to HEAD announces is another's.
        let announced = headers.get(header::CONTENT_LENGTH).filter(|_| method != Method::HEAD && !body.is_end_stream());
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok()).unwrap_or(0);
        let at_least = announced.max(body.size_hint().lower());
        usize::try_from(at_least).map_or(true, |length| length > self.max_body_bytes)
    }
}

fn is_not_for_others(status: StatusCode) -> bool {
    // Nobody who may join has asked for a range or named a condition.
    let is_odd = matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED);
    let is_of_the_connection =
        matches!(status, StatusCode::HTTP_VERSION_NOT_SUPPORTED | StatusCode::NETWORK_AUTHENTICATION_REQUIRED);
    let is_of_the_requester = status.is_client_error() && !OF_THE_TARGET.contains(&status);
    status.is_informational() || is_odd || is_of_the_connection || is_of_the_requester
}

fn is_a_stream(content_type: &[u8]) -> bool {
    [&b"text/event-stream"[..], b"multipart/x-mixed-replace"]
        .iter()
        .any(|stream| content_type.eq_ignore_ascii_case(stream))
}
