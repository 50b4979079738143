//! The headers that the layer reads, and how it parses them.

use std::collections::HashSet;

use http::{HeaderMap, HeaderName, HeaderValue, header};

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

/// The members of a list header, each without its argument (after `=`) or parameters (after `;`).
///
/// Also splits at commas inside of quotes. That can add members, but never hides one.
pub(super) fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).iter().flat_map(members_of)
}

/// Those of one line of it.
pub(super) fn members_of(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let members = value.as_bytes().split(|byte| *byte == b',');
    members.map(|member| up_to(member, |byte| matches!(byte, b'=' | b';')))
}

/// The directives in one line of `Cache-Control`, each without its argument. Some services separate them by `;`, which must not hide
/// one that forbids to share.
pub(super) fn directives_of(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let directives = value.as_bytes().split(|byte| matches!(byte, b',' | b';'));
    directives.map(|directive| up_to(directive, |byte| byte == b'='))
}

fn up_to(member: &[u8], is_end: impl Fn(u8) -> bool) -> &[u8] {
    member.split(|byte| is_end(*byte)).next().unwrap_or_default().trim_ascii()
}

/// The parameters of `Forwarded` that describe the target, element by element: a service may take those of one proxy. Parameters
/// that only name the client are left out: each client would have a key of its own.
pub(super) fn forwarded_target(value: &HeaderValue) -> Option<HeaderValue> {
    let target_of = |element: &[u8]| {
        let pieces = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        pieces.filter(|piece| !only_names_a_client(piece)).collect::<Vec<_>>().join(&b';')
    };
    let elements: Vec<_> = value.as_bytes().split(|byte| *byte == b',').map(target_of).collect();
    if elements.iter().all(Vec::is_empty) {
        return None;
    }
    // Always a valid header value, as its bytes come from one.
    HeaderValue::from_bytes(&elements.join(&b',')).ok()
}

/// Whether a parameter of `Forwarded` names a client, and a service parses the others alike with and without it. A quote may reach
/// into them, and a byte that isn't visible ASCII has `to_str` fail for the whole line.
fn only_names_a_client(parameter: &[u8]) -> bool {
    let mut pieces = parameter.splitn(2, |byte| *byte == b'=');
    let (name, value) = (pieces.next().unwrap_or_default(), pieces.next().unwrap_or_default());
    let quoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let client = quoted.unwrap_or(value);
    (name.eq_ignore_ascii_case(b"for") || name.eq_ignore_ascii_case(b"by"))
        && !client.is_empty()
        && client.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}

/// The value of a `Cookie` header without the cookies of these names. `None` if no other cookie is left.
pub(super) fn without_cookies(value: &HeaderValue, ignored: &HashSet<Box<[u8]>>) -> Option<HeaderValue> {
    // Some parsers take a `;` between quotes as a part of a cookie's value: what looks like an ignored cookie may then be a
    // part of another one. Others read no cookie of a value that isn't visible ASCII.
    if ignored.is_empty() || value.as_bytes().contains(&b'"') || value.to_str().is_err() {
        return Some(value.clone());
    }
    let is_ignored = |cookie: &&[u8]| {
        let mut pieces = cookie.splitn(2, |byte| *byte == b'=');
        let name = pieces.next().unwrap_or_default().trim_ascii();
        // Without a `=`, it is the value of a cookie without a name.
        pieces.next().is_some() && ignored.contains(name)
    };
    let cookies = value.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let kept: Vec<_> = cookies.filter(|cookie| !is_ignored(cookie)).collect();
    if kept.iter().all(|cookie| cookie.is_empty()) {
        return None;
    }
    // Always a valid header value, as its bytes come from one.
    HeaderValue::from_bytes(&kept.join(&b"; "[..])).ok()
}

/// Removes the headers that hold for the connection alone.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let is_known = |name: &HeaderName| *name == header::CONNECTION || HOP_BY_HOP.contains(name);
    // Nearly always there is none: servers add them later.
    if !headers.keys().any(is_known) {
        return;
    }
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
        let value = HeaderValue::from_static("max-age=5 , PRIVATE=\"set-cookie, x\";s-maxage=7 ; no-Store");
        for (directive, is_there) in
            [("private", true), ("no-store", true), ("max-age", true), ("s-maxage", true), ("no-cache", false)]
        {
            let is_listed = directives_of(&value).any(|listed| listed.eq_ignore_ascii_case(directive.as_bytes()));
            assert_eq!(is_listed, is_there, "{directive}");
        }
    }

    #[test]
    fn finds_members_without_their_parameters() {
        let mut headers = HeaderMap::new();
        headers.append(header::CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=utf-8 , text/html ; q=1"));
        headers.append(header::CONTENT_TYPE, HeaderValue::from_static("a=b;c"));
        let listed: Vec<_> = members(&headers, &header::CONTENT_TYPE).collect();
        assert_eq!(listed, [&b"text/plain"[..], b"text/html", b"a"]);
    }

    #[test]
    fn forwarded_keeps_the_target_and_drops_the_client() {
        for (value, kept) in [
            ("for=192.0.2.60;proto=http;host=a.example", Some("proto=http;host=a.example")),
            ("For=\"[2001:db8::1]:4711\", for=192.0.2.43;by=203.0.113.43", None),
            ("for=\"[2001:db8::1]:4711\";host=a.example", Some("host=a.example")),
            // What hides the rest from some parsers, or has them refuse it.
            ("for=\"x;host=a.example\"", Some("for=\"x;host=a.example\"")),
            ("for=\";host=a.example", Some("for=\";host=a.example")),
            ("by=\"x\\\";host=a.example", Some("by=\"x\\\";host=a.example")),
            ("for;host=a.example", Some("for;host=a.example")),
            ("for =a; by=;host=a.example", Some("for =a;by=;host=a.example")),
            ("for=a;proto=http, for=b;host=b.example", Some("proto=http,host=b.example")),
            ("for=a, proto=http;host=b.example", Some(",proto=http;host=b.example")),
        ] {
            let kept = kept.map(HeaderValue::from_static);
            assert_eq!(forwarded_target(&HeaderValue::from_static(value)), kept, "{value}");
        }
    }

    #[test]
    fn only_ignored_cookies_are_removed() {
        let ignored = ["_ga", "_gid"].map(|name| Box::from(name.as_bytes())).into();
        for (value, kept) in [
            ("_ga=1; session=7;_gid=2", Some("session=7")),
            ("_ga=1; _gid=2", None),
            ("_GA=1; x_ga=2; _ga", Some("_GA=1; x_ga=2; _ga")),
            ("session=_ga=1", Some("session=_ga=1")),
            ("session=\"x; _ga=1\"", Some("session=\"x; _ga=1\"")),
        ] {
            let kept = kept.map(HeaderValue::from_static);
            assert_eq!(without_cookies(&HeaderValue::from_static(value), &ignored), kept, "{value}");
        }
        let opaque = HeaderValue::from_bytes(b"_ga=\xff; session=7").unwrap();
        assert_eq!(without_cookies(&opaque, &ignored), Some(opaque));
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
