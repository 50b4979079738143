//! The attribute's options.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Error, Expr, ExprPath, Ident, LitStr, Path, Result, Token,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    spanned::Spanned,
};

use crate::{
    cache::Cache,
    errors::Errors,
    foreign, recovery,
    values::{count, duration, expression, flag, names},
};

#[derive(Default)]
pub(crate) struct Options {
    pub(crate) blocking: bool,
    pub(crate) key: Option<Expr>,
    pub(crate) skip: Vec<Ident>,
    /// `in`: the coalescer that the user names.
    pub(crate) coalescer: Option<Expr>,
    /// Makes the function's error of the shared one, or of the call's.
    pub(crate) map_err: Option<Expr>,
    pub(crate) result: Option<bool>,
    pub(crate) in_impl: Option<bool>,
    pub(crate) cache: Option<Cache>,
    pub(crate) library: Option<Path>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) errors: Errors,
    seen: Vec<Ident>,
    /// The options with errors, by the names that they have here.
    doubtful: Vec<String>,
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

impl Parse for Options {
    /// Doesn't stop at an error: all of them are in `errors`, and the options that are right are there.
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        while !input.is_empty() {
            if let Err(error) = options.parse_one(input) {
                options.errors.add(error);
                recovery::skip_option(input)?;
            }
        }
        Ok(options)
    }
}

impl Options {
    /// One option and the comma behind it.
    fn parse_one(&mut self, input: ParseStream<'_>) -> Result<()> {
        let name = input.call(Ident::parse_any)?;
        if self.seen.contains(&name) {
            return Err(Error::new(name.span(), format!("`{name}` is given twice")));
        }
        self.seen.push(name.clone());
        self.take(&name, input).inspect_err(|_| self.doubtful.push(foreign::meant(&name)))?;
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        Ok(())
    }

    /// Whether one of these options was given, or meant, but isn't understood. What follows from its absence is no error then.
    pub(crate) fn doubts(&self, names: &[&str]) -> bool {
        self.doubtful.iter().any(|name| names.contains(&name.as_str()))
    }

    fn take(&mut self, name: &Ident, input: ParseStream<'_>) -> Result<()> {
        match name.to_string().as_str() {
            "blocking" => self.blocking = flag(input)?,
            "result" => self.result = Some(flag(input)?),
            "in_impl" => self.in_impl = Some(flag(input)?),
            "key" => self.key = Some(expression(name, input)?),
            "in" => self.coalescer = Some(expression(name, input)?),
            "map_err" => self.map_err = Some(expression(name, input)?),
            "skip" => self.skip = names(name, input)?,
            "cache" => self.cache = Some(Cache::parse(name, input, &mut self.errors)?),
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
            _ => return Err(Error::new(name.span(), foreign::advice(name))),
        }
        Ok(())
    }

    fn set(&mut self, name: &Ident, value: Value, can_fail: bool) {
        self.settings.push(Setting { name: name.clone(), value, can_fail });
    }

    fn count(&mut self, name: &Ident, input: ParseStream<'_>, can_fail: bool) -> Result<()> {
        let value = expression(name, input)?;
        count(name, &value)?;
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
