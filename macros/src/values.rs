//! The values of the attribute's options.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    Error, Expr, ExprLit, ExprUnary, Ident, Lit, LitBool, Result, Token, UnOp, ext::IdentExt, parenthesized,
    parse::ParseStream, punctuated::Punctuated, spanned::Spanned,
};

/// An option without a value, or with `= true` or `= false`.
pub(crate) fn flag(input: ParseStream<'_>) -> Result<bool> {
    if !input.peek(Token![=]) {
        return Ok(true);
    }
    input.parse::<Token![=]>()?;
    Ok(input.parse::<LitBool>()?.value)
}

/// An expression, possibly in a string.
pub(crate) fn expression(name: &Ident, input: ParseStream<'_>) -> Result<Expr> {
    if !input.peek(Token![=]) {
        return Err(Error::new(name.span(), format!("`{name}` needs a value: `{name} = \"...\"`")));
    }
    input.parse::<Token![=]>()?;
    let value: Expr = input.parse()?;
    match &value {
        Expr::Lit(ExprLit { lit: Lit::Str(code), .. }) => code.parse(),
        _ => Ok(value),
    }
}

pub(crate) fn names(option: &Ident, input: ParseStream<'_>) -> Result<Vec<Ident>> {
    if !input.peek(syn::token::Paren) {
        return Err(Error::new(option.span(), "`skip` lists arguments: `skip(trace_id, deadline)`"));
    }
    let list;
    parenthesized!(list in input);
    let names = Punctuated::<Ident, Token![,]>::parse_terminated_with(&list, Ident::parse_any)?;
    Ok(names.into_iter().collect())
}

pub(crate) fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        _ => None,
    }
}

/// A number of seconds, or any other expression.
pub(crate) fn duration(name: &Ident, value: &Expr) -> Result<TokenStream> {
    refuse_negative(name, value)?;
    let Some(number) = literal(value) else { return Ok(quote!(#value)) };
    refuse_zero(name, number)?;
    match number {
        Lit::Int(_) => Ok(quote_spanned!(value.span() => ::core::time::Duration::new(#number, 0))),
        Lit::Float(_) => Ok(quote_spanned!(value.span() => ::core::time::Duration::from_secs_f64(#number))),
        _ => Err(Error::new(value.span(), format!("`{name}` is a number of seconds, or a `Duration`"))),
    }
}

pub(crate) fn refuse_zero(name: &dyn std::fmt::Display, number: &Lit) -> Result<()> {
    let is_zero = match number {
        Lit::Int(number) => number.base10_parse::<u128>().is_ok_and(|number| number == 0),
        Lit::Float(number) => number.base10_parse::<f64>().is_ok_and(|number| number <= 0.0),
        _ => false,
    };
    if is_zero { Err(Error::new(number.span(), format!("`{name}` is 0; it has to be more"))) } else { Ok(()) }
}

pub(crate) fn refuse_negative(name: &dyn std::fmt::Display, value: &Expr) -> Result<()> {
    match value {
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), .. }) => {
            Err(Error::new(value.span(), format!("`{name}` is negative; it has to be more than 0")))
        }
        _ => Ok(()),
    }
}
