//! The function's arguments.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Attribute, Ident, Pat, PatIdent, PatType, Type, TypeReference, spanned::Spanned};

use crate::borrows::is_static;

pub(crate) struct Argument {
    attributes: Vec<Attribute>,
    /// The pattern, if it isn't a plain name.
    pub(crate) pattern: Option<Pat>,
    /// The argument's name, or a generated one for a pattern.
    pub(crate) name: Ident,
    pub(crate) ty: Type,
}

impl Argument {
    pub(crate) fn new(argument: PatType, position: usize) -> Self {
        let PatType { attrs: attributes, pat, ty, .. } = argument;
        let (name, pattern) = match *pat {
            Pat::Ident(PatIdent { by_ref: None, subpat: None, ident, .. }) => (ident, None),
            pattern => {
                (format_ident!("__argument_{position}", span = pattern.span().resolved_at(here())), Some(pattern))
            }
        };
        Self { attributes, pattern, name, ty: *ty }
    }

    pub(crate) fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The type, if it is a reference that isn't `'static`.
    pub(crate) fn borrowed(&self) -> Option<&TypeReference> {
        match strip(&self.ty) {
            Type::Reference(reference) if !is_static(reference.lifetime.as_ref()) => Some(reference),
            _ => None,
        }
    }

    /// The declaration in a generated function's parameter list.
    pub(crate) fn declaration(&self) -> TokenStream {
        let Self { attributes, name, ty, .. } = self;
        quote!(#(#attributes)* #name: #ty)
    }

    /// The argument's part of the default key.
    pub(crate) fn key_part(&self, support: &TokenStream) -> TokenStream {
        let name = &self.name;
        match self.borrowed() {
            Some(_) => quote_spanned!(self.ty.span().resolved_at(here()) => #support::key_borrowed(#name)),
            None => quote_spanned!(self.ty.span().resolved_at(here()) => #support::key_part(&#name)),
        }
    }

    /// The work's own copy, under the same name.
    pub(crate) fn copy(&self, support: &TokenStream) -> TokenStream {
        let Self { name, .. } = self;
        let span = self.ty.span().resolved_at(here());
        match self.borrowed() {
            // Reborrowed: otherwise the compiler suggests a borrow instead of reporting the messages of `needs`.
            Some(_) => quote_spanned!(span => let #name = #support::borrowed(&*#name);),
            None => quote_spanned!(span => let #name = #support::argument(&#name);),
        }
    }

    /// The expression that passes the work's copy to the body.
    pub(crate) fn passed_on(&self, support: &TokenStream) -> TokenStream {
        let name = &self.name;
        match self.borrowed() {
            Some(_) => quote!(#support::lend(&#name)),
            None => name.to_token_stream(),
        }
    }

    /// Binds the names in the argument's pattern for a `key` expression.
    pub(crate) fn unpacked(&self, support: &TokenStream) -> TokenStream {
        let (Some(pattern), name) = (&self.pattern, &self.name) else { return TokenStream::new() };
        match self.borrowed() {
            Some(_) => quote!(#[allow(unused_variables)] let #pattern = #name;),
            None => quote!(#[allow(unused_variables)] let #pattern = #support::argument(&#name);),
        }
    }
}

/// Removes parentheses and invisible groups around a type.
pub(crate) fn strip(ty: &Type) -> &Type {
    match ty {
        Type::Paren(inner) => strip(&inner.elem),
        Type::Group(inner) => strip(&inner.elem),
        ty => ty,
    }
}

/// For spans whose errors point at the user's code but which lints treat as generated code.
fn here() -> proc_macro2::Span {
    proc_macro2::Span::call_site()
}
