//! The attribute macro of `shardflight`, which has it as `shardflight::coalesce` with its feature `macros`, and documents
//! it there.
//!
//! A function becomes two: the one of its name joins, and `<name>_no_coalesce` has the body. What is written into the
//! user's code is as little as can be, and calls `shardflight::__macros`.

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
            // The function as it was, so that no caller of it is in error, too.
            let mut refused = error.to_compile_error();
            refused.extend(unchanged);
            refused
        })
        .into()
}
