//! What becomes of the function.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Attribute, Ident, Meta, parse_quote};

use crate::{
    arguments::Argument,
    companions,
    function::{Function, mentions},
    key,
    options::Options,
};

pub(crate) fn expand(function: &Function, options: &Options) -> TokenStream {
    let library = options.library();
    let scene = Scene { function, options, support: quote!(#library::__macros) };
    let slot = companions::slot(&scene);
    let joining = joining(&scene);
    let no_coalesce = companions::no_coalesce(&scene);
    let forget = companions::forget(&scene);
    let stats = companions::stats(&scene);
    quote!(#slot #joining #no_coalesce #forget #stats)
}

/// All that the parts of the output are made from.
pub(crate) struct Scene<'a> {
    pub(crate) function: &'a Function,
    pub(crate) options: &'a Options,
    /// The path of the support module.
    pub(crate) support: TokenStream,
}

impl Scene<'_> {
    /// The name of a companion, known to lints as the macro's.
    pub(crate) fn companion(&self, suffix: &str) -> Ident {
        let name = self.function.name();
        format_ident!("{}_{suffix}", name, span = name.span().resolved_at(Span::call_site()))
    }

    /// In front of a companion that is called.
    pub(crate) fn path(&self) -> TokenStream {
        if self.function.in_impl { quote!(Self::) } else { TokenStream::new() }
    }

    /// Whose private coalescer it is.
    pub(crate) fn owner(&self) -> TokenStream {
        if self.function.in_impl { quote!(Self) } else { quote!(()) }
    }

    /// The function that has the private coalescer's static; a static by itself can't be in an `impl`.
    pub(crate) fn slot(&self) -> Ident {
        format_ident!("__{}_slot", self.function.name(), span = Span::call_site())
    }

    /// The function's attributes that these hold for.
    pub(crate) fn attributes(&self, wanted: fn(&Attribute) -> bool) -> impl Iterator<Item = &Attribute> {
        self.function.item.attrs.iter().filter(move |attribute| wanted(attribute))
    }

    /// The list of arguments, and of a receiver if there is one.
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

    /// Where calls are joined. `choices` are those that the coalescer is built with, if it is.
    pub(crate) fn place(&self, choices: &TokenStream) -> TokenStream {
        let Self { options, support, function, .. } = self;
        if let Some(place) = &options.place {
            return quote!(#support::named(&(#place)));
        }
        let private = if options.blocking { quote!(private_blocking) } else { quote!(private) };
        let (path, slot, owner, returns) = (self.path(), self.slot(), self.owner(), &function.returns);
        let builder = Ident::new("builder", Span::mixed_site());
        quote!(#path #slot().#private::<#owner, _, #returns>(|#builder| #builder #choices))
    }
}

/// Holds for everything that is made of the function.
pub(crate) fn is_everywhere(attribute: &Attribute) -> bool {
    let is_hidden = |meta: &Meta| matches!(meta, Meta::List(list) if mentions(&list.tokens, "hidden"));
    attribute.path().is_ident("cfg") || attribute.path().is_ident("doc") && is_hidden(&attribute.meta)
}

/// Concerns the body, or the signature just as well.
pub(crate) fn is_the_bodys(attribute: &Attribute) -> bool {
    const THOSE: [&str; 6] = ["allow", "expect", "warn", "deny", "forbid", "must_use"];
    is_everywhere(attribute) || THOSE.iter().any(|name| attribute.path().is_ident(name))
}

/// The function of the name that was written: joins.
fn joining(scene: &Scene<'_>) -> TokenStream {
    let Scene { function, options, support } = scene;
    let attributes = function.item.attrs.iter().cloned().map(|mut attribute| {
        // What is expected to be found is found in the body, which is elsewhere.
        if let (true, Meta::List(list)) = (attribute.path().is_ident("expect"), &mut attribute.meta) {
            list.path = parse_quote!(allow);
        }
        attribute
    });
    let (visibility, signature) = (&function.item.vis, &function.item.sig);
    let (asyncness, name, output) = (&signature.asyncness, &signature.ident, &signature.output);
    let (parameters, conditions) = (scene.parameters(), &signature.generics.where_clause);
    let docs = companions::docs(scene);

    let mut choices = options.choices();
    if !function.fallible {
        // Before the user's, of which none sets another.
        choices = quote!(.no_flight_deadline() #choices);
    }
    let place = scene.place(&choices);
    let key = key::expand(function, options, support);
    let work = work(scene);
    let title = function.title();
    let it = Ident::new("place", Span::mixed_site());
    let call = match (options.blocking, function.fallible) {
        (false, true) => quote!(#support::try_join(#it, move || (#key, #work)).await),
        (false, false) => quote!(#support::join(#title, #it, move || (#key, #work)).await),
        (true, true) => quote!(#support::blocking_try_join(&#it, move || (#key, #work))),
        (true, false) => quote!(#support::blocking_join(#title, &#it, move || (#key, #work))),
    };
    quote! {
        #(#attributes)*
        #docs
        #[allow(clippy::used_underscore_binding)]
        #visibility #asyncness fn #name(#parameters) #output #conditions {
            let #it = #place;
            #call
        }
    }
}

/// A closure that owns copies of everything, and calls the body with them.
fn work(scene: &Scene<'_>) -> TokenStream {
    let Scene { function, options, support } = scene;
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
    let (path, body) = (scene.path(), scene.companion("no_coalesce"));
    let call = quote!(#path #body(#(#receiver,)* #(#arguments),*));
    let work = if options.blocking {
        quote!(move || #call)
    } else {
        quote!(move || async move { #support::body(#call).await })
    };
    quote!({ #own_receiver #(#copies)* #work })
}
