//! The service: one coalesced query, and its metrics.

use std::time::Duration;

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use shardflight::{Coalescer, Handle, JoinError, TryJoinError};
use tokio::net::TcpListener;

use crate::{Fallible, query};

type Users = Handle<u64, Result<String, String>>;

#[derive(Clone)]
pub(crate) struct Service {
    users: Users,
    exporter: PrometheusHandle,
}

impl Service {
    pub(crate) fn new(exporter: PrometheusHandle) -> Fallible<Self> {
        let users = Coalescer::builder()
            .max_waiters_per_flight(40)
            .max_flight_duration(Duration::from_secs(1))
            .metrics("users")
            .build()?
            .handle();
        Ok(Self { users, exporter })
    }

    pub(crate) fn users(&self) -> &Users {
        &self.users
    }

    pub(crate) async fn serve(self, listener: TcpListener) -> Fallible<()> {
        let routes = Router::new().route("/users/{id}", get(user)).route("/metrics", get(metrics)).with_state(self);
        Ok(axum::serve(listener, routes).await?)
    }
}

/// axum drops the handler when the client disconnects, which is a departure.
async fn user(State(service): State<Service>, Path(id): Path<u64>) -> (StatusCode, String) {
    match service.users.try_join(id, move || query::user(id)).await {
        Ok(user) => (StatusCode::OK, user),
        Err(TryJoinError::Work(error)) => (StatusCode::NOT_FOUND, error),
        Err(TryJoinError::Join(error @ JoinError::TooManyWaiters { .. })) => {
            (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        }
        Err(error) => (StatusCode::GATEWAY_TIMEOUT, error.to_string()),
    }
}

async fn metrics(State(service): State<Service>) -> String {
    service.exporter.render()
}
