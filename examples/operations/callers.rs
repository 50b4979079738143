//! The service's callers, a task each.

use shardflight::{Handle, JoinError};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{Instrument, info_span};

use crate::{
    Fallible,
    backend::{Backend, Page},
};

pub(crate) type Answer = Result<Page, JoinError>;

/// One request, in a span as web frameworks create it.
pub(crate) async fn ask(handle: Handle<String, Page>, key: &'static str, backend: Backend) -> Answer {
    let span = info_span!("request", key);
    handle.join(key, move || backend.load(key.to_string())).instrument(span).await
}

#[derive(Debug, Default)]
pub(crate) struct Callers {
    tasks: JoinSet<Answer>,
}

impl Callers {
    /// Spawns callers of one key. Each may be aborted by its handle.
    pub(crate) fn spawn(
        &mut self,
        callers: usize,
        handle: &Handle<String, Page>,
        key: &'static str,
        backend: &Backend,
    ) -> Vec<AbortHandle> {
        let mut spawn_one = || self.tasks.spawn(ask(handle.clone(), key, backend.clone()));
        (0..callers).map(|_| spawn_one()).collect()
    }

    /// The answers of the next callers that get one.
    pub(crate) async fn first(&mut self, answers: usize) -> Fallible<Vec<Answer>> {
        let mut given = Vec::with_capacity(answers);
        while given.len() < answers {
            match self.tasks.join_next().await {
                Some(Ok(answer)) => given.push(answer),
                Some(Err(error)) if error.is_cancelled() => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err(format!("{answers} answers were expected, and {} came", given.len()).into()),
            }
        }
        Ok(given)
    }

    /// The answers of all remaining callers.
    pub(crate) async fn rest(&mut self) -> Fallible<Vec<Answer>> {
        let mut given = Vec::new();
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(answer) => given.push(answer),
                Err(error) if error.is_cancelled() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(given)
    }
}

/// The message of the first error among the answers.
pub(crate) fn first_error(answers: &[Answer]) -> String {
    let error = answers.iter().find_map(|answer| answer.as_ref().err());
    error.map_or_else(|| "there is no error".to_string(), ToString::to_string)
}

pub(crate) fn all_are_pages(answers: &[Answer], key: &str) -> bool {
    let expected = format!("page of {key}");
    answers.iter().all(|answer| answer.as_deref().is_ok_and(|page| *page == *expected))
}
