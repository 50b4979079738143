//! Which responses may be shared. Keep it in line with the table in the module's documentation.

use http::{HeaderMap, HeaderName, StatusCode, header, response};
use http_body::Body;

use super::{
    config::Config,
    headers::{contains_member, members},
    reason::Reason,
};

/// The client errors that depend on the target alone. The others depend on the client, its rate, its connection or its headers:
/// sharing them would let one client have others rejected.
const TARGET_ERRORS: [StatusCode; 6] = [
    // Of a layer below that limits the time of a call, such as tower-http's.
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::NOT_FOUND,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::GONE,
    StatusCode::URI_TOO_LONG,
    StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS,
];

impl Config {
    /// The reason why a response is not shareable, judging by its head.
    pub(super) fn not_shareable(&self, parts: &response::Parts) -> Option<Reason> {
        let headers = &parts.headers;
        if is_status_not_shareable(parts.status) {
            return Some(Reason::Status);
        }
        if headers.contains_key(header::SET_COOKIE) || headers.contains_key("set-cookie2") {
            return Some(Reason::SetCookie);
        }
        if ["private", "no-store", "no-cache"].iter().any(|name| contains_member(headers, &header::CACHE_CONTROL, name))
        {
            return Some(Reason::ResponseCacheControl);
        }
        if !members(headers, &header::VARY).all(|name| name.is_empty() || self.is_in_key(name)) {
            return Some(Reason::Vary);
        }
        if members(headers, &header::CONTENT_TYPE).any(is_a_stream)
            || contains_member(headers, &HeaderName::from_static("x-accel-buffering"), "no")
        {
            return Some(Reason::Streaming);
        }
        (!(self.share_if)(parts)).then_some(Reason::ResponseVetoed)
    }

    fn is_in_key(&self, name: &[u8]) -> bool {
        HeaderName::from_bytes(name).is_ok_and(|name| self.key_headers.contains(&name))
    }

    /// Whether a body is larger than the cap, by what is announced of it.
    pub(super) fn is_too_large(&self, headers: &HeaderMap, body: &impl Body) -> bool {
        let announced = headers.get(header::CONTENT_LENGTH).filter(|_| !body.is_end_stream());
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok()).unwrap_or(0);
        let at_least = announced.max(body.size_hint().lower());
        usize::try_from(at_least).map_or(true, |length| length > self.max_body_bytes)
    }
}

fn is_status_not_shareable(status: StatusCode) -> bool {
    // Requests that ask for a range or are conditional never join.
    let is_unexpected = matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED);
    let is_about_connection =
        matches!(status, StatusCode::HTTP_VERSION_NOT_SUPPORTED | StatusCode::NETWORK_AUTHENTICATION_REQUIRED);
    let is_about_client = status.is_client_error() && !TARGET_ERRORS.contains(&status);
    status.is_informational() || is_unexpected || is_about_connection || is_about_client
}

/// Whether bodies of a type may have no end, or are played while they arrive.
fn is_a_stream(content_type: &[u8]) -> bool {
    const TYPES: [&[u8]; 10] = [
        b"text/event-stream",
        b"multipart/x-mixed-replace",
        b"application/x-ndjson",
        b"application/ndjson",
        b"application/jsonl",
        b"application/x-jsonlines",
        b"application/json-seq",
        b"application/stream+json",
        b"application/x-json-stream",
        b"application/geo+json-seq",
    ];
    // gRPC's have suffixes: `application/grpc+proto`, `application/grpc-web-text`.
    const PREFIXES: [&[u8]; 3] = [b"audio/", b"video/", b"application/grpc"];
    let begins_with = |prefix: &&[u8]| {
        content_type.get(..prefix.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(prefix))
    };
    TYPES.iter().any(|stream| content_type.eq_ignore_ascii_case(stream)) || PREFIXES.iter().any(begins_with)
}
