//! Bodies over the cap, which all callers read as they arrive, and bodies that have no end.

use std::{
    future::{pending, poll_fn},
    io,
    pin::Pin,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body, response::IntoResponse, routing::get};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, channel::mpsc, stream};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use shardflight::tower::{OnSlowReader, Reason};
use tower::ServiceExt;

use crate::support::{Count, Fixture, Server, Version, eventually, get_request, limited, panic_quietly, send};

const CAP: usize = 10_000;
/// Ten of them exceed the cap.
const CHUNK: usize = 1_000;

type Chunks = mpsc::UnboundedSender<io::Result<Bytes>>;

/// Handlers whose bodies are sent by the test, one for each call.
#[derive(Clone, Default)]
struct Bodies(Arc<Mutex<Vec<Chunks>>>);

impl Bodies {
    fn start(&self) -> Body {
        let (chunks, body) = mpsc::unbounded();
        self.0.lock().unwrap().push(chunks);
        Body::from_stream(body)
    }

    fn of(&self, call: usize) -> Chunks {
        self.0.lock().unwrap()[call].clone()
    }

    /// The bodies end.
    fn end(&self) {
        self.0.lock().unwrap().clear();
    }
}

fn chunk(number: u8) -> Bytes {
    Bytes::from(vec![number; CHUNK])
}

fn chunks(numbers: std::ops::Range<u8>) -> Bytes {
    numbers.flat_map(chunk).collect()
}

fn send_chunks(to: &Chunks, numbers: std::ops::Range<u8>) {
    for number in numbers {
        to.unbounded_send(Ok(chunk(number))).expect("the body is there");
    }
}

fn capped(on_slow_reader: OnSlowReader) -> Fixture {
    Fixture::with(|layer| layer.max_body_bytes(CAP).on_slow_reader(on_slow_reader))
}

/// So many callers of one flight, the leader first, when the body has exceeded the cap.
async fn join<const N: usize>(fixture: &Fixture, bodies: &Bodies) -> [Body; N] {
    let served = bodies.clone();
    let router = fixture.router(move |_| served.start());
    let mut tasks = Vec::new();
    for waiters in 1..=N {
        let response = router.clone().oneshot(get_request("/a", &[]));
        tasks.push(tokio::spawn(response));
        fixture.until(|stats| stats.waiters == waiters).await;
    }
    fixture.gate.open();
    eventually(|| fixture.calls.get() == 1).await;
    eventually(|| bodies.0.lock().unwrap().len() == 1).await;
    send_chunks(&bodies.of(0), 0..12);
    let mut responses = Vec::new();
    for task in tasks {
        responses.push(task.await.unwrap().unwrap().into_body());
    }
    responses.try_into().unwrap()
}

async fn read(body: &mut Body, length: usize) -> Bytes {
    let mut read = Vec::new();
    while read.len() < length {
        read.extend_from_slice(&body.frame().await.expect("not the end").expect("no error").into_data().expect("data"));
    }
    assert_eq!(read.len(), length);
    read.into()
}

/// All callers read the next chunk before any reads the one after that. What was read before the cap was exceeded is one.
async fn read_in_turns(callers: &mut [Body], numbers: std::ops::Range<u8>) {
    let mut next = numbers.start;
    while next < numbers.end {
        let end = if next == 0 { 10 } else { next + 1 };
        for caller in &mut *callers {
            assert_eq!(read(caller, usize::from(end - next) * CHUNK).await, chunks(next..end));
        }
        next = end;
    }
}

async fn rest(body: Body) -> Bytes {
    body.collect().await.expect("no error").to_bytes()
}

