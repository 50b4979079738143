//! What a page is sent.

use std::time::Duration;

use serde_json::{Value, json};
use shardflight::{
    Coalescer,
    cache::Cache,
    dashboard::Dashboard,
    redis::{Cluster, FailOpen},
};
use tokio::time::sleep;

use crate::{
    support::limited,
    viewer::{Crowd, Viewer, page_of, pass, snapshot, users},
};

#[tokio::test(start_paused = true)]
async fn numbers_are_those_of_stats() {
    limited(async {
        let users = users();
        let handle = users.handle();
        let page = page_of(&users);
        Crowd::of(&handle, "a", 5).await.end().await;
        let live = Crowd::of(&handle, "b", 3).await;
        let shown = &snapshot(&page).await["coalescers"][0];
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.joins, stats.coalesced, stats.executions), (8, 6, 2), "the script");
        let total = &shown["total"];
        let counters = json!([total["joins"], total["coalesced"], total["executions"], total["rejections"]]);
        assert_eq!(counters, json!([stats.joins, stats.coalesced, stats.executions, stats.rejections]));
        assert_eq!(json!([shown["flights"], shown["waiters"]]), json!([stats.flights, stats.waiters]));
        assert_eq!(total["coalescing"], json!(stats.coalescing_rate()));
        let oldest = &shown["oldest"][0];
        assert_eq!(json!([oldest["key"], oldest["waiters"]]), json!(["b", 3]));
        live.end().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn rates_are_those_of_the_last_tick() {
    limited(async {
        let users = users();
        let mut viewer = Viewer::open(&page_of(&users)).await;
        assert_eq!(viewer.next().await["coalescers"][0]["now"], Value::Null, "there is no tick before the first");
        Crowd::of(&users.handle(), "a", 10).await.end().await;
        let now = &viewer.next().await["coalescers"][0]["now"];
        assert_eq!(now, &json!({ "joins": 10.0, "executions": 1.0, "saved": 9.0, "coalescing": 0.9 }));
        let idle = viewer.next().await;
        let (now, minute) = (&idle["coalescers"][0]["now"], &idle["coalescers"][0]["minute"]);
        assert_eq!(now, &json!({ "joins": 0.0, "executions": 0.0, "saved": 0.0, "coalescing": null }));
        assert_eq!(minute["saved"], json!(4.5), "over two seconds so far");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn durations_are_those_of_flights_that_ended_in_the_last_tick() {
    limited(async {
        let users = users();
        let handle = users.handle();
        let mut viewer = Viewer::open(&page_of(&users)).await;
        viewer.next().await;
        let slow = |key: &str, millis| {
            handle.join(key, move || async move {
                sleep(Duration::from_millis(millis)).await;
                0
            })
        };
        let (one, other) = tokio::join!(slow("a", 100), slow("b", 400));
        assert_eq!((one, other), (Ok(0), Ok(0)));
        let shown = viewer.next().await;
        let millis = |field: &str| shown["coalescers"][0][field].as_f64().unwrap();
        assert!((87.0..113.0).contains(&millis("p50_ms")), "{shown}");
        assert!((350.0..450.0).contains(&millis("p99_ms")), "{shown}");
        assert_eq!(viewer.next().await["coalescers"][0]["p99_ms"], Value::Null, "none ended");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn hot_keys_are_those_that_saved_most() {
    limited(async {
        let users = users();
        for (key, callers) in [("warm", 3), ("hot", 9), ("cold", 1), ("warm", 3)] {
            Crowd::of(&users.handle(), key, callers).await.end().await;
        }
        let page = page_of(&users);
        let hot = snapshot(&page).await["coalescers"][0]["hot"].clone();
        let key = |key, saved| json!({ "key": key, "at_least": saved, "at_most": saved });
        assert_eq!(hot, json!([key("hot", 8), key("warm", 4)]));
        pass(120).await;
        assert_eq!(snapshot(&page).await["coalescers"][0]["hot"], json!([]), "two minutes later");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn refusals_are_shown_by_reason() {
    limited(async {
        let users = Coalescer::builder().shards(1).max_waiters_per_flight(2).profile(8).build().unwrap();
        let live = Crowd::of(&users.handle(), "a", 2).await;
        assert!(users.handle().join("a", || async { 1 }).await.is_err());
        let shown = snapshot(&page_of(&users)).await;
        let panel = &shown["coalescers"][0]["panels"][0];
        assert_eq!(panel["title"], "Refused and bypassed");
        let counts: Vec<_> = panel["rows"].as_array().unwrap().iter().map(|row| json!([row[0], row[1]])).collect();
        assert_eq!(counts, [json!(["Refused", 1]), json!(["Refused: too many waiters", 1]), json!(["Bypassed", 0])]);
        live.end().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn keys_without_a_description_have_no_name() {
    limited(async {
        let users = Coalescer::builder().shards(1).profile(8).build().unwrap();
        Crowd::of(&users.handle(), "secret", 2).await.end().await;
        let live = Crowd::of(&users.handle(), "secret", 1).await;
        let shown = snapshot(&page_of(&users)).await;
        assert!(!shown.to_string().contains("secret"), "{shown}");
        assert_eq!(shown["coalescers"][0]["hot"][0]["key"], Value::Null);
        assert_eq!(shown["coalescers"][0]["oldest"][0]["waiters"], 1);
        live.end().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn few_flights_are_shown_of_many() {
    limited(async {
        let users = users();
        let handle = users.handle();
        let mut crowds = Vec::new();
        for number in 0..100 {
            crowds.push(Crowd::of(&handle, &format!("{number} {}", "x".repeat(1_000)), 1).await);
            sleep(Duration::from_millis(1)).await;
        }
        let shown = snapshot(&page_of(&users)).await;
        let oldest = shown["coalescers"][0]["oldest"].as_array().unwrap();
        let first_words: Vec<_> =
            oldest.iter().map(|flight| flight["key"].as_str().unwrap().split(' ').next()).collect();
        let expected: Vec<_> = (0..20).map(|number: u32| number.to_string()).collect();
        assert_eq!(first_words, expected.iter().map(|word| Some(word.as_str())).collect::<Vec<_>>());
        assert!(shown.to_string().len() < 20_000, "long descriptions are cut: {}", shown.to_string().len());
        for crowd in crowds {
            crowd.end().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn several_coalescers_and_a_cache_are_on_one_page() {
    limited(async {
        let users = users();
        let cache = Cache::<String, u64, String>::builder().ttl(Duration::from_mins(1)).build().unwrap();
        let dashboard = Dashboard::builder()
            .coalescer("users", &users.handle())
            .cache("profiles", &cache.handle())
            .build()
            .unwrap();
        for _ in 0..3 {
            assert_eq!(cache.handle().get("a", || async { Ok(1) }).await, Ok(1));
        }
        let shown = snapshot(&dashboard.router()).await;
        let names: Vec<_> = shown["coalescers"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["users", "profiles"]);
        let tabs = |coalescer: usize| -> Vec<&Value> {
            let panels = shown["coalescers"][coalescer]["panels"].as_array().unwrap();
            panels.iter().filter(|panel| panel["tab"] == true).collect()
        };
        assert_eq!(tabs(0).len(), 0, "a tab for what is not on: {shown}");
        assert_eq!(tabs(1)[0]["title"], "Cache");
        assert_eq!(json!([tabs(1)[0]["rows"][1][0], tabs(1)[0]["rows"][1][1]]), json!(["Hits", 2]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_new_viewer_sees_the_past_of_others() {
    limited(async {
        let users = users();
        let page = page_of(&users);
        let mut viewer = Viewer::open(&page).await;
        for _ in 0..130 {
            viewer.next().await;
        }
        drop(viewer);
        sleep(Duration::from_secs(30)).await;
        Crowd::of(&users.handle(), "a", 31).await.end().await;
        let shown = snapshot(&page).await;
        let past = &shown["coalescers"][0]["past"];
        let ago: Vec<_> = past["seconds_ago"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        assert_eq!(ago.len(), 120, "{ago:?}");
        let [.., before, last] = ago[..] else { unreachable!() };
        assert!(last < 0.1 && (29.0..32.0).contains(&before), "nothing was read without a viewer: {before} {last}");
        let saved = past["saved"].as_array().unwrap().last().and_then(Value::as_f64).unwrap();
        assert!((0.9..1.1).contains(&saved), "the mean of the time without a viewer: {saved}");
    })
    .await;
}

// Not on a paused clock, as the cluster's connection has a thread and a clock of its own.
#[tokio::test]
async fn a_cluster_has_a_tab() {
    limited(async {
        let nowhere = Cluster::builder("redis://127.0.0.1:1").namespace("users").build().unwrap();
        let users = users().handle().across(nowhere);
        for key in ["a", "b", "c"] {
            assert_eq!(users.join(key, || async { 1 }).await, Ok(1));
        }
        let page = Dashboard::builder().cluster("users", &users).build().unwrap().router();
        let shown = snapshot(&page).await;
        let coalescer = &shown["coalescers"][0];
        assert_eq!(json!([coalescer["name"], coalescer["total"]["executions"]]), json!(["users", 3]));
        let panels = coalescer["panels"].as_array().unwrap();
        let tab = panels.iter().find(|panel| panel["tab"] == true).unwrap();
        let row = |label: &str| tab["rows"].as_array().unwrap().iter().find(|row| row[0] == label).map(|row| &row[1]);
        assert_eq!((&tab["title"], row("Connected to Redis")), (&json!("Cluster"), Some(&json!("no"))));
        let stats = users.cluster().stats();
        assert_eq!((stats.fail_opens(), row("Flights led")), (3, Some(&json!(0))), "the script");
        for (label, reason) in
            [("timeout", FailOpen::Timeout), ("error", FailOpen::Error), ("breaker open", FailOpen::Open)]
        {
            let count = row(&format!("Ran without a lease: {label}"));
            assert_eq!(count, Some(&json!(stats.fail_opens_by(reason))), "{label}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_of_executions_has_a_tab() {
    limited(async {
        let users = Coalescer::builder().shards(1).max_executions(1).build().unwrap();
        let (running, waiting) = (Crowd::of(&users.handle(), "a", 1).await, Crowd::of(&users.handle(), "b", 1).await);
        let shown = snapshot(&page_of(&users)).await;
        let panels = shown["coalescers"][0]["panels"].as_array().unwrap();
        let tab = panels.iter().find(|panel| panel["tab"] == true).unwrap();
        let values: Vec<_> = tab["rows"].as_array().unwrap().iter().map(|row| &row[1]).collect();
        assert_eq!((&tab["title"], json!(values)), (&json!("Queue"), json!([1, 1, 1, 1, 0, 0])));
        running.end().await;
        waiting.end().await;
    })
    .await;
}
