//! The page as its application sees it.

use std::{fmt, sync::Arc};

use axum::Router;

use super::{builder::DashboardBuilder, page, shared::Shared, viewers::Viewer};

/// A live page about coalescers. See the [module](crate::dashboard).
///
/// Cheap to clone. It keeps no coalescer, cache or cluster alive.
#[derive(Clone)]
pub struct Dashboard {
    shared: Arc<Shared>,
    /// A viewer that never leaves, where the past is recorded whether a page is open or not.
    recording: Option<Arc<Viewer>>,
}

impl Dashboard {
    /// Starts from every default.
    pub fn builder() -> DashboardBuilder {
        DashboardBuilder::new()
    }

    pub(super) fn with(shared: Arc<Shared>, recording: Option<Arc<Viewer>>) -> Self {
        Self { shared, recording }
    }

    /// The routes: the page at `/`, its events at `/events`, one snapshot at `/snapshot.json`, and, where actions are allowed,
    /// `/actions`.
    ///
    /// Nest it with [`nest_service`](Router::nest_service), which serves the path with and without a slash at its end, or serve it by
    /// itself. (axum's `nest` serves the page without the slash only.) Put authentication around it with
    /// [`layer`](Router::layer).
    ///
    /// # Examples
    ///
    /// ```
    /// use axum::Router;
    /// use shardflight::{Coalescer, dashboard::Dashboard};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let users = Coalescer::<u64, String>::new();
    /// let dashboard = Dashboard::builder().coalescer("users", &users.handle()).build()?;
    /// let app: Router = Router::new().nest_service("/flights", dashboard.router());
    /// # Ok(()) }
    /// ```
    pub fn router(&self) -> Router {
        page::router(&self.shared, self.recording.clone())
    }
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.shared.watched.iter().map(|watched| &watched.name).collect();
        f.debug_struct("Dashboard").field("coalescers", &names).finish_non_exhaustive()
    }
}
