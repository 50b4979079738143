//! What makes two requests the same.

use std::fmt;

use http::{HeaderName, HeaderValue, Method, Uri};

/// What requests have in common that share a response: layer, method, target, and what of the headers and of the
/// principal goes into the key.
///
/// `Display` gives method and target, for [`Builder::describe`](crate::Builder::describe); mind what your targets
/// contain. Headers and principals are shown nowhere, as they may be secrets.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Two layers on one coalescer share its caps, and no flights: what one leaves out of its keys may be in the
    /// other's.
    pub(super) layer: u64,
    pub(super) method: Method,
    /// As the client sent it, with scheme and authority where it gave them.
    pub(super) uri: Uri,
    /// What a router or a layer above has made of it, where that differs.
    pub(super) rewritten: Option<Uri>,
    /// A header that isn't in the request isn't in here, which is another key than an empty one.
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
