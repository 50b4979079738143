//! Foreign errors by `map_err`, in blocking functions and in methods.

use std::{
    io,
    sync::{Arc, LazyLock},
};

use shardflight::{Coalescer, Handle, SharedError, TryJoinError, coalesce};
use tokio::{runtime::Runtime, task::yield_now};

use crate::{
    errors::{NoSuchUser, both},
    support::{limited, panic_quietly, two_workers, watched},
};

/// As a function for `map_err`.
fn at_second_hand(error: TryJoinError<Arc<NoSuchUser>>) -> NoSuchUser {
    error.into_work().map_or(NoSuchUser(0), |error| NoSuchUser(error.0 * 10))
}

#[tokio::test]
async fn map_err_makes_the_error() {
    #[coalesce(map_err = "at_second_hand")]
    async fn by_function(id: u32) -> Result<u32, NoSuchUser> {
        yield_now().await;
        if id == 0 { panic_quietly("no 0") } else { Err(NoSuchUser(id)) }
    }
    #[coalesce(map_err = |error| NoSuchUser(error.work().map_or(id, |error| error.0 * 10)))]
    async fn by_closure(id: u32) -> Result<u32, NoSuchUser> {
        by_function_no_coalesce(id).await
    }
    #[coalesce(map_err = "io::Error::other")]
    async fn of_another_crate(id: u32) -> io::Result<u32> {
        if id == 0 { panic_quietly("no 0") } else { Err(io::ErrorKind::NotFound.into()) }
    }
    #[coalesce(map_err = "|error| anyhow::anyhow!(\"loading {id}: {error}\")", max_flights = 8)]
    async fn any(id: u32) -> anyhow::Result<u32> {
        by_function_no_coalesce(id).await.map_err(anyhow::Error::new)
    }

    let (one, other) = both(async || by_function(7).await).await;
    assert_eq!((one, other), (NoSuchUser(70), NoSuchUser(70)));
    assert_eq!(limited(by_function(7)).await, Err(NoSuchUser(70)), "a lone caller's is mapped, too");
    assert_eq!(limited(by_function(0)).await, Err(NoSuchUser(0)));
    assert_eq!(limited(by_closure(7)).await, Err(NoSuchUser(70)));
    assert_eq!(limited(by_closure(0)).await, Err(NoSuchUser(0)));
    assert_eq!(limited(of_another_crate(7)).await.unwrap_err().to_string(), "entity not found");
    assert_eq!(limited(of_another_crate(0)).await.unwrap_err().to_string(), "panicked: no 0");
    assert_eq!(limited(any(7)).await.unwrap_err().to_string(), "loading 7: no user 7");
}

#[test]
fn blocking_functions_share_foreign_errors() {
    #[coalesce(blocking)]
    fn read(path: &str) -> io::Result<String> {
        if path.is_empty() { panic_quietly("no path") } else { std::fs::read_to_string(path) }
    }
    #[coalesce(blocking)]
    fn any(id: u32) -> anyhow::Result<u32> {
        Err(NoSuchUser(id).into())
    }
    #[coalesce(blocking)]
    fn text(id: u32) -> Result<u32, String> {
        if id == 0 { panic_quietly("no 0") } else { Err("no such user".to_owned()) }
    }
    #[coalesce(blocking, map_err = "at_second_hand")]
    fn mapped(id: u32) -> Result<u32, NoSuchUser> {
        if id == 0 { panic_quietly("no 0") } else { Err(NoSuchUser(id)) }
    }

    watched(|| {
        assert_eq!(read("/no/such/file").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(read("").unwrap_err().to_string(), "panicked: no path");
        assert!(any(7).unwrap_err().downcast_ref::<SharedError<anyhow::Error>>().unwrap().is::<NoSuchUser>());
        assert_eq!((text(7).unwrap_err(), text(0).unwrap_err()), ("no such user".into(), "panicked: no 0".into()));
        assert_eq!((mapped(7), mapped(0)), (Err(NoSuchUser(70)), Err(NoSuchUser(0))));
        assert_eq!((read_stats().errors, mapped_stats().errors, mapped_stats().panics), (1, 1, 1));
    });
}

#[test]
fn methods_share_foreign_errors() {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(two_workers);
    #[derive(Clone)]
    struct Store {
        base: u32,
        files: Handle<u32, io::Result<u32>>,
        users: Handle<u32, Result<u32, NoSuchUser>>,
    }
    impl Store {
        #[coalesce(in = "self.files")]
        async fn read(&self, id: u32) -> io::Result<u32> {
            yield_now().await;
            Err(io::Error::other(format!("no {}", self.base + id)))
        }
        #[coalesce(in = "self.users", map_err = "|error| self.failed(&error)")]
        async fn load(&self, id: u32) -> Result<u32, NoSuchUser> {
            yield_now().await;
            Err(NoSuchUser(self.base + id))
        }
        #[coalesce(blocking, in = "self.users", map_err = "Self::mapped")]
        fn wait(self: Arc<Self>, id: u32) -> Result<u32, NoSuchUser> {
            Err(NoSuchUser(self.base + id))
        }
        #[coalesce(key = "id")]
        async fn any(&self, id: u32) -> anyhow::Result<Self> {
            yield_now().await;
            Err(NoSuchUser(self.base + id).into())
        }
        fn failed(&self, error: &TryJoinError<Arc<NoSuchUser>>) -> NoSuchUser {
            NoSuchUser(error.work().map_or(0, |error| error.0) + self.base)
        }
        fn mapped(error: TryJoinError<Arc<NoSuchUser>>) -> NoSuchUser {
            at_second_hand(error)
        }
    }

    let _inside = RUNTIME.enter();
    let store = Store { base: 10, files: Coalescer::new().handle(), users: Coalescer::new().handle() };
    RUNTIME.block_on(async {
        let (one, other) = both(async || store.read(7).await).await;
        assert_eq!((one.to_string(), other.to_string()), ("no 17".into(), "no 17".into()));
        let (one, other) = both(async || store.load(7).await).await;
        assert_eq!((one, other), (NoSuchUser(27), NoSuchUser(27)));
        let (one, other) = both(async || store.any(7).await.map(|store| store.base)).await;
        assert_eq!((one.to_string(), other.to_string()), ("no user 17".into(), "no user 17".into()));
    });
    watched(move || assert_eq!(Arc::new(store).wait(7), Err(NoSuchUser(170))));
}

#[tokio::test]
async fn calls_with_foreign_errors_may_be_spawned() {
    #[coalesce]
    async fn load(name: &'static str) -> anyhow::Result<usize> {
        Ok(name.len())
    }
    #[coalesce(map_err = "|error| std::sync::Arc::into_inner(error.into_work().unwrap()).unwrap()")]
    async fn mapped(name: &'static str) -> Result<usize, NoSuchUser> {
        Ok(name.len())
    }

    assert_eq!(limited(tokio::spawn(load("ada"))).await.unwrap().unwrap(), 3);
    assert_eq!(limited(tokio::spawn(mapped("ada"))).await.unwrap(), Ok(3));
}