#[tokio::test]
async fn a_body_over_the_cap_is_fetched_once() {
    limited(async {
        let (fixture, bodies) = (capped(OnSlowReader::CallAlone), Bodies::default());
        let mut callers: [Body; 3] = join(&fixture, &bodies).await;
        read_in_turns(&mut callers, 0..12).await;
        send_chunks(&bodies.of(0), 12..15);
        // As it arrives.
        read_in_turns(&mut callers, 12..15).await;
        bodies.end();
        for caller in callers {
            assert_eq!(rest(caller).await, "");
        }
        assert_eq!((fixture.calls.get(), fixture.layer.passes().total()), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn a_slow_reader_slows_no_other_and_goes_on_by_itself() {
    limited(async {
        let (fixture, bodies) = (capped(OnSlowReader::CallAlone), Bodies::default());
        let [mut leader, mut slow, idle]: [Body; 3] = join(&fixture, &bodies).await;
        assert_eq!(read(&mut slow, 10 * CHUNK).await, chunks(0..10));
        send_chunks(&bodies.of(0), 12..40);
        assert_eq!(read(&mut leader, 40 * CHUNK).await, chunks(0..40), "nobody waits for the slow ones");

        let mut late = Box::pin(read(&mut slow, 30 * CHUNK));
        assert!((&mut late).now_or_never().is_none(), "it has lost its place, and makes a call");
        eventually(|| fixture.calls.get() == 2).await;
        assert!((&mut late).now_or_never().is_none());
        eventually(|| bodies.0.lock().unwrap().len() == 2).await;
        send_chunks(&bodies.of(1), 0..40);
        assert_eq!(late.await, chunks(10..40));
        bodies.end();
        assert_eq!((rest(leader).await, rest(slow).await), (Bytes::new(), Bytes::new()));
        drop(idle);
        assert_eq!((fixture.calls.get(), fixture.passes(Reason::TooLarge)), (2, 1));
    })
    .await;
}

#[tokio::test]
async fn a_slow_leader_goes_on_by_itself_too() {
    limited(async {
        let (fixture, bodies) = (capped(OnSlowReader::CallAlone), Bodies::default());
        let [leader, mut follower]: [Body; 2] = join(&fixture, &bodies).await;
        send_chunks(&bodies.of(0), 12..40);
        bodies.of(0).close_channel();
        assert_eq!(read(&mut follower, 40 * CHUNK).await, chunks(0..40));
        let whole = tokio::spawn(rest(leader));
        eventually(|| bodies.0.lock().unwrap().len() == 2).await;
        send_chunks(&bodies.of(1), 0..40);
        bodies.end();
        assert_eq!(whole.await.unwrap(), chunks(0..40));
        assert_eq!(rest(follower).await, "");
    })
    .await;
}

#[tokio::test]
async fn a_slow_reader_is_not_given_another_body() {
    for changed in [chunks(7..9), chunk(0)] {
        limited(async {
            let (fixture, bodies) = (capped(OnSlowReader::CallAlone), Bodies::default());
            let [mut leader, mut slow]: [Body; 2] = join(&fixture, &bodies).await;
            assert_eq!(read(&mut slow, 10 * CHUNK).await, chunks(0..10));
            send_chunks(&bodies.of(0), 12..40);
            assert_eq!(read(&mut leader, 40 * CHUNK).await, chunks(0..40));
            let error = tokio::spawn(async move { slow.collect().await.unwrap_err().to_string() });
            eventually(|| bodies.0.lock().unwrap().len() == 2).await;
            bodies.of(1).unbounded_send(Ok(changed)).unwrap();
            bodies.end();
            let error = error.await.unwrap();
            assert!(error.contains("has changed"), "{error}");
        })
        .await;
    }
}

/// A body over the cap for the first call, which ends when the test says so, and `then` for the others. The calls' `X-Client`s.
fn big_then<R: IntoResponse>(
    fixture: &Fixture,
    bodies: &Bodies,
    then: impl Fn(&str) -> R + Clone + Send + Sync + 'static,
) -> (Router, Arc<Mutex<Vec<String>>>) {
    let (clients, served, gate) = (Arc::<Mutex<Vec<String>>>::default(), bodies.clone(), fixture.gate.clone());
    let seen = Arc::clone(&clients);
    let handler = async move |request: Request<Body>| {
        let client = request.headers()["user-agent"].to_str().unwrap().to_owned();
        seen.lock().unwrap().push(client.clone());
        gate.pass().await;
        if seen.lock().unwrap().len() == 1 {
            ([(header::ETAG, "\"1\"")], served.start()).into_response()
        } else {
            then(&client).into_response()
        }
    };
    (Router::new().route("/a", get(handler)).layer(fixture.layer.clone()), clients)
}

/// The bodies of a leader and followers with these user agents. Only the first has been read, beyond the buffer.
async fn far_behind<const N: usize>(
    fixture: &Fixture,
    bodies: &Bodies,
    router: &Router,
    agents: [&str; N],
) -> [Body; N] {
    let mut tasks = Vec::new();
    for (number, agent) in agents.into_iter().enumerate() {
        tasks.push(tokio::spawn(router.clone().oneshot(get_request("/a", &[("user-agent", agent)]))));
        fixture.until(|stats| stats.waiters == number + 1).await;
    }
    fixture.gate.open();
    eventually(|| bodies.0.lock().unwrap().len() == 1).await;
    send_chunks(&bodies.of(0), 0..12);
    let mut callers = Vec::new();
    for task in tasks {
        callers.push(task.await.unwrap().unwrap().into_body());
    }
    send_chunks(&bodies.of(0), 12..40);
    assert_eq!(read(&mut callers[0], 40 * CHUNK).await, chunks(0..40));
    callers.try_into().unwrap()
}

#[tokio::test]
async fn a_slow_follower_makes_its_own_call() {
    limited(async {
        let (fixture, bodies) = (capped(OnSlowReader::CallAlone), Bodies::default());
        let same =
            |_: &str| ([(header::ETAG, "\"1\"")], Body::from_stream(stream::iter([Ok::<_, io::Error>(chunks(0..40))])));
        let (router, clients) = big_then(&fixture, &bodies, same);
        let [_leader, one, other] = far_behind(&fixture, &bodies, &router, ["leader", "one", "other"]).await;
        assert_eq!(rest(one).await, chunks(0..40));
        assert_eq!(*clients.lock().unwrap(), ["leader", "one"]);
        assert_eq!(rest(other).await, chunks(0..40));
        assert_eq!(*clients.lock().unwrap(), ["leader", "one", "other"]);
    })
    .await;
}

#[tokio::test]
async fn a_slow_reader_gets_no_other_representation() {
    let others: [fn(&str) -> Response<Body>; 3] = [
        |_| ([(header::ETAG, "\"2\"")], chunks(0..40)).into_response(),
        |_| ([(header::ETAG, "\"1\""), (header::CONTENT_ENCODING, "gzip")], chunks(0..40)).into_response(),
        |_| (StatusCode::NOT_FOUND, [(header::ETAG, "\"1\"")], chunks(0..40)).into_response(),
    ];
    for other in others {
        limited(async {
            let (fixture, bodies) = (capped(OnSlowReader::CallAlone), Bodies::default());
            let (router, _) = big_then(&fixture, &bodies, other);
            let [_leader, slow] = far_behind(&fixture, &bodies, &router, ["leader", "slow"]).await;
            let error = slow.collect().await.unwrap_err().to_string();
            assert!(error.contains("has changed"), "{error}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_slow_leader_gets_no_followers_private_answer() {
    limited(async {
        let (fixture, bodies) = (capped(OnSlowReader::CallAlone), Bodies::default());
        let private = |_: &str| {
            let body = Body::from_stream(stream::iter([Ok::<_, io::Error>(chunks(0..40))]));
            ([(header::ETAG, "\"1\""), (header::SET_COOKIE, "session=1")], body)
        };
        let (router, clients) = big_then(&fixture, &bodies, private);
        let tasks = ["leader", "follower"].map(|agent| {
            let response = router.clone().oneshot(get_request("/a", &[("user-agent", agent)]));
            tokio::spawn(response)
        });
        fixture.until(|stats| stats.waiters == 2).await;
        fixture.gate.open();
        eventually(|| bodies.0.lock().unwrap().len() == 1).await;
        send_chunks(&bodies.of(0), 0..40);
        let mut callers = Vec::new();
        for task in tasks {
            callers.push(task.await.unwrap().unwrap().into_body());
        }
        let led = usize::from(clients.lock().unwrap()[0] != "leader");
        let leader = callers.remove(led);
        let mut follower = callers.remove(0);
        assert_eq!(read(&mut follower, 40 * CHUNK).await, chunks(0..40));
        let error = leader.collect().await.unwrap_err().to_string();
        assert!(error.contains("has changed"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_goes_on_by_itself_holds_the_shared_body_no_longer() {
    limited(async {
        let (fixture, bodies) = (capped(OnSlowReader::CallAlone), Bodies::default());
        let never = |_: &str| ([(header::ETAG, "\"1\"")], Body::from_stream(stream::pending::<io::Result<Bytes>>()));
        let (router, clients) = big_then(&fixture, &bodies, never);
        let [leader, mut slow] = far_behind(&fixture, &bodies, &router, ["leader", "slow"]).await;
        assert!(slow.frame().now_or_never().is_none());
        assert_eq!(clients.lock().unwrap().len(), 2);
        drop(leader);
        eventually(|| bodies.of(0).is_closed()).await;
    })
    .await;
}

#[tokio::test]
async fn a_slow_reader_may_end_in_an_error() {
    limited(async {
        let (fixture, bodies) = (capped(OnSlowReader::Fail), Bodies::default());
        let [mut leader, mut slow]: [Body; 2] = join(&fixture, &bodies).await;
        send_chunks(&bodies.of(0), 12..40);
        assert_eq!(read(&mut leader, 40 * CHUNK).await, chunks(0..40));
        let error = slow.frame().await.unwrap().unwrap_err().to_string();
        assert!(error.contains("too slowly"), "{error}");
        assert!(slow.frame().await.is_none(), "after the error nothing");
        assert_eq!(fixture.calls.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_body_is_read_no_faster_than_its_fastest_caller() {
    limited(async {
        for version in Version::BOTH {
            let (fixture, produced) = (capped(OnSlowReader::CallAlone), Count::default());
            fixture.gate.open();
            let counter = produced.clone();
            let server = Server::start(fixture.router(move |_| {
                let counter = counter.clone();
                Body::from_stream(stream::repeat_with(move || {
                    counter.up();
                    Ok::<_, io::Error>(Bytes::from(vec![7; 100_000]))
                }))
            }))
            .await;
            let mut response = version.client().get(server.url("/a")).send().await.unwrap();
            let mut read = 0;
            while read < 100 * 100_000 {
                read += response.chunk().await.unwrap().unwrap().len();
            }
            // What sockets and hyper buffer is finite; a body that is not held back is far ahead by now.
            let ahead = produced.get() - read / 100_000;
            assert!(ahead < 500, "{version:?}: {ahead}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_rest_of_a_body_is_dropped_with_its_last_caller() {
    limited(async {
        for version in Version::BOTH {
            let (fixture, drops) = (capped(OnSlowReader::CallAlone), Count::default());
            let counter = drops.clone();
            let server = Server::start(fixture.router(move |_| {
                let dropped = counter.on_drop();
                let body = stream::iter((0..12).map(|number| Ok::<_, io::Error>(chunk(number))));
                Body::from_stream(body.chain(stream::once(async move {
                    let _dropped = dropped;
                    pending().await
                })))
            }))
            .await;
            let tasks = [(); 2].map(|()| tokio::spawn(version.client().get(server.url("/a")).send()));
            fixture.until(|stats| stats.waiters == 2).await;
            fixture.gate.open();
            let [one, other] = tasks;
            let (one, mut other) = (one.await.unwrap().unwrap(), other.await.unwrap().unwrap());
            drop(one);
            other.chunk().await.unwrap().unwrap();
            assert_eq!(drops.get(), 0, "one still reads it");
            drop(other);
            eventually(|| drops.get() == 1).await;
        }
    })
    .await;
}

#[tokio::test]
async fn trailers_and_errors_of_a_body_over_the_cap_reach_all_callers() {
    limited(async {
        let (fixture, bodies) = (capped(OnSlowReader::CallAlone), Bodies::default());
        let mut callers: [Body; 2] = join(&fixture, &bodies).await;
        bodies.of(0).unbounded_send(Err(io::Error::other("the disk is gone"))).unwrap();
        read_in_turns(&mut callers, 0..12).await;
        for mut caller in callers {
            assert!(caller.frame().await.unwrap().unwrap_err().to_string().contains("the disk is gone"));
            assert!(caller.frame().await.is_none());
        }

        let fixture = capped(OnSlowReader::CallAlone);
        let router = fixture.router(|_| {
            let trailers = HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static("\"7\""))]);
            Body::new(Body::from(chunks(0..12)).with_trailers(async { Some(Ok(trailers)) }))
        });
        let tasks = [(); 2].map(|()| tokio::spawn(router.clone().oneshot(get_request("/a", &[]))));
        fixture.until(|stats| stats.waiters == 2).await;
        fixture.gate.open();
        for task in tasks {
            // Those that come too late for the buffer get the trailers of their own call.
            let body = task.await.unwrap().unwrap().into_body().collect().await.unwrap();
            assert_eq!(body.trailers().unwrap()[header::ETAG], "\"7\"");
        }
    })
    .await;
}

#[tokio::test]
async fn a_panicking_body_over_the_cap_ends_in_an_error_for_all_callers() {
    limited(async {
        let fixture = capped(OnSlowReader::CallAlone);
        let router = fixture.router(|_| {
            let body = stream::iter((0..12).map(|number| Ok::<_, io::Error>(chunk(number))));
            Body::from_stream(body.chain(stream::once(async { panic_quietly("a body") })))
        });
        let tasks = [(); 2].map(|()| tokio::spawn(router.clone().oneshot(get_request("/a", &[]))));
        fixture.until(|stats| stats.waiters == 2).await;
        fixture.gate.open();
        let mut bodies = Vec::new();
        for task in tasks {
            bodies.push(task.await.unwrap().unwrap().into_body());
        }
        read_in_turns(&mut bodies, 0..12).await;
        for body in bodies {
            let error = body.collect().await.unwrap_err().to_string();
            assert!(error.contains("panicked"), "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn streams_reach_their_leader_at_once() {
    let streams = [
        ("content-type", "text/event-stream"),
        ("content-type", "application/x-ndjson; charset=utf-8"),
        ("content-type", "application/json-seq"),
        ("content-type", "application/jsonl"),
        ("content-type", "application/grpc"),
        ("content-type", "Application/GRPC+proto"),
        ("content-type", "audio/mpeg"),
        ("content-type", "video/mp4"),
        ("x-accel-buffering", "no"),
    ];
    for (name, value) in streams {
        limited(async {
            let fixture = Fixture::new();
            fixture.gate.open();
            let router = fixture.router(move |_| {
                let first = stream::iter([Ok::<_, io::Error>(Bytes::from("first"))]);
                ([(name, value)], Body::from_stream(first.chain(stream::pending())))
            });
            let mut body = router.oneshot(get_request("/a", &[])).await.unwrap().into_body();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first", "{value}");
            assert_eq!(fixture.passes(Reason::Streaming), 1, "{value}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_response_to_head_waits_for_no_body() {
    limited(async {
        let fixture = Fixture::new();
        let respond = async || Body::from_stream(stream::pending::<io::Result<Bytes>>());
        let router: Router = Router::new().route("/a", axum::routing::head(respond)).layer(fixture.layer.clone());
        let request = Request::head("/a").body(Body::empty()).unwrap();
        assert_eq!(send(&router, request).await.status(), StatusCode::OK);
    })
    .await;
}

/// What a server or a client reads from its connection: chunks are slices of it.
struct ReadBuffer {
    bytes: [u8; 8_192],
    _alive: Arc<()>,
}

impl AsRef<[u8]> for ReadBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[tokio::test]
async fn small_chunks_keep_no_large_buffers_alive() {
    limited(async {
        let fixture = capped(OnSlowReader::Fail);
        let alive = Arc::new(());
        let buffers = Arc::downgrade(&alive);
        let router = fixture.router(move |_| {
            let buffers = buffers.clone();
            let small = move || {
                let buffer = ReadBuffer { bytes: [7; 8_192], _alive: buffers.upgrade().expect("the test runs") };
                Ok::<_, io::Error>(Bytes::from_owner(buffer).slice(..16))
            };
            // Over the cap by what it announces, so that all of it is read as it arrives.
            ([(header::CONTENT_LENGTH, "1000000")], Body::from_stream(stream::repeat_with(small)))
        });
        let tasks = [(); 2].map(|()| tokio::spawn(router.clone().oneshot(get_request("/a", &[]))));
        fixture.until(|stats| stats.waiters == 2).await;
        fixture.gate.open();
        let [leader, follower] = tasks;
        let mut reads = leader.await.unwrap().unwrap().into_body();
        let _idle = follower.await.unwrap().unwrap().into_body();
        assert_eq!(read(&mut reads, 100 * 16).await.len(), 100 * 16);
        let held = (Arc::strong_count(&alive) - 1) * 8_192;
        assert!(held <= 3 * CAP, "{held} bytes");
    })
    .await;
}

#[tokio::test]
async fn a_body_that_fails_before_its_head_was_sent_is_a_502() {
    limited(async {
        for version in Version::BOTH {
            let fixture = Fixture::new();
            let server = Server::start(fixture.router(|_| {
                let pieces = [Ok(Bytes::from("the first half")), Err(io::Error::other("the disk is gone"))];
                Body::from_stream(stream::iter(pieces))
            }))
            .await;
            let tasks = [(); 2].map(|()| {
                let (client, url) = (version.client(), server.url("/a"));
                tokio::spawn(async move { crate::support::fetch(&client, &url).await })
            });
            fixture.until(|stats| stats.waiters == 2).await;
            fixture.gate.open();
            for task in tasks {
                assert_eq!(task.await.unwrap(), (StatusCode::BAD_GATEWAY, Bytes::from("Bad Gateway")), "{version:?}");
            }
            assert_eq!(fixture.calls.get(), 1, "{version:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_error_of_a_failed_body_is_in_the_responses_extensions() {
    limited(async {
        let fixture = Fixture::new();
        fixture.gate.open();
        let router = fixture
            .router(|_| Body::from_stream(stream::iter([Err::<Bytes, _>(io::Error::other("the disk is gone"))])));
        let response: Response<_> = router.oneshot(get_request("/a", &[])).await.unwrap();
        let error = response.extensions().get::<shardflight::tower::SharedError<()>>().unwrap();
        assert!(error.to_string().contains("the disk is gone"));
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_is_polled_by_another_task_is_woken_there() {
    limited(async {
        let (fixture, bodies) = (capped(OnSlowReader::CallAlone), Bodies::default());
        let [mut caller]: [Body; 1] = join(&fixture, &bodies).await;
        assert_eq!(read(&mut caller, 12 * CHUNK).await, chunks(0..12));
        assert!(caller.frame().now_or_never().is_none());
        let reading = tokio::spawn(async move {
            let mut polls = 0;
            let frame = poll_fn(|cx| {
                polls += 1;
                http_body::Body::poll_frame(Pin::new(&mut caller), cx)
            });
            let frame = frame.await;
            (frame.unwrap().unwrap().into_data().unwrap(), polls)
        });
        tokio::task::yield_now().await;
        send_chunks(&bodies.of(0), 12..13);
        assert_eq!(reading.await.unwrap().0, chunk(12));
    })
    .await;
}

#[tokio::test]
async fn a_disabled_layer_streams_what_it_would_have_collected() {
    limited(async {
        for switch_off in [(|fixture: &Fixture| fixture.handle.set_enabled(false)) as fn(&Fixture), |fixture| {
            fixture.handle.set_rollout(0.0).unwrap();
        }] {
            let fixture = Fixture::new();
            switch_off(&fixture);
            let handler = async || {
                let first = stream::iter([Ok::<_, io::Error>(Bytes::from("first"))]);
                Body::from_stream(first.chain(stream::pending())).into_response()
            };
            let router: Router = Router::new().route("/a", get(handler)).layer(fixture.layer.clone());
            let mut body = router.oneshot(get_request("/a", &[])).await.unwrap().into_body();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
            assert_eq!(fixture.until(|stats| stats.bypasses == 1).await.executions, 0);
        }
    })
    .await;
}

#[tokio::test]
async fn a_response_to_head_says_nothing_of_a_length_that_is_not_known() {
    limited(async {
        for version in Version::BOTH {
            let respond = async || Body::from_stream(stream::iter([Ok::<_, io::Error>(Bytes::from("text"))]));
            let router = Router::new().route("/a", get(respond)).layer(Fixture::new().layer);
            let server = Server::start(router).await;
            let response = version.client().head(server.url("/a")).send().await.unwrap();
            assert_eq!(response.headers().get(header::CONTENT_LENGTH), None, "{version:?}");
        }
    })
    .await;
}
