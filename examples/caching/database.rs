//! Stands in for a database whose reads take time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Semaphore;

pub(crate) type Name = Arc<str>;

#[derive(Clone)]
pub(crate) struct Database {
    rows: Arc<Mutex<HashMap<u64, Name>>>,
    /// One for each read that may give its answer.
    answers: Arc<Semaphore>,
}

impl Database {
    pub(crate) fn new() -> Self {
        Self { rows: Arc::default(), answers: Arc::new(Semaphore::new(0)) }
    }

    pub(crate) fn write(&self, id: u64, name: &str) {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).insert(id, name.into());
    }

    /// Reads at once, and answers when [`answer`](Self::answer) says so: an answer on a slow network.
    pub(crate) async fn read(&self, id: u64) -> Name {
        let name = self.rows.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        self.answers.acquire().await.expect("it is never closed").forget();
        name.unwrap_or_else(|| "unknown".into())
    }

    pub(crate) fn answer(&self, reads: usize) {
        self.answers.add_permits(reads);
    }
}
