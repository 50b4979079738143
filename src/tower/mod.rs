//! Coalescing in front of HTTP: a [`tower`](https://docs.rs/tower) layer for axum's routers and for outgoing clients.
//!
//! ```
//! use axum::{Router, body::Body, routing::get};
//! use http::Request;
//! use shardflight::tower::CoalesceLayer;
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let layer = CoalesceLayer::new();
//! let router = Router::new().route("/posts/{post}", get(async || "from the database")).layer(layer.clone());
//!
//! let requests = (0..100).map(|_| {
//!     let request = Request::get("/posts/7").body(Body::empty()).unwrap();
//!     router.clone().oneshot(request)
//! });
//! for response in futures::future::join_all(requests).await {
//!     assert_eq!(response.unwrap().status(), 200);
//! }
//! let stats = layer.handle().unwrap().stats().await.unwrap();
//! assert_eq!((stats.executions, stats.coalesced), (1, 99));
//! # }
//! ```
//!
//! Concurrent identical requests are answered by one call of the inner service, and each gets a response of its own with the
//! same body, uncopied. The call runs in a task of its own, so a client that disconnects affects no other (G2). Nothing is
//! cached: a request that comes after the response makes a new call (G3).
//!
//! **The worst that such a layer can do is to answer one client with another's response**, as has happened
//! (CVE-2016-10003). So by default all headers are in the key, except those that don't change a response; a request that may be
//! specific to one client is passed through unless you configure otherwise; and a response that turns out to be specific to one
//! client goes to its leader only: the followers then make calls of their own, with the requests that they still have.
//! [`Passes`] counts both by [`Reason`].
//!
//! # What is in the key
//!
//! Two requests are identical if they agree in
//!
//! - the method, GET or HEAD;
//! - the target as the client sent it: path and query, and scheme and authority if it sent them, a user and a password in it
//!   with their case. If axum's nesting changed it, or a layer above that inserts an `OriginalUri`, the rewritten target is in
//!   the key as well;
//! - **all headers that aren't ignored**, known or not: their names, their values, and the order of the values of one name. The
//!   order of the names does not matter. A header that is missing and one that is empty differ;
//! - the principal, if you set [`principal`](CoalesceLayerBuilder::principal) or
//!   [`principal_from`](CoalesceLayerBuilder::principal_from).
//!
//! So a header that the layer doesn't know may cost a shared call, but never gives a client another's response. Three options
//! move the border: [`ignore`](CoalesceLayerBuilder::ignore) takes headers out of the key, and
//! [`ignore_cookies`](CoalesceLayerBuilder::ignore_cookies) single cookies; [`vary`](CoalesceLayerBuilder::vary) puts headers into
//! it that are ignored by default; [`only`](CoalesceLayerBuilder::only) reduces the headers to those that you name and those that
//! belong to the target: `Host`, `Origin`, `Access-Control-Request-Method`, `Access-Control-Request-Headers`, `X-Host`,
//! `X-Forwarded-Host`, `-Proto`, `-Port` and `-Prefix`, `X-Original-URL`, `X-Rewrite-URL`, and `Forwarded` without its `for` and
//! `by`.
//!
//! To find out what to ignore, enable the event `header kept requests apart`, at the level `DEBUG` of the target `shardflight`.
//! Its field `header` names the first header in which a request differs from another one under way that is otherwise equal. It
//! compares with the 64 latest requests of the layer, and shows no values.
//! Browsers' requests for one public page usually differ in `Cookie`, `Referer`, `Accept-Language` and `Sec-Fetch-Site`, `-Mode`
//! and `-User`: ignore those that your service doesn't read.
//!
//! **Nothing but this is in the key.** If responses depend on the client's address or on an extension that a layer above
//! inserts, put that into the key with `principal`, or exclude such requests with
//! [`coalesce_if`](CoalesceLayerBuilder::coalesce_if). Of all that rewrites targets, the layer knows axum 0.8's nesting only: if
//! anything else above the layer strips a part of the target that responses depend on, put that part into the key.
//!
//! **A response that may be used once only** (a challenge, a new id, a redirect with a `state`) must say `Cache-Control: no-store`,
//! or be excluded by `coalesce_if` or [`share_if`](CoalesceLayerBuilder::share_if): otherwise, all callers of a flight get the same
//! one.
//!
//! **You can decide on more.** [`key_by`](CoalesceLayerBuilder::key_by) gives single requests a key of your own instead of their
//! query: for parameters in any order, for a POST that reads, as GraphQL and searches do (with [`ReadBodyLayer`] if its body
//! matters), for ranges and for conditional requests.
//! [`share_private_within_principal`](CoalesceLayerBuilder::share_private_within_principal) shares `private` responses among the
//! requests of one principal.
//!
//! # Headers that are ignored
//!
//! | kind | headers |
//! | --- | --- |
//! | tracing | `traceparent`, `tracestate`, `b3`, `X-B3-TraceId`, `-SpanId`, `-ParentSpanId`, `-Sampled` and `-Flags`, `uber-trace-id`, `sentry-trace`, `X-Cloud-Trace-Context`, `X-Amzn-Trace-Id`, `X-Datadog-Trace-Id`, `-Parent-Id` and `-Sampling-Priority`, `elastic-apm-traceparent`, `newrelic`, `grpc-trace-bin` |
//! | ids and times of a request | `Request-Id`, `X-Request-Id`, `Correlation-Id`, `X-Correlation-Id`, `X-Trace-Id`, `X-Span-Id`, `X-Amzn-RequestId`, `X-Amz-Cf-Id`, `X-Client-Trace-Id`, `X-Client-Request-Id`, `X-MS-Client-Request-Id`, `CF-Ray`, `Fly-Request-Id`, `X-Request-Start`, `X-Queue-Start` |
//! | the user agent | `User-Agent`, `Sec-CH-UA`, and `Sec-CH-UA-Arch`, `-Bitness`, `-Form-Factors`, `-Full-Version`, `-Full-Version-List`, `-Mobile`, `-Model`, `-Platform`, `-Platform-Version` and `-WoW64` |
//! | addresses of clients and proxies | `for` and `by` in `Forwarded`, unless they may change how the rest is parsed; `Forwarded-For`, `X-Forwarded-For`, `X-Original-Forwarded-For`, `X-Real-IP`, `Via`, `CF-Connecting-IP`, `CF-Connecting-IPv6`, `True-Client-IP`, `X-Client-IP`, `X-Cluster-Client-IP`, `Fastly-Client-IP`, `Fly-Client-IP`, `X-Azure-ClientIP`, `X-Azure-SocketIP`, `X-Envoy-External-Address` |
//! | the connection | `Connection`, `Keep-Alive`, `Proxy-Connection`, `TE`, `Trailer`, `Transfer-Encoding`, `Upgrade`, `HTTP2-Settings`. A header that `Connection` names stays in the key |
//! | settled otherwise | `Content-Length` and `Cache-Control`, as only requests without a body and without a wish of their own join; `Priority` |
//!
//! A service whose responses depend on one of these, such as pages for mobile user agents or prices by country of the address,
//! must send `Vary`, or you name the header with [`vary`](CoalesceLayerBuilder::vary). `baggage` is not ignored, as some services
//! choose a tenant or a version by it, and neither are cookies of analytics.
//!
//! # What is never shared
//!
//! | a request with | passes through, as | because |
//! | --- | --- | --- |
//! | a method other than GET, HEAD, or with `key_by` POST; `X-HTTP-Method-Override` or its variants | [`Reason::Method`] | it may be a write |
//! | `Upgrade`, or `Connection: upgrade` | [`Reason::Upgrade`] | it takes over its connection |
//! | `Connection` with the name of a header | [`Reason::Connection`] | a proxy below removes that header |
//! | a body, a `Content-Length` that isn't 0, `Transfer-Encoding` | [`Reason::RequestBody`] | the body isn't in the key, unless [`ReadBodyLayer`] read it for `key_by`. A body of unknown size counts: a layer that hides it, such as tower-http's `RequestBodyTimeoutLayer`, belongs below |
//! | `Expect` | [`Reason::Expect`] | it negotiates with the server |
//! | `Range`, `If-Range` | [`Reason::Range`] | it asks for a part; joins with `key_by` |
//! | `If-None-Match`, `If-Match`, `If-Modified-Since`, `If-Unmodified-Since` | [`Reason::Conditional`] | the response depends on what the client has; joins with `key_by` |
//! | `Cache-Control` with anything but `max-age` or `max-stale`; `Pragma` | [`Reason::RequestCacheControl`] | it asks for a response of its own. `max-age=0`, which browsers send on reload, only limits the age of cached responses, and nothing is cached here. For a cache below, see `Age` after these tables |
//! | credentials that you didn't decide on | [`Reason::Credentials`] | the response may be specific to one moment of its client, such as a message that is shown once |
//! | `coalesce_if` returning `false` | [`Reason::RequestVetoed`] | you said so |
//! | a way through the same layer behind it, as where nested routers have it, too | [`Reason::Nested`] | it would wait for itself |
//! | a key whose last responses were not shareable | [`Reason::RecentlyUnshareable`] | see [below](#what-is-remembered) |
//!
//! | a response with | goes to its leader only, as | because |
//! | --- | --- | --- |
//! | 1xx (101 among them), 206, 304 | [`Reason::Status`] | no request that joins asked for it; 206 and 304 are shared with `key_by` |
//! | 4xx other than 404, 405, 408, 410, 414, 451; 505, 511 | [`Reason::Status`] | it depends on the client, its headers, its rate or its connection |
//! | `Set-Cookie` | [`Reason::SetCookie`] | a session belongs to one client |
//! | `Cache-Control` with `private`, `no-store` or `no-cache` | [`Reason::ResponseCacheControl`] | it must not be shared; `private` is shared among callers of the same principal with `share_private_within_principal` |
//! | `Vary: *`, or with what isn't the name of a header | [`Reason::Vary`] | it depends on more than the request |
//! | `text/event-stream`, `multipart/x-mixed-replace`, newline-delimited or sequenced JSON, gRPC, `audio/*`, `video/*`; `X-Accel-Buffering: no` | [`Reason::Streaming`] | it may never end, or is to be seen while it arrives |
//! | `share_if` returning `false` | [`Reason::ResponseVetoed`] | you said so |
//!
//! All other responses are shared, including redirects, 404 and the other 5xx. Failures are shared and never remembered (G8): a
//! backend that is down gets one call per flight instead of one per client.
//!
//! **`Vary` on a header outside of the key** is compared per follower: if its request has the leader's values of the header, or
//! like the leader's none, it shares, and otherwise it makes a call of its own, as [`Reason::Vary`]. `Content-Encoding` implies
//! `Vary: Accept-Encoding`, and `Content-Language` implies `Vary: Accept-Language`. `Age` implies `Vary: Cache-Control`: the response
//! comes from an HTTP cache below, which may have chosen it by the leader's `max-age` or `max-stale`.
//!
//! # What is remembered
//!
//! Followers of a response that goes to its leader only have waited in vain. So where that happened twice in a row for a key, but
//! for a `share_if` or a status, requests of that key pass through at once for 10 seconds, and then one is tried again. Other keys are
//! not affected. So a client can have others' requests pass only by a header that is ignored, and on which the response's cookies or
//! cache directives depend. A layer remembers up to 1,024 keys in 8 KiB; a key beyond that may
//! take the place of another. Two keys whose hashes agree in 41 bits count as one: the worst is a request that passes through.
//!
//! # Headers that carry credentials
//!
//! `Authorization`, `Proxy-Authorization`, `Cookie`, `Api-Key`, `X-API-Key`, `X-Auth-Token`, `X-Access-Token`,
//! `X-CSRF-Token`, `X-Amz-Security-Token`, `X-Amzn-OIDC-Data`, `X-Amzn-OIDC-Identity`, `X-Goog-IAP-JWT-Assertion`,
//! `X-MS-Client-Principal`, `CF-Access-JWT-Assertion`, `X-Forwarded-User`, `X-Forwarded-Email`,
//! `X-Forwarded-Access-Token`, `X-Forwarded-Client-Cert`, `X-Remote-User`, `Client-Cert`, `Signature`, `DPoP`, those that you
//! name with [`credentials`](CoalesceLayerBuilder::credentials), and a user in the target, which counts as `Authorization`. A
//! client that is known by its TLS certificate or its connection alone sends none of them: set a `principal` for it.
//!
//! All credentials are in the key, known or not, so a client's response never goes to another client. Requests with known
//! credentials are not coalesced among each other either, until you decide:
//!
//! | | requests with these credentials |
//! | --- | --- |
//! | by default | pass through |
//! | `vary([AUTHORIZATION])` | share with requests that have the same ones: right for an outgoing client that sends one token |
//! | `principal(user)` | share with requests that have the same principal and the same ones |
//! | `principal_from([AUTHORIZATION], user)` | share with requests that have the same principal, whatever token they have |
//! | `ignore([COOKIE])` | share with all: no response depends on the header |
//!
//! Credentials that the layer doesn't know are headers like any other: requests with the same ones share. Name them with
//! `credentials` to have them passed through.
//!
//! # Where to put the layer
//!
//! **Below everything that authorizes** (authentication, limits per client), as nothing below the layer sees a request that
//! follows another, and below everything that adds something specific to each response: request ids, CORS, compression,
//! tracing. **Above everything that is expensive**: caches that load, limits of the backend, the handlers. An HTTP cache below has
//! to send `Age` with what it has stored, as RFC 9111 demands: without, a client that sends `max-age=0` may share a cached response.
//! In axum, layers that are added later are above.
//!
//! **Above everything that sets cookies.** The layer has to see the request's `Cookie` and the response's `Set-Cookie`: then each
//! client gets a response of its own. Below the middleware, it sees neither, and two visitors without cookies are equal to it.
//!
//! | | where to put the layer |
//! | --- | --- |
//! | sessions, such as tower-sessions | above them: a response that starts or changes a session sets its cookie |
//! | CSRF tokens | above what makes them: a response with a new token sets its cookie, and one with a known token had it in its request |
//! | cookie jars, as an extractor or a layer | above them |
//! | flash messages in cookies or in a session | above them: the response that shows a message removes it by `Set-Cookie`. Kept in a session on the server, they may set no cookie: leave `Cookie` among the credentials that pass through |
//! | authentication that leaves the credentials in the request | below it, with [`vary`](CoalesceLayerBuilder::vary) or `principal` to coalesce |
//! | authentication that validates a token, removes it and inserts an extension | below it, **with [`principal`](CoalesceLayerBuilder::principal) from that extension**: without, all users are equal to the layer. Or above it, with `vary([AUTHORIZATION])`: requests with the leader's token share what the leader's token was good for |
//! | sessions or cookies above the layer that you can't move | below them, with a `principal` from the session's extension |
//! | layers that scope a task-local, such as `USER.scope(user, next.run(request))` in axum, or that enter a context at each poll | above them: a coalesced call runs in a task of its own, where what they set above the layer is missing. Or below them, with the value in an extension, and a `principal` from it |
//!
//! # After a write
//!
//! A GET that a client sends after its own write may join a flight that read before the write, and so get the old state
//! ([why](crate::guide::after_a_write)). There are three ways to see the write:
//!
//! - a handle for the whole layer whose joins share only work that begins after them:
//!   `.handle(handle.with_freshness(Freshness::StartedAfterCall))`. Requests for one key then wait for up to two calls. See
//!   [`Freshness`](crate::Freshness::StartedAfterCall);
//! - [`forget_all`](crate::Handle::forget_all) on the layer's [`handle`](CoalesceLayer::handle), in the handler that writes, after
//!   the write and before its response, in one task with the write, as the client may hang up in between. Later requests for any
//!   key make new calls;
//! - [`coalesce_if`](CoalesceLayerBuilder::coalesce_if), to have the requests that must see the write pass through, such as those
//!   with a header that your client sends after a write.
//!
//! # What a shared response contains
//!
//! The status, headers, extensions, body and trailers of the leader's response. Extensions are cloned, so the contents of an
//! `Arc` are shared. Headers that hold for one connection are removed, from the leader's response as well: `Connection` and the
//! headers it names, `Keep-Alive`, `Proxy-Connection`, `Proxy-Authenticate`, `TE`, `Transfer-Encoding`, `Upgrade`. `Trailer`
//! stays, as do `Date` and `Age`, which are right for all. If the inner service adds a request id, all callers get the
//! leader's.
//!
//! # Bodies
//!
//! A body up to [`max_body_bytes`](CoalesceLayerBuilder::max_body_bytes) is read whole before the response is delivered, so the
//! first byte comes later than without the layer. If such a body fails, or is shorter than its `Content-Length`, nothing of it was
//! sent, and all callers get a 502, with the error as a [`SharedError<()>`](SharedError) in the response's extensions. So it is if
//! `Content-Length` is not one length. A body that is longer than that is cut to it, as HTTP/1 servers cut a body whose size they
//! don't know.
//!
//! A larger body is delivered as it arrives, to all callers of its flight, from a buffer of that size. It is read at the pace of its
//! fastest caller; one that has fallen behind by a whole buffer makes a call of its own and goes on from where it was, or ends in an
//! error, as [`on_slow_reader`](CoalesceLayerBuilder::on_slow_reader) says. Others wait for slow callers for 100 ms in all. The
//! flight ends, and its deadline with it, when the response is delivered: later requests don't join it (G3). If the body fails
//! midway, all its callers get the data up to there and the error. When all have gone, the rest is dropped.
//!
//! A body that may have no end goes to its leader at once, byte for byte, and the followers make calls of their own. The layer knows
//! such bodies by the table above: exclude others with `share_if`, or they are read up to the cap or the flight's deadline. A response
//! to HEAD has no body, and none is read.
//!
//! # Failures
//!
//! An error of the inner service is returned as a [`SharedError`], the same one for all callers of the flight. A failed join is
//! a response, which [`map_join_error`](CoalesceLayerBuilder::map_join_error) can replace:
//!
//! | failure | response |
//! | --- | --- |
//! | the service, its body or `share_if` panicked | 500 |
//! | the body failed before any of it was sent, or is shorter than its head announces | 502, which `map_join_error` doesn't see |
//! | `max_waiters_per_flight`, `max_flights`, `max_queued` or `queue_timeout` is reached | 503 with `Retry-After` |
//! | the flight, its body included, took longer than [`max_flight_duration`](crate::Builder::max_flight_duration), 30 s by default | 504 with `Retry-After` |
//! | the runtime is shutting down, or the coalescer was shut down | 503 |
//! | a handler, in its own task, requests what waits for that handler ([G12](crate#guarantees)) | 508 |
//!
//! A handler that calls its own server over the network is a client like any other: such a wait cycle ends at the flight's
//! deadline.
//!
//! # Cancellation
//!
//! A client that disconnects leaves its flight, and the flight goes on for the others. When all callers have left, the call is
//! dropped, as axum drops a handler whose client is gone. With a [`handle`](CoalesceLayerBuilder::handle) of yours, its
//! [`OnAbandon`](crate::OnAbandon) decides. A request that passes through is dropped when its client disconnects, as without the
//! layer.
//!
//! # Outgoing requests
//!
//! The layer works with any service that takes an [`http::Request`]. For reqwest's client, wrap it in a function:
//!
#![cfg_attr(not(doctest), doc = include_str!("outgoing.md"))] // in `tests/tower`, which has reqwest
//!
//! A client that adds credentials below the layer adds the same ones to every request. Two such clients need two layers.
//!
//! # Rollout
//!
//! If the [`handle`](CoalesceLayer::handle)'s rollout excludes a key, or coalescing is disabled, a request makes a call of its own,
//! and counts as a [`bypass`](crate::Stats::bypasses). What a [`ReadBodyLayer`] above read for the key is removed, as from every
//! request: a coalescing layer further below needs a [`ReadBodyLayer`] of its own.
//!
//! # Backpressure
//!
//! The layer is always ready. It waits for the inner service's readiness before each call: in the flight's task, or in the task
//! of a request that passes through. So a limit below the layer bounds calls, and a limit above it bounds callers.

mod admission;
mod answer;
mod body;
mod builder;
mod call;
mod collect;
mod config;
mod error;
mod error_response;
mod header_table;
mod headers;
mod key;
mod key_bytes;
mod key_headers;
mod key_options;
mod known_headers;
mod layer;
mod length;
mod nesting;
mod pass_through;
mod read_body;
mod reader;
mod reason;
mod request_headers;
mod request_slot;
mod service;
mod shareable;
mod shared_stream;
mod state;
mod stream_buffer;
mod under_way;
mod unshareable;
mod vary;
mod work;

pub use answer::Answer;
pub use body::CoalescedBody;
pub use builder::CoalesceLayerBuilder;
pub use config::OnSlowReader;
pub use error::SharedError;
pub use key::Key;
pub use layer::CoalesceLayer;
pub use pass_through::Passes;
pub use read_body::{ReadBody, ReadBodyLayer};
pub use reason::Reason;
pub use service::{Coalesce, ResponseFuture};
