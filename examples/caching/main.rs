//! A user is renamed while a load of it is under way. What a read after that gets, from three caches: `cargo run -p caching`.

mod database;

use std::{convert::Infallible, error::Error, time::Duration};

use shardflight::{
    Coalescer, Freshness, Handle,
    cache::{Cache, CacheHandle},
};
use tokio::task::yield_now;

use self::database::{Database, Name};

const ID: u64 = 7;
const CAPACITY: u64 = 1_000;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Clone)]
enum Users {
    /// A cache that stores what its load returns, though the key was invalidated meanwhile.
    Moka(moka::future::Cache<u64, Name>),
    /// The same cache, whose loads are a coalescer's work. A write loads once more, after the load under way has stored.
    MokaReloaded(moka::future::Cache<u64, Name>, Handle<u64, Name>),
    Shardflight(CacheHandle<u64, Name, Infallible>),
}

impl Users {
    async fn get(&self, database: &Database) -> Fallible<Name> {
        let database = database.clone();
        Ok(match self {
            Self::Moka(cache) => cache.get_with(ID, async move { database.read(ID).await }).await,
            Self::MokaReloaded(cache, loads) => match cache.get(&ID).await {
                Some(name) => name,
                None => load_and_store(cache, loads, database).await?,
            },
            Self::Shardflight(cache) => cache.get(ID, move || async move { Ok(database.read(ID).await) }).await?,
        })
    }

    async fn rename(&self, database: &Database, name: &str) -> Fallible<()> {
        database.write(ID, name);
        match self {
            Self::Moka(cache) => cache.invalidate(&ID).await,
            Self::MokaReloaded(cache, loads) => {
                let newer = loads.with_freshness(Freshness::StartedAfterCall);
                load_and_store(cache, &newer, database.clone()).await?;
            }
            Self::Shardflight(cache) => cache.invalidate(ID).await,
        }
        Ok(())
    }
}

async fn load_and_store(
    cache: &moka::future::Cache<u64, Name>,
    loads: &Handle<u64, Name>,
    database: Database,
) -> Fallible<Name> {
    let cache = cache.clone();
    let work = move || async move {
        // A load that fails, or is dropped, leaves no older value behind.
        cache.invalidate(&ID).await;
        let name = database.read(ID).await;
        cache.insert(ID, name.clone()).await;
        name
    };
    Ok(loads.join(ID, work).await?)
}

/// A load reads "old" and takes its time; meanwhile "new" is written. What a read gets after all that.
async fn read_after_a_write(users: Users) -> Fallible<Name> {
    let database = Database::new();
    database.write(ID, "old");
    let reader = tokio::spawn({
        let (users, database) = (users.clone(), database.clone());
        async move { users.get(&database).await }
    });
    settle().await;
    let writer = tokio::spawn({
        let (users, database) = (users.clone(), database.clone());
        async move { users.rename(&database, "new").await }
    });
    settle().await;
    // The answers of the load, of the writer's own, and of a last one, if there are so many.
    database.answer(3);
    assert_eq!(&*reader.await??, "old", "it was asked for before the write");
    writer.await??;
    users.get(&database).await
}

/// On one thread: all tasks get as far as they can without an answer of the database.
async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Fallible<()> {
    let moka = || moka::future::Cache::new(CAPACITY);
    let ours = Cache::builder().ttl(Duration::from_mins(1)).build()?.handle();
    for (cache, users, expected) in [
        ("moka, invalidated", Users::Moka(moka()), "old"),
        ("moka, reloaded through a coalescer", Users::MokaReloaded(moka(), Coalescer::new().handle()), "new"),
        ("shardflight, invalidated", Users::Shardflight(ours), "new"),
    ] {
        let name = read_after_a_write(users).await?;
        println!("{cache:<36} after the write: {name}");
        assert_eq!(&*name, expected);
    }
    Ok(())
}
