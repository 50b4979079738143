//! What is asked of Redis: each within the time that an operation may take, and each a success or a failure for the breaker. All of
//! it runs on the node's own thread.

use std::{
    future::ready,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ::redis::{RedisError, RedisResult, Value};
use tokio::time::timeout;

use super::{
    fail_open::FailOpen,
    lease::{Action, Asker, Flight, LeaseId, Message, Reply},
    link::{Connection, Line},
    node::Node,
    scripts::{self, Call, Keys},
};

/// Commands whose answer comes late are heard all the same, so many at a time. What is beyond is not, and the leases that it may have
/// taken end by themselves.
const MOST_LATE: usize = 1 << 10;

/// A call under way.
struct Calling<T> {
    answer: Pin<Box<dyn Future<Output = Result<T, FailOpen>> + Send>>,
    on: Arc<On>,
}

/// On which connection a call waits for its answer: the attempt that this came of, 0 while there is none.
#[derive(Default)]
struct On(AtomicU64);

impl On {
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a script has returned.
struct Answer {
    value: Value,
    /// Of the connection.
    generation: u64,
    /// It may have run before, on a connection that was lost.
    was_repeated: bool,
}

impl Node {
    /// The lease or its holder, and the generation of the connection on which the asker will be told of its end.
    pub(super) async fn ask_for(
        self: &Arc<Self>,
        keys: &Arc<Keys>,
        me: Asker,
        followed: Option<LeaseId>,
    ) -> Result<(Reply, u64), FailOpen> {
        let (node, names, on) = (Arc::clone(self), Arc::clone(keys), Arc::<On>::default());
        let waits_on = Arc::clone(&on);
        let answer = Box::pin(async move {
            let Answer { value, generation, .. } = node.call(&node.ask(&names, me, followed), &waits_on).await?;
            let reply = scripts::read_ask(value).ok_or(FailOpen::Error)?;
            if let Reply::Leads(lease) | Reply::Follows(lease, _) = &reply {
                node.identity.saw(*lease);
            }
            Ok((reply, generation))
        });
        let (node, names) = (Arc::clone(self), Arc::clone(keys));
        self.limited(Calling { answer, on }, move |asked| async move {
            // The flight has gone on without a lease, so it doesn't know that it has one.
            if let Ok((reply, _)) = asked
                && let Some(Action::Publish(lease, message)) = Flight::late(me, &reply)
            {
                node.link.connected_again().await;
                let _ = node.call(&node.publication(&names, lease, &message), &On::default()).await;
            }
        })
        .await
    }

    /// Gives a lease back. Whether it was still there.
    pub(super) async fn publish(
        self: &Arc<Self>,
        keys: &Keys,
        lease: LeaseId,
        message: &Message,
    ) -> Result<bool, FailOpen> {
        let (node, call, on) = (Arc::clone(self), self.publication(keys, lease, message), Arc::<On>::default());
        let waits_on = Arc::clone(&on);
        let answer = Box::pin(async move {
            let Answer { value, was_repeated, .. } = node.call(&call, &waits_on).await?;
            // If it ran twice, the first time has ended the lease.
            scripts::read_publish(&value).map(|was_there| was_there || was_repeated).ok_or(FailOpen::Error)
        });
        self.limited(Calling { answer, on }, |_| ready(())).await
    }

    fn publication(&self, keys: &Keys, lease: LeaseId, message: &Message) -> Call {
        scripts::publish(keys, lease, message, self.config.inline, self.config.rules.lease)
    }

    /// Whether the lease was still there to be renewed.
    pub(super) async fn renew(self: &Arc<Self>, keys: &Keys, lease: LeaseId) -> Result<bool, FailOpen> {
        self.counters.renewals.up();
        let call = scripts::renew(keys, lease, self.config.rules.lease);
        let renewed = timeout(self.config.op_timeout, self.call(&call, &On::default())).await;
        self.judge(renewed.ok().map(|renewed| scripts::read_flag(&renewed?.value).ok_or(FailOpen::Error)))
    }

    /// Moves a lease aside; no matter if there is none any more.
    pub(super) async fn detach(self: &Arc<Self>, keys: &Keys, lease: LeaseId) -> Result<(), FailOpen> {
        let call = scripts::detach(keys, lease);
        let detached = timeout(self.config.op_timeout, self.call(&call, &On::default())).await;
        self.judge(detached.ok().map(|detached| detached.map(drop)))
    }

    /// Moves the key's lease aside, whoever has it.
    pub(super) async fn detach_any(self: &Arc<Self>, keys: &Keys) -> Result<(), FailOpen> {
        let finding = async {
            let Line { mut connection, .. } = self.link.connection(0).await.ok_or(FailOpen::Open)?;
            self.counters.round_trips.up();
            connection.query(&scripts::find(keys)).await.map_err(|_| FailOpen::Error)
        };
        let found = timeout(self.config.op_timeout, finding).await;
        match scripts::read_lease(self.judge(found.ok())?) {
            Some(lease) => self.detach(keys, lease).await,
            None => Ok(()),
        }
    }

    /// Runs a script on the connection there is or will be, which may take as long as it likes. If the connection is lost meanwhile, it
    /// runs it again on the next one: it may run twice, which all of them bear.
    async fn call(&self, call: &Call, on: &On) -> Result<Answer, FailOpen> {
        let mut since = 0;
        loop {
            on.0.store(0, Ordering::Relaxed);
            let Line { mut connection, generation, attempt } =
                self.link.connection(since).await.ok_or(FailOpen::Open)?;
            on.0.store(attempt, Ordering::Relaxed);
            self.counters.round_trips.up();
            match run(&mut connection, call).await {
                Ok(value) => return Ok(Answer { value, generation, was_repeated: since > 0 }),
                Err(error) if is_loss(&error) && !connection.repairs_itself() => since = generation + 1,
                Err(_) => return Err(FailOpen::Error),
            }
        }
    }

    /// Waits for a call for so long, and has it go on for up to a lease if that is over: it may have been sent, and can't be taken back,
    /// so its answer has to be heard. If there is none by then, the link is told that its connection is silent.
    async fn limited<T, L, Fut>(self: &Arc<Self>, mut calling: Calling<T>, late: L) -> Result<T, FailOpen>
    where
        T: Send + 'static,
        L: FnOnce(Result<T, FailOpen>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send,
    {
        let answer = timeout(self.config.op_timeout, &mut calling.answer).await.ok();
        if answer.is_none() {
            let (node, lease) = (Arc::clone(self), self.config.rules.lease);
            if node.late.fetch_add(1, Ordering::Relaxed) < MOST_LATE {
                tokio::spawn(async move {
                    let Calling { answer, on } = calling;
                    let waited_on = on.get();
                    match timeout(lease, answer).await {
                        Ok(answer) => drop(timeout(lease, late(answer)).await),
                        // On another connection by now, it has not waited for long.
                        Err(_) if on.get() == waited_on => node.link.silent(waited_on),
                        Err(_) => {}
                    }
                    node.late.fetch_sub(1, Ordering::Relaxed);
                });
            } else {
                node.late.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.judge(answer)
    }

    fn judge<T>(&self, answer: Option<Result<T, FailOpen>>) -> Result<T, FailOpen> {
        let answer = answer.unwrap_or(Err(FailOpen::Timeout));
        match answer {
            Ok(_) => self.breaker.succeeded(),
            Err(FailOpen::Open) => {}
            Err(_) => self.note_failure(),
        }
        answer
    }
}

/// By the script's hash, and by its code where the server doesn't know that.
pub(super) async fn run(connection: &mut Connection, call: &Call) -> RedisResult<Value> {
    match connection.query(&call.by_hash()).await {
        Err(error) if error.kind() == ::redis::ErrorKind::Server(::redis::ServerErrorKind::NoScript) => {
            connection.query(&call.by_code()).await
        }
        answer => answer,
    }
}

fn is_loss(error: &RedisError) -> bool {
    error.is_connection_dropped() || error.is_io_error()
}
