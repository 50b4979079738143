//! Atomics, in steps.
//!
//! Not Shuttle's own, which can't be paused. Like those, they are sequentially consistent, whatever order is asked for.

use std::sync::atomic::{self, Ordering};

use super::point;

/// A stand-in with those operations that the engine uses.
macro_rules! atomic {
    ($name:ident of $value:ty { $($operation:ident($($argument:ident),*) -> $result:ty;)* }) => {
        #[derive(Debug, Default)]
        pub(crate) struct $name(atomic::$name);

        impl $name {
            pub(crate) fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                point();
                self.0.load(order)
            }

            $(
                pub(crate) fn $operation(&self, $($argument: $value,)* order: Ordering) -> $result {
                    point();
                    self.0.$operation($($argument,)* order)
                }
            )*
        }
    };
}

atomic!(AtomicBool of bool {
    store(value) -> ();
    swap(value) -> bool;
});

atomic!(AtomicU8 of u8 {
    store(value) -> ();
    swap(value) -> u8;
    fetch_or(value) -> u8;
});

atomic!(AtomicU32 of u32 {
    store(value) -> ();
    fetch_add(value) -> u32;
    fetch_sub(value) -> u32;
});

atomic!(AtomicU64 of u64 {
    store(value) -> ();
    fetch_add(value) -> u64;
    fetch_max(value) -> u64;
});

impl AtomicU8 {
    pub(crate) fn compare_exchange(
        &self,
        current: u8,
        new: u8,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u8, u8> {
        point();
        self.0.compare_exchange(current, new, success, failure)
    }
}

impl AtomicU64 {
    /// One step, as below.
    pub(crate) fn fetch_update(
        &self,
        set_order: Ordering,
        fetch_order: Ordering,
        update: impl FnMut(u64) -> Option<u64>,
    ) -> Result<u64, u64> {
        point();
        self.0.fetch_update(set_order, fetch_order, update)
    }

    pub(crate) fn compare_exchange(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        point();
        self.0.compare_exchange(current, new, success, failure)
    }
}

atomic!(AtomicUsize of usize {
    store(value) -> ();
    fetch_add(value) -> usize;
    fetch_sub(value) -> usize;
    fetch_max(value) -> usize;
});

impl AtomicUsize {
    /// One step: of two updates at once, the second sees the result of the first, and tries again.
    pub(crate) fn fetch_update(
        &self,
        set_order: Ordering,
        fetch_order: Ordering,
        update: impl FnMut(usize) -> Option<usize>,
    ) -> Result<usize, usize> {
        point();
        self.0.fetch_update(set_order, fetch_order, update)
    }
}
