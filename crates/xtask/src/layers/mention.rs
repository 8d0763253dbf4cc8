//! Finds what a file mentions: paths, written in `use`, in code, in attributes and in the tokens
//! of macro calls, and `unsafe`. Judges nothing.
//!
//! `#[cfg(test)]` items are passed over: they are no part of what ships.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    Attribute, ExprUnsafe, ImplItemFn, Item, ItemForeignMod, ItemImpl, ItemMod, ItemTrait, ItemUse,
    Macro, Meta, Path, Signature, UseTree, Visibility,
};

use super::source::{ModulePath, Modules, Source, is_test_only};

/// What a path leads to, with `crate`, `self` and `super` resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Names below this crate's root.
    Here(Vec<String>),
    /// A library, its name first. Also any path that starts with a type; no rule matches those.
    Library(Vec<String>),
}

/// One thing that a file says, and where.
#[derive(Debug)]
pub enum Mention {
    Path {
        target: Target,
        line: usize,
    },
    Unsafe {
        line: usize,
    },
    /// `#[path = …]`: the module is not where its name says.
    MovedModule {
        line: usize,
    },
}

/// Everything that `source` mentions outside of its tests.
pub fn mentions(source: &Source, modules: &Modules) -> Vec<Mention> {
    let mut finder = Finder { module: source.module.clone(), modules, found: Vec::new() };
    finder.visit_file(&source.syntax);
    finder.found
}

struct Finder<'m> {
    module: ModulePath,
    modules: &'m Modules,
    found: Vec<Mention>,
}

impl Finder<'_> {
    fn path(&mut self, absolute: bool, names: &[String], span: Span) {
        let target = self.resolve(absolute, names);
        self.found.push(Mention::Path { target, line: span.start().line });
    }

    fn resolve(&self, absolute: bool, names: &[String]) -> Target {
        let (first, rest) = names.split_first().expect("a path has a name");
        if absolute {
            return Target::Library(names.to_vec());
        }
        match first.as_str() {
            "crate" => Target::Here(rest.to_vec()),
            "self" => Target::Here([&self.module, rest].concat()),
            "super" => {
                let ups = names.iter().take_while(|name| *name == "super").count();
                let base = &self.module[..self.module.len().saturating_sub(ups)];
                Target::Here([base, &names[ups..]].concat())
            }
            _ => {
                let child = [&self.module[..], &names[..1]].concat();
                if self.modules.has(&child) {
                    Target::Here([&self.module[..], names].concat())
                } else {
                    Target::Library(names.to_vec())
                }
            }
        }
    }

    fn unsafety(&mut self, span: Span) {
        self.found.push(Mention::Unsafe { line: span.start().line });
    }

    fn use_tree(&mut self, absolute: bool, before: &[String], tree: &UseTree) {
        let mut names = before.to_vec();
        match tree {
            UseTree::Path(path) => {
                names.push(path.ident.to_string());
                self.use_tree(absolute, &names, &path.tree);
            }
            UseTree::Name(name) => {
                if name.ident != "self" || names.is_empty() {
                    names.push(name.ident.to_string());
                }
                self.path(absolute, &names, name.ident.span());
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" || names.is_empty() {
                    names.push(rename.ident.to_string());
                }
                self.path(absolute, &names, rename.ident.span());
            }
            UseTree::Glob(glob) => self.path(absolute, &names, glob.star_token.spans[0]),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(absolute, before, tree);
                }
            }
        }
    }

    /// A macro's tokens are no syntax yet, so whatever looks like a path counts as one.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut names: Vec<String> = Vec::new();
        let mut start = Span::call_site();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if ident == "unsafe" {
                        self.unsafety(ident.span());
                    }
                    if colons != 2 {
                        self.flush(&mut names, start);
                    }
                    if names.is_empty() {
                        start = ident.span();
                    }
                    names.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.flush(&mut names, start);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.flush(&mut names, start);
    }

    fn flush(&mut self, names: &mut Vec<String>, span: Span) {
        if names.len() > 1 {
            self.path(false, names, span);
        }
        names.clear();
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test_only(attributes_of(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.use_tree(item.leading_colon.is_some(), &[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        // One name alone is a local name, a prelude name or something that a `use` brought in.
        if path.segments.len() > 1 {
            let names: Vec<String> =
                path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.path(path.leading_colon.is_some(), &names, path.segments[0].ident.span());
        }
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {
        // `pub(in crate::x)` names who may look in, not what is used.
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        match &attribute.meta {
            Meta::NameValue(value) if value.path.is_ident("path") => {
                let line = attribute.pound_token.spans[0].start().line;
                self.found.push(Mention::MovedModule { line });
            }
            Meta::List(list) => {
                if list.path.is_ident("unsafe") {
                    self.unsafety(attribute.pound_token.spans[0]);
                }
                self.tokens(list.tokens.clone());
            }
            _ => {}
        }
        visit::visit_attribute(self, attribute);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !is_test_only(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_expr_unsafe(&mut self, block: &'ast ExprUnsafe) {
        self.unsafety(block.unsafe_token.span);
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_signature(&mut self, signature: &'ast Signature) {
        if let Some(token) = signature.unsafety {
            self.unsafety(token.span);
        }
        visit::visit_signature(self, signature);
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if let Some(token) = item.unsafety {
            self.unsafety(token.span);
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        if let Some(token) = item.unsafety {
            self.unsafety(token.span);
        }
        visit::visit_item_trait(self, item);
    }

    fn visit_item_foreign_mod(&mut self, item: &'ast ItemForeignMod) {
        self.unsafety(item.abi.extern_token.span);
        visit::visit_item_foreign_mod(self, item);
    }
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
