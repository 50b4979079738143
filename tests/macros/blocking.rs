//! Blocking functions.

use std::{
    panic::catch_unwind,
    sync::{Arc, LazyLock},
    thread,
};

use shardflight::{Coalescer, Handle, JoinError, coalesce};

use crate::{
    results::Failure,
    support::{Count, Wall, eventually_blocking, panic_quietly, two_workers, watched},
};

#[test]
fn threads_without_a_runtime_share() {
    #[coalesce(blocking, skip(wall, count))]
    fn load(name: &str, wall: &Wall, count: &Count) -> u32 {
        count.up();
        wall.block();
        u32::try_from(name.len()).unwrap()
    }

    watched(|| {
        let (wall, opener) = Wall::new();
        let count = Count::default();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (wall, count) = (wall.clone(), count.clone());
                thread::spawn(move || load("ada", &wall, &count))
            })
            .collect();
        eventually_blocking(|| load_stats().waiters == 8);
        assert!(!load_forget("bob", &wall, &count));
        assert!(load_forget("ada", &wall, &count));
        drop(opener);
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 3);
        }
        assert_eq!(count.get(), 1);
        assert_eq!(load_no_coalesce("ada", &wall, &count), 3);
    });
}

#[test]
fn blocking_work_may_fail_or_panic() {
    #[coalesce(blocking, max_flight_duration = 20)]
    fn load(id: u32) -> Result<u32, Failure> {
        match id {
            7 => Ok(id),
            8 => Err(Failure::NoSuchUser),
            _ => panic_quietly(format!("no {id}")),
        }
    }
    #[coalesce(blocking)]
    fn plain(id: u32) -> u32 {
        panic_quietly(format!("no {id}"))
    }

    watched(|| {
        assert_eq!(load(7).unwrap(), 7);
        assert!(matches!(load(8), Err(Failure::NoSuchUser)));
        assert!(matches!(load(9), Err(Failure::NoAnswer(JoinError::Panicked(_)))));
        let stats = load_stats();
        assert_eq!((stats.executions, stats.errors, stats.panics), (3, 1, 1));
        let panic = catch_unwind(|| plain(9)).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), "no 9");
    });
}

#[test]
fn blocking_methods_join_named_coalescers() {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(two_workers);
    #[derive(Clone)]
    struct Store {
        flights: Handle<u32, u32>,
        base: u32,
    }
    impl Store {
        #[coalesce(blocking, in = "self.flights")]
        fn load(self: Arc<Self>, id: u32) -> u32 {
            self.base + id
        }
    }

    watched(|| {
        let _inside = RUNTIME.enter();
        let store = Arc::new(Store { flights: Coalescer::new().handle(), base: 10 });
        assert_eq!(Arc::clone(&store).load(7), 17);
        assert_eq!(Arc::clone(&store).load_stats().joins, 1);
        assert!(!store.load_forget(7));
    });
}

#[test]
fn the_dedicated_runtime_outlives_all_others() {
    #[coalesce(blocking)]
    fn load(id: u32) -> u32 {
        id
    }

    watched(|| {
        for id in 0..3 {
            let runtime = two_workers();
            let call = runtime.spawn_blocking(move || load(id));
            assert_eq!(runtime.block_on(call).unwrap(), id);
        }
        assert_eq!(load_stats().executions, 3);
    });
}
