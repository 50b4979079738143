//! The requirements on a coalesced function's types, as traits whose compile errors say what to do.
//!
//! Each trait has two blanket implementations, of which the second applies to no type. With a single one, the compiler would
//! report the bounds of that implementation instead of the trait's own message. `M` distinguishes the two and is inferred. A
//! type that doesn't meet the requirements has no associated type either, so no second error follows.

use std::{borrow::Borrow, hash::Hash};

use crate::error::JoinError;

/// Marks the implementation for all types that meet the requirements.
#[derive(Debug)]
pub struct Fits;

/// Marks the implementation that applies to no type.
#[derive(Debug)]
pub struct Never;

/// Implemented for no type.
pub trait NoType: Clone + Hash + Eq + Send + Sync + From<JoinError> + Future + 'static {}

/// Writes both implementations of a trait: for the types `T` with these bounds, and for no type.
macro_rules! implement {
    ($name:ident for ($($bounds:tt)+) $body:tt) => {
        impl<T: $($bounds)+> $name<Fits> for T $body
        impl<T: NoType> $name<Never> for T $body
    };
}

#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be part of the key of a coalesced call",
    label = "the key is made of this argument, and `{Self}` isn't `Clone + Hash + Eq + Send + 'static`",
    note = "if the answer doesn't depend on this argument, leave it out by name: `#[coalesce(skip(name))]`",
    note = "otherwise say what identifies the call: `#[coalesce(key = \"...\")]`"
)]
pub trait KeyPart<M> {
    type Itself;
    fn itself(self) -> Self::Itself;
    fn copy(&self) -> Self::Itself;
}

implement!(KeyPart for (Clone + Hash + Eq + Send + 'static) {
    type Itself = T;
    fn itself(self) -> T {
        self
    }
    fn copy(&self) -> T {
        self.clone()
    }
});

/// A part of the default key, from an argument.
pub fn key_part<T: KeyPart<M>, M>(argument: &T) -> T::Itself {
    argument.copy()
}

/// [`key_part`] of an argument that is a reference.
pub fn key_borrowed<B: ToOwned<Owned: KeyPart<M>> + ?Sized, M>(argument: &B) -> <B::Owned as KeyPart<M>>::Itself {
    argument.to_owned().itself()
}

#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the key of a coalesced call",
    label = "not `Hash + Eq + Send + 'static`",
    note = "the key is sent to the task that keeps the books, and compared there: it owns what it is made of"
)]
pub trait Key<M> {
    type Itself;
    fn itself(self) -> Self::Itself;
}

implement!(Key for (Hash + Eq + Send + 'static) {
    type Itself = T;
    fn itself(self) -> T {
        self
    }
});

/// The value of a `key` expression.
pub fn key<T: Key<M>, M>(key: T) -> T::Itself {
    key.itself()
}

#[cfg(feature = "cache")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the key of a cached call",
    label = "not `Clone + Hash + Eq + Send + Sync + 'static`",
    note = "the cache keeps the key, and readers on all threads compare theirs with it"
)]
pub trait CacheKey<M> {
    type Itself;
    fn itself(self) -> Self::Itself;
}

#[cfg(feature = "cache")]
implement!(CacheKey for (Clone + Hash + Eq + Send + Sync + 'static) {
    type Itself = T;
    fn itself(self) -> T {
        self
    }
});

/// The key of a call whose value a cache keeps.
#[cfg(feature = "cache")]
pub fn cache_key<T: CacheKey<M>, M>(key: T) -> T::Itself {
    key.itself()
}

#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an argument of a coalesced function",
    label = "the work needs an argument of its own, and `{Self}` isn't `Clone + Send + 'static`",
    note = "the work runs detached from its caller; an `Arc` around what can't be cloned often helps"
)]
pub trait Argument<M> {
    type Owned;
    fn own(&self) -> Self::Owned;
}

implement!(Argument for (Clone + Send + 'static) {
    type Owned = T;
    fn own(&self) -> T {
        self.clone()
    }
});

/// The work's own copy of an argument.
pub fn argument<T: Argument<M>, M>(argument: &T) -> T::Owned {
    argument.own()
}

#[diagnostic::on_unimplemented(
    message = "a coalesced function can't borrow a `{Self}`",
    label = "the work needs a copy of its own, and `{Self}` has no owned form that is `Send + Sync + 'static`",
    note = "the work runs detached from its caller; take an `Arc` of what can't be cloned"
)]
pub trait Borrowed<M> {
    type Owned;
    fn own(&self) -> Self::Owned;
}

impl<B: ToOwned<Owned: Send + Sync + 'static> + ?Sized> Borrowed<Fits> for B {
    type Owned = B::Owned;
    fn own(&self) -> B::Owned {
        self.to_owned()
    }
}

impl<B: NoType> Borrowed<Never> for B {
    type Owned = B;
    fn own(&self) -> B {
        self.clone()
    }
}

/// The work's own copy of what an argument borrows.
pub fn borrowed<B: Borrowed<M> + ?Sized, M>(argument: &B) -> B::Owned {
    argument.own()
}

/// Borrows a copy that [`borrowed`] made.
pub fn lend<B: ?Sized, O: Borrow<B>>(owned: &O) -> &B {
    owned.borrow()
}

#[diagnostic::on_unimplemented(
    message = "the work of a coalesced method can't have a `{Self}` of its own",
    label = "not `Clone + Send + Sync + 'static`",
    note = "the work outlives the call, so it takes a clone of `self` along; derive `Clone`, if that is cheap, or take \
            `self: Arc<Self>`",
    note = "if this is a trait's method, it can't be coalesced: coalesce inherent methods of the types that implement the \
            trait, and have theirs call them"
)]
pub trait Receiver<M> {
    type Owned;
    fn own(&self) -> Self::Owned;
}

implement!(Receiver for (Clone + Send + Sync + 'static) {
    type Owned = T;
    fn own(&self) -> T {
        self.clone()
    }
});

/// The work's own `self`.
pub fn receiver<T: Receiver<M>, M>(receiver: &T) -> T::Owned {
    receiver.own()
}

#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be shared by the callers of a coalesced function",
    label = "not `Clone + Send + Sync + 'static`",
    note = "each caller gets a clone; return an `Arc` of what can't be cloned"
)]
pub trait Value<M>: Clone + Send + Sync + 'static {}
implement!(Value for (Clone + Send + Sync + 'static) {});

#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be shared by the callers of a coalesced function",
    label = "not `Send + Sync + 'static`",
    note = "the callers may be on other threads: `Box<dyn Error + Send + Sync>` can be shared, and `Box<dyn Error>` can't"
)]
pub trait SharedFailure<M>: Send + Sync + 'static {}
implement!(SharedFailure for (Send + Sync + 'static) {});

#[diagnostic::on_unimplemented(
    message = "the body of a coalesced function must be `Send`",
    label = "holds something across an `.await` that isn't `Send`",
    note = "it runs as a task of its own: keep `Rc`, `RefCell` borrows, lock guards and their like within a block that \
            ends before the `.await`",
    note = "`tokio::spawn` of the same function without `#[coalesce]` shows which value it is"
)]
pub trait Body<M>: Future + Send {}
implement!(Body for (Future + Send) {});

/// Returns the future of the function's body unchanged, and requires it to be `Send`.
pub fn body<F: Body<M>, M>(body: F) -> F {
    body
}
