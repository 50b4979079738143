//! Responses that vary on headers outside of the key.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    headers::{members, members_of},
    key::Key,
    key_headers::KeyHeaders,
};

/// The headers outside of the key that a response depends on, with the leader's values.
#[derive(Debug)]
pub(super) struct Varied {
    names: Vec<HeaderName>,
    leader: Key,
}

impl Varied {
    /// `None` if all requests with the leader's key agree in what the response depends on.
    pub(super) fn new(key_headers: &KeyHeaders, response: &HeaderMap, leader: &Key) -> Option<Self> {
        let names = varied_names(key_headers, response);
        (!names.is_empty()).then(|| Self { names, leader: leader.clone() })
    }

    /// Whether a follower sent the leader's values, or like the leader none (RFC 9111, section 4.1).
    pub(super) fn matches(&self, follower: &HeaderMap) -> bool {
        self.names.iter().all(|name| {
            let of_leader = self.leader.outside().filter(|(named, _)| *named == name.as_str().as_bytes());
            of_leader.map(|(_, value)| value).eq(follower.get_all(name).iter().map(HeaderValue::as_bytes))
        })
    }
}

/// The headers outside of the key that a response depends on.
pub(super) fn varied_names(key_headers: &KeyHeaders, response: &HeaderMap) -> Vec<HeaderName> {
    let listed = members(response, &header::VARY).filter_map(|name| HeaderName::from_bytes(name).ok());
    // A response that was chosen by such a header depends on it, whether it says so or not. One with `Age` comes from an HTTP
    // cache, which obeys the request's `max-age` and `max-stale` (RFC 9111, section 5.2.1).
    let implied = [
        (header::CONTENT_ENCODING, header::ACCEPT_ENCODING),
        (header::CONTENT_LANGUAGE, header::ACCEPT_LANGUAGE),
        (header::AGE, header::CACHE_CONTROL),
    ];
    let implied = implied.into_iter().filter_map(|(chosen, by)| response.contains_key(chosen).then_some(by));
    listed.chain(implied).filter(|name| !key_headers.always_includes(name)).collect()
}

/// Whether no request can be known to match: `*`, or what isn't the name of a header.
pub(super) fn matches_none(value: &HeaderValue) -> bool {
    // `*` is a valid name of a header, too.
    members_of(value).any(|name| name == b"*" || (!name.is_empty() && HeaderName::from_bytes(name).is_err()))
}
