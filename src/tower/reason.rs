//! Why a request wasn't coalesced.

use std::fmt;

/// Why a request was answered by a call of its own.
///
/// The first group is found in the request, before anything is joined; the second in a response, when its flight's
/// callers are about to share it. The table in the [module's documentation](crate::tower#what-is-never-shared) has what
/// is behind each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The method is neither GET nor HEAD, or a header says that it stands for another one.
    Method,
    /// The request asks for its connection: `Upgrade`.
    Upgrade,
    /// The request has a body, or may have one.
    RequestBody,
    /// `Expect`.
    Expect,
    /// `Range` or `If-Range`.
    Range,
    /// `If-None-Match`, `If-Match`, `If-Modified-Since` or `If-Unmodified-Since`.
    Conditional,
    /// The request has wishes as to caches: `Cache-Control` other than `max-age` and `max-stale`, or `Pragma`.
    RequestCacheControl,
    /// The request carries credentials, and nothing says how they enter the key.
    Credentials,
    /// [`coalesce_if`](crate::tower::CoalesceLayerBuilder::coalesce_if) said no.
    RequestVetoed,
    /// The first request came on no Tokio runtime, so there is nothing for flights to run on.
    NoRuntime,
    /// The response's status says something of its requester or its connection alone, or has no body to share.
    Status,
    /// The response sets a cookie.
    SetCookie,
    /// The response is `private`, `no-store` or `no-cache`.
    ResponseCacheControl,
    /// The response varies with a header that isn't in the key, or with `*`.
    Vary,
    /// The response is a stream that is to be seen as it comes.
    Streaming,
    /// The response's body is larger than [`max_body_bytes`](crate::tower::CoalesceLayerBuilder::max_body_bytes).
    TooLarge,
    /// [`share_if`](crate::tower::CoalesceLayerBuilder::share_if) said no.
    ResponseVetoed,
}

impl Reason {
    /// Every reason there is, in the order of their declaration.
    pub const ALL: [Self; 17] = [
        Self::Method,
        Self::Upgrade,
        Self::RequestBody,
        Self::Expect,
        Self::Range,
        Self::Conditional,
        Self::RequestCacheControl,
        Self::Credentials,
        Self::RequestVetoed,
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
            Self::RequestBody => "request_body",
            Self::Expect => "expect",
            Self::Range => "range",
            Self::Conditional => "conditional",
            Self::RequestCacheControl => "request_cache_control",
            Self::Credentials => "credentials",
            Self::RequestVetoed => "request_vetoed",
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
    fn each_reason_counts_in_a_place_of_its_own() {
        assert!(Reason::ALL.iter().enumerate().all(|(place, reason)| *reason as usize == place));
    }
}
