//! Shards that drain and close (G5).

use super::bench::*;
use crate::{
    config::OnAbandon,
    shard::{Completion, Renewed, fake::Name},
};
use Became::{Leads, Refused};
use Seen::{CutShort, Rejected};

#[test]
fn a_draining_shard_refuses_joins_and_lets_its_flights_end() {
    let mut bench = Bench::new(OnAbandon::Finish);
    bench.join(7);
    bench.shard.drain();
    assert_eq!((bench.join(7), bench.join(8)), (Refused("closed"), Refused("closed")));
    assert_eq!(bench.seen(), [Rejected("closed"), Rejected("closed")]);
    assert!(!bench.shard.is_closed());
    assert_eq!(bench.complete(flight(7, 0), Completion::Value), Some(vec![1]));
    assert_eq!(bench.joins(), [1, 0, 2]);
}

#[test]
fn a_draining_shard_frees_slots_and_forgets() {
    let mut bench = Bench::new(OnAbandon::Abort);
    bench.join_all([7, 8]);
    bench.shard.drain();
    assert_eq!(bench.leave(slot(flight(7, 0), 0)), Gone::Abandoned(1, FIRST));
    assert!(bench.shard.forget(8, &Name(8)).unwrap());
    assert_eq!(bench.gauges(), (1, 1));
}

#[test]
fn a_closing_shard_ends_every_flight() {
    for abort in [false, true] {
        let mut bench = Bench::new(OnAbandon::Finish);
        bench.join_all([7, 8, 7]);
        bench.shard.forget(8, &Name(8)).unwrap();
        bench.close(abort);
        let mut seen = bench.seen();
        seen.sort_by_key(|seen| matches!(seen, CutShort(SECOND, ..)));
        assert_eq!(seen, [CutShort(FIRST, vec![1, 3], "closed", abort), CutShort(SECOND, vec![2], "closed", abort)]);
        assert_eq!((bench.gauges(), bench.stats().aborts), ((0, 0), if abort { 2 } else { 0 }));
        assert!(bench.shard.is_closed());
    }
}

#[test]
fn a_closed_shard_refuses_joins_and_knows_no_flight() {
    let mut bench = Bench::new(OnAbandon::Abort);
    bench.join(7);
    bench.close(false);
    bench.seen();
    assert_eq!((bench.join(7), bench.join(8)), (Refused("closed"), Refused("closed")));
    assert_eq!(bench.complete(flight(7, 0), Completion::Value), None);
    assert_eq!(bench.leave(slot(flight(7, 0), 0)), Gone::NotFound);
    assert!(matches!(bench.shard.renew(slot(flight(7, 0), 0), 10), Renewed::Over(10)));
    assert!(!bench.shard.forget(7, &Name(7)).unwrap());
    assert_eq!((bench.gauges(), bench.stats().departures, bench.stats().forgets), ((0, 0), 0, 0));
}

#[test]
fn a_closed_shard_doesnt_go_back_to_draining() {
    let mut bench = Bench::new(OnAbandon::Finish);
    assert_eq!(bench.join(7), Leads(FIRST));
    bench.close(false);
    bench.shard.drain();
    assert!(bench.shard.is_closed());
}
