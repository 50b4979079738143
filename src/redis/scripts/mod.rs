//! What Redis runs, and the keys that it is run on.
//!
//! Each script names all keys that it touches, and all keys of one flight hash to one slot, so they run on Redis Cluster as they are.

use std::{
    hash::{DefaultHasher, Hasher},
    sync::LazyLock,
    time::Duration,
};

use ::redis::{Cmd, Script, Value};

use super::lease::{Asker, LeaseId, Message, Reply};
use super::{envelope, key::KeyBytes};

pub(super) static ASK: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("ask.lua")));
pub(super) static PUBLISH: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("publish.lua")));
pub(super) static RENEW: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("renew.lua")));
pub(super) static DETACH: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("detach.lua")));

/// A script and its hash.
#[derive(Debug)]
pub(super) struct Lua {
    code: &'static str,
    hash: String,
}

impl Lua {
    fn new(code: &'static str) -> Self {
        Self { code, hash: Script::new(code).get_hash().to_owned() }
    }
}

/// A script with its keys and arguments.
#[derive(Clone, Debug)]
pub(super) struct Call {
    script: &'static Lua,
    keys: Vec<Vec<u8>>,
    arguments: Vec<Vec<u8>>,
}

impl Call {
    /// By the script's hash, which is what a server knows that has run it before.
    pub(super) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", &self.script.hash)
    }

    pub(super) fn by_code(&self) -> Cmd {
        self.command("EVAL", self.script.code)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = ::redis::cmd(name);
        command.arg(script).arg(self.keys.len());
        self.keys.iter().chain(&self.arguments).for_each(|bytes| {
            command.arg(bytes);
        });
        command
    }
}

/// The names of a flight's keys.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// In braces, so that Redis Cluster puts all of them into one slot. A brace in the key cuts that short, for all of them alike.
    tag: Vec<u8>,
}

impl Keys {
    /// No namespace has a colon, so no two of them share a key.
    pub(super) fn new(namespace: &str, key: &KeyBytes) -> Self {
        Self { tag: [b"{", namespace.as_bytes(), b":", key.as_bytes(), b"}:"].concat() }
    }

    /// The same for equal keys.
    pub(super) fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.tag);
        hasher.finish()
    }

    pub(super) fn lease(&self) -> Vec<u8> {
        self.named("lease")
    }

    /// Where a lease is that was detached.
    fn detached(&self, lease: LeaseId) -> Vec<u8> {
        self.named(&format!("old:{lease}"))
    }

    /// Named by its lease, so no flight that didn't follow that lease finds it.
    fn result(&self, lease: LeaseId) -> Vec<u8> {
        self.named(&format!("result:{lease}"))
    }

    fn named(&self, name: &str) -> Vec<u8> {
        [&self.tag[..], name.as_bytes()].concat()
    }
}

fn millis(duration: Duration) -> Vec<u8> {
    duration.as_millis().max(1).to_string().into_bytes()
}

/// `channel`: where the asker's node is told of ends of leases. `least`: tokens that this node has seen are below it.
pub(super) fn ask(
    keys: &Keys,
    me: Asker,
    followed: Option<LeaseId>,
    channel: &str,
    time: Duration,
    least: u64,
) -> Call {
    let mut names = vec![keys.lease()];
    names.extend(followed.into_iter().flat_map(|followed| [keys.result(followed), keys.detached(followed)]));
    let arguments = vec![
        me.to_string().into_bytes(),
        format!("{channel} {}", me.number).into_bytes(),
        millis(time),
        least.to_string().into_bytes(),
    ];
    Call { script: &ASK, keys: names, arguments }
}

/// `None` for what the script doesn't say.
pub(super) fn read_ask(reply: Value) -> Option<Reply> {
    let Value::Array(parts) = reply else { return None };
    let mut parts = parts.into_iter();
    match parts.next()? {
        Value::Int(0) => {
            let lease = read_lease(parts.next()?)?;
            let Value::Int(left) = parts.next()? else { return None };
            // -1: it has no end. -2: it is gone, which a script doesn't see.
            Some(Reply::Follows(lease, u64::try_from(left).ok().map(Duration::from_millis)))
        }
        Value::Int(1) => Some(Reply::Leads(read_lease(parts.next()?)?)),
        Value::Int(2) => {
            let Value::BulkString(message) = parts.next()? else { return None };
            let (lease, message) = envelope::open(&message)?;
            Some(Reply::Ended(lease, message))
        }
        _ => None,
    }
}

