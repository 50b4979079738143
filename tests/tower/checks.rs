//! Checks of whether two requests share a call.

use axum::{Router, body::Body, routing::any};
use http::Request;
use shardflight::tower::Reason;

use crate::support::{Fixture, limited, texts};

/// Checks that two requests have different keys, and that neither passes through.
pub(crate) async fn differ(fixture: Fixture, one: Request<Body>, other: Request<Body>) {
    let what = format!("{one:?} against {other:?}");
    let router = fixture.router(|call| call.to_string());
    let responses = limited(fixture.send_all(&router, [one, other], 2)).await;
    assert_eq!(fixture.calls.get(), 2, "{what}");
    assert_ne!(texts(&responses)[0], texts(&responses)[1], "{what}");
    assert_eq!(fixture.layer.passes().total(), 0, "{what}");
}

/// Checks that two requests have the same key.
pub(crate) async fn agree(fixture: Fixture, one: Request<Body>, other: Request<Body>) {
    let what = format!("{one:?} and {other:?}");
    let router = fixture.router(|call| call.to_string());
    let responses = limited(fixture.send_all(&router, [one, other], 2)).await;
    assert_eq!(fixture.calls.get(), 1, "{what}");
    assert_eq!(texts(&responses), ["1", "1"], "{what}");
}

/// Checks that two equal requests both pass through, for this reason.
pub(crate) async fn pass(fixture: &Fixture, reason: Reason, request: impl Fn() -> Request<Body>) {
    let what = format!("{:?}", request());
    let before = (fixture.calls.get(), fixture.passes(reason));
    let Fixture { gate, calls, layer, .. } = fixture.clone();
    let handler = async move || {
        calls.up();
        gate.pass().await;
    };
    let router = Router::new().route("/a", any(handler)).layer(layer);
    limited(fixture.send_all(&router, [request(), request()], 0)).await;
    let after = (fixture.calls.get(), fixture.passes(reason));
    assert_eq!(after, (before.0 + 2, before.1 + 2), "{what}");
}
