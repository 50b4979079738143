//! The companion functions, and the generated documentation.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;

use crate::{
    expansion::{Expansion, is_for_all, is_for_body},
    function::mentions,
    key,
};

/// The function that holds the private coalescer's static. Where there is none, an item that only has the function's name, which
/// tells what to do in a place where it can't be.
pub(crate) fn slot(expansion: &Expansion<'_>) -> TokenStream {
    let (support, name) = (&expansion.support, expansion.slot());
    let attributes = expansion.attributes(is_for_all);
    if expansion.options.coalescer.is_some() {
        return quote! {
            #(#attributes)*
            #[doc(hidden)]
            #[allow(dead_code, non_upper_case_globals)]
            const #name: () = ();
        };
    }
    quote! {
        #(#attributes)*
        #[doc(hidden)]
        #[allow(non_snake_case)]
        fn #name() -> &'static #support::Slot {
            static SLOT: #support::Slot = #support::Slot::new();
            &SLOT
        }
    }
}

/// `<name>_no_coalesce`: the function as it was written.
pub(crate) fn no_coalesce(expansion: &Expansion<'_>) -> TokenStream {
    let function = &expansion.function;
    let mut item = function.item.clone();
    item.attrs = expansion.attributes(is_for_body).cloned().collect();
    item.sig.ident = expansion.companion("no_coalesce");
    let link = link(expansion);
    let docs = format!(
        "{link} by itself: runs for this caller only and shares nothing. It runs in its caller's task, so dropping the \
         call cancels it."
    );
    quote!(#[doc = #docs] #item)
}

/// `<name>_forget`: detaches a call's flight.
pub(crate) fn forget(expansion: &Expansion<'_>) -> TokenStream {
    let Expansion { function, options, support } = expansion;
    let (attributes, visibility) = (expansion.attributes(is_for_all), &function.item.vis);
    let (name, parameters) = (expansion.companion("forget"), expansion.parameters());
    let place = expansion.place(&TokenStream::new());
    let key = key::expand(function, options, support);
    let link = link(expansion);
    let docs = format!(
        "Forgets a call of {link} that is under way with these arguments: its callers still get its result, and the next call \
         runs anew. For use after a write. Returns whether there was one."
    );
    let call = call_support(expansion, &quote!(forget(#place, #key)));
    let (asyncness, conditions) = (&function.item.sig.asyncness, &function.item.sig.generics.where_clause);
    quote! {
        #(#attributes)*
        #[doc = #docs]
        #[allow(dead_code, unused_variables, clippy::all, clippy::pedantic)]
        #visibility #asyncness fn #name(#parameters) -> bool #conditions {
            #call
        }
    }
}

/// `<name>_stats`: reads the coalescer's counters.
pub(crate) fn stats(expansion: &Expansion<'_>) -> TokenStream {
    let Expansion { function, options, support } = expansion;
    let named = options.coalescer.as_ref().map(|coalescer| quote!(#coalescer));
    if let Some(coalescer) = &named {
        // This companion has no arguments that could lead to the coalescer.
        let by_argument = |name: &syn::Ident| mentions(coalescer, &name.to_string());
        if function.arguments.iter().any(|argument| by_argument(&argument.name)) {
            return TokenStream::new();
        }
    }
    let (attributes, visibility) = (expansion.attributes(is_for_all), &function.item.vis);
    let (name, owner, link) = (expansion.companion("stats"), expansion.owner(), link(expansion));
    let (receiver, call, docs) = match named {
        Some(_) => {
            let place = expansion.place(&TokenStream::new());
            let docs =
                format!("The counters of the coalescer that {link} joins, with all other joins of that coalescer.");
            (function.receiver.clone(), call_support(expansion, &quote!(stats(#place))), docs)
        }
        None => {
            let (path, slot) = (expansion.path(), expansion.slot());
            let docs = format!(
                "The counters of {link}. They restart when the runtime of the first call has shut down, and are zero until \
                 the next call."
            );
            let stats = quote!(#path #slot().stats::<#owner>());
            let call = if options.blocking { quote!(#support::wait(#stats)) } else { quote!(#stats.await) };
            (None, call, docs)
        }
    };
    let (asyncness, conditions) = (&function.item.sig.asyncness, &function.item.sig.generics.where_clause);
    let receiver = receiver.into_iter();
    quote! {
        #(#attributes)*
        #[doc = #docs]
        #[allow(dead_code, clippy::all, clippy::pedantic)]
        #visibility #asyncness fn #name(#(#receiver)*) -> #support::Stats #conditions {
            #call
        }
    }
}

/// `<name>_current_flight`: work finds its own flight.
pub(crate) fn current_flight(expansion: &Expansion<'_>) -> TokenStream {
    // Work that joins a named coalescer has its handle.
    if expansion.options.coalescer.is_some() {
        return TokenStream::new();
    }
    let Expansion { function, support, .. } = expansion;
    let (attributes, visibility) = (expansion.attributes(is_for_all), &function.item.vis);
    let (name, owner, link) = (expansion.companion("current_flight"), expansion.owner(), link(expansion));
    let (path, slot) = (expansion.path(), expansion.slot());
    let docs = format!("The flight that this thread runs the body of {link} for, if it does.");
    let conditions = &function.item.sig.generics.where_clause;
    quote! {
        #(#attributes)*
        #[doc = #docs]
        #[allow(dead_code, clippy::all, clippy::pedantic)]
        #visibility fn #name() -> ::core::option::Option<#support::Flight> #conditions {
            #path #slot().current_flight::<#owner>()
        }
    }
}

/// A call into the support module, awaited, or blocked on in blocking functions.
fn call_support(expansion: &Expansion<'_>, call: &TokenStream) -> TokenStream {
    let support = &expansion.support;
    if expansion.options.blocking { quote!(#support::wait(#support::#call)) } else { quote!(#support::#call.await) }
}

/// A section of the function's documentation: callers should know which calls share an execution.
pub(crate) fn docs(expansion: &Expansion<'_>) -> TokenStream {
    let Expansion { function, options, .. } = expansion;
    let list = |names: Vec<String>| names.join(", ");
    let quoted = |name: &syn::Ident| format!("`{}`", name.unraw());
    let mut docs = match &options.key {
        Some(key) => format!("Concurrent calls share one execution where `{}` is equal.", readable(&quote!(#key))),
        None => {
            let parts: Vec<_> = function.key_arguments(options).map(|argument| quoted(&argument.name)).collect();
            if parts.is_empty() {
                "All concurrent calls share one execution.".to_string()
            } else {
                format!("Concurrent calls with equal {} share one execution.", list(parts))
            }
        }
    };
    if !options.skip.is_empty() {
        let skipped = list(options.skip.iter().map(quoted).collect());
        docs.extend([" **Calls that differ only in ", &skipped, " share it, too**, and it runs with what the first "]);
        docs.push_str("of them brought.");
    }
    docs.push_str(&afterwards(expansion));
    quote! {
        #[doc = ""]
        #[doc = "# Coalescing"]
        #[doc = ""]
        #[doc = #docs]
    }
}

/// What of a call is kept.
fn afterwards(expansion: &Expansion<'_>) -> String {
    let Some(cache) = &expansion.options.cache else {
        return " An error or a panic is shared as a value is, and nothing is kept once it has ended.".to_string();
    };
    let invalidate = link_to(expansion, &expansion.companion("invalidate").to_string());
    let ttl = cache.ttl.as_ref().map(|ttl| readable(&quote!(#ttl))).unwrap_or_default();
    format!(
        " A value is kept for a time, `{ttl}`, in which calls get it without an execution, until {invalidate} is called. An \
         error or a panic is shared as a value is."
    )
}

/// Code without the spaces that printing tokens adds.
fn readable(code: &TokenStream) -> String {
    let mut code = code.to_string().replace('`', "'");
    for (spaced, tight) in
        [(" . ", "."), (" ,", ","), (" (", "("), ("( ", "("), (" )", ")"), (" :: ", "::"), ("& ", "&"), (" !", "!")]
    {
        code = code.replace(spaced, tight);
    }
    code
}

fn link(expansion: &Expansion<'_>) -> String {
    link_to(expansion, &expansion.function.title())
}

/// A link in documentation, to the function or to a companion.
pub(crate) fn link_to(expansion: &Expansion<'_>, title: &str) -> String {
    let path = if expansion.function.in_impl { "Self::" } else { "" };
    format!("[`{title}`]({path}{title})")
}
