//! The key that identical requests share.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use bytes::Bytes;
use http::{
    Method, Uri,
    uri::{PathAndQuery, Scheme},
};

use super::{
    key_bytes::{Fields, put, put_field, put_target, put_which, userinfo},
    key_headers::KeyHeaders,
    request_headers::{Header, RequestHeaders},
};

/// Identifies requests that may share a response: the layer, the method, the target, the headers that aren't ignored and the
/// principal.
///
/// `Display` shows the method and the target, for [`Builder::describe`](crate::Builder::describe): make sure that your
/// targets contain no secrets. `Display` and `Debug` never show headers, principals, a target's user and password, or what
/// [`key_by`](crate::tower::CoalesceLayerBuilder::key_by) returned.
///
/// A clone shares the parts, and costs a reference count.
#[derive(Clone)]
pub struct Key(Arc<Inner>);

struct Inner {
    method: Method,
    target: Uri,
    /// All that is compared but the body, in a row: to compare keys is to compare bytes, and to hash one is one write. After
    /// that come the leader's headers that aren't in the key.
    bytes: Vec<u8>,
    /// Where the headers begin, and where those end that are in the key.
    headers: usize,
    compared: usize,
    body: Bytes,
    has_principal: bool,
    has_own_key: bool,
}

/// What a key is made of.
pub(super) struct KeyParts<'a> {
    /// Two layers on one coalescer share its caps but no flights, as their keys may leave out different things.
    pub(super) layer_id: u64,
    pub(super) method: &'a Method,
    /// As the client sent it, with scheme and authority if it sent them.
    pub(super) target: &'a Uri,
    /// The URI that a router or a layer above rewrote it to, if that differs.
    pub(super) rewritten: Option<&'a Uri>,
    /// A missing header and an empty one make different keys.
    pub(super) headers: &'a RequestHeaders<'a>,
    pub(super) principal: Option<Box<[u8]>>,
    /// What the user's `key_by` returned. It stands for the query.
    pub(super) own: Option<Box<[u8]>>,
    /// The request's body, if it was read for the key. The bytes and no digest: two bodies with one digest would share.
    pub(super) body: Bytes,
}

impl Key {
    pub(super) fn new(parts: KeyParts<'_>, key_headers: &KeyHeaders) -> Self {
        let KeyParts { layer_id, method, target, rewritten, headers, principal, own, body } = parts;
        let with_query = own.is_none();
        let mut bytes = Vec::with_capacity(capacity(target, headers));
        bytes.extend_from_slice(&layer_id.to_le_bytes());
        put_which(&mut bytes, [rewritten.is_some(), principal.is_some(), own.is_some()]);
        put(&mut bytes, method.as_str().as_bytes());
        for target in [Some(target), rewritten].into_iter().flatten() {
            put_target(&mut bytes, target, with_query);
        }
        for part in [principal.as_deref(), own.as_deref()].into_iter().flatten() {
            put(&mut bytes, part);
        }
        let begin = bytes.len();
        for (name, value) in key_headers.inside(headers) {
            put_field(&mut bytes, name, &value);
        }
        let compared = bytes.len();
        for Header { name, value, .. } in key_headers.outside(headers) {
            put_field(&mut bytes, name, value);
        }
        Self(Arc::new(Inner {
            method: method.clone(),
            target: if with_query { target.clone() } else { without_query(target) },
            bytes,
            headers: begin,
            compared,
            body,
            has_principal: principal.is_some(),
            has_own_key: own.is_some(),
        }))
    }

    /// GET or HEAD, or another method for which [`key_by`](crate::tower::CoalesceLayerBuilder::key_by) returned a key.
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// The target as the client sent it, without its query if [`key_by`](crate::tower::CoalesceLayerBuilder::key_by) returned a
    /// key.
    pub fn uri(&self) -> &Uri {
        &self.0.target
    }

    pub(super) fn has_principal(&self) -> bool {
        self.0.has_principal
    }

    pub(super) fn has_own_key(&self) -> bool {
        self.0.has_own_key
    }

    /// The headers that are in the key, sorted by name.
    pub(super) fn headers(&self) -> Fields<'_> {
        Fields(&self.0.bytes[self.0.headers..self.0.compared])
    }

    /// Headers of the request that the key was made for, which aren't in it.
    pub(super) fn outside(&self) -> Fields<'_> {
        Fields(&self.0.bytes[self.0.compared..])
    }

    /// Whether all parts but the headers are equal.
    pub(super) fn differs_at_most_in_headers(&self, other: &Self) -> bool {
        let (one, other) = (&*self.0, &*other.0);
        (&one.bytes[..one.headers], &one.body) == (&other.bytes[..other.headers], &other.body)
    }

    fn compared(&self) -> (&[u8], &Bytes) {
        (&self.0.bytes[..self.0.compared], &self.0.body)
    }
}

/// Nearly always enough for a key's bytes.
fn capacity(target: &Uri, headers: &RequestHeaders<'_>) -> usize {
    const OTHER_PARTS: usize = 64;
    const LENGTHS: usize = 2 * size_of::<usize>();
    let headers = headers.iter().map(|header| header.name.len() + header.value.len() + LENGTHS);
    OTHER_PARTS + target.path_and_query().map_or(0, |path| path.as_str().len()) + headers.sum::<usize>()
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.compared() == other.compared()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (bytes, body) = self.compared();
        state.write(bytes);
        // Most have none.
        if !body.is_empty() {
            state.write(body);
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.method, WithoutUser(&self.0.target))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("method", &self.0.method)
            .field("uri", &format_args!("{}", WithoutUser(&self.0.target)))
            .finish_non_exhaustive()
    }
}

/// Shows a target without its user and password.
struct WithoutUser<'a>(&'a Uri);

impl fmt::Display for WithoutUser<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(uri) = self;
        if userinfo(uri).is_none() {
            return uri.fmt(f);
        }
        let host = uri.authority().and_then(|authority| authority.as_str().rsplit('@').next()).unwrap_or_default();
        let scheme = uri.scheme().map_or("", Scheme::as_str);
        let path = uri.path_and_query().map_or("", PathAndQuery::as_str);
        write!(f, "{scheme}{}{host}{path}", if scheme.is_empty() { "" } else { "://" })
    }
}

fn without_query(uri: &Uri) -> Uri {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = parts.path_and_query.map(|whole| PathAndQuery::try_from(whole.path()).unwrap_or(whole));
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_shown_without_its_user() {
        for (uri, shown) in [
            ("http://alice:x@one.example:80/a?b", "http://one.example:80/a?b"),
            ("http://one.example/a@b", "http://one.example/a@b"),
            ("/a?b=c@d", "/a?b=c@d"),
        ] {
            assert_eq!(WithoutUser(&Uri::from_static(uri)).to_string(), shown);
        }
    }

    #[test]
    fn a_query_can_be_left_out() {
        for (uri, kept) in [("http://one.example/a?b", "http://one.example/a"), ("/a?b", "/a"), ("*", "*")] {
            assert_eq!(without_query(&Uri::from_static(uri)).to_string(), Uri::from_static(kept).to_string());
        }
    }
}
