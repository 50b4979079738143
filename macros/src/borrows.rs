//! Finds borrows in types: the work, a detached task, can't hold any.

use proc_macro2::Span;
use syn::{
    Lifetime, ParenthesizedGenericArguments, Type, TypeBareFn, TypeImplTrait, TypeReference,
    spanned::Spanned,
    visit::{self, Visit},
};

pub(crate) fn is_static(lifetime: Option<&Lifetime>) -> bool {
    lifetime.is_some_and(|lifetime| lifetime.ident == "static")
}

/// The first reference or lifetime that isn't `'static`.
pub(crate) fn find(ty: &Type) -> Option<Span> {
    let mut search = Search::default();
    search.visit_type(ty);
    search.borrow
}

/// The first `impl Trait`.
pub(crate) fn find_impl_trait(ty: &Type) -> Option<Span> {
    let mut search = Search::default();
    search.visit_type(ty);
    search.impl_trait
}

#[derive(Default)]
struct Search {
    borrow: Option<Span>,
    impl_trait: Option<Span>,
}

impl<'ast> Visit<'ast> for Search {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        if !is_static(reference.lifetime.as_ref()) {
            self.borrow.get_or_insert(reference.span());
        }
        self.visit_type(&reference.elem);
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if !is_static(Some(lifetime)) {
            self.borrow.get_or_insert(lifetime.span());
        }
    }

    fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
        self.impl_trait.get_or_insert(ty.span());
        visit::visit_type_impl_trait(self, ty);
    }

    // References in the parameters of a function type are no borrows.
    fn visit_type_bare_fn(&mut self, _: &'ast TypeBareFn) {}

    fn visit_parenthesized_generic_arguments(&mut self, _: &'ast ParenthesizedGenericArguments) {}
}
