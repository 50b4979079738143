//! What the cluster tells tracing: under the target of the whole crate, with stable names.
//!
//! A subscriber is user code: what it panics with ends here.

use ::redis::RedisError;
use tracing::{debug, info, warn};

use super::fail_open::FailOpen;
use crate::unwind::catch;

const TARGET: &str = "shardflight";

pub(super) fn led(namespace: &str, token: u64, took_over: bool) {
    let _ = catch(|| debug!(target: TARGET, namespace, token, took_over, "cluster flight led"));
}

pub(super) fn followed(namespace: &str, token: u64) {
    let _ = catch(|| debug!(target: TARGET, namespace, token, "cluster flight followed"));
}

pub(super) fn failed_open(namespace: &str, reason: FailOpen) {
    let _ = catch(|| debug!(target: TARGET, namespace, reason = reason.as_str(), "cluster flight ran alone"));
}

pub(super) fn fenced_out(namespace: &str, token: u64) {
    let _ = catch(|| warn!(target: TARGET, namespace, token, "cluster lease lost"));
}

pub(super) fn opened(namespace: &str) {
    let _ = catch(|| warn!(target: TARGET, namespace, "cluster breaker opened"));
}

pub(super) fn connected(namespace: &str) {
    let _ = catch(|| info!(target: TARGET, namespace, "cluster connected"));
}

/// Without it, wrong credentials and missing permissions would look like a server that is not there.
pub(super) fn not_connected(namespace: &str, error: &RedisError) {
    let _ = catch(|| warn!(target: TARGET, namespace, %error, "cluster connection failed"));
}
