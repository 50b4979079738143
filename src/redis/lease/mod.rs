//! How a flight gets a lease, follows another's, and gives its own back: without I/O, clock or randomness of its own.
//!
//! [`Flight`] says what to do next and is told what came of it. In a service that is done by `src/redis/drive`; in
//! `src/redis/simulation`, by a scheduler with a network and a server of its own.

mod flight;
mod held;
mod id;

use std::time::Duration;

pub(crate) use self::{
    flight::{Action, Event, Flight, Message, Reply, Rules},
    held::{Held, Renewable},
    id::{Asker, Identity, LeaseId},
};

/// Since some moment of its own on each node.
pub(crate) type Time = Duration;
