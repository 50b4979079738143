//! An actor whose own turn panics. Nothing of a user's can make it, so the test sends a message that does.

use kameo::message::{Context, Message};

use super::*;
use crate::{config::Config, engine::tests::engine_of, trace::recoveries::Recoveries};

struct Panics;

impl Message<Panics> for ShardActor<u8, u8> {
    type Reply = ();

    async fn handle(&mut self, _: Panics, _: &mut Context<Self, ()>) {
        panic!("planted");
    }
}

#[tokio::test]
async fn an_actor_that_panics_reports_its_shard_and_goes_on() {
    let (recoveries, _listening) = Recoveries::listen();
    let engine = engine_of::<u8, 3>([0, 1, 2], &Config::default());
    let actor = PreparedActor::<ShardActor<u8, u8>>::new(mailbox::unbounded());
    let actor_ref = actor.actor_ref().clone();
    actor.spawn(Args { shard: 2, executor: Executor::new(Arc::clone(&engine), 2, Runtime::current()) });
    for times in 1..3 {
        actor_ref.tell(Panics).await.unwrap();
        assert_eq!(recoveries.wait_for(times).await, vec![(2, "planted".to_owned()); times]);
    }
    assert!(engine.visit(2, |state| !state.shard.is_closed()).unwrap());
}
