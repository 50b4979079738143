//! Which headers are in the key.

use std::panic::catch_unwind;

use axum::{Router, extract::Request, routing::get};
use futures::future::join_all;
use http::{HeaderMap, HeaderName, header};
use shardflight::tower::{CoalesceLayer, Reason};

use crate::{
    checks::{agree, differ},
    support::{Fixture, Server, Version, get_request, limited, send},
};

/// Headers by which services answer, credentials among them.
const CHANGE_ANSWERS: [&str; 50] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "api-key",
    "apikey",
    "authorization",
    "baggage",
    "cf-ipcountry",
    "content-type",
    "cookie",
    "dnt",
    "from",
    "host",
    "hx-request",
    "hx-target",
    "idempotency-key",
    "ocp-apim-subscription-key",
    "origin",
    "prefer",
    "private-token",
    "purpose",
    "referer",
    "remote-user",
    "rsc",
    "save-data",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-gpc",
    "sec-purpose",
    "tailscale-user-login",
    "upgrade-insecure-requests",
    "x-access-token",
    "x-api-key",
    "x-api-version",
    "x-auth-request-user",
    "x-auth-token",
    "x-csrftoken",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-inertia",
    "x-never-heard-of",
    "x-requested-with",
    "x-session-token",
    "x-ssl-client-s-dn",
    "x-tenant-id",
    "x-user-id",
    "x-vault-token",
    "x-xsrf-token",
];

/// Headers that differ from request to request.
const CHANGE_NOTHING: [&str; 21] = [
    "b3",
    "cf-connecting-ip",
    "cf-ray",
    "fly-client-ip",
    "keep-alive",
    "priority",
    "request-id",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "te",
    "traceparent",
    "tracestate",
    "true-client-ip",
    "user-agent",
    "via",
    "x-amzn-trace-id",
    "x-b3-traceid",
    "x-correlation-id",
    "x-forwarded-for",
    "x-real-ip",
    "x-request-id",
];

fn upper(name: &str) -> String {
    name.to_ascii_uppercase()
}

/// The values of a header in the order in which they came.
fn values(headers: &HeaderMap, name: &HeaderName) -> String {
    format!("{:?}", headers.get_all(name).iter().collect::<Vec<_>>())
}

