//! Rejects functions that can't be coalesced, with errors that say what to do instead.

use proc_macro2::Span;
use quote::quote;
use syn::{Error, GenericParam, Result, Type, ext::IdentExt, spanned::Spanned};

use crate::{
    arguments::{Argument, strip},
    borrows,
    function::{Function, mentions},
    options::Options,
};

/// The most parts of a key: larger tuples don't implement `Hash`.
const MAX_KEY_PARTS: usize = 12;

/// Reports all errors at once.
pub(crate) fn check(function: &Function, options: &Options) -> Result<()> {
    let mut found = Found(None);
    qualifiers(function, options, &mut found);
    generics(function, &mut found);
    function.arguments.iter().for_each(|one| argument(one, options, &mut found));
    receiver(function, options, &mut found);
    returned(function, &mut found);
    skipped(function, options, &mut found);
    settings(function, options, &mut found);
    found.0.map_or(Ok(()), Err)
}

struct Found(Option<Error>);

impl Found {
    fn add(&mut self, span: Span, message: &str) {
        let error = Error::new(span, message);
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            None => self.0 = Some(error),
        }
    }
}

fn qualifiers(function: &Function, options: &Options, found: &mut Found) {
    let signature = &function.item.sig;
    if let Some(unsafety) = &signature.unsafety {
        found.add(
            unsafety.span(),
            "an `unsafe fn` can't be coalesced: its caller's promises would have to hold for every other caller, too. \
             Coalesce a safe function that calls it",
        );
    }
    if let Some(abi) = &signature.abi {
        found.add(
            abi.span(),
            "an `extern` function can't be coalesced: foreign code has no future to await. Coalesce a Rust function, and \
             call that",
        );
    }
    if let Some(constness) = &signature.constness {
        found.add(constness.span(), "a `const fn` can't be coalesced: joining happens at run time. Remove `const`");
    }
    match (&signature.asyncness, options.blocking) {
        (None, false) => found.add(
            signature.fn_token.span(),
            "this function isn't `async`: make it so, or say `#[coalesce(blocking)]` if it is for plain threads, which it \
             then blocks until the answer is there",
        ),
        (Some(asyncness), true) => found.add(
            asyncness.span(),
            "`blocking` is for functions that aren't `async`: remove one of the two",
        ),
        _ => {}
    }
}

fn generics(function: &Function, found: &mut Found) {
    for parameter in &function.item.sig.generics.params {
        match parameter {
            GenericParam::Lifetime(lifetime) => found.add(
                lifetime.span(),
                "a coalesced function can't have lifetimes: the work runs detached from its caller and borrows nothing. \
                 Leave the lifetime out; an argument `&T` is then copied for the work",
            ),
            parameter => found.add(
                parameter.span(),
                "a coalesced function can't be generic: all its calls join one coalescer, with one type of key and one \
                 of value. Coalesce a function for each type, and call those",
            ),
        }
    }
}

fn argument(argument: &Argument, options: &Options, found: &mut Found) {
    let ty = strip(&argument.ty);
    if let Some(span) = borrows::find_impl_trait(ty) {
        found.add(span, "an `impl Trait` argument makes a function generic, and a coalesced one can't be: name a type");
    }
    if let Some(attribute) = argument.attributes().iter().find(|attribute| attribute.path().is_ident("cfg")) {
        found.add(
            attribute.span(),
            "an argument of a coalesced function can't be there only sometimes: put `cfg` on the function",
        );
    }
    if argument.pattern.is_some() && options.key.is_none() {
        found.add(
            argument.pattern.span(),
            "this argument is a pattern and has no name to make a key of: say what identifies the call with \
             `key = \"...\"`, in which the names in the pattern may be used, or give the argument a name",
        );
    }
    let borrowed = argument.borrowed();
    if borrowed.is_some_and(|reference| reference.mutability.is_some()) {
        found.add(
            ty.span(),
            "a coalesced function can't take `&mut`: whoever shares the result would miss the change. Return what it would \
             have written",
        );
        return;
    }
    let inside = borrowed.map_or(ty, |reference| &reference.elem);
    if let Some(span) = borrows::find(inside) {
        found.add(
            span,
            "this borrows inside of a type, and the work, which runs detached from its caller, can't: take an owned type, \
             such as `Option<String>` for `Option<&str>`. A plain `&T`, `&str` or `&[T]` is copied for the work",
        );
    }
}

