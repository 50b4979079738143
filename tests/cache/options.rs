//! What can't be built.

use std::time::Duration;

use shardflight::{
    OnStall,
    cache::{CacheBuildError, CacheBuilder},
};
use tokio::runtime::Runtime;

use crate::support::{TTL, Users, limited, no_load};

fn refused(configure: impl FnOnce(CacheBuilder<String, u64, String>) -> CacheBuilder<String, u64, String>) -> String {
    configure(Users::builder().ttl(TTL)).build().expect_err("the options make no sense").to_string()
}

#[tokio::test]
async fn an_error_names_the_option_the_value_and_the_limit() {
    let second = Duration::from_secs(1);
    let errors = [
        (refused(|cache| cache.ttl(Duration::ZERO)), "ttl is 0; the least is 1 ns"),
        (refused(|cache| cache.negative_ttl(Duration::ZERO)), "negative_ttl is 0; the least is 1 ns"),
        (refused(|cache| cache.soft_timeout(Duration::ZERO)), "soft_timeout is 0; the least is 1 ns"),
        (refused(|cache| cache.max_entries(0)), "max_entries is 0; it may be from 1 to 1152921504606846976"),
        (
            refused(|cache| cache.max_weight(u64::MAX)),
            "max_weight is 18446744073709551615; it may be from 1 to 1152921504606846976",
        ),
        (refused(|cache| cache.jitter(1.5)), "jitter is 1.5; it has to be from 0.0 to 1.0"),
        (refused(|cache| cache.jitter(f64::NAN)), "jitter is NaN; it has to be from 0.0 to 1.0"),
        (refused(|cache| cache.refresh_ahead(1.0)), "refresh_ahead is 1; it has to be above 0.0 and below 1.0"),
        (refused(|cache| cache.refresh_ahead(f64::NAN)), "refresh_ahead is NaN; it has to be above 0.0 and below 1.0"),
        (
            refused(|cache| cache.refresh_ahead_xfetch(0.0)),
            "refresh_ahead_xfetch is 0; it has to be above 0.0 and finite",
        ),
        (
            refused(|cache| cache.refresh_ahead_xfetch(f64::INFINITY)),
            "refresh_ahead_xfetch is inf; it has to be above 0.0 and finite",
        ),
        (
            refused(|cache| cache.error_backoff(2 * second..=second)),
            "error_backoff is from 2s to 1s; it has to begin above 0 and not end before it begins",
        ),
        (
            refused(|cache| cache.soft_timeout(second)),
            "soft_timeout has no effect without stale_if_error or stale_while_revalidate",
        ),
        (refused(|cache| cache.negative_if(|_| true)), "negative_if has no effect without negative_ttl"),
        (refused(|cache| cache.weigher(|_, _| 1)), "weigher has no effect without max_weight"),
        (refused(|cache| cache.coalescer(|flights| flights.shards(0))), "0 shards were asked for; the least is 1"),
        (
            refused(|cache| {
                cache.coalescer(|flights| flights.on_stall(OnStall::Takeover { after: second, at_most: 1 }))
            }),
            "OnStall::Takeover is set for the coalescer of a cache; it has to be OnStall::Wait",
        ),
    ];
    for (error, expected) in errors {
        assert_eq!(error, expected);
    }
    assert_eq!(Users::builder().build().err(), Some(CacheBuildError::NoTtl));
}

#[test]
fn without_a_runtime_there_is_no_cache_but_by_its_handle() {
    let error = Users::builder().ttl(TTL).build().unwrap_err();
    assert_eq!(error, CacheBuildError::Coalescer(shardflight::BuildError::NoRuntime));
    let runtime = Runtime::new().unwrap();
    let users = Users::builder().ttl(TTL).build_on(runtime.handle()).unwrap().handle();
    runtime.block_on(limited(async {
        users.insert("ada", 7).await;
        assert_eq!(users.get("ada", no_load).await, Ok(7));
    }));
}
