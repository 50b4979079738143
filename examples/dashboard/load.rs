//! Callers that ask for a few keys far more often than for others, and work that is slow, fails or hangs now and then.

use std::time::Duration;

use fastrand::Rng;
use shardflight::{Handle, cache::CacheHandle};
use tokio::{task::JoinSet, time::sleep};

pub(crate) type Orders = Handle<u64, Result<String, String>>;
pub(crate) type Prices = CacheHandle<u64, u64, String>;

pub(crate) async fn run(orders: Orders, prices: Prices, callers: u16) {
    let mut all = JoinSet::new();
    for seed in 0..u64::from(callers) {
        all.spawn(caller(orders.clone(), prices.clone(), seed));
    }
    while all.join_next().await.is_some() {}
}

async fn caller(orders: Orders, prices: Prices, seed: u64) {
    let mut random = Rng::with_seed(seed);
    loop {
        sleep(Duration::from_millis(random.u64(5..150))).await;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the whole part of a small number")]
        let key = (random.f64().powi(4) * 200.0) as u64;
        if random.bool() {
            let join = orders.try_join(key, move || order(key));
            // Some callers don't wait.
            let patience = Duration::from_millis(if random.u8(..20) == 0 { 20 } else { 20_000 });
            drop(tokio::time::timeout(patience, join).await);
        } else {
            drop(prices.get(key, move || price(key)).await);
        }
    }
}

async fn order(key: u64) -> Result<String, String> {
    match fastrand::u16(..2_000) {
        0 => sleep(Duration::from_mins(1)).await,
        1..100 => sleep(Duration::from_millis(fastrand::u64(300..1_500))).await,
        _ => sleep(Duration::from_millis(fastrand::u64(20..80))).await,
    }
    if fastrand::u8(..50) == 0 { Err("the database is busy".to_owned()) } else { Ok(format!("order {key}")) }
}

async fn price(key: u64) -> Result<u64, String> {
    sleep(Duration::from_millis(fastrand::u64(5..40))).await;
    Ok(100 + key)
}
