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
//! let visits = (0..100).map(|_| {
//!     let request = Request::get("/posts/7").body(Body::empty()).unwrap();
//!     router.clone().oneshot(request)
//! });
//! for response in futures::future::join_all(visits).await {
//!     assert_eq!(response.unwrap().status(), 200);
//! }
//! let stats = layer.handle().unwrap().stats().await.unwrap();
//! assert_eq!((stats.executions, stats.coalesced), (1, 99));
//! # }
//! ```
//!
//! Concurrent requests that are the same are answered by one call of the service below, and each gets a response of its
//! own with the same body, uncopied. The call runs in a task of its own, so a client that hangs up harms nobody (G2).
//! Nothing is kept: a request that comes after the response makes another (G3).
//!
//! **Answering one client with another's response is the worst that such a layer can do**, and has been done
//! (CVE-2016-10003). Whatever might be somebody's own is therefore passed through until you say otherwise, and a response
//! that turns out to be somebody's own is its leader's alone: everyone else then calls for themselves, with the request
//! that they still have. [`Passes`] counts both by [`Reason`].
//!
//! # What is in the key
//!
//! Two requests are the same if they agree in
//!
//! - the method, GET or HEAD;
//! - the target as the client sent it: path and query, and scheme and authority where it has them. Where axum's nesting,
//!   or a layer above that leaves an `OriginalUri`, has changed it, what it was changed to as well;
//! - `Host`, `Origin`, `Access-Control-Request-Method`, `Access-Control-Request-Headers`, `X-Host`, `X-Forwarded-Host`,
//!   `-Proto`, `-Port` and `-Prefix`, `X-Original-URL`, `X-Rewrite-URL`, and `Forwarded` but for its `for` and `by`;
//! - the headers you name with [`vary`](CoalesceLayerBuilder::vary);
//! - whom they are for, if you say so with [`principal`](CoalesceLayerBuilder::principal).
//!
//! **Nothing else is.** A service that answers by the client's address, by another header, or by an extension that a layer
//! above has put in, has to say so by `Vary`, or you to this layer: by `vary`, by `principal`, or with a veto
//! ([`coalesce_if`](CoalesceLayerBuilder::coalesce_if)). Requests with an `Origin` are coalesced by origin, so what CORS
//! layers add is right for each. Only axum 0.8's nesting is known; where something else rewrites targets above the layer
//! and cuts off what the answer depends on, that belongs into the key too.
//!
//! # What is never shared
//!
//! | a request with | passes, as | because |
//! | --- | --- | --- |
//! | a method other than GET or HEAD; `X-HTTP-Method-Override` or its like | [`Reason::Method`] | it may be a write |
//! | `Upgrade`, or `Connection: upgrade` | [`Reason::Upgrade`] | it wants the connection, which is one client's |
//! | a body, a `Content-Length` that isn't 0, `Transfer-Encoding` | [`Reason::RequestBody`] | the body isn't in the key |
//! | `Expect` | [`Reason::Expect`] | it is a talk between two |
//! | `Range`, `If-Range` | [`Reason::Range`] | it wants a part |
//! | `If-None-Match`, `If-Match`, `If-Modified-Since`, `If-Unmodified-Since` | [`Reason::Conditional`] | the answer depends on what the client has |
//! | `Cache-Control` with anything but `max-age` or `max-stale`; `Pragma` | [`Reason::RequestCacheControl`] | it asks for an answer of its own. `max-age=0`, which a browser's reload sends, is about what caches keep, and nothing is kept here |
//! | credentials that the key doesn't account for | [`Reason::Credentials`] | it is somebody's |
//! | your veto | [`Reason::RequestVetoed`] | you know |
//!
//! | a response with | is its leader's alone, as | because |
//! | --- | --- | --- |
//! | 1xx (101 among them), 206, 304 | [`Reason::Status`] | nobody who may join has asked for it |
//! | 4xx other than 404, 405, 410, 414, 451; 505, 511 | [`Reason::Status`] | it judges who asked, how, how often, or by which connection |
//! | `Set-Cookie` | [`Reason::SetCookie`] | a session is one client's |
//! | `Cache-Control` with `private`, `no-store` or `no-cache` | [`Reason::ResponseCacheControl`] | it says so, to callers of the same principal as well |
//! | `Vary` with a header that isn't in the key, or `*` | [`Reason::Vary`] | the others may have sent another value |
//! | `text/event-stream`, `multipart/x-mixed-replace` | [`Reason::Streaming`] | it never ends |
//! | a body over the cap | [`Reason::TooLarge`] | it would have to be held |
//! | your veto | [`Reason::ResponseVetoed`] | you know |
//!
//! All else is shared, redirects, 404 and the other 5xx included. Failures are shared and never remembered (G8): a backend that is
//! down is asked once per window, not once per client.
//!
//! # Headers that carry credentials
//!
//! `Authorization`, `Proxy-Authorization`, `Cookie`, `Api-Key`, `X-API-Key`, `X-Auth-Token`, `X-Access-Token`,
//! `X-CSRF-Token`, `X-Amz-Security-Token`, `X-Amzn-OIDC-Data`, `X-Amzn-OIDC-Identity`, `X-Goog-IAP-JWT-Assertion`,
//! `X-MS-Client-Principal`, `CF-Access-JWT-Assertion`, `X-Forwarded-User`, `X-Forwarded-Email`,
//! `X-Forwarded-Access-Token`, `X-Forwarded-Client-Cert`, `X-Remote-User`, `Client-Cert`, `Signature`, `DPoP`, and those
//! you name with [`credentials`](CoalesceLayerBuilder::credentials). A client that is known by its TLS certificate or by
//! its connection alone carries none of them: there, name a `principal`.
//!
//! # Where to put it
//!
//! **Below whatever decides who may ask** (authentication, limits per client), since a request that joins is looked at by
//! nothing below the layer, and below what adds to each response something of its own: request ids, CORS, compression,
//! tracing. **Above whatever costs**: caches that load, limits of the backend, the handlers. In axum, layers added later
//! are above.
//!
//! # What a shared response is
//!
//! Status, headers, extensions, body and trailers of the leader's response; extensions are cloned, so what is behind an
//! `Arc` in one is shared. What belongs to the connection it came by is taken out, for its leader too: `Connection` and
//! what that names, `Keep-Alive`, `Proxy-Connection`, `Proxy-Authenticate`, `TE`, `Transfer-Encoding`, `Upgrade`.
//! `Trailer` stays, as do `Date` and `Age`, which are right for all. A request id that the service below has put in
//! is the leader's.
//!
//! # Bodies
//!
//! A response is handed on when its body was read, so the first byte comes later than without the layer: what is
//! best streamed belongs elsewhere, or behind a veto. A body that fails midway fails there for all who share it. One that
//! passes the cap goes on to its leader, byte for byte; followers have then waited for what was read of it.
//!
//! # Failures
//!
//! An error of the service comes out as a [`SharedError`], the same for all callers of the flight. A join that fails is a
//! response, which [`map_join_error`](CoalesceLayerBuilder::map_join_error) can shape:
//!
//! | what | response |
//! | --- | --- |
//! | the service, its body or `share_if` panicked | 500 |
//! | `max_waiters_per_flight` or `max_flights` is reached | 503 with `Retry-After` |
//! | the flight took longer than `max_flight_duration`, its body included | 504 with `Retry-After` |
//! | the runtime is going away, or the coalescer was shut down | 503 |
//! | a handler calls, in its own task, what waits for it ([G12](crate#guarantees)) | 508 |
//!
//! A handler that calls itself over the network is a client like any other. Such a circle ends at the flight's deadline.
//!
//! # Cancellation
//!
//! A client that hangs up leaves its flight, and the flight goes on for the others. When all have left, the call is ended
//! in peace, or dropped under [`OnAbandon::Abort`](crate::OnAbandon::Abort). A request that passes through is dropped with its
//! client, as without the layer, and so is the rest of a body that was too large to share.
//!
//! # Outgoing requests
//!
//! Any service over [`http::Request`] will do. reqwest's client is one with a function around it:
//!
#![cfg_attr(not(doctest), doc = include_str!("outgoing.md"))] // in `tests/tower`, which has reqwest
//!
//! A client that adds credentials of its own below the layer adds the same to every request; two such clients need two
//! layers.
//!
//! # Rollout
//!
//! Where the [`handle`](CoalesceLayer::handle)'s rollout leaves a key out, or its switch is off, each request is called
//! for by itself, in its own task. Its body is still read up to the cap before it is handed on.
//!
//! # Backpressure
//!
//! The layer is always ready, and waits for the service below where it calls it: in the flight, or in the request that
//! passes. A limit below bounds calls, one above bounds callers.

mod admission;
mod answer;
mod body;
mod builder;
mod collect;
mod common;
mod desk;
mod error;
mod headers;
mod key;
mod layer;
mod objection;
mod passes;
mod reason;
mod refusal;
mod rules;
mod service;

pub use answer::Answer;
pub use body::CoalescedBody;
pub use builder::CoalesceLayerBuilder;
pub use error::SharedError;
pub use key::Key;
pub use layer::CoalesceLayer;
pub use passes::Passes;
pub use reason::Reason;
pub use service::{Coalesce, ResponseFuture};
