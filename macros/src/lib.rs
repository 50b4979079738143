//! The attribute macro of `shardflight`, which re-exports and documents it as `shardflight::coalesce` (feature `macros`).
//!
//! The function under the original name joins, and `<name>_no_coalesce` has the body. The expansion is small: it calls
//! `shardflight::__macros`.

mod arguments;
mod borrows;
mod companions;
mod expansion;
mod function;
mod key;
mod options;
mod refusals;

use proc_macro::TokenStream;
use syn::parse_macro_input;

use crate::{function::Function, options::Options};

/// Makes concurrent calls with equal arguments share one execution.
#[proc_macro_attribute]
pub fn coalesce(options: TokenStream, item: TokenStream) -> TokenStream {
    let unchanged = proc_macro2::TokenStream::from(item.clone());
    let options = parse_macro_input!(options as Options);
    let expanded = Function::parse(item.into(), &options).and_then(|function| {
        refusals::check(&function, &options)?;
        Ok(expansion::expand(&function, &options))
    });
    expanded
        .unwrap_or_else(|error| {
            // Keeps the original function, so that its callers don't cause further errors.
            let mut output = error.to_compile_error();
            output.extend(unchanged);
            output
        })
        .into()
}
