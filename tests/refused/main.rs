//! What can't be coalesced is refused, in words that say what to do instead.
//!
//! All of the errors are the macro's own, or those of `src/macros/needs.rs` in the main crate, so that a new compiler
//! has little to put in other words. `TRYBUILD=overwrite cargo test -p refused-tests` writes them down anew.

#[test]
fn what_cannot_be_coalesced_is_refused_with_a_way_out() {
    trybuild::TestCases::new().compile_fail("cases/*.rs");
}
