//! Rejects functions that can't be coalesced, with errors that say what to do instead.

use quote::quote;
use syn::{GenericParam, Type, ext::IdentExt, spanned::Spanned};

use crate::{
    arguments::{Argument, strip},
    borrows,
    errors::Errors,
    function::{Function, mentions},
    options::Options,
    recursion, traits,
};

/// The most parts of a key: larger tuples don't implement `Hash`.
const MAX_KEY_PARTS: usize = 12;

/// Adds all errors, not only the first.
pub(crate) fn check(function: &Function, options: &Options, found: &mut Errors) {
    if let Some(generated) = traits::find(function) {
        // Whatever else is wrong with the function isn't what the user wrote.
        found.at(function.name().span(), generated);
        return;
    }
    qualifiers(function, options, found);
    generics(function, found);
    function.arguments.iter().for_each(|one| argument(one, options, found));
    receiver(function, options, found);
    returned(function, found);
    skipped(function, options, found);
    settings(function, options, found);
    cache(options, found);
    recursion(function, options, found);
}

fn qualifiers(function: &Function, options: &Options, found: &mut Errors) {
    let signature = &function.item.sig;
    if let Some(unsafety) = &signature.unsafety {
        found.at(
            unsafety.span(),
            "an `unsafe fn` can't be coalesced: its caller's promises would have to hold for every other caller, too. \
             Coalesce a safe function that calls it",
        );
    }
    if let Some(abi) = &signature.abi {
        found.at(
            abi.span(),
            "an `extern` function can't be coalesced: foreign code has no future to await. Coalesce a Rust function, and \
             call that",
        );
    }
    if let Some(constness) = &signature.constness {
        found.at(constness.span(), "a `const fn` can't be coalesced: joining happens at run time. Remove `const`");
    }
    match (&signature.asyncness, options.blocking) {
        _ if options.doubts(&["blocking"]) => {}
        (None, false) => found.at(
            signature.fn_token.span(),
            "this function isn't `async`: make it so, or say `#[coalesce(blocking)]` if it is for plain threads, which it \
             then blocks until the answer is there",
        ),
        (Some(asyncness), true) => found.at(
            asyncness.span(),
            "`blocking` is for functions that aren't `async`: remove one of the two",
        ),
        _ => {}
    }
}

fn generics(function: &Function, found: &mut Errors) {
    for parameter in &function.item.sig.generics.params {
        match parameter {
            GenericParam::Lifetime(lifetime) => found.at(
                lifetime.span(),
                "a coalesced function can't have lifetimes: the work runs detached from its caller and borrows nothing. \
                 Leave the lifetime out; an argument `&T` is then copied for the work",
            ),
            parameter => found.at(
                parameter.span(),
                "a coalesced function can't be generic: all its calls join one coalescer, with one type of key and one \
                 of value. Coalesce a function for each type, and call those",
            ),
        }
    }
}

fn argument(argument: &Argument, options: &Options, found: &mut Errors) {
    let ty = strip(&argument.ty);
    if let Some(span) = borrows::find_impl_trait(ty) {
        found.at(span, "an `impl Trait` argument makes a function generic, and a coalesced one can't be: name a type");
    }
    if let Some(attribute) = argument.attributes().iter().find(|attribute| attribute.path().is_ident("cfg")) {
        found.at(
            attribute.span(),
            "an argument of a coalesced function can't be there only sometimes: put `cfg` on the function",
        );
    }
    if argument.pattern.is_some() && options.key.is_none() && !options.doubts(&["key"]) {
        found.at(
            argument.pattern.span(),
            "this argument is a pattern and has no name to make a key of: say what identifies the call with \
             `key = \"...\"`, in which the names in the pattern may be used, or give the argument a name",
        );
    }
    let borrowed = argument.borrowed();
    if borrowed.is_some_and(|reference| reference.mutability.is_some()) {
        found.at(
            ty.span(),
            "a coalesced function can't take `&mut`: the other callers that share the result would miss the change. Return what it would \
             have written",
        );
        return;
    }
    let inside = borrowed.map_or(ty, |reference| &reference.elem);
    if let Some(span) = borrows::find(inside) {
        found.at(
            span,
            "this borrows inside of a type, and the work, which runs detached from its caller, can't: take an owned type, \
             such as `Option<String>` for `Option<&str>`. A plain `&T`, `&str` or `&[T]` is copied for the work",
        );
    }
}

