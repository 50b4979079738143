//! A caller that stays alive but isn't polled stalls no other (G2).

use std::task::Poll;

use crate::support::{assert_pending, at_rest, limited, one_shard, poll_once, returning, until};

#[tokio::test]
async fn a_leader_parked_right_after_its_first_poll_stalls_no_caller() {
    limited(async {
        let handle = one_shard::<i32, &str>();
        let mut parked = handle.join(1, returning("the leader's"));
        assert_pending(&mut parked);
        assert_eq!(handle.join(1, returning("a follower's")).await.unwrap(), "the leader's");
        assert_eq!(parked.await.unwrap(), "the leader's");
    })
    .await;
}

#[tokio::test]
async fn a_leader_parked_in_the_middle_of_its_work_stalls_no_caller() {
    limited(async {
        let handle = one_shard::<i32, &str>();
        let work = || async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            "the leader's"
        };
        let mut parked = handle.join(1, work);
        assert_pending(&mut parked);
        until(&handle, |stats| stats.executions == 1).await;
        assert_eq!(handle.join(1, returning("a follower's")).await.unwrap(), "the leader's");
        drop(parked);
    })
    .await;
}

#[tokio::test]
async fn a_parked_follower_finds_its_answer_later() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let mut leader = handle.join(1, returning(1));
        assert_pending(&mut leader);
        let mut parked = handle.join(1, returning(2));
        assert_pending(&mut parked);
        assert_eq!(leader.await.unwrap(), 1);
        assert_eq!(handle.join(1, returning(3)).await.unwrap(), 3);
        at_rest(&handle).await;
        let Poll::Ready(answer) = poll_once(&mut parked) else { panic!("it was answered long ago") };
        assert_eq!(answer.unwrap(), 1);
    })
    .await;
}
