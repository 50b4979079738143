//! The function under the attribute.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::{
    Error, FnArg, Ident, Item, ItemFn, Receiver, Result, ReturnType, TraitItemFn, Type, ext::IdentExt, parse_quote,
};

use crate::{
    arguments::{Argument, strip},
    options::Options,
};

pub(crate) struct Function {
    pub(crate) item: ItemFn,
    pub(crate) receiver: Option<Receiver>,
    pub(crate) arguments: Vec<Argument>,
    /// `()` where none is written.
    pub(crate) returns: Type,
    /// Whether it returns a `Result`.
    pub(crate) fallible: bool,
    pub(crate) in_impl: bool,
}

impl Function {
    pub(crate) fn parse(item: TokenStream, options: &Options) -> Result<Self> {
        let mentions_self = mentions(&item, "Self");
        let item: ItemFn = syn::parse2(item.clone()).map_err(|error| no_function(item, &error))?;
        let mut receiver = None;
        let mut arguments = Vec::new();
        for (position, input) in item.sig.inputs.iter().enumerate() {
            match input {
                FnArg::Receiver(the_receiver) => receiver = Some(the_receiver.clone()),
                FnArg::Typed(argument) => arguments.push(Argument::new(argument.clone(), position)),
            }
        }
        let returns = match &item.sig.output {
            ReturnType::Default => parse_quote!(()),
            ReturnType::Type(_, ty) => (**ty).clone(),
        };
        let fallible = options.result.unwrap_or_else(|| is_called_result(&returns));
        let in_impl = options.in_impl.unwrap_or(receiver.is_some() || mentions_self);
        Ok(Self { item, receiver, arguments, returns, fallible, in_impl })
    }

    /// The function with a body that does nothing.
    pub(crate) fn without_body(&self) -> TokenStream {
        let mut item = self.item.clone();
        *item.block = parse_quote!({ ::core::panic!() });
        quote!(#[allow(unused, clippy::all, clippy::pedantic)] #item)
    }

    pub(crate) fn name(&self) -> &Ident {
        &self.item.sig.ident
    }

    /// The name without `r#`.
    pub(crate) fn title(&self) -> String {
        self.name().unraw().to_string()
    }

    pub(crate) fn argument(&self, name: &Ident) -> Option<&Argument> {
        self.arguments.iter().find(|argument| argument.pattern.is_none() && argument.name == *name)
    }

    /// The arguments in the default key.
    pub(crate) fn key_arguments<'a>(&'a self, options: &'a Options) -> impl Iterator<Item = &'a Argument> {
        self.arguments.iter().filter(|argument| !options.skips(&argument.name.unraw().to_string()))
    }
}

fn no_function(item: TokenStream, error: &Error) -> Error {
    if let Ok(declared) = syn::parse2::<TraitItemFn>(item.clone()) {
        return Error::new(
            declared.sig.ident.span(),
            "a trait's method can't be coalesced. Coalesce inherent methods of the types that implement the trait, and have \
             this method of theirs call them",
        );
    }
    if let Ok(Item::Impl(_) | Item::Trait(_)) = syn::parse2(item) {
        return Error::new(error.span(), "`#[coalesce]` goes on each method of an inherent `impl`, not on the whole");
    }
    Error::new(error.span(), format!("`#[coalesce]` goes on a function or method with a body: {error}"))
}

fn is_called_result(ty: &Type) -> bool {
    match strip(ty) {
        Type::Path(path) => {
            path.path.segments.last().is_some_and(|segment| segment.ident.to_string().ends_with("Result"))
        }
        _ => false,
    }
}

/// Whether the code contains the identifier.
pub(crate) fn mentions(code: &TokenStream, name: &str) -> bool {
    code.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Group(group) => mentions(&group.stream(), name),
        _ => false,
    })
}
