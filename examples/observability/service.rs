//! The service: a coalesced query, a cached one, and their metrics.

use std::time::Duration;

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use shardflight::{
    Coalescer, Handle, JoinError, TryJoinError,
    cache::{Cache, CacheHandle},
};
use tokio::net::TcpListener;

use crate::{
    Fallible,
    query::{self, ProfileError},
};

type Users = Handle<u64, Result<String, String>>;
type Profiles = CacheHandle<u64, String, ProfileError>;

#[derive(Clone)]
pub(crate) struct Service {
    users: Users,
    profiles: Profiles,
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
        // Short times and little room, so that a few seconds of load show all that a cache does.
        let profiles = Cache::builder()
            .ttl(Duration::from_millis(300))
            .max_entries(40)
            .stale_while_revalidate(Duration::from_millis(100))
            .stale_if_error(Duration::from_mins(1))
            .soft_timeout(Duration::from_millis(30))
            .negative_ttl(Duration::from_secs(1))
            .negative_if(|error| *error == ProfileError::Unknown)
            .metrics("profiles")
            .build()?
            .handle();
        Ok(Self { users, profiles, exporter })
    }

    pub(crate) fn users(&self) -> &Users {
        &self.users
    }

    pub(crate) fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    pub(crate) async fn serve(self, listener: TcpListener) -> Fallible<()> {
        let routes = Router::new()
            .route("/users/{id}", get(user))
            .route("/profiles/{id}", get(profile))
            .route("/metrics", get(metrics));
        Ok(axum::serve(listener, routes.with_state(self)).await?)
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

async fn profile(State(service): State<Service>, Path(id): Path<u64>) -> (StatusCode, String) {
    match service.profiles.get(id, move || query::profile(id)).await {
        Ok(profile) => (StatusCode::OK, profile),
        Err(TryJoinError::Work(error @ ProfileError::Unknown)) => (StatusCode::NOT_FOUND, error.to_string()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

async fn metrics(State(service): State<Service>) -> String {
    service.exporter.render()
}
