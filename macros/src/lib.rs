//! The attribute macro of `shardflight`, which re-exports and documents it as `shardflight::coalesce` (feature `macros`).
//!
//! The function under the original name joins, and `<name>_no_coalesce` has the body. The expansion is small: it calls
//! `shardflight::__macros`.

mod arguments;
mod borrows;
mod cache;
mod cached;
mod companions;
mod errors;
mod expansion;
mod foreign;
mod foreign_caches;
mod function;
mod key;
mod options;
mod recovery;
mod recursion;
mod refusals;
mod traits;
mod values;

use std::mem;

use proc_macro::TokenStream;
use syn::parse_macro_input;

use crate::{function::Function, options::Options};

/// Makes concurrent calls with equal arguments share one execution.
#[proc_macro_attribute]
pub fn coalesce(options: TokenStream, item: TokenStream) -> TokenStream {
    // Kept where there are errors, so that the function's callers don't cause further ones.
    let mut kept = proc_macro2::TokenStream::from(item.clone());
    let mut options = parse_macro_input!(options as Options);
    let mut errors = mem::take(&mut options.errors);
    let expanded = match Function::parse(item.into(), &options) {
        Ok(function) => {
            refusals::check(&function, &options, &mut errors);
            if recursion::find(&function, &options).is_some() {
                // The compiler's own advice about recursion isn't enough here.
                kept = function.without_body();
            }
            expansion::expand(&function, &options)
        }
        Err(error) => {
            errors.add(error);
            proc_macro2::TokenStream::new()
        }
    };
    let Some(error) = errors.into_error() else { return expanded.into() };
    let mut output = error.to_compile_error();
    output.extend(kept);
    output.into()
}
