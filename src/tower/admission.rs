//! Which requests may join a flight, and by which key. The table in the module's documentation says the same in words.

use axum::extract::OriginalUri;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header, request};
use http_body::Body;

use super::{
    headers::{CONDITIONS, METHOD_OVERRIDES, RANGES, forwarded_target, has_any, lists, members},
    key::Key,
    reason::Reason,
    rules::Rules,
};

impl Rules {
    /// The request's key, or why it passes through.
    pub(super) fn admit(&self, layer: u64, parts: &request::Parts, body: &impl Body) -> Result<Key, Reason> {
        if let Some(reason) = passes(parts, body) {
            return Err(reason);
        }
        let principal = self.principal.as_ref().and_then(|principal| principal(parts));
        // Without a principal it is nobody's request in particular, or else its credentials have to be in the key.
        let is_accounted_for = |name: &&HeaderName| principal.is_some() || self.keyed.contains(name);
        if self.credentials.iter().any(|name| parts.headers.contains_key(name) && !is_accounted_for(&name)) {
            return Err(Reason::Credentials);
        }
        if !(self.coalesce_if)(parts) {
            return Err(Reason::RequestVetoed);
        }
        // A router that nests cuts its prefix off, and with it the tenant of `/tenants/{tenant}`.
        let original = parts.extensions.get::<OriginalUri>().map(|OriginalUri(uri)| uri);
        Ok(Key {
            layer,
            method: parts.method.clone(),
            uri: original.unwrap_or(&parts.uri).clone(),
            rewritten: original.filter(|original| **original != parts.uri).map(|_| parts.uri.clone()),
            headers: self.keyed_headers(&parts.headers),
            principal,
        })
    }

    fn keyed_headers(&self, headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let named = self.keyed.iter().flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value)));
        let mut keyed: Vec<_> = named.map(|(name, value)| (name.clone(), value.clone())).collect();
        if !self.keyed.contains(&header::FORWARDED) {
            let targets = headers.get_all(header::FORWARDED).iter().filter_map(forwarded_target);
            keyed.extend(targets.map(|target| (header::FORWARDED, target)));
        }
        keyed
    }
}

fn passes(parts: &request::Parts, body: &impl Body) -> Option<Reason> {
    let headers = &parts.headers;
    if !matches!(parts.method, Method::GET | Method::HEAD) || has_any(headers, &METHOD_OVERRIDES) {
        return Some(Reason::Method);
    }
    if headers.contains_key(header::UPGRADE) || lists(headers, &header::CONNECTION, "upgrade") {
        return Some(Reason::Upgrade);
    }
    if may_have_a_body(headers, body) {
        return Some(Reason::RequestBody);
    }
    if headers.contains_key(header::EXPECT) {
        return Some(Reason::Expect);
    }
    if has_any(headers, &RANGES) {
        return Some(Reason::Range);
    }
    if has_any(headers, &CONDITIONS) {
        return Some(Reason::Conditional);
    }
    // What is left is about the age of what is kept, and nothing here is.
    let is_about_age = |directive: &[u8]| {
        [&b"max-age"[..], b"max-stale"].iter().any(|known| directive.eq_ignore_ascii_case(known))
            || directive.is_empty()
    };
    let wishes = !members(headers, &header::CACHE_CONTROL).all(is_about_age);
    (wishes || headers.contains_key(header::PRAGMA)).then_some(Reason::RequestCacheControl)
}

fn may_have_a_body(headers: &HeaderMap, body: &impl Body) -> bool {
    let is_empty = body.is_end_stream() || body.size_hint().exact() == Some(0);
    // A header that speaks of a body where there is none is no request to merge with others, either.
    let announces = headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get_all(header::CONTENT_LENGTH).iter().any(|length| length != "0");
    !is_empty || announces
}
