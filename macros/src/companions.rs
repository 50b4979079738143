//! The functions beside the one that joins, and what is said of them.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;

use crate::{
    expansion::{Scene, is_everywhere, is_the_bodys},
    function::mentions,
    key,
};

/// Where the private coalescer is.
pub(crate) fn slot(scene: &Scene<'_>) -> TokenStream {
    if scene.options.place.is_some() {
        return TokenStream::new();
    }
    let (support, name) = (&scene.support, scene.slot());
    let attributes = scene.attributes(is_everywhere);
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

/// The body, as it was written.
pub(crate) fn no_coalesce(scene: &Scene<'_>) -> TokenStream {
    let function = &scene.function;
    let mut item = function.item.clone();
    item.attrs = scene.attributes(is_the_bodys).cloned().collect();
    item.sig.ident = scene.companion("no_coalesce");
    let link = link(scene);
    let docs = format!(
        "{link} by itself: runs for this caller alone and shares nothing. It runs where it is called, so dropping the \
         call ends it."
    );
    quote!(#[doc = #docs] #item)
}

/// Detaches a call's flight.
pub(crate) fn forget(scene: &Scene<'_>) -> TokenStream {
    let Scene { function, options, support } = scene;
    let (attributes, visibility) = (scene.attributes(is_everywhere), &function.item.vis);
    let (name, parameters) = (scene.companion("forget"), scene.parameters());
    let place = scene.place(&TokenStream::new());
    let key = key::expand(function, options, support);
    let link = link(scene);
    let docs = format!(
        "Forgets a call of {link} that is under way with these arguments: whoever waits for it still gets its result, and \
         the next call runs anew. For use after a write. Says whether there was one."
    );
    let call = answered(scene, &quote!(forget(#place, #key)));
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

/// Reads the coalescer's counters.
pub(crate) fn stats(scene: &Scene<'_>) -> TokenStream {
    let Scene { function, options, support } = scene;
    let named = options.place.as_ref().map(|place| quote!(#place));
    if let Some(place) = &named {
        // It has no arguments to be found by.
        let by_argument = |name: &syn::Ident| mentions(place, &name.to_string());
        if function.arguments.iter().any(|argument| by_argument(&argument.name)) {
            return TokenStream::new();
        }
    }
    let (attributes, visibility) = (scene.attributes(is_everywhere), &function.item.vis);
    let (name, owner, link) = (scene.companion("stats"), scene.owner(), link(scene));
    let (receiver, call, docs) = match named {
        Some(_) => {
            let place = scene.place(&TokenStream::new());
            let docs = format!("The counters of the coalescer that {link} joins, all who join there included.");
            (function.receiver.clone(), answered(scene, &quote!(stats(#place))), docs)
        }
        None => {
            let (path, slot) = (scene.path(), scene.slot());
            let docs = format!(
                "The counters of {link}. They begin anew when the runtime of whoever called first has ended, and all are \
                 zero until it is called again."
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

/// A call of the support module, awaited or waited for.
fn answered(scene: &Scene<'_>, call: &TokenStream) -> TokenStream {
    let support = &scene.support;
    if scene.options.blocking { quote!(#support::wait(#support::#call)) } else { quote!(#support::#call.await) }
}

/// A section for the function's own documentation: whoever calls it should know whom they share with.
pub(crate) fn docs(scene: &Scene<'_>) -> TokenStream {
    let Scene { function, options, .. } = scene;
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
    docs.push_str(" An error or a panic is shared as a value is, and nothing is kept once it has ended.");
    quote! {
        #[doc = ""]
        #[doc = "# Coalescing"]
        #[doc = ""]
        #[doc = #docs]
    }
}

/// Code as tokens print it, a little closer to how it was written.
fn readable(code: &TokenStream) -> String {
    let mut code = code.to_string().replace('`', "'");
    for (spaced, tight) in
        [(" . ", "."), (" ,", ","), (" (", "("), ("( ", "("), (" )", ")"), (" :: ", "::"), ("& ", "&"), (" !", "!")]
    {
        code = code.replace(spaced, tight);
    }
    code
}

fn link(scene: &Scene<'_>) -> String {
    let (title, path) = (scene.function.title(), if scene.function.in_impl { "Self::" } else { "" });
    format!("[`{title}`]({path}{title})")
}
