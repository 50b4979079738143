//! The key that identical requests share.

use std::fmt;

use http::{HeaderName, HeaderValue, Method, Uri};

/// Identifies requests that may share a response: the layer, the method, the target, the key headers and the principal.
///
/// `Display` shows the method and the target, for [`Builder::describe`](crate::Builder::describe): make sure that your
/// targets contain no secrets. `Display` and `Debug` never show headers and principals.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Two layers on one coalescer share its caps but no flights, as their keys may leave out different things.
    pub(super) layer_id: u64,
    pub(super) method: Method,
    /// As the client sent it, with scheme and authority if it sent them.
    pub(super) uri: Uri,
    /// The URI that a router or a layer above rewrote it to, if that differs.
    pub(super) rewritten: Option<Uri>,
    /// Only headers that are in the request: a missing header and an empty one make different keys.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) principal: Option<Box<[u8]>>,
}

impl Key {
    /// GET or HEAD.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The target as the client sent it.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.uri)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("method", &self.method).field("uri", &self.uri).finish_non_exhaustive()
    }
}
