//! Which requests may join a flight, and under which key. Keep it in line with the table in the module's documentation.

use axum::extract::OriginalUri;
use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header, request};
use http_body::Body;

use super::{
    config::Config,
    headers::members_of,
    key::{Key, KeyParts, Target, userinfo},
    read_body::BodyForKey,
    reason::Reason,
};

impl Config {
    /// The request's key, or the reason why the request passes through.
    pub(super) fn admit(&self, layer_id: u64, parts: &request::Parts, body: &impl Body) -> Result<Key, Reason> {
        let own = self.key_by.as_ref().and_then(|key_by| key_by(parts));
        let read = body_for_key(parts, body, own.is_some());
        let said = Said::by(&parts.headers);
        let has_unread_body = read.is_none() && may_have_a_body(&said, body);
        if let Some(reason) = never_coalesced(&parts.method, &said, has_unread_body, own.is_some()) {
            return Err(reason);
        }
        let principal = self.principal.as_ref().and_then(|principal| principal(parts));
        // With a principal, credentials that it doesn't account for are in the key.
        let selected = self.key_headers.select(&parts.headers, principal.is_some(), own.is_some());
        if principal.is_none() && (selected.has_undecided_credentials || self.has_undecided_user(parts)) {
            return Err(Reason::Credentials);
        }
        if !(self.coalesce_if)(parts) {
            return Err(Reason::RequestVetoed);
        }
        // Nested routers strip their prefix from the URI, and with it the tenant of `/tenants/{tenant}`.
        let original = original_uri(parts);
        let target = |uri| Target::new(uri, own.is_none());
        Ok(Key::new(KeyParts {
            layer_id,
            method: parts.method.clone(),
            target: target(original.unwrap_or(&parts.uri)),
            rewritten: original.filter(|original| **original != parts.uri).map(|_| target(&parts.uri)),
            headers: selected.fields,
            principal,
            own,
            body: read.unwrap_or_default(),
        }))
    }

    /// Clients send the user and the password of a target as `Authorization`.
    fn has_undecided_user(&self, parts: &request::Parts) -> bool {
        let mut targets = original_uri(parts).into_iter().chain([&parts.uri]);
        targets.any(|uri| userinfo(uri).is_some()) && !self.key_headers.is_decided(&header::AUTHORIZATION)
    }
}

fn original_uri(parts: &request::Parts) -> Option<&Uri> {
    parts.extensions.get::<OriginalUri>().map(|OriginalUri(uri)| uri)
}

/// What a request's headers say about it, found in one pass over them.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "a request may be any of them at once")]
struct Said {
    overrides_its_method: bool,
    upgrades: bool,
    names_its_headers: bool,
    announces_a_body: bool,
    expects: bool,
    is_for_a_range: bool,
    is_conditional: bool,
    has_directives: bool,
}

impl Said {
    fn by(headers: &HeaderMap) -> Self {
        let mut said = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "x-http-method" | "x-http-method-override" | "x-method-override" => said.overrides_its_method = true,
                "upgrade" => said.upgrades = true,
                "connection" => {
                    said.upgrades |= members_of(value).any(|member| member.eq_ignore_ascii_case(b"upgrade"));
                    said.names_its_headers |= !members_of(value).all(is_about_the_connection);
                }
                "transfer-encoding" => said.announces_a_body = true,
                "content-length" => said.announces_a_body |= value != "0",
                "expect" => said.expects = true,
                "range" | "if-range" => said.is_for_a_range = true,
                "if-match" | "if-none-match" | "if-modified-since" | "if-unmodified-since" => {
                    said.is_conditional = true;
                }
                // Directives about a cached response's age don't matter: the layer caches nothing.
                "cache-control" => said.has_directives |= !members_of(value).all(is_about_age),
                "pragma" => said.has_directives = true,
                _ => {}
            }
        }
        said
    }
}

fn is_about_age(directive: &[u8]) -> bool {
    [&b"max-age"[..], b"max-stale"].iter().any(|known| directive.eq_ignore_ascii_case(known)) || directive.is_empty()
}

/// A proxy below removes what `Connection` names (RFC 9110, section 7.6.1), so such a request has another response than one that
/// names nothing. These are no headers, or only headers that no response depends on.
fn is_about_the_connection(member: &[u8]) -> bool {
    let known = [&b"close"[..], b"keep-alive", b"te", b"upgrade", b"http2-settings"];
    member.is_empty() || known.iter().any(|known| member.eq_ignore_ascii_case(known))
}

/// With a key of the user's, the method, a range and a condition are the user's business.
fn never_coalesced(method: &Method, said: &Said, has_unread_body: bool, has_own_key: bool) -> Option<Reason> {
    let reasons = [
        (!may_be_a_read(method, has_own_key) || said.overrides_its_method, Reason::Method),
        (said.upgrades, Reason::Upgrade),
        (said.names_its_headers, Reason::Connection),
        (has_unread_body, Reason::RequestBody),
        (said.expects, Reason::Expect),
        (said.is_for_a_range && !has_own_key, Reason::Range),
        (said.is_conditional && !has_own_key, Reason::Conditional),
        (said.has_directives, Reason::RequestCacheControl),
    ];
    reasons.into_iter().find_map(|(is_so, reason)| is_so.then_some(reason))
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

/// Headers that announce a body contradict an empty one: such a request isn't coalesced either.
fn may_have_a_body(said: &Said, body: &impl Body) -> bool {
    said.announces_a_body || !(body.is_end_stream() || body.size_hint().exact() == Some(0))
}
