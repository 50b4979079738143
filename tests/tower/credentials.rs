//! Requests with credentials, and principals.

use http::header;
use shardflight::tower::Reason;

use crate::{
    checks::{agree, differ, pass},
    support::{Fixture, get_request},
};

#[tokio::test]
async fn principals_are_in_the_key() {
    let fixture = || Fixture::with(|layer| layer.principal(|parts| parts.headers.get(header::AUTHORIZATION).cloned()));
    differ(fixture(), get_request("/a", &[("authorization", "a")]), get_request("/a", &[("authorization", "b")])).await;
    differ(fixture(), get_request("/a", &[("authorization", "a")]), get_request("/a", &[])).await;
    agree(fixture(), get_request("/a", &[("authorization", "a")]), get_request("/a", &[("authorization", "a")])).await;
    let nameless = || Fixture::with(|layer| layer.principal(|parts| parts.headers.get("x-user").cloned()));
    differ(nameless(), get_request("/a", &[("x-user", "")]), get_request("/a", &[])).await;
}

#[tokio::test]
async fn a_principal_may_come_from_extensions() {
    #[derive(Clone)]
    struct Certificate(&'static str);
    let fixture = Fixture::with(|layer| {
        layer.principal(|parts| parts.extensions.get::<Certificate>().map(|certificate| certificate.0))
    });
    let [mut one, mut other] = [get_request("/a", &[]), get_request("/a", &[])];
    one.extensions_mut().insert(Certificate("one"));
    other.extensions_mut().insert(Certificate("other"));
    differ(fixture, one, other).await;
}

#[tokio::test]
async fn credentials_pass_through() {
    for name in ["authorization", "proxy-authorization", "cookie", "x-api-key", "x-forwarded-user", "client-cert"] {
        pass(&Fixture::new(), Reason::Credentials, || get_request("/a", &[(name, "alice")])).await;
    }
    let fixture = Fixture::with(|layer| layer.credentials([http::HeaderName::from_static("x-badge")]));
    pass(&fixture, Reason::Credentials, || get_request("/a", &[("x-badge", "7")])).await;
    let fixture = Fixture::with(|layer| layer.principal(|_| None::<String>));
    pass(&fixture, Reason::Credentials, || get_request("/a", &[("cookie", "session=7")])).await;
}

#[tokio::test]
async fn named_credentials_are_in_the_key() {
    let fixture = || Fixture::with(|layer| layer.vary([header::AUTHORIZATION]));
    agree(fixture(), get_request("/a", &[("authorization", "a")]), get_request("/a", &[("authorization", "a")])).await;
    differ(fixture(), get_request("/a", &[("authorization", "a")]), get_request("/a", &[("authorization", "b")])).await;
    pass(&fixture(), Reason::Credentials, || get_request("/a", &[("authorization", "a"), ("cookie", "b")])).await;
}

#[tokio::test]
async fn credentials_that_a_principal_does_not_account_for_keep_requests_apart() {
    let fixture = || Fixture::with(|layer| layer.principal(|_| Some("one for all")));
    for name in ["authorization", "cookie", "x-api-key", "x-vault-token"] {
        let request = |value| get_request("/a", &[(name, value)]);
        differ(fixture(), request("a"), request("b")).await;
        differ(fixture(), request("a"), get_request("/a", &[])).await;
        agree(fixture(), request("a"), request("a")).await;
        // The same, if `only` leaves out a header that is known to carry credentials.
        let only = || Fixture::with(|layer| layer.only([header::ACCEPT]).principal(|_| Some("one for all")));
        if name != "x-vault-token" {
            differ(only(), request("a"), request("b")).await;
        }
    }
}

#[tokio::test]
async fn a_principal_stands_for_the_headers_that_it_names() {
    fn user(parts: &http::request::Parts) -> Option<String> {
        let token = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        Some(token.split('.').next()?.to_string())
    }
    let fixture = || Fixture::with(|layer| layer.principal_from([header::AUTHORIZATION], user));
    let request = |token, cookie| get_request("/a", &[("authorization", token), ("cookie", cookie)]);
    agree(fixture(), request("alice.1", "a"), request("alice.2", "a")).await;
    differ(fixture(), request("alice.1", "a"), request("bob.1", "a")).await;
    differ(fixture(), request("alice.1", "a"), request("alice.1", "b")).await;
    let by_string = || Fixture::with(|layer| layer.principal_from(["Authorization", "COOKIE"], user));
    agree(by_string(), request("alice.1", "a"), request("alice.2", "b")).await;
    // Without a principal, the headers stand for themselves.
    let nobody = Fixture::with(|layer| layer.principal_from(["authorization"], |_| None::<String>));
    pass(&nobody, Reason::Credentials, || get_request("/a", &[("authorization", "a")])).await;
    let nobody = || Fixture::with(|layer| layer.principal_from(["x-user"], |_| None::<String>));
    differ(nobody(), get_request("/a", &[("x-user", "a")]), get_request("/a", &[("x-user", "b")])).await;
}

#[tokio::test]
async fn a_principal_and_an_anonymous_request_differ() {
    let fixture = Fixture::with(|layer| {
        layer.principal_from(["x-user"], |parts| parts.headers.get("x-user").filter(|user| !user.is_empty()).cloned())
    });
    differ(fixture, get_request("/a", &[("x-user", "a")]), get_request("/a", &[])).await;
}

#[tokio::test]
async fn only_leaves_no_credentials_out() {
    let fixture = || Fixture::with(|layer| layer.only([header::ACCEPT, header::COOKIE]));
    pass(&fixture(), Reason::Credentials, || get_request("/a", &[("authorization", "a")])).await;
    differ(fixture(), get_request("/a", &[("cookie", "a")]), get_request("/a", &[("cookie", "b")])).await;
    agree(fixture(), get_request("/a", &[("cookie", "a")]), get_request("/a", &[("cookie", "a")])).await;
}

#[tokio::test]
async fn ignored_credentials_do_not_pass_through() {
    let fixture = || Fixture::with(|layer| layer.ignore([header::COOKIE]));
    agree(fixture(), get_request("/a", &[("cookie", "a")]), get_request("/a", &[("cookie", "b")])).await;
    agree(fixture(), get_request("/a", &[("cookie", "a")]), get_request("/a", &[])).await;
    pass(&fixture(), Reason::Credentials, || get_request("/a", &[("cookie", "a"), ("authorization", "b")])).await;
    let withdrawn = Fixture::with(|layer| layer.ignore(["x-badge"]).credentials(["X-Badge"]));
    pass(&withdrawn, Reason::Credentials, || get_request("/a", &[("x-badge", "7")])).await;
}

#[tokio::test]
async fn ignored_cookies_do_not_pass_through() {
    let fixture = || Fixture::with(|layer| layer.ignore_cookies(["_ga", "_gid"]));
    let request = |cookie| get_request("/a", &[("cookie", cookie)]);
    agree(fixture(), request("_ga=1; _gid=2"), request("_ga=3")).await;
    agree(fixture(), request("_ga=1"), get_request("/a", &[])).await;
    pass(&fixture(), Reason::Credentials, || request("_ga=1; session=7")).await;
    pass(&fixture(), Reason::Credentials, || request("_GA=1")).await;
    pass(&fixture(), Reason::Credentials, || get_request("/a", &[("cookie", "_ga=1"), ("cookie", "session=7")])).await;
    let keyed = || Fixture::with(|layer| layer.ignore_cookies(["_ga"]).vary([header::COOKIE]));
    agree(keyed(), request("_ga=1; session=7"), request("session=7; _ga=2")).await;
    differ(keyed(), request("_ga=1; session=7"), request("_ga=1; session=8")).await;
    differ(keyed(), request("session=\"x; _ga=1\""), request("session=\"x; _ga=2\"")).await;
}

#[tokio::test]
async fn a_user_in_the_target_is_a_credential() {
    let uri = |user: &str| format!("http://{user}one.example/a");
    let request = |user: &str| get_request(&uri(user), &[]);
    pass(&Fixture::new(), Reason::Credentials, || request("alice:secret@")).await;
    let nested = || {
        let mut request = get_request("/a", &[]);
        request.extensions_mut().insert(axum::extract::OriginalUri(uri("alice@").parse().unwrap()));
        request
    };
    pass(&Fixture::new(), Reason::Credentials, nested).await;
    let principals = || Fixture::with(|layer| layer.principal(|_| Some("one for all")));
    let named = || Fixture::with(|layer| layer.vary([header::AUTHORIZATION]));
    for fixture in [&principals as &dyn Fn() -> Fixture, &named] {
        differ(fixture(), request("alice:secret@"), request("Alice:secret@")).await;
        differ(fixture(), request("alice:secret@"), request("alice:Secret@")).await;
        differ(fixture(), request("alice:secret@"), request("")).await;
        agree(fixture(), request("alice:secret@"), request("alice:secret@")).await;
    }
}