pub(super) fn read_lease(value: Value) -> Option<LeaseId> {
    match value {
        Value::BulkString(text) => LeaseId::parse(std::str::from_utf8(&text).ok()?),
        Value::SimpleString(text) => LeaseId::parse(&text),
        _ => None,
    }
}

/// Outcomes of up to `inline` bytes are in the push, larger ones are stored alone. What is stored is so for `store`.
pub(super) fn publish(keys: &Keys, lease: LeaseId, message: &Message, inline: usize, store: Duration) -> Call {
    let sealed = envelope::seal(lease, message);
    let (push, stored) = match message {
        Message::Outcome(outcome) if outcome.len() <= inline => (sealed, b"=".to_vec()),
        Message::Outcome(_) => (envelope::seal(lease, &Message::Stored), sealed),
        Message::Unshareable => (sealed, b"=".to_vec()),
        Message::Stored | Message::Released => (sealed, Vec::new()),
    };
    let arguments = vec![lease.to_string().into_bytes(), push, stored, millis(store)];
    Call { script: &PUBLISH, keys: vec![keys.lease(), keys.detached(lease), keys.result(lease)], arguments }
}

/// Whether the lease was there.
pub(super) fn read_publish(reply: &Value) -> Option<bool> {
    match reply {
        Value::Int(-1) => Some(false),
        Value::Int(0..) => Some(true),
        _ => None,
    }
}

pub(super) fn renew(keys: &Keys, lease: LeaseId, time: Duration) -> Call {
    let arguments = vec![lease.to_string().into_bytes(), millis(time)];
    Call { script: &RENEW, keys: vec![keys.lease(), keys.detached(lease)], arguments }
}

pub(super) fn detach(keys: &Keys, lease: LeaseId) -> Call {
    let arguments = vec![lease.to_string().into_bytes()];
    Call { script: &DETACH, keys: vec![keys.lease(), keys.detached(lease)], arguments }
}

/// Whether there was one, to renew or to detach.
pub(super) fn read_flag(reply: &Value) -> Option<bool> {
    match reply {
        Value::Int(flag) => Some(*flag == 1),
        _ => None,
    }
}

/// Who has the key's lease.
pub(super) fn find(keys: &Keys) -> Cmd {
    let mut command = ::redis::cmd("HGET");
    command.arg(keys.lease()).arg("id");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Asker = Asker { node: 1, coalescer: 2, number: 3 };
    const LEASE: LeaseId = LeaseId { token: 7, holder: ME };

    fn text(text: impl Into<String>) -> Value {
        Value::BulkString(text.into().into_bytes())
    }

    #[test]
    fn replies_are_read() {
        let lease = text(LEASE.to_string());
        let follows = |left| read_ask(Value::Array(vec![Value::Int(0), lease.clone(), Value::Int(left)]));
        assert_eq!(follows(1500), Some(Reply::Follows(LEASE, Some(Duration::from_millis(1500)))));
        assert_eq!(follows(-1), Some(Reply::Follows(LEASE, None)), "a lease without an end is none of ours");
        assert_eq!(follows(-2), Some(Reply::Follows(LEASE, None)), "it has ended within the script");
        assert_eq!(read_ask(Value::Array(vec![Value::Int(1), lease])), Some(Reply::Leads(LEASE)));
    }

    #[test]
    fn replies_that_make_no_sense_are_none() {
        for reply in [
            Value::Nil,
            Value::Int(1),
            Value::Array(vec![]),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![Value::Int(1), text("of another program")]),
            Value::Array(vec![Value::Int(2), text("garbage")]),
            Value::Array(vec![Value::Int(3), text(LEASE.to_string())]),
        ] {
            assert_eq!(read_ask(reply.clone()), None, "{reply:?}");
        }
    }

    #[test]
    fn all_keys_of_a_flight_have_one_tag() {
        let keys = Keys::new("users", &KeyBytes::raw("6:user:7"));
        assert_eq!(keys.lease(), b"{users:6:user:7}:lease");
        let published = publish(&keys, LEASE, &Message::Released, 0, Duration::from_secs(1));
        assert!(published.keys.iter().all(|key| key.starts_with(b"{users:6:user:7}:")), "{published:?}");
    }
}
