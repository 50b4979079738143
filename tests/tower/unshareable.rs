//! Requests whose responses turned out not to be shareable pass at once, for a while.

use std::time::Duration;

use axum::response::IntoResponse;
use http::{Response, StatusCode, header};
use shardflight::tower::Reason;
use tokio::time::advance;

use crate::support::{Fixture, get_request, limited, send};

type Respond = fn(usize) -> axum::response::Response;

#[tokio::test(start_paused = true)]
async fn requests_pass_after_two_responses_that_were_not_shareable_and_are_tried_again() {
    let private: Respond = |_| ([(header::CACHE_CONTROL, "private")], "text").into_response();
    let cookie: Respond = |_| ([(header::SET_COOKIE, "session=1")], "text").into_response();
    let varying: Respond = |_| ([(header::VARY, "*")], "text").into_response();
    for (respond, reason) in
        [(private, Reason::ResponseCacheControl), (cookie, Reason::SetCookie), (varying, Reason::Vary)]
    {
        limited(async {
            let fixture = Fixture::new();
            fixture.gate.open();
            let router = fixture.router(respond);
            let passes = |reason| fixture.passes(reason);
            for _ in 0..5 {
                send(&router, get_request("/a", &[])).await;
            }
            assert_eq!((passes(reason), passes(Reason::RecentlyUnshareable)), (2, 3));
            send(&router, get_request("/b", &[])).await;
            assert_eq!(passes(reason), 3, "another target");
            advance(Duration::from_secs(10)).await;
            send(&router, get_request("/a", &[])).await;
            assert_eq!(passes(reason), 4, "it is tried again");
            send(&router, get_request("/a", &[])).await;
            assert_eq!((passes(reason), passes(Reason::RecentlyUnshareable)), (4, 4));
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_client_has_no_others_pass() {
    limited(async {
        let fixture = Fixture::with(|layer| layer.vary([header::ACCEPT]));
        fixture.gate.open();
        let router = fixture.router(|_| ([(header::CACHE_CONTROL, "private")], "text"));
        for _ in 0..3 {
            send(&router, get_request("/a", &[("accept", "its own")])).await;
        }
        assert_eq!(fixture.passes(Reason::RecentlyUnshareable), 1);
        send(&router, get_request("/a", &[])).await;
        assert_eq!(fixture.passes(Reason::RecentlyUnshareable), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_status_for_one_client_has_no_others_pass() {
    limited(async {
        let fixture = Fixture::new();
        fixture.gate.open();
        let router = fixture.router(|_| (StatusCode::FORBIDDEN, "text"));
        for _ in 0..4 {
            send(&router, get_request("/a", &[("user-agent", "evil")])).await;
        }
        assert_eq!((fixture.passes(Reason::Status), fixture.passes(Reason::RecentlyUnshareable)), (4, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shareable_response_in_between_counts_from_the_beginning() {
    limited(async {
        let fixture = Fixture::new();
        fixture.gate.open();
        let router = fixture.router(|call| {
            let value = if call % 2 == 0 { "public" } else { "private" };
            ([(header::CACHE_CONTROL, value)], "text")
        });
        for _ in 0..6 {
            send(&router, get_request("/a", &[])).await;
        }
        assert_eq!(fixture.passes(Reason::RecentlyUnshareable), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn followers_that_call_for_themselves_count_as_one_flight() {
    limited(async {
        let fixture = Fixture::new();
        let router = fixture.router(|_| Response::builder().header(header::VARY, "*").body(String::new()).unwrap());
        fixture.send_all(&router, [(); 5].map(|()| get_request("/a", &[])), 5).await;
        fixture.gate.open();
        send(&router, get_request("/a", &[])).await;
        assert_eq!(fixture.passes(Reason::RecentlyUnshareable), 0);
        send(&router, get_request("/a", &[])).await;
        assert_eq!(fixture.passes(Reason::RecentlyUnshareable), 1);
    })
    .await;
}