fn receiver(function: &Function, options: &Options, found: &mut Errors) {
    let Some(receiver) = &function.receiver else { return };
    let is_mutable = matches!(&*receiver.ty, Type::Reference(reference) if reference.mutability.is_some());
    if is_mutable {
        found.at(
            receiver.span(),
            "a coalesced method can't take `&mut self`: the other callers that share the result would miss the change. Take `&self`, or \
             `self: Arc<Self>`",
        );
        return;
    }
    let named_by_self = options.coalescer.as_ref().is_some_and(|coalescer| mentions(&quote!(#coalescer), "self"));
    let is_identified = named_by_self || options.key.is_some() || options.skips("self");
    if !is_identified && !options.doubts(&["in", "key", "skip"]) {
        found.at(
            receiver.span(),
            "`self` is an argument, too, and isn't part of the key by itself: two instances would share their answers. \
             Choose one of\n\
             - `in = \"self.flights\"`: each instance has a coalescer of its own, a `Handle` in a field;\n\
             - `key = \"(self.id, ...)\"`: the key says which instance it is, and all that identifies the call besides;\n\
             - `skip(self)`: all instances give the same answers and may share them",
        );
    }
}

fn returned(function: &Function, found: &mut Errors) {
    if let Some(span) = borrows::find_impl_trait(&function.returns) {
        found.at(
            span,
            "a coalesced function can't return `impl Trait`: callers get clones of one value, so name its type",
        );
    }
    if let Some(span) = borrows::find(&function.returns) {
        found.at(
            span,
            "a coalesced function can't return a borrow: callers get clones of a value that is theirs alone. Return an \
             owned type, or an `Arc`",
        );
    }
}

fn skipped(function: &Function, options: &Options, found: &mut Errors) {
    for name in &options.skip {
        let is_there = if name == "self" { function.receiver.is_some() } else { function.argument(name).is_some() };
        if !is_there {
            let arguments: Vec<_> = function.receiver.iter().map(|_| "self".to_string()).collect();
            let names = function.arguments.iter().filter(|argument| argument.pattern.is_none());
            let names: Vec<_> = arguments.into_iter().chain(names.map(|one| one.name.unraw().to_string())).collect();
            let known =
                if names.is_empty() { "it has none".to_string() } else { format!("it has {}", names.join(", ")) };
            found.at(name.span(), &format!("the function has no argument `{name}` to skip; {known}"));
        }
        if options.skip.iter().filter(|other| *other == name).count() > 1 {
            found.at(name.span(), &format!("`{name}` is skipped twice"));
        }
    }
    if let (Some(key), Some(name)) = (&options.key, options.skip.first()) {
        found.at(
            name.span(),
            &format!(
                "`skip` leaves arguments out of the default key, but here the key is `{}`, and nothing else is in it. \
                 Remove `skip`",
                quote!(#key)
            ),
        );
    }
    let has_default_key = options.key.is_none() && !options.doubts(&["key", "skip"]);
    if has_default_key && function.key_arguments(options).count() > MAX_KEY_PARTS {
        found.at(
            function.name().span(),
            &format!(
                "more than {MAX_KEY_PARTS} arguments don't make a key by themselves: give one with `key = \"...\"`"
            ),
        );
    }
}

fn settings(function: &Function, options: &Options, found: &mut Errors) {
    let is_infallible = !function.fallible && !options.doubts(&["result"]);
    if let (Some(map_err), true) = (&options.map_err, is_infallible) {
        found.at(
            map_err.span(),
            "`map_err` makes the error of a Result, and this function returns none. (A type that is a Result by another name \
             needs `result = true`.)",
        );
    }
    for setting in &options.settings {
        let name = &setting.name;
        if options.coalescer.is_some() {
            found.at(
                name.span(),
                &format!("`{name}` is a choice for the function's private coalescer, and `in` names another: build that one with it"),
            );
        } else if setting.can_fail && is_infallible {
            found.at(
                name.span(),
                &format!(
                    "`{name}` can fail a call, and this function has nowhere to put an error: return a Result. \
                     (A type that is a Result by another name needs `result = true`.)"
                ),
            );
        }
    }
}

fn cache(options: &Options, found: &mut Errors) {
    let Some(cache) = &options.cache else { return };
    if options.coalescer.is_some() {
        found.at(
            cache.span,
            "`cache` is for the function's private coalescer, and `in` names another: remove one of the two. A cache of your own, a \
             `CacheHandle` in a field, needs no macro: call its `get`",
        );
    }
    if options.blocking {
        found.at(
            cache.span,
            "`cache` is for async functions, and not for `blocking` ones: make the function async, and have it load by \
             `tokio::task::spawn_blocking`",
        );
    }
}

fn recursion(function: &Function, options: &Options, found: &mut Errors) {
    let Some(call) = recursion::find(function, options) else { return };
    let name = function.title();
    let path = if function.in_impl { "Self::" } else { "" };
    found.at(
        call,
        &format!(
            "a coalesced function can't call itself like this: the type of its future would contain itself. Call it by a \
             function that returns a boxed future, `Pin<Box<dyn Future<Output = ...> + Send>>`, made by `Box::pin({path}{name}(...))`. \
             (A call whose key is already under way further out gets `JoinError::Reentrant`.)"
        ),
    );
}
