//! Which requests may join a flight, and under which key. Keep it in line with the table in the module's documentation.

use axum::extract::OriginalUri;
use bytes::Bytes;
use http::{Method, Uri, header, request};
use http_body::Body;

use super::{
    config::Config,
    headers::{directives_of, members_of},
    key::{Key, KeyParts},
    key_bytes::userinfo,
    known_headers::Says,
    read_body::BodyForKey,
    reason::Reason,
    request_headers::{Header, RequestHeaders},
};

impl Config {
    /// The request's key, or the reason why the request passes through.
    pub(super) fn admit(&self, layer_id: u64, parts: &request::Parts, body: &impl Body) -> Result<Key, Reason> {
        let own = self.key_by.as_ref().and_then(|key_by| key_by(parts));
        let read = body_for_key(parts, body, own.is_some());
        let mut headers = RequestHeaders::new();
        self.key_headers.look_up(&parts.headers, &mut headers);
        let said = Said::by(&headers);
        let has_unread_body = read.is_none() && may_have_a_body(&said, body);
        if let Some(reason) = never_coalesced(&parts.method, &said, has_unread_body, own.is_some()) {
            return Err(reason);
        }
        let principal = self.principal.as_ref().and_then(|principal| principal(parts));
        // Nested routers strip their prefix from the URI, and with it the tenant of `/tenants/{tenant}`.
        let original = parts.extensions.get::<OriginalUri>().map(|OriginalUri(uri)| uri);
        // With a principal, credentials that it doesn't account for are in the key.
        let has_undecided = self.key_headers.select(&mut headers, principal.is_some(), own.is_some());
        if principal.is_none() && (has_undecided || self.has_undecided_user(original.into_iter().chain([&parts.uri]))) {
            return Err(Reason::Credentials);
        }
        if !(self.coalesce_if)(parts) {
            return Err(Reason::RequestVetoed);
        }
        let key = KeyParts {
            layer_id,
            method: &parts.method,
            target: original.unwrap_or(&parts.uri),
            rewritten: original.filter(|original| **original != parts.uri).map(|_| &parts.uri),
            headers: &headers,
            principal,
            own,
            body: read.unwrap_or_default(),
        };
        Ok(Key::new(key, &self.key_headers))
    }

    /// Clients send the user and the password of a target as `Authorization`.
    fn has_undecided_user<'a>(&self, mut targets: impl Iterator<Item = &'a Uri>) -> bool {
        targets.any(|uri| userinfo(uri).is_some()) && !self.key_headers.is_decided(&header::AUTHORIZATION)
    }
}

/// What a request's headers say about it.
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
    fn by(headers: &RequestHeaders<'_>) -> Self {
        let mut said = Self::default();
        for Header { value, known, .. } in headers.iter() {
            match known.says {
                Says::Nothing => {}
                Says::OverridesTheMethod => said.overrides_its_method = true,
                Says::Upgrades => said.upgrades = true,
                Says::NamesHeaders => {
                    said.upgrades |= members_of(value).any(|member| member.eq_ignore_ascii_case(b"upgrade"));
                    said.names_its_headers |= !members_of(value).all(is_about_the_connection);
                }
                Says::HasABody => said.announces_a_body = true,
                Says::HasALength => said.announces_a_body |= *value != "0",
                Says::Expects => said.expects = true,
                Says::IsForARange => said.is_for_a_range = true,
                Says::IsConditional => said.is_conditional = true,
                // Directives about a cached response's age matter to a cache below only: then the response has `Age`, which
                // implies `Vary: Cache-Control`.
                Says::Directs => said.has_directives |= !directives_of(value).all(is_about_age),
                Says::HasPragma => said.has_directives = true,
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
