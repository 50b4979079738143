//! Which responses may be shared. Keep it in line with the table in the module's documentation.

use http::{HeaderMap, StatusCode, response};
use http_body::Body;

use super::{
    config::Config,
    headers::{directives_of, members_of},
    key::Key,
    length,
    reason::Reason,
    vary,
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

/// What a response's headers say about it, found in one pass over them.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a response may be any of them at once")]
pub(super) struct Said {
    sets_a_cookie: bool,
    /// `no-store` or `no-cache`.
    forbids_caching: bool,
    is_private: bool,
    /// `*`, or what isn't the name of a header: no request can be known to match.
    varies_on_anything: bool,
    /// Whether it may depend on headers that aren't in the key.
    pub(super) may_vary: bool,
    is_a_stream: bool,
}

impl Said {
    pub(super) fn by(headers: &HeaderMap) -> Self {
        let mut said = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "set-cookie" | "set-cookie2" => said.sets_a_cookie = true,
                "cache-control" => {
                    let is = |directive: &[u8], named: &[u8]| directive.eq_ignore_ascii_case(named);
                    said.forbids_caching |=
                        directives_of(value).any(|one| is(one, b"no-store") || is(one, b"no-cache"));
                    said.is_private |= directives_of(value).any(|one| is(one, b"private"));
                }
                "vary" => {
                    said.may_vary = true;
                    said.varies_on_anything |= vary::matches_none(value);
                }
                // A response that was chosen by a header depends on it, whether it says so or not.
                "content-encoding" | "content-language" | "age" => said.may_vary = true,
                "content-type" => said.is_a_stream |= members_of(value).any(is_a_stream),
                "x-accel-buffering" => {
                    said.is_a_stream |= members_of(value).any(|one| one.eq_ignore_ascii_case(b"no"));
                }
                _ => {}
            }
        }
        said
    }
}

/// What a response's leader asked for, as far as it decides whether the response may be shared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    has_principal: bool,
    has_own_key: bool,
}

impl Asked {
    pub(super) fn by(key: &Key) -> Self {
        Self { has_principal: key.has_principal(), has_own_key: key.has_own_key() }
    }
}

impl Config {
    /// The reason why a response is not shareable, judging by its head.
    pub(super) fn not_shareable(&self, asked: Asked, parts: &response::Parts, said: &Said) -> Option<Reason> {
        let may_share_private = self.shares_private_within_principal && asked.has_principal;
        let reasons = [
            (is_status_not_shareable(parts.status, asked), Reason::Status),
            (said.sets_a_cookie, Reason::SetCookie),
            (said.forbids_caching || (said.is_private && !may_share_private), Reason::ResponseCacheControl),
            (said.varies_on_anything, Reason::Vary),
            (said.is_a_stream, Reason::Streaming),
        ];
        if let Some((_, reason)) = reasons.into_iter().find(|(is_so, _)| *is_so) {
            return Some(reason);
        }
        (!(self.share_if)(parts)).then_some(Reason::ResponseVetoed)
    }

    /// Whether a body is larger than the cap, by what is announced of it.
    pub(super) fn is_too_large(&self, headers: &HeaderMap, body: &impl Body) -> bool {
        let announced = if body.is_end_stream() { None } else { length::announced(headers).ok().flatten() };
        let at_least = announced.unwrap_or(0).max(body.size_hint().lower());
        usize::try_from(at_least).map_or(true, |length| length > self.max_body_bytes)
    }
}

fn is_status_not_shareable(status: StatusCode, asked: Asked) -> bool {
    // Requests that ask for a range or are conditional join with a key of the user's only, which has these headers, too.
    let is_unexpected = !asked.has_own_key && matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED);
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
