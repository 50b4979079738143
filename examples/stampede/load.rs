//! Readers of one post that come back again and again, and notice when they get an old edition.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use axum::body::Bytes;
use serde_json::Value;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    Fallible,
    burst::{Burst, timed},
    clients::{Answer, Clients},
    environment::Post,
};

/// From an answer to the same reader's next request.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Load {
    started: Instant,
    readers: JoinSet<Vec<(Answer, Duration)>>,
    shared: Arc<Shared>,
}

struct Shared {
    clients: Arc<Clients>,
    post: Post,
    /// The newest edition whose edit was confirmed.
    confirmed: AtomicU64,
    is_over: AtomicBool,
}

impl Load {
    pub(crate) fn start(clients: &Arc<Clients>, readers: usize, post: &Post) -> Self {
        let shared = Arc::new(Shared {
            clients: Arc::clone(clients),
            post: post.clone(),
            confirmed: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let readers = (0..readers).map(|index| read(Arc::clone(&shared), index)).collect();
        Self { started: Instant::now(), readers, shared }
    }

    /// Edits the post. Requests that begin after this may not get an older edition.
    pub(crate) async fn edit(&self) -> Fallible<()> {
        let edition = self.shared.clients.edit(self.shared.post.id).await?;
        self.shared.confirmed.store(edition, SeqCst);
        Ok(())
    }

    /// Lets the readers finish.
    pub(crate) async fn stop(self) -> Burst {
        self.shared.is_over.store(true, SeqCst);
        let answers = self.readers.join_all().await;
        Burst::of(self.started, answers.into_iter().flatten())
    }
}

async fn read(shared: Arc<Shared>, index: usize) -> Vec<(Answer, Duration)> {
    let mut answers = Vec::new();
    while !shared.is_over.load(SeqCst) {
        let (confirmed, expected) = (shared.confirmed.load(SeqCst), shared.post.page.clone());
        let request = shared.clients.read(index, shared.post.id, move |page| match edition(&page, &expected) {
            Some(edition) if edition >= confirmed => Answer::Right,
            Some(_) => Answer::Stale,
            None => Answer::Wrong(String::from_utf8_lossy(&page).into_owned()),
        });
        answers.push(timed(request).await);
        sleep(PAUSE).await;
    }
    answers
}

/// The page's edition, if all else is as expected.
fn edition(page: &Bytes, expected: &Bytes) -> Option<u64> {
    let mut page: Value = serde_json::from_slice(page).ok()?;
    let mut expected: Value = serde_json::from_slice(expected).ok()?;
    let edition = mem::take(page.get_mut("edition")?);
    expected["edition"].take();
    if page == expected { edition.as_u64() } else { None }
}
