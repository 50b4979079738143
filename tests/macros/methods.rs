//! Methods, in which `self` is an argument.

use std::{marker::PhantomData, sync::Arc};

use shardflight::{Coalescer, Handle, coalesce};
use tokio::task::yield_now;

use crate::{
    results::Failure,
    support::{Count, limited},
};

#[derive(Clone, Debug)]
struct Store {
    id: u32,
    runs: Count,
    flights: Handle<u32, String>,
}

impl Store {
    fn new(id: u32) -> Self {
        Self { id, runs: Count::default(), flights: Coalescer::new().handle() }
    }

    #[coalesce(in = "self.flights")]
    async fn by_field(&self, user: u32) -> String {
        self.runs.up();
        yield_now().await;
        format!("{} {user}", self.id)
    }

    #[coalesce(key = "(self.id, user)")]
    async fn by_key(&self, user: u32) -> Result<String, Failure> {
        self.runs.up();
        yield_now().await;
        Ok(format!("{} {user}", self.id))
    }

    #[coalesce(skip(self))]
    async fn for_all(&self, user: u32) -> String {
        self.runs.up();
        yield_now().await;
        format!("{} {user}", self.id)
    }

    #[coalesce(key = "(self.id, user)")]
    async fn in_an_arc(self: Arc<Self>, user: u32) -> String {
        self.runs.up();
        yield_now().await;
        format!("{} {user}", self.id)
    }

    #[coalesce(key = "(self.id, user)")]
    async fn by_an_arc(self: &Arc<Self>, user: u32) -> String {
        self.runs.up();
        yield_now().await;
        format!("{} {user}", self.id)
    }

    #[coalesce(key = "(self.id, user)")]
    async fn by_value(mut self, user: u32) -> String {
        self.runs.up();
        self.id += 1;
        yield_now().await;
        format!("{} {user}", self.id)
    }

    #[coalesce]
    async fn associated(user: u32) -> Option<Self> {
        yield_now().await;
        Some(Self::new(user))
    }

    #[coalesce(in_impl = true)]
    async fn associated_and_silent_about_it(user: u32) -> u32 {
        yield_now().await;
        user
    }
}

#[tokio::test]
async fn instances_with_own_coalescers_share_nothing() {
    let (one, other) = (Store::new(1), Store::new(2));
    let answers = limited(async { tokio::join!(one.by_field(7), one.by_field(7), other.by_field(7)) }).await;
    assert_eq!(answers, ("1 7".into(), "1 7".into(), "2 7".into()));
    assert_eq!((one.runs.get(), other.runs.get()), (1, 1));
    assert_eq!(one.by_field_stats().await.joins, 2);
}

#[tokio::test]
async fn a_key_tells_instances_apart() {
    let (one, other) = (Store::new(1), Store::new(2));
    let answers = limited(async { tokio::join!(one.by_key(7), one.by_key(7), other.by_key(7)) }).await;
    assert_eq!(
        (answers.0.unwrap(), answers.1.unwrap(), answers.2.unwrap()),
        ("1 7".into(), "1 7".into(), "2 7".into())
    );
    assert_eq!((one.runs.get(), other.runs.get()), (1, 1));
    assert_eq!(Store::by_key_stats().await.joins, 3);
}

#[tokio::test]
async fn instances_share_if_self_is_skipped() {
    let (one, other) = (Store::new(1), Store::new(2));
    let answers = limited(async { tokio::join!(one.for_all(7), other.for_all(7)) }).await;
    assert_eq!(answers, ("1 7".into(), "1 7".into()));
    assert_eq!((one.runs.get(), other.runs.get()), (1, 0));
}

#[tokio::test]
async fn self_may_be_an_arc_or_a_value() {
    let store = Arc::new(Store::new(1));
    let in_an_arc = || Arc::clone(&store).in_an_arc(7);
    assert_eq!(limited(async { tokio::join!(in_an_arc(), in_an_arc()) }).await, ("1 7".into(), "1 7".into()));
    let by_an_arc = || store.by_an_arc(7);
    assert_eq!(limited(async { tokio::join!(by_an_arc(), by_an_arc()) }).await, ("1 7".into(), "1 7".into()));
    let by_value = || Store::clone(&store).by_value(7);
    assert_eq!(limited(async { tokio::join!(by_value(), by_value()) }).await, ("2 7".into(), "2 7".into()));
    assert_eq!(store.runs.get(), 3);
}

#[tokio::test]
async fn associated_functions_are_coalesced() {
    let both = limited(async { tokio::join!(Store::associated(7), Store::associated(7)) }).await;
    assert_eq!((both.0.unwrap().id, both.1.unwrap().id), (7, 7));
    assert_eq!(Store::associated_stats().await.executions, 1);
    assert_eq!(limited(Store::associated_and_silent_about_it(7)).await, 7);
    assert!(!Store::associated_and_silent_about_it_forget(7).await);
}

#[derive(Clone, Debug)]
struct Typed<T>(PhantomData<T>);

impl<T: Default + Clone + Send + Sync + 'static> Typed<T> {
    #[coalesce(skip(self))]
    async fn zero(&self, prefix: &str) -> String
    where
        T: ToString,
    {
        yield_now().await;
        format!("{prefix}{}", T::default().to_string())
    }

    #[coalesce(skip(self))]
    async fn typed_zero(&self) -> T {
        yield_now().await;
        T::default()
    }
}

/// Rust has one static for all instances of a generic type, so the slot distinguishes them.
#[tokio::test]
async fn generic_types_have_a_coalescer_each() {
    let (numbers, truths) = (Typed::<u32>(PhantomData), Typed::<bool>(PhantomData));
    let answers = limited(async { tokio::join!(numbers.zero("="), truths.zero("="), numbers.zero("=")) }).await;
    assert_eq!(answers, ("=0".into(), "=false".into(), "=0".into()));
    assert_eq!(Typed::<u32>::zero_stats().await.executions, 1);
    assert_eq!(Typed::<u32>::zero_stats().await.joins, 2);
    assert_eq!(limited(async { tokio::join!(numbers.typed_zero(), truths.typed_zero()) }).await, (0, false));
}
