//! How a coalesced function's error type shares the work's error, and takes the errors of calls.
//!
//! The macro doesn't see types. So its output calls the method `way` on some references to a [`Probe`] of the return type. The
//! traits of [`ways`] are implemented for differently many references, and the compiler takes the first that applies. The
//! result says which implementation of [`Failure`] to use.

use std::{borrow::Cow, error::Error, marker::PhantomData, ops::Deref, sync::Arc};

use super::sharing::{ByArc, ByClone, IoError, Sharing};
use crate::error::{JoinError, SharedError};

#[diagnostic::on_unimplemented(
    message = "`{Self}` isn't a `Result`",
    label = "taken for a `Result` by its name, or by `result = true`",
    note = "if it isn't one, say `#[coalesce(result = false)]`"
)]
pub trait Fallible {
    type Value;
    type Error;
}

impl<T, E> Fallible for Result<T, E> {
    type Value = T;
    type Error = E;
}

/// Asks for the way of an error type.
#[derive(Debug)]
pub struct Probe<E>(PhantomData<fn() -> E>);

/// For the error of a function that returns `R`.
pub fn probe<R: Fallible>() -> Probe<R::Error> {
    Probe(PhantomData)
}

/// Declares the ways: each has a type, and a trait that is implemented for [`Probe`] of the error types with the bounds.
macro_rules! ways {
    ($($(#[$docs:meta])* $way:ident, $trait:ident: $probe:ty where [$($bounds:tt)+];)+) => {
        $(
            $(#[$docs])*
            #[derive(Clone, Copy, Debug)]
            pub struct $way;
        )+

        pub mod ways {
            use super::*;

            $(
                pub trait $trait {
                    fn way(&self) -> $way {
                        $way
                    }
                }

                impl<E: $($bounds)+ + Send + Sync + 'static> $trait for $probe {}
            )+

            /// Implemented for all types.
            pub trait NoWay {
                fn way(&self) -> Unfit {
                    Unfit
                }
            }

            impl<E> NoWay for Probe<E> {}
        }
    };
}

ways! {
    /// Cloned, and made from a [`JoinError`].
    Converted, IsConverted: &&&&&Probe<E> where [Clone + From<JoinError>];
    /// Of the standard library, and cloned.
    OfStd, IsOfStd: &&&&Probe<E> where [Clone + Standard];
    /// An `Arc` or `Box` of an error that is made from a [`JoinError`].
    Pointer, IsPointer: &&&Probe<E> where [Clone + Points];
    /// Holds any error: each caller gets one that holds a [`SharedError`].
    HoldsAny, IsHoldingAny: &&Probe<E> where [
        From<JoinError> + From<SharedError<E>> + Deref<Target = dyn Error + Send + Sync>
    ];
    /// [`std::io::Error`].
    Io, IsIo: &&&Probe<E> where [IoError];
    /// Takes the shared error in an `Arc`, as the user has said how.
    TakesArc, IsTakingArc: &Probe<E> where [From<JoinError> + From<Arc<E>>];
}

/// The way of a type that can't be the error of a coalesced function.
#[derive(Clone, Copy, Debug)]
pub struct Unfit;

#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the error of a coalesced function",
    label = "the callers can't share it, or the call's own errors have no place in it",
    note = "it must be `Send + Sync + 'static`: `Box<dyn Error + Send + Sync>` is, and `Box<dyn Error>` isn't",
    note = "callers share the work's error, so it is `Clone`, or implements `From<Arc<Self>>`",
    note = "the call itself can fail, too: implement `From<shardflight::JoinError>` for it",
    note = "if it isn't yours, say how with `#[coalesce(map_err = \"...\")]`, a function or closure from \
            `shardflight::TryJoinError<Arc<E>>` to your `E`; or return a \
            `Result<_, shardflight::TryJoinError<Arc<E>>>`",
    note = "`String`, `std::io::Error`, `anyhow::Error` and `Box<dyn Error + Send + Sync>` need nothing"
)]
pub trait Failure<W>: Sized + Send + Sync + 'static {
    type Sharing: Sharing<Self>;

    fn from_join(error: JoinError) -> Self;
}

/// Cloneable types of the standard library that hold a call's error, and don't implement `From<JoinError>`.
pub trait Standard {
    fn of(error: JoinError) -> Self;
}

macro_rules! text {
    ($($text:ty),+) => {
        $(
            impl Standard for $text {
                fn of(error: JoinError) -> Self {
                    error.to_string().into()
                }
            }
        )+
    };
}

text!(String, Box<str>, Arc<str>, Cow<'static, str>);

/// Has room for the kind alone.
impl Standard for &'static str {
    fn of(error: JoinError) -> Self {
        error.kind().as_str()
    }
}

impl Standard for Arc<dyn Error + Send + Sync> {
    fn of(error: JoinError) -> Self {
        Arc::new(error)
    }
}

impl<E: Standard> Standard for Arc<E> {
    fn of(error: JoinError) -> Self {
        Self::new(E::of(error))
    }
}

/// Pointers to errors.
pub trait Points {
    fn to(error: JoinError) -> Self;
}

impl<E: From<JoinError>> Points for Arc<E> {
    fn to(error: JoinError) -> Self {
        Self::new(error.into())
    }
}

impl<E: From<JoinError>> Points for Box<E> {
    fn to(error: JoinError) -> Self {
        Self::new(error.into())
    }
}

/// All implementations of [`Failure`] are for any `E`: the compiler would list others where none applies.
macro_rules! failure {
    ($way:ident: [$($bounds:tt)+], $sharing:ty, $error:ident => $made:expr) => {
        impl<E: $($bounds)+ + Send + Sync + 'static> Failure<$way> for E {
            type Sharing = $sharing;

            fn from_join($error: JoinError) -> Self {
                $made
            }
        }
    };
}

failure!(Converted: [Clone + From<JoinError>], ByClone, error => error.into());
failure!(OfStd: [Clone + Standard], ByClone, error => E::of(error));
failure!(Pointer: [Clone + Points], ByClone, error => E::to(error));
failure!(HoldsAny: [From<JoinError> + From<SharedError<E>>], ByArc<HoldsAny>, error => error.into());
failure!(Io: [IoError], ByArc<Io>, error => error.into());
failure!(TakesArc: [From<JoinError> + From<Arc<E>>], ByArc<TakesArc>, error => error.into());
