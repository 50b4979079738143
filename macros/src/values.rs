//! The values of the attribute's options.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    Error, Expr, ExprLit, ExprRange, ExprUnary, Ident, Lit, LitBool, RangeLimits, Result, Token, UnOp, ext::IdentExt,
    parenthesized, parse::ParseStream, punctuated::Punctuated, spanned::Spanned,
};

/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;

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

/// A number of seconds, a number with a unit, or any other expression.
pub(crate) fn duration(name: &Ident, value: &Expr) -> Result<TokenStream> {
    refuse_negative(name, value)?;
    let Some(number) = literal(value) else { return Ok(quote!(#value)) };
    refuse_zero(name, number)?;
    let span = value.span();
    let (digits, unit) = match number {
        Lit::Int(number) => (number.base10_digits(), number.suffix()),
        Lit::Float(number) => (number.base10_digits(), number.suffix()),
        _ => {
            let error = format!("`{name}` is a time: seconds, a number with a unit such as \"250ms\", or a `Duration`");
            return Err(Error::new(span, error));
        }
    };
    let nanos: u64 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "" | "s" | "u64" | "f64" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3_600 * SECOND,
        "d" => 86_400 * SECOND,
        _ => {
            let error = format!(
                "`{name}` has the unit `{unit}`; there are `ns`, `us`, `ms`, `s`, `m` for minutes, `h` and `d`"
            );
            return Err(Error::new(span, error));
        }
    };
    let Some(time) = product(digits, nanos) else {
        return Err(Error::new(span, format!("`{name}` is more than a `Duration` holds")));
    };
    if time.is_zero() {
        return Err(Error::new(span, format!("`{name}` is less than a nanosecond")));
    }
    let (seconds, nanos) = (time.as_secs(), time.subsec_nanos());
    Ok(quote_spanned!(span => ::core::time::Duration::new(#seconds, #nanos)))
}

/// Whole numbers exactly, of however many nanoseconds.
fn product(digits: &str, nanos: u64) -> Option<Duration> {
    let Ok(count) = digits.parse::<u128>() else {
        let seconds = digits.parse::<f64>().ok()? * (nanos as f64 / SECOND as f64);
        return Duration::try_from_secs_f64(seconds).ok();
    };
    let (second, total) = (u128::from(SECOND), count.checked_mul(u128::from(nanos))?);
    Some(Duration::new(u64::try_from(total / second).ok()?, u32::try_from(total % second).ok()?))
}

/// From one time to another, both with their units, or any other expression.
pub(crate) fn durations(name: &Ident, value: &Expr) -> Result<TokenStream> {
    match value {
        Expr::Range(ExprRange { start: Some(least), end: Some(most), limits: RangeLimits::Closed(_), .. }) => {
            let (least, most) = (duration(name, least)?, duration(name, most)?);
            Ok(quote!(#least..=#most))
        }
        Expr::Range(_) | Expr::Lit(_) => {
            Err(Error::new(value.span(), format!("`{name}` is a range with both ends: `{name} = \"1s..=30s\"`")))
        }
        value => Ok(quote!(#value)),
    }
}

/// A whole number of 1 or more, or any other expression.
pub(crate) fn count(name: &Ident, value: &Expr) -> Result<()> {
    if let Some(number) = literal(value) {
        if !matches!(number, Lit::Int(_)) {
            return Err(Error::new(value.span(), format!("`{name}` is a count: a whole number, 1 or more")));
        }
        refuse_zero(name, number)?;
    }
    refuse_negative(name, value)
}

/// A number between 0 and 1, or any other expression.
pub(crate) fn fraction(name: &Ident, value: &Expr) -> Result<()> {
    float(name, value, "a fraction, above 0.0 and below 1.0", |number| number > 0.0 && number < 1.0)
}

/// A number above 0, or any other expression.
pub(crate) fn factor(name: &Ident, value: &Expr) -> Result<()> {
    float(name, value, "a factor, above 0.0", |number| number > 0.0)
}

fn float(name: &Ident, value: &Expr, what: &str, is_right: fn(f64) -> bool) -> Result<()> {
    let number = match literal(value) {
        None => return refuse_negative(name, value),
        Some(Lit::Float(number)) => number.base10_parse().ok(),
        Some(_) => None,
    };
    if number.is_some_and(is_right) { Ok(()) } else { Err(Error::new(value.span(), format!("`{name}` is {what}"))) }
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
