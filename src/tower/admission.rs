//! Which requests may join a flight, and under which key. Keep it in line with the table in the module's documentation.

use axum::extract::OriginalUri;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header, request};
use http_body::Body;

use super::{
    config::Config,
    headers::{CONDITIONS, METHOD_OVERRIDES, RANGES, contains_member, forwarded_target, has_any, members},
    key::Key,
    reason::Reason,
};

impl Config {
    /// The request's key, or the reason why the request passes through.
    pub(super) fn admit(&self, layer_id: u64, parts: &request::Parts, body: &impl Body) -> Result<Key, Reason> {
        if let Some(reason) = never_coalesced(parts, body) {
            return Err(reason);
        }
        let principal = self.principal.as_ref().and_then(|principal| principal(parts));
        // Without a principal, only a key that contains the credentials keeps clients with different ones apart.
        let is_in_key = |name: &&HeaderName| principal.is_some() || self.key_headers.contains(name);
        if self.credentials.iter().any(|name| parts.headers.contains_key(name) && !is_in_key(&name)) {
            return Err(Reason::Credentials);
        }
        if !(self.coalesce_if)(parts) {
            return Err(Reason::RequestVetoed);
        }
        // Nested routers strip their prefix from the URI, and with it the tenant of `/tenants/{tenant}`.
        let original = parts.extensions.get::<OriginalUri>().map(|OriginalUri(uri)| uri);
        Ok(Key {
            layer_id,
            method: parts.method.clone(),
            uri: original.unwrap_or(&parts.uri).clone(),
            rewritten: original.filter(|original| **original != parts.uri).map(|_| parts.uri.clone()),
            headers: self.headers_for_key(&parts.headers),
            principal,
        })
    }

    fn headers_for_key(&self, headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let named =
            self.key_headers.iter().flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value)));
        let mut keyed: Vec<_> = named.map(|(name, value)| (name.clone(), value.clone())).collect();
        if !self.key_headers.contains(&header::FORWARDED) {
            let targets = headers.get_all(header::FORWARDED).iter().filter_map(forwarded_target);
            keyed.extend(targets.map(|target| (header::FORWARDED, target)));
        }
        keyed
    }
}

fn never_coalesced(parts: &request::Parts, body: &impl Body) -> Option<Reason> {
    let headers = &parts.headers;
    if !matches!(parts.method, Method::GET | Method::HEAD) || has_any(headers, &METHOD_OVERRIDES) {
        return Some(Reason::Method);
    }
    if headers.contains_key(header::UPGRADE) || contains_member(headers, &header::CONNECTION, "upgrade") {
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
    // Directives about a cached response's age don't matter: the layer caches nothing.
    let is_about_age = |directive: &[u8]| {
        [&b"max-age"[..], b"max-stale"].iter().any(|known| directive.eq_ignore_ascii_case(known))
            || directive.is_empty()
    };
    let has_other_directives = !members(headers, &header::CACHE_CONTROL).all(is_about_age);
    (has_other_directives || headers.contains_key(header::PRAGMA)).then_some(Reason::RequestCacheControl)
}

fn may_have_a_body(headers: &HeaderMap, body: &impl Body) -> bool {
    let is_empty = body.is_end_stream() || body.size_hint().exact() == Some(0);
    // Headers that announce a body contradict an empty one: don't coalesce such a request.
    let announces = headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get_all(header::CONTENT_LENGTH).iter().any(|length| length != "0");
    !is_empty || announces
}
