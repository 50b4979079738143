//! A function's arguments, as the macro handles them.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Attribute, Ident, Pat, PatIdent, PatType, Type, TypeReference, spanned::Spanned};

use crate::borrows::is_static;

pub(crate) struct Argument {
    attributes: Vec<Attribute>,
    /// As it was written, where that isn't a plain name.
    pub(crate) pattern: Option<Pat>,
    /// The name that it was given, or one of ours.
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

    /// What it borrows, if it is a reference that ends with the call.
    pub(crate) fn borrowed(&self) -> Option<&TypeReference> {
        match strip(&self.ty) {
            Type::Reference(reference) if !is_static(reference.lifetime.as_ref()) => Some(reference),
            _ => None,
        }
    }

    /// In the list of a function that the macro writes.
    pub(crate) fn declaration(&self) -> TokenStream {
        let Self { attributes, name, ty, .. } = self;
        quote!(#(#attributes)* #name: #ty)
    }

    /// Its part of the default key.
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
            // Reborrowed, or the compiler advises to borrow what can't be copied, in place of saying what `needs` has to say.
            Some(_) => quote_spanned!(span => let #name = #support::borrowed(&*#name);),
            None => quote_spanned!(span => let #name = #support::argument(&#name);),
        }
    }

    /// From the work's own copy to what the body takes.
    pub(crate) fn passed_on(&self, support: &TokenStream) -> TokenStream {
        let name = &self.name;
        match self.borrowed() {
            Some(_) => quote!(#support::lend(&#name)),
            None => name.to_token_stream(),
        }
    }

    /// Makes the names in its pattern known to a `key` expression.
    pub(crate) fn unpacked(&self, support: &TokenStream) -> TokenStream {
        let (Some(pattern), name) = (&self.pattern, &self.name) else { return TokenStream::new() };
        match self.borrowed() {
            Some(_) => quote!(#[allow(unused_variables)] let #pattern = #name;),
            None => quote!(#[allow(unused_variables)] let #pattern = #support::argument(&#name);),
        }
    }
}

/// Without the parentheses and invisible groups around it.
pub(crate) fn strip(ty: &Type) -> &Type {
    match ty {
        Type::Paren(inner) => strip(&inner.elem),
        Type::Group(inner) => strip(&inner.elem),
        ty => ty,
    }
}

/// Errors point to the user's code, and lints know it for ours.
fn here() -> proc_macro2::Span {
    proc_macro2::Span::call_site()
}
