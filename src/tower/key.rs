//! The key that identical requests share.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{
    Method, Uri,
    uri::{PathAndQuery, Scheme},
};

use super::key_headers::Field;

/// Identifies requests that may share a response: the layer, the method, the target, the headers that aren't ignored and the
/// principal.
///
/// `Display` shows the method and the target, for [`Builder::describe`](crate::Builder::describe): make sure that your
/// targets contain no secrets. `Display` and `Debug` never show headers, principals, a target's user and password, or what
/// [`key_by`](crate::tower::CoalesceLayerBuilder::key_by) returned.
///
/// A clone shares the parts, and costs a reference count.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(Arc<KeyParts>);

#[derive(PartialEq, Eq, Hash)]
pub(super) struct KeyParts {
    /// Two layers on one coalescer share its caps but no flights, as their keys may leave out different things.
    pub(super) layer_id: u64,
    pub(super) method: Method,
    /// As the client sent it, with scheme and authority if it sent them.
    pub(super) target: Target,
    /// The URI that a router or a layer above rewrote it to, if that differs.
    pub(super) rewritten: Option<Target>,
    /// Sorted by name. Only headers that are in the request: a missing header and an empty one make different keys.
    pub(super) headers: Vec<Field>,
    pub(super) principal: Option<Box<[u8]>>,
    /// What the user's `key_by` returned. It stands for the query.
    pub(super) own: Option<Box<[u8]>>,
    /// The request's body, if it was read for the key. The bytes and no digest: two bodies with one digest would share.
    pub(super) body: Bytes,
}

impl Key {
    pub(super) fn new(parts: KeyParts) -> Self {
        Self(Arc::new(parts))
    }

    pub(super) fn parts(&self) -> &KeyParts {
        &self.0
    }

    /// GET or HEAD, or another method for which [`key_by`](crate::tower::CoalesceLayerBuilder::key_by) returned a key.
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// The target as the client sent it, without its query if [`key_by`](crate::tower::CoalesceLayerBuilder::key_by) returned a
    /// key.
    pub fn uri(&self) -> &Uri {
        &self.0.target.uri
    }
}

impl KeyParts {
    /// Whether all parts but the headers are equal.
    pub(super) fn differs_at_most_in_headers(&self, other: &Self) -> bool {
        let Self { layer_id, method, target, rewritten, headers: _, principal, own, body } = self;
        (*layer_id, method, target, rewritten, principal, own, body)
            == (
                other.layer_id,
                &other.method,
                &other.target,
                &other.rewritten,
                &other.principal,
                &other.own,
                &other.body,
            )
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.method, self.0.target)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("method", &self.0.method)
            .field("uri", &format_args!("{}", self.0.target))
            .finish_non_exhaustive()
    }
}

/// A target. `Uri` ignores the case of the whole authority when it compares, also that of a user and a password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Target {
    uri: Uri,
    userinfo: Option<Box<str>>,
}

impl Target {
    pub(super) fn new(uri: &Uri, with_query: bool) -> Self {
        let userinfo = userinfo(uri).map(Box::from);
        let uri = if with_query { uri.clone() } else { without_query(uri) };
        Self { uri, userinfo }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.userinfo.is_none() {
            return self.uri.fmt(f);
        }
        let host = self.uri.authority().and_then(|authority| authority.as_str().rsplit('@').next()).unwrap_or_default();
        let scheme = self.uri.scheme().map_or("", Scheme::as_str);
        let path = self.uri.path_and_query().map_or("", PathAndQuery::as_str);
        write!(f, "{scheme}{}{host}{path}", if scheme.is_empty() { "" } else { "://" })
    }
}

/// The user and the password in a target: credentials.
pub(super) fn userinfo(uri: &Uri) -> Option<&str> {
    Some(uri.authority()?.as_str().rsplit_once('@')?.0)
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
    fn a_target_is_compared_with_the_case_of_its_user() {
        let target = |uri| Target::new(&Uri::from_static(uri), true);
        assert!(target("http://alice:x@one.example/a") != target("http://Alice:x@one.example/a"));
        assert!(target("http://alice:x@one.example/a") != target("http://one.example/a"));
        assert!(target("http://alice:x@one.example/a") == target("http://alice:x@ONE.example/a"));
    }

    #[test]
    fn a_target_is_shown_without_its_user() {
        for (uri, shown) in [
            ("http://alice:x@one.example:80/a?b", "http://one.example:80/a?b"),
            ("http://one.example/a@b", "http://one.example/a@b"),
            ("/a?b=c@d", "/a?b=c@d"),
        ] {
            assert_eq!(Target::new(&Uri::from_static(uri), true).to_string(), shown);
        }
    }

    #[test]
    fn a_query_can_be_left_out() {
        for (uri, kept) in [("http://one.example/a?b", "http://one.example/a"), ("/a?b", "/a"), ("*", "*")] {
            assert_eq!(Target::new(&Uri::from_static(uri), false).to_string(), kept);
        }
    }
}
