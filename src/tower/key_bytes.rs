//! What keys are compared by: parts in a row, each after its length, so that different lists of parts have different bytes.

use http::{HeaderValue, Uri, uri::Authority};

pub(super) fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&part.len().to_le_bytes());
    bytes.extend_from_slice(part);
}

/// Which parts there are, for those that may be missing: no part and an empty one differ.
pub(super) fn put_which<const N: usize>(bytes: &mut Vec<u8>, are_there: [bool; N]) {
    const { assert!(N <= 8) };
    bytes.push(are_there.into_iter().fold(0, |which, is_there| which << 1 | u8::from(is_there)));
}

/// As `Uri` compares, without the case of scheme and authority, but with that of a user and a password.
pub(super) fn put_target(bytes: &mut Vec<u8>, uri: &Uri, with_query: bool) {
    let (scheme, authority, user) = (uri.scheme_str(), uri.authority().map(Authority::as_str), userinfo(uri));
    let query = uri.query().filter(|_| with_query);
    put_which(bytes, [scheme.is_some(), authority.is_some(), user.is_some(), query.is_some()]);
    for part in [scheme, authority].into_iter().flatten() {
        put(bytes, part.as_bytes());
        let begin = bytes.len() - part.len();
        bytes[begin..].make_ascii_lowercase();
    }
    for part in [user, Some(uri.path()), query].into_iter().flatten() {
        put(bytes, part.as_bytes());
    }
}

pub(super) fn put_field(bytes: &mut Vec<u8>, name: &str, value: &HeaderValue) {
    put(bytes, name.as_bytes());
    put(bytes, value.as_bytes());
}

/// The user and the password in a target: credentials.
pub(super) fn userinfo(uri: &Uri) -> Option<&str> {
    Some(uri.authority()?.as_str().rsplit_once('@')?.0)
}

/// Names and values of headers, as they were put.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.take()?, self.take()?))
    }
}

impl<'a> Fields<'a> {
    /// The next part.
    fn take(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (part, rest) = rest.split_at_checked(usize::from_le_bytes(*length))?;
        self.0 = rest;
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(uri: &'static str, with_query: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_target(&mut bytes, &Uri::from_static(uri), with_query);
        bytes
    }

    #[test]
    fn a_target_is_compared_with_the_case_of_its_user() {
        assert_ne!(target("http://alice:x@one.example/a", true), target("http://Alice:x@one.example/a", true));
        assert_ne!(target("http://alice:x@one.example/a", true), target("http://one.example/a", true));
        assert_eq!(target("http://alice:x@one.example/a", true), target("http://alice:x@ONE.example/a", true));
    }

    #[test]
    fn parts_of_targets_stay_apart() {
        let targets =
            ["/a", "/A", "/a?", "/a?b", "/a?B", "/a%3Fb", "//a", "*", "http://a/", "http://a/?", "https://a/", "a:80"];
        for (index, one) in targets.into_iter().enumerate() {
            for other in &targets[..index] {
                assert_ne!(target(one, true), target(other, true), "{one} {other}");
            }
        }
        assert_eq!(target("HTTP://a", true), target("http://A/", true));
    }

    #[test]
    fn a_query_can_be_left_out() {
        for (uri, kept) in [("http://one.example/a?b", "http://one.example/a"), ("/a?b", "/a"), ("*", "*")] {
            assert_eq!(target(uri, false), target(kept, true));
        }
    }

    #[test]
    fn fields_come_back_as_they_were_put() {
        let mut bytes = Vec::new();
        for (name, value) in [("a", ""), ("b", "value")] {
            put_field(&mut bytes, name, &HeaderValue::from_static(value));
        }
        assert_eq!(Fields(&bytes).collect::<Vec<_>>(), [(&b"a"[..], &b""[..]), (b"b", b"value")]);
    }
}
