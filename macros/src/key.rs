//! The key of a call.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, ExprPath, spanned::Spanned};

use crate::{arguments::Argument, function::Function, options::Options};

/// An owned expression over the function's arguments.
pub(crate) fn expand(function: &Function, options: &Options, support: &TokenStream) -> TokenStream {
    let Some(key) = &options.key else {
        let mut parts = function.key_arguments(options).map(|argument| argument.key_part(support));
        return match (parts.next(), parts.next()) {
            (None, _) => quote!(()),
            // Not a tuple: the key type that a coalescer named by the user would have.
            (Some(only), None) => only,
            (Some(first), Some(second)) => quote!((#first, #second #(, #parts)*)),
        };
    };
    let unpacked = function.arguments.iter().map(|argument| argument.unpacked(support));
    let given = owned(key, function, support);
    let span = key.span().resolved_at(Span::call_site());
    let given = quote_spanned!(span => #support::key(#given));
    quote!({ #(#unpacked)* #given })
}

/// Replaces the bare names of arguments, alone or in a tuple, by owned copies.
fn owned(key: &Expr, function: &Function, support: &TokenStream) -> TokenStream {
    match key {
        Expr::Path(ExprPath { qself: None, path, .. }) => {
            let named = path.get_ident().and_then(|name| function.argument(name));
            named.map_or_else(|| key.to_token_stream(), |argument: &Argument| argument.key_part(support))
        }
        Expr::Paren(inner) => owned(&inner.expr, function, support),
        Expr::Tuple(tuple) if tuple.elems.len() > 1 => {
            let parts = tuple.elems.iter().map(|part| owned(part, function, support));
            quote!((#(#parts),*))
        }
        _ => key.to_token_stream(),
    }
}
