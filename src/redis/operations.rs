//! What a flight asks of Redis: each within the time that an operation may take, and each a success or a failure for the breaker.

use std::sync::{Arc, atomic::Ordering};

use ::redis::{RedisError, Value};

use super::{
    errand::Errand,
    fail_open::FailOpen,
    lease::{Action, Asker, Flight, LeaseId, Message, Reply},
    node::{Node, run},
    scripts::{self, Call, Keys},
};

impl Node {
    /// The lease or its holder, and the generation of the connection on which the asker will be told of its end.
    pub(super) async fn ask_for(
        self: &Arc<Self>,
        keys: &Arc<Keys>,
        me: Asker,
        followed: Option<LeaseId>,
    ) -> Result<(Reply, u64), FailOpen> {
        let (node, keys) = (Arc::clone(self), Arc::clone(keys));
        let asked = Errand::new(&self.errands, self.config.rules.lease, move |is_abandoned| async move {
            let (answer, generation) = node.call(&node.ask(&keys, me, followed)).await?;
            let reply = scripts::read_ask(answer).ok_or(FailOpen::Error)?;
            if let Reply::Leads(lease) | Reply::Follows(lease, _) = &reply {
                node.saw(*lease);
            }
            // Nobody hears that this flight has the lease now, so nobody would give it back.
            if is_abandoned.load(Ordering::Relaxed)
                && let Some(Action::Publish(lease, message)) = Flight::late(me, &reply)
            {
                let _ = node.call(&node.publication(&keys, lease, &message)).await;
            }
            Ok((reply, generation))
        });
        let answer = asked.within(self.config.op_timeout).await;
        self.judge(answer)
    }

    /// Gives a lease back. Whether it was still there.
    pub(super) async fn publish(
        self: &Arc<Self>,
        keys: &Arc<Keys>,
        lease: LeaseId,
        message: &Message,
    ) -> Result<bool, FailOpen> {
        let answer = self.publishing(keys, lease, message).within(self.config.op_timeout).await;
        self.judge(answer)
    }

    /// Gives a lease back without waiting for it.
    pub(super) fn publish_unheard(self: &Arc<Self>, keys: &Arc<Keys>, lease: LeaseId, message: &Message) {
        drop(self.publishing(keys, lease, message));
    }

    fn publishing(
        self: &Arc<Self>,
        keys: &Arc<Keys>,
        lease: LeaseId,
        message: &Message,
    ) -> Errand<Result<bool, FailOpen>> {
        let node = Arc::clone(self);
        let call = self.publication(keys, lease, message);
        Errand::new(&self.errands, self.config.rules.lease, move |_| async move {
            let (answer, _) = node.call(&call).await?;
            scripts::read_publish(&answer).ok_or(FailOpen::Error)
        })
    }

    fn publication(&self, keys: &Keys, lease: LeaseId, message: &Message) -> Call {
        scripts::publish(keys, lease, message, self.config.inline, self.config.rules.lease)
    }

    /// Whether the lease was still there to be renewed.
    pub(super) async fn renew(self: &Arc<Self>, keys: &Keys, lease: LeaseId) -> Result<bool, FailOpen> {
        self.counters.renewals.up();
        self.flag(scripts::renew(keys, lease, self.config.rules.lease)).await
    }

    /// Moves a lease aside; no matter if there is none any more.
    pub(super) async fn detach(self: &Arc<Self>, keys: &Keys, lease: LeaseId) -> Result<(), FailOpen> {
        self.flag(scripts::detach(keys, lease)).await.map(drop)
    }

    async fn flag(self: &Arc<Self>, call: Call) -> Result<bool, FailOpen> {
        let node = Arc::clone(self);
        let called = Errand::new(&self.errands, self.config.op_timeout, move |_| async move {
            let (answer, _) = node.call(&call).await?;
            scripts::read_flag(&answer).ok_or(FailOpen::Error)
        });
        let answer = called.within(self.config.op_timeout).await;
        self.judge(answer)
    }

    /// Moves the key's lease aside, whoever has it.
    pub(super) async fn detach_any(self: &Arc<Self>, keys: &Arc<Keys>) -> Result<(), FailOpen> {
        let (node, names) = (Arc::clone(self), Arc::clone(keys));
        let found = Errand::new(&self.errands, self.config.op_timeout, move |_| async move {
            let (mut connection, _) = node.link.connection(0).await.ok_or(FailOpen::Open)?;
            node.counters.round_trips.up();
            connection.query(&scripts::find(&names)).await.map_err(|_| FailOpen::Error)
        });
        if !self.link.is_connected() {
            self.keep_connected();
        }
        let answer = found.within(self.config.op_timeout).await;
        match scripts::read_lease(self.judge(answer)?) {
            Some(lease) => self.detach(keys, lease).await,
            None => Ok(()),
        }
    }

    /// Runs a script on the connection there is or will be, which may take as long as it likes. If the connection is lost meanwhile, it
    /// runs it once more on the next one: it may run twice, which all of them bear.
    async fn call(self: &Arc<Self>, call: &Call) -> Result<(Value, u64), FailOpen> {
        let mut since = 0;
        loop {
            if !self.link.is_connected() {
                self.keep_connected();
            }
            let (mut connection, generation) = self.link.connection(since).await.ok_or(FailOpen::Open)?;
            self.counters.round_trips.up();
            match run(&mut connection, call).await {
                Ok(answer) => return Ok((answer, generation)),
                Err(error) if since == 0 && is_loss(&error) && !connection.repairs_itself() => since = generation + 1,
                Err(_) => return Err(FailOpen::Error),
            }
        }
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

fn is_loss(error: &RedisError) -> bool {
    error.is_connection_dropped() || error.is_io_error()
}
