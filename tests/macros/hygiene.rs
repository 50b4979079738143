//! Users may use any name.

use shardflight::coalesce;

use crate::support::limited;

#[tokio::test]
async fn arguments_may_have_any_name() {
    #[coalesce]
    #[allow(clippy::too_many_arguments)]
    async fn load(
        key: u32,
        work: u32,
        handle: u32,
        place: u32,
        builder: u32,
        this: u32,
        slot: u32,
        support: u32,
        r#type: u32,
        self_: u32,
        shardflight: u32,
    ) -> u32 {
        key + work + handle + place + builder + this + slot + support + r#type + self_ + shardflight
    }

    assert_eq!(limited(load(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)).await, 11);
}

#[tokio::test]
async fn a_key_may_use_the_macros_names() {
    #[coalesce(key = "key + place + builder")]
    async fn load(key: u32, place: u32, builder: u32) -> u32 {
        key * place * builder
    }

    assert_eq!(limited(load(1, 2, 3)).await, 6);
}

#[tokio::test]
async fn raw_identifiers_are_accepted() {
    #[coalesce(skip(r#type))]
    async fn r#match(r#type: u32, id: u32) -> u32 {
        r#type + id
    }

    assert_eq!(limited(r#match(1, 6)).await, 7);
    assert_eq!(match_no_coalesce(1, 6).await, 7);
    assert!(!match_forget(1, 6).await);
    assert_eq!(match_stats().await.executions, 1);
}

#[tokio::test]
async fn a_body_may_shadow_and_change_its_arguments() {
    #[coalesce]
    async fn load(mut id: u32, name: &str) -> String {
        id += 1;
        let name = name.to_uppercase();
        let id = format!("{id} {name}");
        id
    }

    assert_eq!(limited(load(6, "ada")).await, "7 ADA");
}

/// A scope that shadows the prelude's names.
mod hostile_scope {
    #![allow(dead_code, non_camel_case_types)]
    use shardflight::coalesce;

    struct Clone;
    struct Send;
    struct Future;
    struct String;
    struct Option;
    struct Result;
    mod std {}
    mod core {}
    fn drop() {}

    #[coalesce(key = "(tenant, id)", max_flight_duration = 5, result = true)]
    pub(super) async fn load(tenant: &str, id: u32) -> ::std::result::Result<u32, crate::results::Failure> {
        Ok(id + u32::from(tenant.is_empty()))
    }
}

#[tokio::test]
async fn the_prelude_may_be_hidden() {
    assert_eq!(limited(hostile_scope::load("t", 7)).await.unwrap(), 7);
}

mod elsewhere {
    pub(crate) use shardflight as coalescing;
}

#[tokio::test]
async fn the_crate_may_have_another_path() {
    #[elsewhere::coalescing::coalesce(crate = "crate::hygiene::elsewhere::coalescing", on_abandon = "Finish")]
    async fn load(id: u32) -> u32 {
        id
    }

    assert_eq!(limited(load(7)).await, 7);
}
