//! Finds a function's calls of itself.

use proc_macro2::Span;
use syn::{
    Expr, ExprCall, ExprMethodCall, Ident, Item, ItemFn, PatIdent,
    ext::IdentExt,
    spanned::Spanned,
    visit::{self, Visit},
};

use crate::{function::Function, options::Options};

/// The first call of the function in its own body.
///
/// Within macros none are found; the compiler then reports a cycle.
pub(crate) fn find(function: &Function, options: &Options) -> Option<Span> {
    if options.blocking {
        // There is no future whose type would contain itself.
        return None;
    }
    let mut search =
        Search { name: function.name().unraw(), in_impl: function.in_impl, call: None, is_shadowed: false };
    search.visit_block(&function.item.block);
    search.call.filter(|_| !search.is_shadowed)
}

struct Search {
    name: Ident,
    in_impl: bool,
    call: Option<Span>,
    /// Whether the body gives the name to something else.
    is_shadowed: bool,
}

impl<'ast> Visit<'ast> for Search {
    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(path) = &*call.func {
            let segments: Vec<_> = path.path.segments.iter().map(|segment| segment.ident.unraw()).collect();
            let is_itself = match &segments[..] {
                [name] => !self.in_impl && *name == self.name,
                [of, name] => *name == self.name && (self.in_impl && of == "Self" || !self.in_impl && of == "self"),
                _ => false,
            };
            if is_itself {
                self.call.get_or_insert(path.span());
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let is_on_self = matches!(&*call.receiver, Expr::Path(receiver) if receiver.path.is_ident("self"));
        if is_on_self && call.method.unraw() == self.name {
            self.call.get_or_insert(call.method.span());
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        self.is_shadowed |= !self.in_impl && pattern.ident.unraw() == self.name;
        visit::visit_pat_ident(self, pattern);
    }

    // Functions within the body have bodies of their own: one that returns a boxed future may call the function.
    fn visit_item(&mut self, item: &'ast Item) {
        let name = match item {
            Item::Fn(ItemFn { sig, .. }) => &sig.ident,
            _ => return,
        };
        self.is_shadowed |= !self.in_impl && name.unraw() == self.name;
    }
}
