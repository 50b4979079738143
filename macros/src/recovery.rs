//! Finds the next option after an error.

use proc_macro2::{Delimiter, TokenTree};
use syn::{Result, buffer::Cursor, parse::ParseStream};

/// Skips the rest of an option, and the comma behind it.
pub(crate) fn skip_option(input: ParseStream<'_>) -> Result<()> {
    input.step(|cursor| {
        let mut rest = *cursor;
        while let Some((token, next)) = rest.token_tree() {
            rest = next;
            if matches!(token, TokenTree::Punct(comma) if comma.as_char() == ',') && starts_option(next) {
                break;
            }
        }
        Ok(((), rest))
    })
}

/// Whether this looks like an option: commas are within values, too, as in `a::<B, C>()`.
fn starts_option(cursor: Cursor<'_>) -> bool {
    let Some((_, after)) = cursor.ident() else { return cursor.eof() };
    let is_value = || after.punct().is_some_and(|(punct, _)| matches!(punct.as_char(), '=' | ',' | ':'));
    after.eof() || after.group(Delimiter::Parenthesis).is_some() || is_value()
}
