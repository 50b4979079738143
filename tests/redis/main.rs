//! Behaviour tests of `shardflight::redis`, one behaviour per test, against redis-servers that the tests start.
//!
//! Where there is no `redis-server`, they say so and pass; in CI they fail then. Gates hold work back. What happens in other threads
//! and processes is waited for by looking, with a limit.

mod acl;
mod codecs;
mod freshness;
mod hand_over;
mod history;
mod log;
mod options;
mod outages;
mod process;
mod processes;
mod redis_cluster;
mod sentinel;
mod server;
mod support;
mod takeover;
mod telling;
