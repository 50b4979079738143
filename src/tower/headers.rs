//! The headers that the layer reads, and how it parses them.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Headers that carry credentials, or what proxies replace them with: a request with one of them is one client's.
pub(super) const CREDENTIALS: [HeaderName; 22] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-auth-token"),
    HeaderName::from_static("x-access-token"),
    HeaderName::from_static("x-csrf-token"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("x-amzn-oidc-data"),
    HeaderName::from_static("x-amzn-oidc-identity"),
    HeaderName::from_static("x-goog-iap-jwt-assertion"),
    HeaderName::from_static("x-ms-client-principal"),
    HeaderName::from_static("cf-access-jwt-assertion"),
    HeaderName::from_static("x-forwarded-user"),
    HeaderName::from_static("x-forwarded-email"),
    HeaderName::from_static("x-forwarded-access-token"),
    HeaderName::from_static("x-forwarded-client-cert"),
    HeaderName::from_static("x-remote-user"),
    HeaderName::from_static("client-cert"),
    HeaderName::from_static("signature"),
    HeaderName::from_static("dpop"),
];

/// Headers that frameworks and applications treat as a part of the target, and those that CORS responses depend on. Outside of
/// the key, the first kind would let one client poison another's response.
pub(super) const DEFAULT_KEY_HEADERS: [HeaderName; 11] = [
    header::HOST,
    header::ORIGIN,
    header::ACCESS_CONTROL_REQUEST_METHOD,
    header::ACCESS_CONTROL_REQUEST_HEADERS,
    HeaderName::from_static("x-host"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];

pub(super) const METHOD_OVERRIDES: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
];

pub(super) const RANGES: [HeaderName; 2] = [header::RANGE, header::IF_RANGE];

pub(super) const CONDITIONS: [HeaderName; 4] =
    [header::IF_MATCH, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE];

/// Headers that hold for a single connection (RFC 9110, section 7.6.1). Without `Trailer`, as hyper sends no trailers unless it
/// is there.
const HOP_BY_HOP: [HeaderName; 6] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

pub(super) fn has_any(headers: &HeaderMap, names: &[HeaderName]) -> bool {
    names.iter().any(|name| headers.contains_key(name))
}

/// The members of a list header, each without its argument (after `=`) or parameters (after `;`).
///
/// Also splits at commas inside of quotes. That can add members, but never hides one.
pub(super) fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let members = values.flat_map(|value| value.split(|byte| *byte == b','));
    members.map(|member| member.split(|byte| matches!(byte, b'=' | b';')).next().unwrap_or_default().trim_ascii())
}

/// Whether a list header has a member of that name, in any case.
pub(super) fn contains_member(headers: &HeaderMap, name: &HeaderName, member: &str) -> bool {
    members(headers, name).any(|listed| listed.eq_ignore_ascii_case(member.as_bytes()))
}

/// The parameters of `Forwarded` that describe the target. Those that name the client are left out: each client would have a
/// key of its own.
pub(super) fn forwarded_target(value: &HeaderValue) -> Option<HeaderValue> {
    let pieces = value.as_bytes().split(|byte| matches!(byte, b';' | b',')).map(<[u8]>::trim_ascii);
    let names_a_client = |piece: &&[u8]| {
        let name = piece.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        name.eq_ignore_ascii_case(b"for") || name.eq_ignore_ascii_case(b"by")
    };
    let target = pieces.filter(|piece| !names_a_client(piece)).collect::<Vec<_>>().join(&b';');
    // Always a valid header value, as its bytes come from one. An empty one adds nothing to the key.
    HeaderValue::from_bytes(&target).ok().filter(|target| !target.is_empty())
}

/// Removes the headers that hold for the connection alone.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<_> = members(headers, &header::CONNECTION)
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .chain(HOP_BY_HOP)
        .chain([header::CONNECTION])
        .collect();
    for name in named {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_directives_in_any_case_and_position() {
        let mut headers = HeaderMap::new();
        headers.append(header::CACHE_CONTROL, HeaderValue::from_static("max-age=5 , PRIVATE=\"set-cookie, x\""));
        headers.append(header::CACHE_CONTROL, HeaderValue::from_static("no-Store"));
        for (directive, is_there) in [("private", true), ("no-store", true), ("max-age", true), ("no-cache", false)] {
            assert_eq!(contains_member(&headers, &header::CACHE_CONTROL, directive), is_there, "{directive}");
        }
    }

    #[test]
    fn forwarded_keeps_the_target_and_drops_the_client() {
        for (value, kept) in [
            ("for=192.0.2.60;proto=http;host=a.example", Some("proto=http;host=a.example")),
            ("For=\"[2001:db8::1]:4711\", for=192.0.2.43;by=203.0.113.43", None),
            ("for=\"x;host=evil.example\"", Some("host=evil.example\"")),
        ] {
            let kept = kept.map(HeaderValue::from_static);
            assert_eq!(forwarded_target(&HeaderValue::from_static(value)), kept, "{value}");
        }
    }

    #[test]
    fn strips_headers_that_connection_names() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close, X-Lease"));
        headers.insert("x-lease", HeaderValue::from_static("1"));
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        headers.insert(header::ETAG, HeaderValue::from_static("\"1\""));
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), [header::ETAG]);
    }
}
