//! Work: how a closure becomes a future, and the task that polls it.

mod admitted;
mod attempt;
pub(crate) mod current;
mod execution;
mod kind;
mod span;
mod takeover;
mod watch;
mod work;

pub(crate) use self::{
    execution::{BoxedWork, poll_in_place},
    kind::{ByArc, ByClone, ByResult, BySharedError, JoinKind},
    span::{FlightSpan, follow},
    work::{AsyncWork, BlockingWork, Work, poll_contained},
};

#[cfg(all(test, not(shardflight_shuttle)))]
pub(crate) fn execution<K: crate::engine::Key, V: crate::engine::Value>(
    completer: crate::engine::Completer<K, V>,
    work: impl Future<Output = Result<crate::engine::Output<V>, crate::error::JoinError>>,
) -> impl Future<Output = ()> {
    execution::Execution::new(completer, work)
}