fn receiver(function: &Function, options: &Options, found: &mut Found) {
    let Some(receiver) = &function.receiver else { return };
    let is_mutable = matches!(&*receiver.ty, Type::Reference(reference) if reference.mutability.is_some());
    if is_mutable {
        found.add(
            receiver.span(),
            "a coalesced method can't take `&mut self`: whoever shares the result would miss the change. Take `&self`, or \
             `self: Arc<Self>`",
        );
        return;
    }
    let named_by_self = options.coalescer.as_ref().is_some_and(|coalescer| mentions(&quote!(#coalescer), "self"));
    if !named_by_self && options.key.is_none() && !options.skips("self") {
        found.add(
            receiver.span(),
            "`self` is an argument, too, and isn't part of the key by itself: two instances would share their answers. \
             Choose one of\n\
             - `in = \"self.flights\"`: each instance has a coalescer of its own, a `Handle` in a field;\n\
             - `key = \"(self.id, ...)\"`: the key says which instance it is, and all that identifies the call besides;\n\
             - `skip(self)`: all instances give the same answers and may share them",
        );
    }
}

fn returned(function: &Function, found: &mut Found) {
    if let Some(span) = borrows::find_impl_trait(&function.returns) {
        found.add(
            span,
            "a coalesced function can't return `impl Trait`: callers get clones of one value, so name its type",
        );
    }
    if let Some(span) = borrows::find(&function.returns) {
        found.add(
            span,
            "a coalesced function can't return a borrow: callers get clones of a value that is theirs alone. Return an \
             owned type, or an `Arc`",
        );
    }
}

fn skipped(function: &Function, options: &Options, found: &mut Found) {
    for name in &options.skip {
        let is_there = if name == "self" { function.receiver.is_some() } else { function.argument(name).is_some() };
        if !is_there {
            let arguments: Vec<_> = function.receiver.iter().map(|_| "self".to_string()).collect();
            let names = function.arguments.iter().filter(|argument| argument.pattern.is_none());
            let names: Vec<_> = arguments.into_iter().chain(names.map(|one| one.name.unraw().to_string())).collect();
            let known =
                if names.is_empty() { "it has none".to_string() } else { format!("it has {}", names.join(", ")) };
            found.add(name.span(), &format!("the function has no argument `{name}` to skip; {known}"));
        }
        if options.skip.iter().filter(|other| *other == name).count() > 1 {
            found.add(name.span(), &format!("`{name}` is skipped twice"));
        }
    }
    if let (Some(key), Some(name)) = (&options.key, options.skip.first()) {
        found.add(
            name.span(),
            &format!(
                "`skip` leaves arguments out of the default key, but here the key is `{}`, and nothing else is in it. \
                 Remove `skip`",
                quote!(#key)
            ),
        );
    }
    if options.key.is_none() && function.key_arguments(options).count() > MAX_KEY_PARTS {
        found.add(
            function.name().span(),
            &format!(
                "more than {MAX_KEY_PARTS} arguments don't make a key by themselves: give one with `key = \"...\"`"
            ),
        );
    }
}

fn settings(function: &Function, options: &Options, found: &mut Found) {
    for setting in &options.settings {
        let name = &setting.name;
        if options.coalescer.is_some() {
            found.add(
                name.span(),
                &format!("`{name}` is a choice for the function's private coalescer, and `in` names another: build that one with it"),
            );
        } else if setting.can_fail && !function.fallible {
            found.add(
                name.span(),
                &format!(
                    "`{name}` can fail a call, and this function has nowhere to put an error: return a Result whose error \
                     is From<JoinError>. (A type that is a Result by another name needs `result = true`.)"
                ),
            );
        }
    }
}
