//! A live page about coalescers, to nest into an axum service: the feature `dashboard`.
//!
//! It shows what an operator asks first: how many calls are saved, how many run, what is stuck, which keys are hot, what is refused and
//! why. It is one HTML file with nothing from elsewhere on the web, and it updates by server-sent events.
//!
//! # Security first
//!
//! **The page has no authentication.** Every client that can reach it sees names, numbers and, if you set
//! [`describe`](crate::Builder::describe), keys. Bind it to an internal port, or put authentication in front with a layer. Don't serve it
//! on `0.0.0.0` as it is: that is how dashboards of other projects came to be found from outside.
//!
//! - It is read-only. [`allow_actions`](DashboardBuilder::allow_actions) lets viewers forget a flight or switch coalescing off, by
//!   POST from the page itself: a request from another origin gets 403.
//! - Keys are shown only where a coalescer has `describe`, and texts stay texts: the page never makes HTML of them, and its content
//!   security policy allows no script but its own.
//! - On a page that is reached by an address without authentication, a web site may pose as the page by DNS rebinding. Authentication
//!   prevents that, and so does a proxy that checks the `Host`.
//!
//! # Examples
//!
//! ```no_run
//! use axum::Router;
//! use shardflight::{Coalescer, dashboard::Dashboard};
//! use tokio::sync::watch;
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let users = Coalescer::<u64, String>::builder()
//!     .describe(|id| format!("user {id}")) // shows keys
//!     .profile(64)                         // shows hot keys and durations
//!     .build()?;
//!
//! let (stop, mut stopped) = watch::channel(false);
//! let mut told = stopped.clone();
//! let dashboard = Dashboard::builder()
//!     .coalescer("users", &users.handle())
//!     .end_on(async move { drop(told.wait_for(|stop| *stop).await) })
//!     .build()?;
//!
//! let app: Router = Router::new().nest_service("/flights", dashboard.router());
//! # #[cfg(any())]
//! axum::serve(tokio::net::TcpListener::bind("127.0.0.1:9000").await?, app)
//!     .with_graceful_shutdown(async move { drop(stopped.wait_for(|stop| *stop).await) })
//!     .await?;
//! # drop((stop, stopped, app));
//! # Ok(()) }
//! ```
//!
//! `curl http://127.0.0.1:9000/flights/snapshot.json` prints the same numbers once. Its fields may change with any release.
//!
//! # What it costs
//!
//! Without a viewer nothing is read, and no task runs. With viewers, one task asks each shard once per tick, makes one snapshot, and
//! leaves it where all viewers find it; a viewer that reads slowly skips snapshots, and none wait for it in memory. A snapshot has at most
//! the 20 oldest flights, the 20 hottest keys and the 64 busiest shards, however many there are.
//!
//! The past of the sparklines, 120 points, is kept on the server, so a new viewer sees what earlier ones saw. As nothing is read while
//! no page is open, that time is one point: counters tell its mean rates, and nothing tells its flights and waiters.
//! [`record_always`](DashboardBuilder::record_always) reads all the time instead.
//!
//! Hot keys, durations of flights and reasons of refusals are counted in the shards, where a coalescer was built with
//! [`profile`](crate::Builder::profile): that costs each flight, and no follower.
//!
//! # When things stop
//!
//! A dashboard keeps no coalescer alive. A page says *stopped* of one that has stopped; when all have, the streams end, so they don't
//! hold up a graceful shutdown for more than 100 ms. Where the server shuts down first, tell the page by
//! [`end_on`](DashboardBuilder::end_on). A page that gets no new numbers for three ticks says *stale*, even where its connection seems to
//! live, and it connects again when the server is back.
//!
//! # Panics and blocking
//!
//! A page runs no code of yours but the keys' `Eq` and `describe` in joins, as ever, and the future of `end_on`, guarded. A coalescer that
//! doesn't answer within 500 ms is shown as *silent* with its last numbers, and the others go on.

mod actions;
mod builder;
#[expect(clippy::module_inception, reason = "the file of the type `Dashboard`, as all others are files of theirs")]
mod dashboard;
mod error;
mod events;
mod page;
mod panel;
mod profile;
mod recorder;
mod sampler;
mod shared;
mod source;
mod viewers;

pub(crate) use self::profile::check_hot_keys;
pub use self::{actions::Action, builder::DashboardBuilder, dashboard::Dashboard, error::DashboardBuildError};
