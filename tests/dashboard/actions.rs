//! What a page may change.

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use shardflight::dashboard::{Action, Dashboard};

use crate::{
    support::limited,
    viewer::{Crowd, Users, page_of, read, send, snapshot, users},
};

const OWN: &[(&str, &str)] = &[("content-type", "application/json"), ("sec-fetch-site", "same-origin")];

fn acting(users: &Users, actions: &[Action]) -> Router {
    let dashboard = Dashboard::builder().coalescer("users", &users.handle()).allow_actions(actions.iter().copied());
    dashboard.build().unwrap().router()
}

async fn order(page: &Router, headers: &[(&str, &str)], order: &Value) -> StatusCode {
    let request =
        headers.iter().fold(Request::post("/actions"), |request, (name, value)| request.header(*name, *value));
    read(send(page, request.body(Body::from(order.to_string())).unwrap()).await).await.0
}

fn switch(enabled: bool) -> Value {
    json!({ "action": "set_enabled", "coalescer": "users", "enabled": enabled })
}

#[tokio::test(start_paused = true)]
async fn a_page_is_read_only_by_default() {
    limited(async {
        let users = users();
        let page = page_of(&users);
        assert_eq!(order(&page, OWN, &switch(false)).await, StatusCode::NOT_FOUND);
        assert_eq!(snapshot(&page).await["actions"], json!([]));
        let forgets = acting(&users, &[Action::Forget]);
        assert_eq!(order(&forgets, OWN, &switch(false)).await, StatusCode::FORBIDDEN, "the other action");
        assert_eq!(snapshot(&page).await["coalescers"][0]["enabled"], true);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_action_is_refused_unless_it_comes_from_the_page() {
    limited(async {
        let users = users();
        let page = acting(&users, Action::ALL);
        let json_type = ("content-type", "application/json");
        let foreign: &[&[(&str, &str)]] = &[
            &[json_type],
            &[json_type, ("sec-fetch-site", "cross-site")],
            &[json_type, ("sec-fetch-site", "same-site"), ("host", "a.test"), ("origin", "https://a.test")],
            &[json_type, ("sec-fetch-site", "none")],
            &[json_type, ("host", "a.test"), ("origin", "https://evil.test")],
            &[json_type, ("host", "a.test"), ("origin", "https://a.test.evil.test")],
            &[json_type, ("host", "a.test:1"), ("origin", "http://a.test:2")],
            &[json_type, ("host", "null"), ("origin", "null")],
            &[json_type, ("origin", "https://a.test")],
        ];
        let mut accepted = Vec::new();
        for headers in foreign {
            if order(&page, headers, &switch(false)).await != StatusCode::FORBIDDEN {
                accepted.push(headers);
            }
        }
        assert!(accepted.is_empty(), "{accepted:#?}");
        assert_eq!(order(&page, &OWN[1..], &switch(false)).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(snapshot(&page).await["coalescers"][0]["enabled"], true, "nothing was done");
        let own = [json_type, ("host", "a.test:8443"), ("origin", "https://a.test:8443")];
        assert_eq!(order(&page, &own, &switch(false)).await, StatusCode::OK);
        let get = Request::get("/actions").header("sec-fetch-site", "same-origin").body(Body::empty()).unwrap();
        assert_eq!(send(&page, get).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn coalescing_is_switched_off_and_on() {
    limited(async {
        let users = users();
        let page = acting(&users, Action::ALL);
        for (enabled, bypasses) in [(false, 1), (true, 1)] {
            assert_eq!(order(&page, OWN, &switch(enabled)).await, StatusCode::OK);
            assert_eq!(users.handle().join("a", || async { 1 }).await, Ok(1));
            assert_eq!(users.handle().stats().await.unwrap().bypasses, bypasses);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_flight_is_forgotten_by_its_number() {
    limited(async {
        let users = users();
        let page = acting(&users, Action::ALL);
        let live = Crowd::of(&users.handle(), "a", 2).await;
        let number = snapshot(&page).await["coalescers"][0]["oldest"][0]["flight"].clone();
        let forget = json!({ "action": "forget", "coalescer": "users", "flight": number });
        assert_eq!(order(&page, OWN, &forget).await, StatusCode::OK);
        assert_eq!(users.handle().join("a", || async { 1 }).await, Ok(1), "the next join starts anew");
        assert_eq!(order(&page, OWN, &forget).await, StatusCode::NOT_FOUND, "it is forgotten already");
        assert_eq!(users.handle().stats().await.unwrap().forgets, 1);
        live.end().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn orders_that_make_no_sense_change_nothing() {
    limited(async {
        let users = users();
        let page = acting(&users, Action::ALL);
        let mut nonsense = vec![
            json!(null),
            json!({ "action": "drop_tables", "coalescer": "users" }),
            json!({ "action": "set_enabled", "coalescer": "users", "enabled": "no" }),
            json!({ "action": "set_enabled", "coalescer": "nobody", "enabled": false }),
            json!({ "action": "forget", "coalescer": "users", "flight": 4096 }),
        ];
        nonsense.extend(
            ["", "-1", "0", "4095", "18446744073709551615"]
                .map(|flight| json!({ "action": "forget", "coalescer": "users", "flight": flight })),
        );
        nonsense.push(json!({ "action": "x".repeat(10_000) }));
        for nonsense in nonsense {
            assert!(order(&page, OWN, &nonsense).await.is_client_error(), "{nonsense}");
        }
        assert_eq!(snapshot(&page).await["coalescers"][0]["enabled"], true);
    })
    .await;
}
