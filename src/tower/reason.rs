//! The reasons why a request isn't coalesced.

use std::fmt;

/// Why a request was answered by a call of its own.
///
/// The first group, up to [`NoRuntime`](Self::NoRuntime), is found in the request, before it joins a flight; the second in a
/// response, before it is shared. The tables in the [module's documentation](crate::tower#what-is-never-shared) explain most of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The method is neither GET nor HEAD, nor one that may read and has a key of the layer's user, or a header overrides it.
    Method,
    /// The request asks for an upgrade of its connection: `Upgrade`.
    Upgrade,
    /// `Connection` names headers, which a proxy removes.
    Connection,
    /// The request has a body, or may have one.
    RequestBody,
    /// `Expect`.
    Expect,
    /// `Range` or `If-Range`.
    Range,
    /// `If-None-Match`, `If-Match`, `If-Modified-Since` or `If-Unmodified-Since`.
    Conditional,
    /// The request has cache directives: `Cache-Control` other than `max-age` and `max-stale`, or `Pragma`.
    RequestCacheControl,
    /// The request carries credentials that the layer's user has not decided on.
    Credentials,
    /// [`coalesce_if`](crate::tower::CoalesceLayerBuilder::coalesce_if) returned `false`.
    RequestVetoed,
    /// The last responses to such requests were not shareable: see [what is remembered](crate::tower#what-is-remembered).
    RecentlyUnshareable,
    /// The request has come through the same layer before, as where a layer is put on a router and on one nested in it.
    Nested,
    /// No coalescer was built yet, and the request came outside of a Tokio runtime, on which flights could run.
    NoRuntime,
    /// The response's status depends on the client or its connection, or belongs to a request that never joins.
    Status,
    /// The response sets a cookie.
    SetCookie,
    /// The response is `private`, `no-store` or `no-cache`.
    ResponseCacheControl,
    /// The response has a `Vary` with `*`, or it depends on a header outside of the key of which this follower sent other values
    /// than the leader.
    Vary,
    /// The response may be an endless stream, or asks not to be buffered.
    Streaming,
    /// The response's body is larger than [`max_body_bytes`](crate::tower::CoalesceLayerBuilder::max_body_bytes), and this caller
    /// read it too slowly to share the buffer.
    TooLarge,
    /// [`share_if`](crate::tower::CoalesceLayerBuilder::share_if) returned `false`.
    ResponseVetoed,
}

impl Reason {
    /// All reasons, in the order of their declaration.
    pub const ALL: [Self; 20] = [
        Self::Method,
        Self::Upgrade,
        Self::Connection,
        Self::RequestBody,
        Self::Expect,
        Self::Range,
        Self::Conditional,
        Self::RequestCacheControl,
        Self::Credentials,
        Self::RequestVetoed,
        Self::RecentlyUnshareable,
        Self::Nested,
        Self::NoRuntime,
        Self::Status,
        Self::SetCookie,
        Self::ResponseCacheControl,
        Self::Vary,
        Self::Streaming,
        Self::TooLarge,
        Self::ResponseVetoed,
    ];

    /// A stable name, for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Upgrade => "upgrade",
            Self::Connection => "connection",
            Self::RequestBody => "request_body",
            Self::Expect => "expect",
            Self::Range => "range",
            Self::Conditional => "conditional",
            Self::RequestCacheControl => "request_cache_control",
            Self::Credentials => "credentials",
            Self::RequestVetoed => "request_vetoed",
            Self::RecentlyUnshareable => "recently_unshareable",
            Self::Nested => "nested",
            Self::NoRuntime => "no_runtime",
            Self::Status => "status",
            Self::SetCookie => "set_cookie",
            Self::ResponseCacheControl => "response_cache_control",
            Self::Vary => "vary",
            Self::Streaming => "streaming",
            Self::TooLarge => "too_large",
            Self::ResponseVetoed => "response_vetoed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_in_order_of_declaration() {
        assert!(Reason::ALL.iter().enumerate().all(|(index, reason)| *reason as usize == index));
    }
}