#[tokio::test]
async fn no_header_gives_a_client_the_answer_of_another() {
    limited(async {
        for name in CHANGE_ANSWERS {
            let name: HeaderName = name.parse().unwrap();
            let fixture = Fixture::new();
            let (gate, echoed) = (fixture.gate.clone(), name.clone());
            let handler = async move |request: Request| {
                gate.pass().await;
                values(request.headers(), &echoed)
            };
            let router = Router::new().route("/a", get(handler)).layer(fixture.layer.clone());
            let sent: [&[&str]; 6] = [&["one"], &["two"], &[""], &[], &["one", "two"], &["two", "one"]];
            let requests = sent.map(|values| {
                let headers: Vec<_> = values.iter().map(|value| (name.as_str(), *value)).collect();
                get_request("/a", &headers)
            });
            let expected = requests.each_ref().map(|request| values(request.headers(), &name));
            let tasks = requests.map(|request| tokio::spawn(crate::support::send(&router, request)));
            let passes = fixture.layer.passes();
            fixture.until(|stats| stats.waiters as u64 + passes.total() == 6).await;
            fixture.gate.open();
            for (task, expected) in join_all(tasks).await.into_iter().zip(expected) {
                assert_eq!(task.unwrap().body(), expected.as_bytes(), "{name}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn unknown_headers_keep_requests_apart() {
    for name in ["x-tenant-id", "PRIVATE-TOKEN", "Accept", "X-Never-Heard-Of"] {
        let request = |value| get_request("/a", &[(name, value)]);
        differ(Fixture::new(), request("one"), request("two")).await;
        differ(Fixture::new(), request("one"), request("One")).await;
        differ(Fixture::new(), request(""), get_request("/a", &[])).await;
        agree(Fixture::new(), request("one"), request("one")).await;
        agree(Fixture::new(), request("one"), get_request("/a", &[(&upper(name), "one")])).await;
    }
}

#[tokio::test]
async fn headers_that_change_no_answer_are_ignored() {
    for name in CHANGE_NOTHING {
        agree(Fixture::new(), get_request("/a", &[(name, "1")]), get_request("/a", &[(name, "2")])).await;
        agree(Fixture::new(), get_request("/a", &[(&upper(name), "1")]), get_request("/a", &[])).await;
    }
}

#[tokio::test]
async fn connection_is_ignored_unless_it_names_headers() {
    let request = |value| get_request("/a", &[("connection", value), ("x-tenant-id", "a")]);
    agree(Fixture::new(), request("close"), request("Keep-Alive")).await;
    agree(Fixture::new(), request("TE, close"), get_request("/a", &[("x-tenant-id", "a")])).await;
    limited(async {
        for value in ["x-tenant-id", "close, X-Tenant-Id", "cookie"] {
            let fixture = Fixture::new();
            fixture.gate.open();
            send(&fixture.router(|call| call.to_string()), request(value)).await;
            assert_eq!(fixture.passes(Reason::Connection), 1, "{value}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_order_of_headers_does_not_matter() {
    let one = [("accept", "1"), ("x-a", "2"), ("accept", "3"), ("x-b", "4")];
    let other = [("x-b", "4"), ("accept", "1"), ("accept", "3"), ("x-a", "2")];
    agree(Fixture::new(), get_request("/a", &one), get_request("/a", &other)).await;
}

#[tokio::test]
async fn the_order_of_a_headers_values_matters() {
    let request = |values: [&str; 2]| get_request("/a", &values.map(|value| ("x-a", value)));
    differ(Fixture::new(), request(["1", "2"]), request(["2", "1"])).await;
    differ(Fixture::new(), request(["1", "2"]), get_request("/a", &[("x-a", "1, 2")])).await;
    differ(Fixture::new(), request(["1", "1"]), get_request("/a", &[("x-a", "1")])).await;
}

#[tokio::test]
async fn values_belong_to_their_names() {
    let request = |names: [&str; 2]| get_request("/a", &[(names[0], "1"), (names[1], "2")]);
    differ(Fixture::new(), request(["x-a", "x-b"]), request(["x-b", "x-a"])).await;
    differ(Fixture::new(), get_request("/a", &[("x-a", "1")]), get_request("/a", &[("x-b", "1")])).await;
}

#[tokio::test]
async fn many_headers_agree_in_any_order() {
    let names: Vec<_> = (0..60).map(|number| format!("x-{number}")).collect();
    let mut headers: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let one = get_request("/a", &headers);
    fastrand::Rng::with_seed(7).shuffle(&mut headers);
    agree(Fixture::new(), one, get_request("/a", &headers)).await;
}

#[tokio::test]
async fn ignored_headers_are_not_in_the_key() {
    let fixture = || Fixture::with(|layer| layer.ignore(["X-Device-Id"]).ignore([header::ACCEPT]));
    for name in ["x-device-id", "X-DEVICE-ID", "accept"] {
        agree(fixture(), get_request("/a", &[(name, "1")]), get_request("/a", &[(name, "2")])).await;
        agree(fixture(), get_request("/a", &[(name, "1")]), get_request("/a", &[])).await;
    }
    differ(fixture(), get_request("/a", &[("x-device", "1")]), get_request("/a", &[("x-device", "2")])).await;
}

#[tokio::test]
async fn only_named_headers_are_in_the_key() {
    let fixture = || Fixture::with(|layer| layer.only(["X-Tenant-Id"]).only([header::ACCEPT]));
    for name in ["x-tenant-id", "Accept", "host", "x-forwarded-host"] {
        differ(fixture(), get_request("/a", &[(name, "1")]), get_request("/a", &[(name, "2")])).await;
        differ(fixture(), get_request("/a", &[(name, "")]), get_request("/a", &[])).await;
    }
    for name in ["x-other", "accept-language", "user-agent"] {
        agree(fixture(), get_request("/a", &[(name, "1")]), get_request("/a", &[(name, "2")])).await;
    }
    let forwarded = |value| get_request("/a", &[("forwarded", value)]);
    differ(fixture(), forwarded("for=a;host=one"), forwarded("for=a;host=two")).await;
    agree(fixture(), forwarded("for=a;host=one"), forwarded("for=b;host=one")).await;
}

#[tokio::test]
async fn the_last_call_that_names_a_header_counts() {
    let request = |value| get_request("/a", &[("user-agent", value)]);
    differ(Fixture::with(|layer| layer.vary([header::USER_AGENT])), request("1"), request("2")).await;
    agree(Fixture::with(|layer| layer.vary(["user-agent"]).ignore(["user-agent"])), request("1"), request("2")).await;
    differ(Fixture::with(|layer| layer.ignore(["user-agent"]).only(["user-agent"])), request("1"), request("2")).await;
    let request = |value| get_request("/a", &[("host", value)]);
    agree(Fixture::with(|layer| layer.ignore(["host"]).only(["accept"])), request("1"), request("2")).await;
}

#[tokio::test]
async fn named_forwarded_is_in_the_key_as_a_whole() {
    let request = |value| get_request("/a", &[("forwarded", value)]);
    differ(Fixture::with(|layer| layer.vary(["forwarded"])), request("for=a"), request("for=b")).await;
    agree(Fixture::with(|layer| layer.ignore(["forwarded"])), request("host=a"), request("host=b")).await;
}

#[test]
fn an_invalid_name_is_refused() {
    let builder = CoalesceLayer::builder;
    for name in ["", "two words", "colon:"] {
        let refused = [
            catch_unwind(|| drop(builder().ignore([name]))),
            catch_unwind(|| drop(builder().only([name]))),
            catch_unwind(|| drop(builder().vary([name]))),
            catch_unwind(|| drop(builder().credentials([name]))),
            catch_unwind(|| drop(builder().principal_from([name], |_| None::<String>))),
        ];
        for refused in refused {
            let message = refused.unwrap_err().downcast::<String>().unwrap();
            assert_eq!(*message, format!("{name:?} is not a valid name of a header"));
        }
    }
}

#[tokio::test]
async fn clients_over_sockets_agree() {
    limited(async {
        for version in Version::BOTH {
            let fixture = Fixture::new();
            let server = Server::start(fixture.router(|call| call.to_string())).await;
            let tasks: Vec<_> = (0..10)
                .map(|number| {
                    let request = version.client().get(server.url("/a")).header("accept", "text/html");
                    let request = request.header("user-agent", number).header("x-request-id", number);
                    tokio::spawn(request.send())
                })
                .collect();
            fixture.until(|stats| stats.waiters == 10).await;
            fixture.gate.open();
            for task in tasks {
                assert_eq!(task.await.unwrap().unwrap().bytes().await.unwrap(), "1", "{version:?}");
            }
        }
    })
    .await;
}
