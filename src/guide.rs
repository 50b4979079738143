//! Guides, one page per task. They are there in the documentation alone; the same pages are in `docs/guide/` of the repository.
//!
//! | to | read |
//! | --- | --- |
//! | put it into a service | [getting started](getting_started) |
//! | read what was just written | [after a write](after_a_write) |
//! | keep results in a cache of another crate | [in front of a cache](in_front_of_a_cache) |
//! | set limits, and answer when they are reached | [timeouts and overload](timeouts_and_overload) |
//! | learn the time limit from how long flights take | [deadlines] |
//! | use several runtimes or a `static`, and write tests | [runtimes and tests](runtimes_and_tests) |
//! | avoid what goes wrong most often | [foot-guns](foot_guns) |
//! | put breakers and retries into work | [breakers and retries](resilience) |
//! | act on an alert | the [runbook] |
//! | come from another crate | [async_singleflight](from_async_singleflight), [uniflight](from_uniflight), [Go's singleflight](from_go_singleflight) |
//!
//! The modules of the features `batch`, `cache` and `redis` have guides of their own.

/// What the pages' links between each other mean here. In the repository they are names of files, as the pages' last lines say:
/// of two definitions, the first one counts.
macro_rules! page {
    ($(#[$attribute:meta])* $name:ident, $file:literal) => {
        $(#[$attribute])*
        #[doc = "[getting started]: crate::guide::getting_started"]
        #[doc = "[after a write]: crate::guide::after_a_write"]
        #[doc = "[in front of a cache]: crate::guide::in_front_of_a_cache"]
        #[doc = "[timeouts and overload]: crate::guide::timeouts_and_overload"]
        #[doc = "[deadlines]: crate::guide::deadlines"]
        #[cfg_attr(feature = "batch", doc = "[batches]: crate::batch::guide")]
        #[doc = "[breakers and retries]: crate::guide::resilience"]
        #[doc = "[runtimes and tests]: crate::guide::runtimes_and_tests"]
        #[doc = "[foot-guns]: crate::guide::foot_guns"]
        #[doc = "[runbook]: crate::guide::runbook"]
        #[doc = ""]
        #[doc = include_str!(concat!("../docs/guide/", $file))]
        pub mod $name {}
    };
}

// Compiled by `tests/tower`, which has a server.
page!(
    #[cfg(not(doctest))]
    getting_started,
    "getting-started.md"
);
page!(after_a_write, "after-a-write.md");
page!(in_front_of_a_cache, "in-front-of-a-cache.md");
page!(timeouts_and_overload, "timeouts-and-overload.md");
page!(
    #[cfg(any(feature = "adaptive", not(doctest)))]
    deadlines,
    "deadlines.md"
);
page!(runtimes_and_tests, "runtimes-and-tests.md");
page!(foot_guns, "foot-guns.md");
// Compiled by `examples/resilience`, which has a breaker.
page!(
    #[cfg(not(doctest))]
    resilience,
    "resilience.md"
);
page!(runbook, "runbook.md");
page!(from_async_singleflight, "from-async-singleflight.md");
page!(from_uniflight, "from-uniflight.md");
page!(from_go_singleflight, "from-go-singleflight.md");
