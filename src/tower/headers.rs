//! The headers that decide, and how they are read.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Credentials, and what proxies make of them: with one of these a request is somebody's.
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

/// What frameworks and applications take for a part of the target, whoever sent it; and what the answers to other sites'
/// scripts hang on. Left out of the key, the first kind lets one client poison another's answer.
pub(super) const ALWAYS_IN_THE_KEY: [HeaderName; 11] = [
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

/// These belong to the connection that a response came by (RFC 9110, section 7.6.1). `Trailer` does not: without it
/// hyper sends no trailers.
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

/// The members of a header that is a list, each without what comes after `=` or `;`.
///
/// A comma inside quotes ends a member too. That makes more of them than there are, and none fewer.
pub(super) fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let members = values.flat_map(|value| value.split(|byte| *byte == b','));
    members.map(|member| member.split(|byte| matches!(byte, b'=' | b';')).next().unwrap_or_default().trim_ascii())
}

/// Whether the list has a member of that name.
pub(super) fn lists(headers: &HeaderMap, name: &HeaderName, member: &str) -> bool {
    members(headers, name).any(|listed| listed.eq_ignore_ascii_case(member.as_bytes()))
}

/// What `Forwarded` says of the target: all of it but who the client is, which would be another key for each.
pub(super) fn forwarded_target(value: &HeaderValue) -> Option<HeaderValue> {
    let pieces = value.as_bytes().split(|byte| matches!(byte, b';' | b',')).map(<[u8]>::trim_ascii);
    let names_a_client = |piece: &&[u8]| {
        let name = piece.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        name.eq_ignore_ascii_case(b"for") || name.eq_ignore_ascii_case(b"by")
    };
    let target = pieces.filter(|piece| !names_a_client(piece)).collect::<Vec<_>>().join(&b';');
    // What was cut out of a header's value can't but be one; an empty one says nothing.
    HeaderValue::from_bytes(&target).ok().filter(|target| !target.is_empty())
}

/// Takes out what belongs to the connection.
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
    fn a_directive_is_found_whatever_its_case_its_argument_and_its_neighbours() {
        let mut headers = HeaderMap::new();
        headers.append(header::CACHE_CONTROL, HeaderValue::from_static("max-age=5 , PRIVATE=\"set-cookie, x\""));
        headers.append(header::CACHE_CONTROL, HeaderValue::from_static("no-Store"));
        for (directive, is_there) in [("private", true), ("no-store", true), ("max-age", true), ("no-cache", false)] {
            assert_eq!(lists(&headers, &header::CACHE_CONTROL, directive), is_there, "{directive}");
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
    fn what_connection_names_goes_with_it() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close, X-Lease"));
        headers.insert("x-lease", HeaderValue::from_static("1"));
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        headers.insert(header::ETAG, HeaderValue::from_static("\"1\""));
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), [header::ETAG]);
    }
}
