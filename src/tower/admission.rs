//! Which requests may join a flight, and under which key. Keep it in line with the table in the module's documentation.

use axum::extract::OriginalUri;
use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header, request};
use http_body::Body;

use super::{
    config::Config,
    headers::{contains_member, has_any, members},
    key::{Key, Target, userinfo},
    known_headers::{CONDITIONS, METHOD_OVERRIDES, RANGES},
    read_body::BodyForKey,
    reason::Reason,
};

impl Config {
    /// The request's key, or the reason why the request passes through.
    pub(super) fn admit(&self, layer_id: u64, parts: &request::Parts, body: &impl Body) -> Result<Key, Reason> {
        let own = self.key_by.as_ref().and_then(|key_by| key_by(parts));
        let read = body_for_key(parts, body, own.is_some());
        let has_unread_body = read.is_none() && may_have_a_body(&parts.headers, body);
        if let Some(reason) = never_coalesced(parts, has_unread_body, own.is_some()) {
            return Err(reason);
        }
        let principal = self.principal.as_ref().and_then(|principal| principal(parts));
        // With a principal, credentials that it doesn't account for are in the key.
        if principal.is_none() && self.has_undecided_credentials(parts) {
            return Err(Reason::Credentials);
        }
        if !(self.coalesce_if)(parts) {
            return Err(Reason::RequestVetoed);
        }
        // Nested routers strip their prefix from the URI, and with it the tenant of `/tenants/{tenant}`.
        let original = original_uri(parts);
        let target = |uri| Target::new(uri, own.is_none());
        Ok(Key {
            layer_id,
            method: parts.method.clone(),
            target: target(original.unwrap_or(&parts.uri)),
            rewritten: original.filter(|original| **original != parts.uri).map(|_| target(&parts.uri)),
            headers: self.key_headers.select(&parts.headers, principal.is_some(), own.is_some()),
            principal,
            own,
            body: read.unwrap_or_default(),
        })
    }

    fn has_undecided_credentials(&self, parts: &request::Parts) -> bool {
        // Clients send the user and the password of a target as `Authorization`.
        let in_target = || original_uri(parts).into_iter().chain([&parts.uri]).any(|uri| userinfo(uri).is_some());
        self.key_headers.has_undecided_credentials(&parts.headers)
            || (!self.key_headers.is_decided(&header::AUTHORIZATION) && in_target())
    }
}

fn original_uri(parts: &request::Parts) -> Option<&Uri> {
    parts.extensions.get::<OriginalUri>().map(|OriginalUri(uri)| uri)
}

/// With a key of the user's, the method, a range and a condition are the user's business.
fn never_coalesced(parts: &request::Parts, has_unread_body: bool, has_own_key: bool) -> Option<Reason> {
    let headers = &parts.headers;
    if !may_be_a_read(&parts.method, has_own_key) || has_any(headers, &METHOD_OVERRIDES) {
        return Some(Reason::Method);
    }
    if headers.contains_key(header::UPGRADE) || contains_member(headers, &header::CONNECTION, "upgrade") {
        return Some(Reason::Upgrade);
    }
    if has_unread_body {
        return Some(Reason::RequestBody);
    }
    if headers.contains_key(header::EXPECT) {
        return Some(Reason::Expect);
    }
    if has_any(headers, &RANGES) && !has_own_key {
        return Some(Reason::Range);
    }
    if has_any(headers, &CONDITIONS) && !has_own_key {
        return Some(Reason::Conditional);
    }
    // Directives about a cached response's age don't matter: the layer caches nothing.
    let is_about_age = |directive: &[u8]| {
        [&b"max-age"[..], b"max-stale"].iter().any(|known| directive.eq_ignore_ascii_case(known))
            || directive.is_empty()
    };
    let has_other_directives = !members(headers, &header::CACHE_CONTROL).all(is_about_age);
    (has_other_directives || headers.contains_key(header::PRAGMA)).then_some(Reason::RequestCacheControl)
}

fn may_be_a_read(method: &Method, has_own_key: bool) -> bool {
    let is_known = matches!(
        *method,
        Method::PUT | Method::DELETE | Method::PATCH | Method::OPTIONS | Method::TRACE | Method::CONNECT
    );
    // POST, and methods such as QUERY and SEARCH.
    matches!(*method, Method::GET | Method::HEAD) || (has_own_key && !is_known)
}

/// The body, if it was read for the key and is still the request's. `None` also without a key of the user's: then the request
/// passes through.
fn body_for_key(parts: &request::Parts, body: &impl Body, has_own_key: bool) -> Option<Bytes> {
    let BodyForKey(read) = parts.extensions.get::<BodyForKey>().filter(|_| has_own_key)?;
    (body.size_hint().exact() == Some(read.len() as u64)).then(|| read.clone())
}

fn may_have_a_body(headers: &HeaderMap, body: &impl Body) -> bool {
    let is_empty = body.is_end_stream() || body.size_hint().exact() == Some(0);
    // Headers that announce a body contradict an empty one: don't coalesce such a request.
    let announces = headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get_all(header::CONTENT_LENGTH).iter().any(|length| length != "0");
    !is_empty || announces
}
