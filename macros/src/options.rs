//! The attribute's options.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{
    Error, Expr, ExprLit, ExprPath, ExprUnary, Ident, Lit, LitBool, LitStr, Path, Result, Token, UnOp,
    ext::IdentExt,
    parenthesized,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    spanned::Spanned,
};

#[derive(Default)]
pub(crate) struct Options {
    pub(crate) blocking: bool,
    pub(crate) key: Option<Expr>,
    pub(crate) skip: Vec<Ident>,
    /// `in`: the coalescer that the user names.
    pub(crate) coalescer: Option<Expr>,
    pub(crate) result: Option<bool>,
    pub(crate) in_impl: Option<bool>,
    pub(crate) library: Option<Path>,
    pub(crate) settings: Vec<Setting>,
}

/// An option of the private coalescer.
pub(crate) struct Setting {
    pub(crate) name: Ident,
    value: Value,
    /// Whether the option can fail a join that would succeed without it.
    pub(crate) can_fail: bool,
}

enum Value {
    Flag,
    Expression(TokenStream),
    /// An enum's name, and the variant's.
    Policy(Ident, Ident),
}

const KNOWN: &str = "blocking, key, skip, in, result, in_impl, crate, shards, max_waiters_per_flight, max_flights, \
                     max_flight_duration, max_extended_duration, no_flight_deadline, on_abandon and on_expiry";

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        let mut seen = Vec::new();
        while !input.is_empty() {
            let name = input.call(Ident::parse_any)?;
            if seen.contains(&name) {
                return Err(Error::new(name.span(), format!("`{name}` is given twice")));
            }
            options.take(&name, input)?;
            seen.push(name);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

impl Options {
    fn take(&mut self, name: &Ident, input: ParseStream<'_>) -> Result<()> {
        match name.to_string().as_str() {
            "blocking" => self.blocking = flag(input)?,
            "result" => self.result = Some(flag(input)?),
            "in_impl" => self.in_impl = Some(flag(input)?),
            "key" => self.key = Some(expression(name, input)?),
            "in" => self.coalescer = Some(expression(name, input)?),
            "skip" => self.skip = names(name, input)?,
            "crate" => {
                input.parse::<Token![=]>()?;
                let path: LitStr = input.parse()?;
                self.library = Some(path.parse_with(Path::parse_mod_style)?);
            }
            "shards" => self.count(name, input, false)?,
            "max_waiters_per_flight" | "max_flights" => self.count(name, input, true)?,
            "max_flight_duration" | "max_extended_duration" => {
                let value = expression(name, input)?;
                let duration = duration(name, &value)?;
                self.set(name, Value::Expression(duration), true);
            }
            "no_flight_deadline" => {
                if flag(input)? {
                    self.set(name, Value::Flag, false);
                }
            }
            "on_abandon" => self.policy(name, input, "OnAbandon", &["Finish", "Abort"], false)?,
            "on_expiry" => self.policy(name, input, "OnExpiry", &["Fail", "Detach"], true)?,
            unknown => return Err(Error::new(name.span(), no_such_option(unknown))),
        }
        Ok(())
    }

    fn set(&mut self, name: &Ident, value: Value, can_fail: bool) {
        self.settings.push(Setting { name: name.clone(), value, can_fail });
    }

    fn count(&mut self, name: &Ident, input: ParseStream<'_>, can_fail: bool) -> Result<()> {
        let value = expression(name, input)?;
        if let Some(number) = literal(&value) {
            if !matches!(number, Lit::Int(_)) {
                return Err(Error::new(value.span(), format!("`{name}` is a count: a whole number, 1 or more")));
            }
            refuse_zero(name, number)?;
        }
        refuse_negative(name, &value)?;
        self.set(name, Value::Expression(quote!(#value)), can_fail);
        Ok(())
    }

    fn policy(
        &mut self,
        name: &Ident,
        input: ParseStream<'_>,
        policy: &str,
        variants: &[&str; 2],
        can_fail: bool,
    ) -> Result<()> {
        let value = expression(name, input)?;
        let given = match &value {
            Expr::Path(ExprPath { path, .. }) => path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        let Some(variant) = variants.iter().find(|variant| given.as_deref() == Some(**variant)) else {
            let [one, other] = variants;
            return Err(Error::new(value.span(), format!("`{name}` is either \"{one}\" or \"{other}\"")));
        };
        let (policy, variant) = (Ident::new(policy, Span::call_site()), Ident::new(variant, value.span()));
        self.set(name, Value::Policy(policy, variant), can_fail);
        Ok(())
    }

    /// The settings as calls of the private coalescer's builder.
    pub(crate) fn builder_calls(&self) -> TokenStream {
        let library = self.library();
        let call = |Setting { name, value, .. }: &Setting| match value {
            Value::Flag => quote!(.#name()),
            Value::Expression(value) => quote!(.#name(#value)),
            Value::Policy(policy, variant) => quote!(.#name(#library::#policy::#variant)),
        };
        self.settings.iter().map(call).collect()
    }

    /// The path of the crate that the expansion calls.
    pub(crate) fn library(&self) -> TokenStream {
        self.library.as_ref().map_or_else(|| quote!(::shardflight), |path| quote!(#path))
    }

    pub(crate) fn skips(&self, name: &str) -> bool {
        self.skip.iter().any(|skipped| skipped.unraw() == name)
    }
}

fn no_such_option(name: &str) -> String {
    match name {
        "convert" => "`convert` is `key` here: an expression over the arguments".to_string(),
        "ty" | "create" | "name" => {
            format!(
                "there is no `{name}`: types are inferred, and a coalescer of your own is named with `in = \"...\"`"
            )
        }
        "time" | "ttl" | "size" | "max_size" | "option" | "refresh" => {
            format!("there is no `{name}`: calls are coalesced while they run, and nothing is kept after that")
        }
        _ => format!("there is no option `{name}`; there are {KNOWN}"),
    }
}

/// An option without a value, or with `= true` or `= false`.
fn flag(input: ParseStream<'_>) -> Result<bool> {
    if !input.peek(Token![=]) {
        return Ok(true);
    }
    input.parse::<Token![=]>()?;
    Ok(input.parse::<LitBool>()?.value)
}

/// An expression, possibly in a string.
fn expression(name: &Ident, input: ParseStream<'_>) -> Result<Expr> {
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

fn names(option: &Ident, input: ParseStream<'_>) -> Result<Vec<Ident>> {
    if !input.peek(syn::token::Paren) {
        return Err(Error::new(option.span(), "`skip` lists arguments: `skip(trace_id, deadline)`"));
    }
    let list;
    parenthesized!(list in input);
    let names = Punctuated::<Ident, Token![,]>::parse_terminated_with(&list, Ident::parse_any)?;
    Ok(names.into_iter().collect())
}

fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        _ => None,
    }
}

/// A number of seconds, or any other expression.
fn duration(name: &Ident, value: &Expr) -> Result<TokenStream> {
    refuse_negative(name, value)?;
    let Some(number) = literal(value) else { return Ok(quote!(#value)) };
    refuse_zero(name, number)?;
    match number {
        Lit::Int(_) => Ok(quote_spanned!(value.span() => ::core::time::Duration::new(#number, 0))),
        Lit::Float(_) => Ok(quote_spanned!(value.span() => ::core::time::Duration::from_secs_f64(#number))),
        _ => Err(Error::new(value.span(), format!("`{name}` is a number of seconds, or a `Duration`"))),
    }
}

fn refuse_zero(name: &dyn std::fmt::Display, number: &Lit) -> Result<()> {
    let is_zero = match number {
        Lit::Int(number) => number.base10_parse::<u128>().is_ok_and(|number| number == 0),
        Lit::Float(number) => number.base10_parse::<f64>().is_ok_and(|number| number <= 0.0),
        _ => false,
    };
    if is_zero { Err(Error::new(number.span(), format!("`{name}` is 0; it has to be more"))) } else { Ok(()) }
}

fn refuse_negative(name: &dyn std::fmt::Display, value: &Expr) -> Result<()> {
    match value {
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), .. }) => {
            Err(Error::new(value.span(), format!("`{name}` is negative; it has to be more than 0")))
        }
        _ => Ok(()),
    }
}
