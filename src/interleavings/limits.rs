//! A limit that is learned by several threads.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use shuttle::future::spawn;

use super::fixture::{LIMIT, run};
use crate::{
    Adaptive,
    flight_limit::{FlightEnd::Returned, FlightLimit},
    sync::now,
};

const TOOK: Duration = Duration::from_millis(10);

/// The limit is learned of four flights, and there are no more. The clock doesn't move before the last of them.
pub(super) fn no_flight_is_lost_where_several_end_at_once() {
    let adaptive = Adaptive::p99().min_samples(4).between(Duration::from_millis(1)..=LIMIT);
    run(
        1,
        |builder| builder.adaptive_flight_duration(adaptive),
        async |fixture| {
            let limit = fixture.handle().router().engine.flight_limit.clone().expect("it is learned");
            let began = now();
            let end = |limit: &Arc<dyn FlightLimit>, now: Instant| limit.ended(0, Returned(TOOK), now);
            let ends = [(); 3].map(|()| {
                let limit = Arc::clone(&limit);
                spawn(async move { end(&limit, began) })
            });
            for ended in ends {
                ended.await.unwrap();
            }
            assert_eq!(limit.current(began), LIMIT);
            end(&limit, began + LIMIT);
            assert!(limit.current(began + LIMIT) < LIMIT, "a flight was lost");
            drop(limit);
            fixture.finish().await;
        },
    );
}
