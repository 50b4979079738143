//! The attempts of a call to read the cache.

use std::{hash::Hash, pin::Pin};

use super::{
    super::{ATTEMPTS, RuntimeGone},
    Fill, PrivateCache,
};
use crate::{cache::Previous, error::TryJoinError};

/// What a call makes for each attempt.
#[derive(Debug)]
pub enum Part<K, L> {
    Key(K),
    Load(L),
}

/// Which part is wanted.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    Key,
    Load,
}

/// What a call asks of the cache.
#[derive(Clone, Copy, Debug)]
pub enum Access {
    /// The value that it has, or else a load.
    Read,
    /// A load.
    Refresh,
}

/// Boxed, so that functions with the same types of key and value share the code of their reads and loads.
pub(super) type Loader<V, E> = Box<dyn FnOnce(Option<Previous<V>>) -> Loading<V, E> + Send>;
type Loading<V, E> = Pin<Box<dyn Future<Output = Result<Fill<V, E>, E>> + Send>>;

impl<K, L> Part<K, L> {
    pub(super) fn map<T>(self, make: impl FnOnce(L) -> T) -> Part<K, T> {
        match self {
            Self::Key(key) => Part::Key(key),
            Self::Load(given) => Part::Load(make(given)),
        }
    }
}

/// Asks again while the cache's runtime has shut down.
pub(super) async fn attempt<O, K, V, E>(
    access: Access,
    place: &PrivateCache<O, K, V, E>,
    make: &mut (dyn FnMut(Wanted) -> Part<K, Loader<V, E>> + Send),
) -> Result<V, TryJoinError<E>>
where
    O: ?Sized + 'static,
    K: Clone + Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    let mut attempts = 1..=ATTEMPTS;
    loop {
        attempts.next();
        let cache = place.handle();
        let (Part::Key(key), Part::Load(load)) = (make(Wanted::Key), make(Wanted::Load)) else {
            unreachable!("the macro makes the part that is wanted");
        };
        let answer = match access {
            Access::Read => cache.get_with(key, load).await,
            Access::Refresh => cache.refresh_with(key, load).await,
        };
        match answer {
            Err(error) if error.is_runtime_gone() && !attempts.is_empty() => place.replace(&cache),
            answer => return answer,
        }
    }
}
