//! The options of the function's cache: `cache(...)`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Error, Expr, Ident, Result, Token, ext::IdentExt, parenthesized, parse::ParseStream, token::Paren};

use crate::{
    errors::Errors,
    foreign_caches, recovery,
    values::{count, duration, durations, expression, factor, fraction},
};

pub(crate) const KNOWN: [&str; 14] = [
    "ttl",
    "max_entries",
    "max_weight",
    "weigher",
    "jitter",
    "refresh_ahead",
    "refresh_ahead_xfetch",
    "stale_while_revalidate",
    "stale_if_error",
    "error_backoff",
    "soft_timeout",
    "negative_ttl",
    "negative_if",
    "fill",
];

pub(crate) struct Cache {
    /// Of the option's name.
    pub(crate) span: Span,
    /// As it was written.
    pub(crate) ttl: Option<Expr>,
    /// Which errors or values are kept as negative entries.
    pub(crate) negative_if: Option<Expr>,
    /// Makes a `Fill` of a value.
    pub(crate) fill: Option<Expr>,
    /// The calls of the cache's builder.
    settings: Vec<(Ident, TokenStream)>,
    seen: Vec<Ident>,
}

impl Cache {
    /// Doesn't stop at an error in the brackets: all of them are added to `errors`.
    pub(crate) fn parse(name: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> Result<Self> {
        is_available(name, cfg!(feature = "cache"))?;
        if !input.peek(Paren) {
            return Err(Error::new(name.span(), "`cache` has options of its own: `cache(ttl = \"60s\")`"));
        }
        let options;
        parenthesized!(options in input);
        let mut cache = Self {
            span: name.span(),
            ttl: None,
            negative_if: None,
            fill: None,
            settings: Vec::new(),
            seen: Vec::new(),
        };
        let mut are_right = true;
        while !options.is_empty() {
            if let Err(error) = cache.parse_one(&options) {
                are_right = false;
                errors.add(error);
                recovery::skip_option(&options)?;
            }
        }
        if are_right {
            cache.check(errors);
        }
        Ok(cache)
    }

    /// One option and the comma behind it.
    fn parse_one(&mut self, input: ParseStream<'_>) -> Result<()> {
        let name = input.call(Ident::parse_any)?;
        if self.gives(&name.to_string()).is_some() {
            return Err(Error::new(name.span(), format!("`{name}` is given twice")));
        }
        self.take(&name, input)?;
        self.seen.push(name);
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        Ok(())
    }

    fn take(&mut self, name: &Ident, input: ParseStream<'_>) -> Result<()> {
        let title = name.to_string();
        if !KNOWN.contains(&&*title) {
            return Err(Error::new(name.span(), foreign_caches::advice_inside(&title)));
        }
        let value = expression(name, input)?;
        let setting = match &*title {
            "negative_if" => {
                self.negative_if = Some(value);
                return Ok(());
            }
            "fill" => {
                self.fill = Some(value);
                return Ok(());
            }
            "max_entries" | "max_weight" => count(name, &value).map(|()| quote!(#value))?,
            "jitter" | "refresh_ahead" => fraction(name, &value).map(|()| quote!(#value))?,
            "refresh_ahead_xfetch" => factor(name, &value).map(|()| quote!(#value))?,
            "error_backoff" => durations(name, &value)?,
            "weigher" => quote!(#value),
            _ => duration(name, &value)?,
        };
        if title == "ttl" {
            self.ttl = Some(value);
        }
        self.settings.push((name.clone(), setting));
        Ok(())
    }

    /// What `build` of the cache would reject at the first call.
    fn check(&self, errors: &mut Errors) {
        if self.ttl.is_none() {
            let advice = "`cache` needs a `ttl`, the time for which a value is good enough: `cache(ttl = \"60s\")`";
            errors.at(self.span, advice);
        }
        let needed: [(&str, &[&str]); 4] = [
            ("weigher", &["max_weight"]),
            ("soft_timeout", &["stale_if_error", "stale_while_revalidate"]),
            ("negative_if", &["negative_ttl"]),
            ("negative_ttl", &["negative_if", "fill"]),
        ];
        for (option, needs) in needed {
            if let Some(name) = self.gives(option).filter(|_| needs.iter().all(|other| self.gives(other).is_none())) {
                let needs: Vec<_> = needs.iter().map(|other| format!("`{other}`")).collect();
                errors.at(name.span(), &format!("`{option}` has no effect without {}", needs.join(" or ")));
            }
        }
        for (one, other) in [("max_entries", "max_weight"), ("refresh_ahead", "refresh_ahead_xfetch")] {
            if let (Some(_), Some(name)) = (self.gives(one), self.gives(other)) {
                let advice = format!("`{other}` takes the place of `{one}`: remove one of the two");
                errors.at(name.span(), &advice);
            }
        }
    }

    fn gives(&self, name: &str) -> Option<&Ident> {
        self.seen.iter().find(|seen| *seen == name)
    }

    /// The options as calls of the cache's builder, without those that are parts of a load.
    pub(crate) fn builder_calls(&self) -> TokenStream {
        self.settings.iter().map(|(name, value)| quote!(.#name(#value))).collect()
    }
}

fn is_available(name: &Ident, is_on: bool) -> Result<()> {
    let advice = "`cache` needs the feature `cache` of shardflight: `features = [\"macros\", \"cache\"]` in Cargo.toml";
    if is_on { Ok(()) } else { Err(Error::new(name.span(), advice)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feature_is_named_where_it_is_off() {
        let name = Ident::new("cache", Span::call_site());
        assert!(is_available(&name, true).is_ok());
        let error = is_available(&name, false).unwrap_err();
        assert!(error.to_string().contains("features = [\"macros\", \"cache\"]"), "{error}");
    }
}
