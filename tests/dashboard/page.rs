//! The page, where it is found, and what it may do.

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use serde_json::json;

use crate::{
    support::limited,
    viewer::{Crowd, Viewer, get, page_of, send, snapshot, users},
};

#[tokio::test(start_paused = true)]
async fn the_page_is_found_with_and_without_a_slash_at_the_end() {
    limited(async {
        let users = users();
        let nested = Router::new().nest_service("/ops/flights", page_of(&users));
        for path in ["/ops/flights", "/ops/flights/"] {
            let (status, headers, html) = get(&nested, path).await;
            assert_eq!(
                (status, &headers["content-type"]),
                (StatusCode::OK, &"text/html; charset=utf-8".parse().unwrap())
            );
            assert!(html.starts_with("<!doctype html>"));
        }
        let by_itself = page_of(&users);
        assert_eq!(get(&by_itself, "/").await.0, StatusCode::OK);
        assert_eq!(get(&nested, "/ops/flights/snapshot.json").await.0, StatusCode::OK);
        assert_eq!(get(&by_itself, "/snapshot.json").await.0, StatusCode::OK);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn only_the_pages_own_script_runs() {
    limited(async {
        let page = page_of(&users());
        let (_, headers, html) = get(&page, "/").await;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
        let nonce = policy.split("script-src 'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
        assert_eq!(html.matches("<script").count(), 1);
        assert_eq!(html.matches(&format!("nonce=\"{nonce}\"")).count(), 2, "of style and script");
        assert!(!html.contains("{{"), "all places are filled");
        let own = html.replace("http://www.w3.org/2000/svg", "the name of a namespace");
        let elsewhere = ["http:", "https:", "src=", "href=", "url(", "@import", "import("];
        assert!(elsewhere.iter().all(|word| !own.contains(word)), "nothing is loaded from elsewhere");
        let (_, other, _) = get(&page, "/").await;
        assert_ne!(other["content-security-policy"], policy, "each page has a nonce of its own");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn no_response_is_kept_or_read_by_other_sites() {
    limited(async {
        let page = page_of(&users());
        for path in ["/", "/snapshot.json"] {
            let (_, headers, _) = get(&page, path).await;
            assert_eq!(
                (&headers["cache-control"], &headers["x-content-type-options"]),
                (&"no-store".parse().unwrap(), &"nosniff".parse().unwrap())
            );
            assert!(!headers.contains_key("access-control-allow-origin"));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn another_sites_page_takes_no_viewers_place() {
    limited(async {
        let page = page_of(&users());
        for path in ["/events", "/snapshot.json"] {
            let request = Request::get(path).header("sec-fetch-site", "cross-site").body(Body::empty()).unwrap();
            assert_eq!(send(&page, request).await.status(), StatusCode::FORBIDDEN);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn hostile_descriptions_stay_text() {
    limited(async {
        let users = users();
        let hostile = "</script><img src=x onerror=alert(1)>\n\ndata: {\"last\":true}\n\n\u{2028}";
        let live = Crowd::of(&users.handle(), hostile, 2).await;
        let page = page_of(&users);
        let shown = snapshot(&page).await;
        assert_eq!(shown["coalescers"][0]["oldest"][0]["key"], json!(hostile));
        let mut viewer = Viewer::open(&page).await;
        assert_eq!(viewer.next().await["last"], false, "it is one event");
        assert!(!get(&page, "/").await.2.contains("<img"));
        live.end().await;
    })
    .await;
}
