//! The request headers that the layer knows by name.
//!
//! Keep these lists in line with the module's documentation.

use http::{HeaderName, header};

/// Headers that carry credentials, or what proxies replace them with: a request with one of them is one client's.
pub(super) const CREDENTIALS: [HeaderName; 22] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-auth-token"),
    HeaderName::from_static("x-access-token"),
    HeaderName::from_static("x-csrf-token"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("x-amzn-oidc-data"),
    HeaderName::from_static("x-amzn-oidc-identity"),
    HeaderName::from_static("x-goog-iap-jwt-assertion"),
    HeaderName::from_static("x-ms-client-principal"),
    HeaderName::from_static("cf-access-jwt-assertion"),
    HeaderName::from_static("x-forwarded-user"),
    HeaderName::from_static("x-forwarded-email"),
    HeaderName::from_static("x-forwarded-access-token"),
    HeaderName::from_static("x-forwarded-client-cert"),
    HeaderName::from_static("x-remote-user"),
    HeaderName::from_static("client-cert"),
    HeaderName::from_static("signature"),
    HeaderName::from_static("dpop"),
];

/// Headers that frameworks and applications treat as a part of the target, and those that CORS responses depend on. Outside of
/// the key, the first kind would let one client poison another's response.
pub(super) const TARGET: [HeaderName; 11] = [
    header::HOST,
    header::ORIGIN,
    header::ACCESS_CONTROL_REQUEST_METHOD,
    header::ACCESS_CONTROL_REQUEST_HEADERS,
    HeaderName::from_static("x-host"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];

/// What a header says about its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Says {
    #[default]
    Nothing,
    OverridesTheMethod,
    Upgrades,
    NamesHeaders,
    HasABody,
    HasALength,
    Expects,
    IsForARange,
    IsConditional,
    Directs,
    HasPragma,
}

/// The headers that say something.
pub(super) const SAYING: [(HeaderName, Says); 16] = [
    (HeaderName::from_static("x-http-method"), Says::OverridesTheMethod),
    (HeaderName::from_static("x-http-method-override"), Says::OverridesTheMethod),
    (HeaderName::from_static("x-method-override"), Says::OverridesTheMethod),
    (header::UPGRADE, Says::Upgrades),
    (header::CONNECTION, Says::NamesHeaders),
    (header::TRANSFER_ENCODING, Says::HasABody),
    (header::CONTENT_LENGTH, Says::HasALength),
    (header::EXPECT, Says::Expects),
    (header::RANGE, Says::IsForARange),
    (header::IF_RANGE, Says::IsForARange),
    (header::IF_MATCH, Says::IsConditional),
    (header::IF_NONE_MATCH, Says::IsConditional),
    (header::IF_MODIFIED_SINCE, Says::IsConditional),
    (header::IF_UNMODIFIED_SINCE, Says::IsConditional),
    (header::CACHE_CONTROL, Says::Directs),
    (header::PRAGMA, Says::HasPragma),
];

/// Headers that aren't in the key by default, as they don't change a response. Each must be of a kind that the documentation
/// names. `baggage` is not here: applications choose tenants and versions by it.
pub(super) const IGNORED: [&str; 71] = [
    // Tracing.
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "uber-trace-id",
    "sentry-trace",
    "x-cloud-trace-context",
    "x-amzn-trace-id",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "elastic-apm-traceparent",
    "newrelic",
    "grpc-trace-bin",
    // Ids and times of one request.
    "request-id",
    "x-request-id",
    "correlation-id",
    "x-correlation-id",
    "x-trace-id",
    "x-span-id",
    "x-amzn-requestid",
    "x-amz-cf-id",
    "x-client-trace-id",
    "x-client-request-id",
    "x-ms-client-request-id",
    "cf-ray",
    "fly-request-id",
    "x-request-start",
    "x-queue-start",
    // The user agent, and client hints about it.
    "user-agent",
    "sec-ch-ua",
    "sec-ch-ua-arch",
    "sec-ch-ua-bitness",
    "sec-ch-ua-form-factors",
    "sec-ch-ua-full-version",
    "sec-ch-ua-full-version-list",
    "sec-ch-ua-mobile",
    "sec-ch-ua-model",
    "sec-ch-ua-platform",
    "sec-ch-ua-platform-version",
    "sec-ch-ua-wow64",
    // The addresses of the client and of proxies. Of `Forwarded`, see `forwarded_target`.
    "forwarded-for",
    "x-forwarded-for",
    "x-original-forwarded-for",
    "x-real-ip",
    "via",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-envoy-external-address",
    // For the connection alone (RFC 9110, section 7.6.1). Headers that `Connection` names stay in the key: otherwise a client
    // could remove its credentials from it.
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    // Admission judges the first two; the last is about the order of responses (RFC 9218).
    "content-length",
    "cache-control",
    "priority",
];
