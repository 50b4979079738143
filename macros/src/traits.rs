//! Methods of traits, which can't be coalesced.
//!
//! An attribute sees the method alone, and not what is around it. What `async_trait` makes of a method can be told by its
//! signature. The rest is left to the compiler, which reports the name of an item that is out of place: so one generated item
//! has advice for a name.

use proc_macro2::Span;
use quote::format_ident;
use syn::{GenericArgument, GenericParam, Ident, PathArguments, Type, TypeParamBound, TypePath};

use crate::{arguments::strip, function::Function};

/// The error, if the function was generated for a trait's method, or returns a future as if it was.
pub(crate) fn find(function: &Function) -> Option<&'static str> {
    let signature = &function.item.sig;
    let is_async_traits = |parameter: &GenericParam| matches!(parameter, GenericParam::Lifetime(lifetime) if lifetime.lifetime.ident == "async_trait");
    if signature.generics.params.iter().any(is_async_traits) {
        return Some(
            "a method of an `#[async_trait]` can't be coalesced: its companions would not be in the trait. Coalesce an inherent \
             method, in an `impl` of its own without `#[async_trait]`, and have this one call that",
        );
    }
    (signature.asyncness.is_none() && is_boxed_future(&function.returns)).then_some(
        "this function returns a boxed future, which can't be shared: make it `async`, and return what the future does. For \
         a trait's method, coalesce an inherent method, and have this one call that",
    )
}

/// Whether the type is `Pin<Box<dyn Future>>`, or the like.
fn is_boxed_future(ty: &Type) -> bool {
    match strip(ty) {
        Type::Path(TypePath { path, .. }) => path.segments.last().is_some_and(|last| {
            last.ident.to_string().ends_with("BoxFuture")
                || inner(&last.ident, &last.arguments).is_some_and(is_boxed_future)
        }),
        Type::TraitObject(object) => object.bounds.iter().any(|bound| match bound {
            TypeParamBound::Trait(bound) => bound.path.segments.last().is_some_and(|last| last.ident == "Future"),
            _ => false,
        }),
        _ => false,
    }
}

/// What is in a `Pin` or a `Box`.
fn inner<'a>(name: &Ident, arguments: &'a PathArguments) -> Option<&'a Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else { return None };
    match arguments.args.first() {
        Some(GenericArgument::Type(ty)) if name == "Pin" || name == "Box" => Some(ty),
        _ => None,
    }
}

/// The name of an item that is generated next to the function, and that the compiler reports first in a place where the function
/// can't be.
pub(crate) fn telling_name(function: &Function) -> Ident {
    let advice = if function.in_impl {
        "coalesce_an_inherent_method_and_have_the_trait_method_call_it"
    } else {
        "in_an_impl_write_coalesce_in_impl_true"
    };
    format_ident!("__{}__{advice}", function.title(), span = Span::call_site())
}
