//! Pictures of the page: two of them, made smaller by `pngquant --quality=70-95`, are in `docs/`.

use std::{fs, path::Path, time::Duration};

use axum::Router;
use shardflight::{
    Coalescer,
    cache::Cache,
    dashboard::{Action, Dashboard},
};
use tokio::{net::TcpListener, time::sleep};

use crate::browser::Browser;

async fn caller(orders: shardflight::Handle<u64, u64>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    loop {
        sleep(Duration::from_millis(random.u64(5..200))).await;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the whole part of a small number")]
        let key = (random.f64().powi(4) * 120.0) as u64;
        let millis = match random.u16(..400) {
            0 => 30_000,
            1..20 => random.u64(300..1_500),
            _ => random.u64(20..90),
        };
        let join = orders.join(key, move || async move {
            sleep(Duration::from_millis(millis)).await;
            key
        });
        drop(join.await);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes two minutes, to be looked at"]
async fn pictures_are_taken() {
    let orders = Coalescer::<u64, u64>::builder()
        .shards(8)
        .max_waiters_per_flight(40)
        .max_flight_duration(Duration::from_secs(20))
        .describe(|order| format!("order {order}"))
        .profile(64)
        .build()
        .unwrap();
    let prices = Cache::<String, u64, String>::builder().ttl(Duration::from_secs(1)).build().unwrap();
    let dashboard = Dashboard::builder()
        .coalescer("orders", &orders.handle())
        .cache("prices", &prices.handle())
        .allow_actions([Action::Forget])
        .build()
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().merge(dashboard.router())).await });
    for seed in 0..200 {
        tokio::spawn(caller(orders.handle(), seed));
    }
    tokio::spawn(async move {
        loop {
            drop(prices.handle().get("a", || async { Ok(1) }).await);
            sleep(Duration::from_millis(10)).await;
        }
    });
    let browser = Browser::open(&url).await;
    sleep(Duration::from_secs(100)).await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (width, height) in [(400, 900), (1_200, 800)] {
        for scheme in ["light", "dark"] {
            browser.show_as(width, scheme).await;
            sleep(Duration::from_millis(500)).await;
            let picture = browser.screenshot(width, height).await;
            let path = folder.join(format!("dashboard-{width}-{scheme}.png"));
            fs::write(&path, picture).unwrap();
            println!("{}", path.display());
        }
    }
}
