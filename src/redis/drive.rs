//! The work of a flight that crosses the cluster, in the flight's own task: all of the user's code runs here.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    sync::Arc,
};

use futures_util::FutureExt;

use super::{
    codec::Codec,
    envelope::{self, Outcome, Unshareable},
    fail_open::FailOpen,
    fence::Fence,
    lease::{Event, Message},
    node::Node,
    seek::{Found, Leading, Seeker},
    trace,
};
use crate::unwind::{Contained, awaited, from_payload};

pub(super) async fn run<V, C, F, Fut>(seeker: Seeker, codec: Arc<C>, work: F) -> V
where
    C: Codec<V>,
    F: FnOnce(Fence) -> Fut,
    Fut: Future<Output = V>,
{
    let work = Contained::new(work);
    let node = &seeker.node;
    let (mut flight, mut action) = seeker.begin();
    loop {
        match seeker.seek(flight, action).await {
            Found::Lead(leading) => return lead(node, &*codec, leading, work.into_inner()).await,
            Found::RunAlone(why) => {
                node.counters.fail_opens[why as usize].up();
                trace::failed_open(&node.config.namespace, why);
                return awaited(work.into_inner()(Fence::none())).await;
            }
            Found::Refuse(why) => refuse(node, why),
            Found::Answer(lease, outcome, seeking) => {
                let decoded = envelope::decode(&*codec, node.config.version, &outcome);
                let Some(decoded) = decoded else {
                    flight = seeking;
                    action = flight.on(Event::Undecodable, node.now());
                    continue;
                };
                node.counters.followed.up();
                trace::followed(&node.config.namespace, lease.token);
                match decoded {
                    Outcome::Value(value) => return value,
                    Outcome::Panicked(text) => resume_unwind(Box::new(format!("{text} (in another process)"))),
                }
            }
        }
    }
}

async fn lead<V, C, F, Fut>(node: &Node, codec: &C, leading: Leading, work: F) -> V
where
    C: Codec<V>,
    F: FnOnce(Fence) -> Fut,
    Fut: Future<Output = V>,
{
    let (namespace, token, took_over) = (&node.config.namespace, leading.lease.token, leading.took_over());
    node.counters.led.up();
    if took_over {
        node.counters.takeovers.up();
    }
    trace::led(namespace, token, took_over);
    let fence = Fence::of(token, Arc::clone(&leading.is_lost));
    // The work's future is gone before its outcome is published.
    let worked = AssertUnwindSafe(async move { awaited(work(fence)).await }).catch_unwind().await;
    let (message, worked) = match worked {
        Ok(value) => (share(node, codec, &value), Ok(value)),
        Err(payload) => {
            let panic = from_payload(payload);
            (Message::Outcome(envelope::encode_panic(&panic)), Err(panic))
        }
    };
    // A value whose publication is cut short is dropped where that is harmless.
    let worked = Contained::new(worked);
    if leading.publish(message).await {
        node.counters.fenced_out.up();
        trace::fenced_out(namespace, token);
    }
    match worked.into_inner() {
        Ok(value) => value,
        Err(panic) => resume_unwind(Box::new(panic.message().to_owned())),
    }
}

fn share<V, C: Codec<V>>(node: &Node, codec: &C, value: &V) -> Message {
    match envelope::encode(codec, node.config.version, node.config.max_value, value) {
        Ok(outcome) => Message::Outcome(outcome),
        Err(why) => {
            match why {
                Unshareable::TooLarge => node.counters.too_large.up(),
                Unshareable::Unencodable => node.counters.encode_errors.up(),
            }
            Message::Unshareable
        }
    }
}

/// Ends the flight of work that must not run without a lease.
pub(super) fn refuse(node: &Node, why: FailOpen) -> ! {
    node.counters.refusals.up();
    trace::failed_open(&node.config.namespace, why);
    resume_unwind(Box::new(why.refusal()))
}
