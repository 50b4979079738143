//! The model of the server beside Redis and the scripts: the same commands, and the same replies.

use std::{collections::HashMap, time::Duration};

use redis::{Connection, Value};

use super::{
    super::{
        key::KeyBytes,
        lease::{Asker, LeaseId, Message, Reply, Time},
        scripts::{self, Call, Keys},
    },
    server::{Planted, Server},
};

#[path = "../../../tests/redis/server.rs"]
#[expect(dead_code, reason = "the behaviour tests need more of it")]
mod process;

/// Nothing expires: two clocks can't be compared to the millisecond.
const LONG: Duration = Duration::from_secs(1000);
const INLINE: usize = 4;
/// Microseconds, and a date in the next century, which a double still counts one by one.
const BEYOND: u64 = 1 << 52;

struct Both {
    model: Server,
    redis: Connection,
    keys: Keys,
    /// As each of the two calls it: only the tokens differ.
    leases: Vec<(LeaseId, LeaseId)>,
    wall: Time,
}

impl Both {
    fn query(&mut self, call: &Call) -> Value {
        call.by_code().query(&mut self.redis).expect("Redis runs the script")
    }

    /// `least` is beyond both clocks or below.
    fn ask(&mut self, me: Asker, followed: Option<usize>, least: u64) {
        let (modelled, real) = followed.map(|index| self.leases[index]).unzip();
        let modelled = self.model.ask(me, modelled, LONG, least, self.wall);
        let call = scripts::ask(&self.keys, me, real, &format!("node-{}", me.node), LONG, least);
        let real = scripts::read_ask(self.query(&call)).expect("a reply that is understood");
        match (&modelled, &real) {
            (Reply::Leads(modelled), Reply::Leads(real)) => {
                assert_eq!(modelled.holder, real.holder);
                assert!(real.token >= least && (least < BEYOND || real.token == modelled.token), "{real} of {least}");
                self.leases.push((*modelled, *real));
            }
            (Reply::Follows(modelled, _), Reply::Follows(real, left)) => {
                assert!(self.leases.contains(&(*modelled, *real)), "{modelled} and {real}");
                assert!(left.is_some_and(|left| left <= LONG && left > LONG / 2), "{left:?}");
            }
            (Reply::Ended(modelled, message), Reply::Ended(real, other)) => {
                assert!(self.leases.contains(&(*modelled, *real)), "{modelled} and {real}");
                assert_eq!(message, other);
            }
            _ => panic!("{modelled:?} and {real:?}"),
        }
    }

    fn publish(&mut self, lease: usize, message: &Message) {
        let (modelled, real) = self.leases[lease];
        let is_inline = !matches!(message, Message::Outcome(outcome) if outcome.len() > INLINE);
        let (was_there, pushes) = self.model.publish(modelled, message, is_inline, LONG, self.wall);
        let call = scripts::publish(&self.keys, real, message, INLINE, LONG);
        let answer = self.query(&call);
        let expected = if was_there { i64::try_from(pushes.len()).unwrap() } else { -1 };
        assert_eq!(answer, Value::Int(expected));
        assert_eq!(scripts::read_publish(&answer), Some(was_there));
    }

    fn renew(&mut self, lease: usize) {
        let (modelled, real) = self.leases[lease];
        let was_there = self.model.renew(modelled, LONG, self.wall);
        let answer = self.query(&scripts::renew(&self.keys, real, LONG));
        assert_eq!(scripts::read_flag(&answer), Some(was_there));
    }

    fn detach(&mut self, lease: usize) {
        let (modelled, real) = self.leases[lease];
        let was_there = self.model.detach(modelled, self.wall);
        let answer = self.query(&scripts::detach(&self.keys, real));
        assert_eq!(scripts::read_flag(&answer), Some(was_there));
    }

    fn compare_keys(&mut self) {
        let size: usize = ::redis::cmd("DBSIZE").query(&mut self.redis).unwrap();
        assert_eq!(size, self.model.keys(self.wall));
    }
}

#[test]
fn the_model_is_as_redis_and_the_scripts() {
    if process::is_missing() {
        return;
    }
    let server = process::Server::start();
    let mut happened: HashMap<u8, u32> = HashMap::new();
    for seed in 0..100 {
        server.flush();
        let mut random = fastrand::Rng::with_seed(seed);
        let keys = Keys::new("tests", &KeyBytes::raw("7:a key}"));
        let (model, redis) = (Server::new(Planted::Nothing), server.connect());
        let mut both = Both { model, redis, keys, leases: Vec::new(), wall: Time::ZERO };
        for _ in 0..40 {
            both.wall += Duration::from_micros(1);
            let asker = Asker { node: random.u64(0..2), coalescer: 1, number: random.u64(0..3) };
            let known = (!both.leases.is_empty()).then(|| random.usize(0..both.leases.len()));
            let floor = if random.bool() { 1 } else { BEYOND + random.u64(0..1000) };
            let kind = random.u8(0..9);
            *happened.entry(kind).or_default() += 1;
            match (kind, known) {
                (0, Some(lease)) => both.ask(asker, Some(lease), floor),
                (1, Some(lease)) => both.publish(lease, &Message::Outcome(b"tiny".to_vec())),
                (2, Some(lease)) => both.publish(lease, &Message::Outcome(b"large".to_vec())),
                (3, Some(lease)) => both.publish(lease, &Message::Unshareable),
                (4, Some(lease)) => both.publish(lease, &Message::Released),
                (5, Some(lease)) => both.renew(lease),
                (6, Some(lease)) => both.detach(lease),
                _ => both.ask(asker, None, floor),
            }
            both.compare_keys();
        }
    }
    assert!(happened.values().all(|count| *count > 100), "{happened:?}");
}
