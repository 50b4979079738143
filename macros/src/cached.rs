//! The call of a function that has a cache, and the companions of that.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, Ident, Token, ext::IdentExt, spanned::Spanned};

use crate::{
    arguments::Argument,
    cache::Cache,
    companions::link_to,
    expansion::{Expansion, at, calling, fallible_call, is_for_all, work},
    key,
};

/// The read of the cache, or its refresh.
pub(crate) fn call(expansion: &Expansion<'_>, cache: &Cache, access: &TokenStream) -> TokenStream {
    let Expansion { function, support, .. } = expansion;
    let support = quote!(#support::caching);
    let (place, key, load) = (place(expansion, Some(cache)), key(expansion), load(expansion, cache));
    let title = function.title();
    let (binding, wanted) = (Ident::new("place", Span::mixed_site()), Ident::new("wanted", Span::mixed_site()));
    // One closure for both, as only one can own the arguments.
    let make = quote! {
        move |#wanted| match #wanted {
            #support::Wanted::Key => #support::Part::Key(#key),
            #support::Wanted::Load => #support::Part::Load(#load),
        }
    };
    let access = quote!(#support::Access::#access);
    let call = if function.fallible {
        fallible_call(expansion, "", |name, way| {
            let support = at(name.span(), &support);
            quote_spanned!(name.span() => #support::#name(#access, #binding, #way #make).await)
        })
    } else {
        quote!(#support::join(#title, #access, #binding, #make).await)
    };
    quote!(let #binding = #place; #call)
}

/// The call's place: the function's private cache, with its options where it may have to be built.
fn place(expansion: &Expansion<'_>, cache: Option<&Cache>) -> TokenStream {
    let Expansion { function, support, .. } = expansion;
    let (path, slot, owner, returns) = (expansion.path(), expansion.slot(), expansion.owner(), &function.returns);
    let name = if function.fallible { quote!(cache_of_results) } else { quote!(cache_of_values) };
    let (builder, flights) = (Ident::new("builder", Span::mixed_site()), Ident::new("flights", Span::mixed_site()));
    let settings = cache.map(|cache| {
        let (calls, settings) = (cache.builder_calls(), expansion.settings());
        let negative_if = cache
            .negative_if
            .as_ref()
            .filter(|_| function.fallible)
            .map(|negative_if| quote!(.negative_if(#support::caching::of_shared::<#returns, _>(#negative_if))));
        quote!(#calls #negative_if .coalescer(|#flights| #flights #settings))
    });
    quote!(#path #slot().#name::<#owner, _, #returns>(|#builder| #builder #settings))
}

fn key(expansion: &Expansion<'_>) -> TokenStream {
    let Expansion { function, options, support } = expansion;
    let key = key::expand(function, options, support);
    let span = match &options.key {
        Some(key) => key.span(),
        None => function.name().span(),
    };
    quote_spanned!(span.resolved_at(Span::call_site()) => #support::caching::cache_key(#key))
}

/// The work, and what says how to keep its value.
fn load(expansion: &Expansion<'_>, cache: &Cache) -> TokenStream {
    let Expansion { function, support, .. } = expansion;
    let (support, returns, work) = (quote!(#support::caching), &function.returns, work(expansion));
    let mut fill = match &cache.fill {
        Some(fill) if function.fallible => {
            let fill = owning(expansion, fill);
            quote!(#support::keep_result::<#returns, _>(#fill))
        }
        Some(fill) => {
            let fill = owning(expansion, fill);
            quote!(#support::keep_value::<#returns, _>(#fill))
        }
        None => quote!(#support::Fill::new),
    };
    if let Some(negative_if) = cache.negative_if.as_ref().filter(|_| !function.fallible) {
        fill = quote!(#support::keep_negative::<#returns, _, _>(#negative_if, #fill));
    }
    quote!((#work, #fill))
}

/// The expression with copies of its own of the arguments that it names.
fn owning(expansion: &Expansion<'_>, fill: &Expr) -> TokenStream {
    let mut fill = fill.clone();
    if let Expr::Closure(closure) = &mut fill {
        closure.capture.get_or_insert(Token![move](closure.or1_token.span));
    }
    // As text: names are in the strings of `format!`, too. One that isn't meant costs a clone.
    let code = fill.to_token_stream().to_string();
    let is_named = |argument: &&Argument| code.contains(&argument.name.unraw().to_string());
    let arguments = expansion.function.arguments.iter().filter(is_named);
    let copies = arguments.map(|argument| argument.copy(&expansion.support));
    quote!({ #(#[allow(unused_variables)] #copies)* #fill })
}

/// All of them, in place of `<name>_forget`: what a forgotten call returned would be kept all the same.
pub(crate) fn companions(expansion: &Expansion<'_>, cache: &Cache) -> TokenStream {
    let (support, parameters) = (&expansion.support, expansion.parameters());
    let (link, owner, path, slot) =
        (link_to(expansion, &expansion.function.title()), expansion.owner(), expansion.path(), expansion.slot());
    let (place, key) = (place(expansion, None), key(expansion));
    let slot = quote!(#path #slot());
    let returns = &expansion.function.returns;
    let value =
        if expansion.function.fallible { quote!(<#returns as #support::Fallible>::Value) } else { quote!(#returns) };
    let invalidate = Companion {
        suffix: "invalidate",
        docs: format!(
            "Removes what the cache of {link} has for these arguments. Once this has returned, no call returns what was \
             loaded before. For use after a write; a call that is under way gets what it waits for."
        ),
        head: quote!(async),
        parameters: parameters.clone(),
        output: quote!(()),
        call: quote!(#support::caching::invalidate(#place, #key).await),
    };
    let invalidate_all = Companion {
        suffix: "invalidate_all",
        docs: format!(
            "Removes all that the cache of {link} has, with the promise of {}.",
            link_to(expansion, &invalidate.name(expansion).to_string())
        ),
        head: quote!(async),
        parameters: TokenStream::new(),
        output: quote!(()),
        call: quote!(#slot.invalidate_all::<#owner>().await),
    };
    let tag = Ident::new("tag", Span::mixed_site());
    // Only `fill` gives tags.
    let invalidate_tag = cache.fill.as_ref().map(|_| Companion {
        suffix: "invalidate_tag",
        docs: format!("Removes all that the cache of {link} has under this tag."),
        head: quote!(async),
        parameters: quote!(#tag: &str),
        output: quote!(()),
        call: quote!(#slot.invalidate_tag::<#owner>(#tag).await),
    });
    let peek = Companion {
        suffix: "peek",
        docs: format!(
            "The value that the cache of {link} has for these arguments and that has not expired. Loads nothing."
        ),
        head: TokenStream::new(),
        parameters,
        output: quote!(::core::option::Option<#value>),
        call: quote!(#support::caching::peek(&#place, &#key)),
    };
    let cache_stats = Companion {
        suffix: "cache_stats",
        docs: format!("What the cache of {link} has done and holds; zeros until there is one."),
        head: TokenStream::new(),
        parameters: TokenStream::new(),
        output: quote!(#support::caching::CacheStats),
        call: quote!(#slot.cache_stats::<#owner>()),
    };
    let others = [invalidate, invalidate_all, peek, cache_stats].into_iter().chain(invalidate_tag);
    let others = others.map(|companion| companion.expand(expansion));
    let refresh = refresh(expansion, cache);
    quote!(#(#others)* #refresh)
}

/// `<name>_refresh`: as the function itself, whatever the cache has.
fn refresh(expansion: &Expansion<'_>, cache: &Cache) -> TokenStream {
    let attributes = expansion.attributes(is_for_all);
    let docs = format!(
        "Calls {} though its cache has a value, and replaces that. Other calls get the old one meanwhile. Once polled, it goes \
         on even if it is dropped.",
        link_to(expansion, &expansion.function.title())
    );
    let call = call(expansion, cache, &quote!(Refresh));
    let function = calling(expansion, &expansion.companion("refresh"), &call);
    quote! {
        #(#attributes)*
        #[doc = #docs]
        #[allow(dead_code, unused_variables, clippy::all, clippy::pedantic)]
        #function
    }
}

struct Companion {
    suffix: &'static str,
    docs: String,
    /// What is in front of `fn`, but for the visibility.
    head: TokenStream,
    parameters: TokenStream,
    output: TokenStream,
    call: TokenStream,
}

impl Companion {
    fn name(&self, expansion: &Expansion<'_>) -> Ident {
        expansion.companion(self.suffix)
    }

    fn expand(self, expansion: &Expansion<'_>) -> TokenStream {
        let name = self.name(expansion);
        let Self { docs, head, parameters, output, call, .. } = self;
        let (attributes, visibility) = (expansion.attributes(is_for_all), &expansion.function.item.vis);
        let conditions = &expansion.function.item.sig.generics.where_clause;
        quote! {
            #(#attributes)*
            #[doc = #docs]
            #[allow(dead_code, unused_variables, clippy::all, clippy::pedantic)]
            #visibility #head fn #name(#parameters) -> #output #conditions {
                #call
            }
        }
    }
}
