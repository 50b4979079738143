//! The macro's expansion, and the function that joins.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{format_ident, quote, quote_spanned};
use syn::{Attribute, Ident, Meta, parse_quote, spanned::Spanned};

use crate::{
    arguments::Argument,
    cached, companions,
    function::{Function, mentions},
    key,
    options::Options,
    traits,
};

pub(crate) fn expand(function: &Function, options: &Options) -> TokenStream {
    let library = options.library();
    let expansion = Expansion { function, options, support: quote!(#library::__macros) };
    let slot = companions::slot(&expansion);
    let joining = joining(&expansion);
    let no_coalesce = companions::no_coalesce(&expansion);
    let after_writes = match &options.cache {
        Some(cache) => cached::companions(&expansion, cache),
        None => companions::forget(&expansion),
    };
    let stats = companions::stats(&expansion);
    let current_flight = companions::current_flight(&expansion);
    quote!(#slot #joining #no_coalesce #after_writes #stats #current_flight)
}

/// The input for each generated item.
pub(crate) struct Expansion<'a> {
    pub(crate) function: &'a Function,
    pub(crate) options: &'a Options,
    /// The path of the support module.
    pub(crate) support: TokenStream,
}

impl Expansion<'_> {
    /// The name of a companion. Its span tells lints that it is generated.
    pub(crate) fn companion(&self, suffix: &str) -> Ident {
        let name = self.function.name();
        format_ident!("{}_{suffix}", name, span = name.span().resolved_at(Span::call_site()))
    }

    /// The path prefix of calls to a companion.
    pub(crate) fn path(&self) -> TokenStream {
        if self.function.in_impl { quote!(Self::) } else { TokenStream::new() }
    }

    /// The owner type of the private coalescer.
    pub(crate) fn owner(&self) -> TokenStream {
        if self.function.in_impl { quote!(Self) } else { quote!(()) }
    }

    /// The name of the function that holds the private coalescer's static: an `impl` can't contain statics.
    pub(crate) fn slot(&self) -> Ident {
        traits::telling_name(self.function)
    }

    /// Requires the item with the telling name to be in scope, where the call's place doesn't.
    fn witness(&self) -> TokenStream {
        let (path, name) = (self.path(), self.slot());
        self.options.coalescer.as_ref().map(|_| quote!(let () = #path #name;)).unwrap_or_default()
    }

    /// The function's attributes that pass the filter.
    pub(crate) fn attributes(&self, wanted: fn(&Attribute) -> bool) -> impl Iterator<Item = &Attribute> {
        self.function.item.attrs.iter().filter(move |attribute| wanted(attribute))
    }

    /// The parameter list, with the receiver if there is one.
    pub(crate) fn parameters(&self) -> TokenStream {
        let receiver = self.function.receiver.iter().cloned().map(|mut receiver| {
            if receiver.reference.is_none() {
                receiver.mutability = None;
            }
            receiver
        });
        let arguments = self.function.arguments.iter().map(Argument::declaration);
        quote!(#(#receiver,)* #(#arguments),*)
    }

    /// The builder calls that configure a private coalescer.
    pub(crate) fn settings(&self) -> TokenStream {
        let settings = self.options.builder_calls();
        // Options that set a deadline are errors for a function without a `Result`.
        if self.function.fallible { settings } else { quote!(.no_flight_deadline() #settings) }
    }

    /// The call's place: the coalescer to join. `settings` are the builder calls that configure a private coalescer.
    pub(crate) fn place(&self, settings: &TokenStream) -> TokenStream {
        let Self { options, support, function, .. } = self;
        if let Some(coalescer) = &options.coalescer {
            return quote!(#support::named(&(#coalescer)));
        }
        let private = if options.blocking { quote!(private_blocking) } else { quote!(private) };
        let (path, slot, owner, returns) = (self.path(), self.slot(), self.owner(), &function.returns);
        let builder = Ident::new("builder", Span::mixed_site());
        quote!(#path #slot().#private::<#owner, _, #returns>(|#builder| #builder #settings))
    }
}

/// Whether an attribute applies to all generated items.
pub(crate) fn is_for_all(attribute: &Attribute) -> bool {
    let is_hidden = |meta: &Meta| matches!(meta, Meta::List(list) if mentions(&list.tokens, "hidden"));
    attribute.path().is_ident("cfg") || attribute.path().is_ident("doc") && is_hidden(&attribute.meta)
}

/// Whether an attribute applies to the function with the body.
pub(crate) fn is_for_body(attribute: &Attribute) -> bool {
    const LINTS: [&str; 6] = ["allow", "expect", "warn", "deny", "forbid", "must_use"];
    is_for_all(attribute) || LINTS.iter().any(|name| attribute.path().is_ident(name))
}

/// The function under the original name, which joins.
fn joining(expansion: &Expansion<'_>) -> TokenStream {
    let Expansion { function, options, .. } = expansion;
    let attributes = function.item.attrs.iter().cloned().map(|mut attribute| {
        // The expected lint fires in the body, which is in another function.
        if let (true, Meta::List(list)) = (attribute.path().is_ident("expect"), &mut attribute.meta) {
            list.path = parse_quote!(allow);
        }
        attribute
    });
    let docs = companions::docs(expansion);
    let call = match &options.cache {
        Some(cache) => cached::call(expansion, cache, &quote!(Read)),
        None => call(expansion),
    };
    let function = calling(expansion, function.name(), &call);
    quote! {
        #(#attributes)*
        #docs
        #[allow(clippy::used_underscore_binding)]
        #function
    }
}

/// A function of this name with the signature of the user's.
pub(crate) fn calling(expansion: &Expansion<'_>, name: &Ident, call: &TokenStream) -> TokenStream {
    let (visibility, signature) = (&expansion.function.item.vis, &expansion.function.item.sig);
    let (asyncness, output) = (&signature.asyncness, &signature.output);
    let (parameters, conditions) = (expansion.parameters(), &signature.generics.where_clause);
    let witness = expansion.witness();
    quote! {
        #visibility #asyncness fn #name(#parameters) #output #conditions {
            #witness
            #call
        }
    }
}

/// The join of a coalescer.
fn call(expansion: &Expansion<'_>) -> TokenStream {
    let Expansion { function, options, support } = expansion;
    let place = expansion.place(&expansion.settings());
    let key = key::expand(function, options, support);
    let work = work(expansion);
    let title = function.title();
    let binding = Ident::new("place", Span::mixed_site());
    let make = quote!(move || (#key, #work));
    let call = match (options.blocking, function.fallible) {
        (true, true) => fallible_call(expansion, "blocking_", |name, way| {
            let support = at(name.span(), support);
            quote_spanned!(name.span() => #support::#name(&#binding, #way #make))
        }),
        (false, true) => fallible_call(expansion, "", |name, way| {
            let support = at(name.span(), support);
            quote_spanned!(name.span() => #support::#name(#binding, #way #make).await)
        }),
        (false, false) => quote!(#support::join(#title, #binding, #make).await),
        (true, false) => quote!(#support::blocking_join(#title, &#binding, #make)),
    };
    quote!(let #binding = #place; #call)
}

/// The call of a function that returns a `Result`. `join` calls the support function of a name, whose last arguments are the
/// error's way, if there is one, and what makes the work.
pub(crate) fn fallible_call(
    expansion: &Expansion<'_>,
    prefix: &str,
    join: impl FnOnce(Ident, TokenStream) -> TokenStream,
) -> TokenStream {
    let Expansion { function, options, support } = expansion;
    let returns = &function.returns;
    // Errors about the types in the `Result` point at it.
    let span = returns.span().resolved_at(Span::call_site());
    let support = at(span, support);
    if let Some(map_err) = &options.map_err {
        let joined = join(format_ident!("{prefix}try_join_shared", span = span), TokenStream::new());
        return quote!(#support::map_err::<#returns, _, _>(#joined, #map_err));
    }
    let way = quote_spanned! { span => {
        use #support::ways::{
            IsConverted as _, IsHoldingAny as _, IsIo as _, IsOfStd as _, IsPointer as _, IsTakingArc as _, NoWay as _,
        };
        // The way for which the most references are needed is tried first.
        (&&&&&&#support::probe::<#returns>()).way()
    },};
    join(format_ident!("{prefix}try_join", span = span), way)
}

/// The path, with all of it at this span.
pub(crate) fn at(span: Span, path: &TokenStream) -> TokenStream {
    let token = |mut token: TokenTree| {
        token.set_span(span);
        token
    };
    path.clone().into_iter().map(token).collect()
}

/// The work: a closure that owns copies of the arguments, and calls the body with them.
pub(crate) fn work(expansion: &Expansion<'_>) -> TokenStream {
    let Expansion { function, options, support } = expansion;
    let this = Ident::new("this", Span::mixed_site());
    let (own_receiver, receiver) = match &function.receiver {
        None => (TokenStream::new(), None),
        Some(receiver) => {
            let is_borrowed = matches!(*receiver.ty, syn::Type::Reference(_));
            let itself = if is_borrowed { quote!(self) } else { quote!(&self) };
            let passed_on = if is_borrowed { quote!(&#this) } else { quote!(#this) };
            (quote!(let #this = #support::receiver(#itself);), Some(passed_on))
        }
    };
    let copies = function.arguments.iter().map(|argument| argument.copy(support));
    let receiver = receiver.into_iter();
    let arguments = function.arguments.iter().map(|argument| argument.passed_on(support));
    let (path, body) = (expansion.path(), expansion.companion("no_coalesce"));
    let call = quote!(#path #body(#(#receiver,)* #(#arguments),*));
    let work = if options.blocking {
        quote!(move || #call)
    } else {
        quote!(move || async move { #support::body(#call).await })
    };
    quote!({ #own_receiver #(#copies)* #work })
}
