//! A crate's files as modules: which file is which module, and which exist for tests only.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Item, Meta};

/// The module's names below the crate root; empty for the root itself.
pub type ModulePath = Vec<String>;

/// One parsed file of a crate.
pub struct Source {
    pub file: PathBuf,
    pub module: ModulePath,
    pub syntax: syn::File,
}

impl Source {
    /// Parses `text`; `relative` is the file's place below the crate's `src`.
    pub fn parse(file: PathBuf, relative: &Path, text: &str) -> syn::Result<Self> {
        Ok(Self { file, module: module_of(relative), syntax: syn::parse_file(text)? })
    }
}

/// Every `.rs` file below `src`, parsed, in the order of their names.
pub fn read_crate(src: &Path) -> Result<Vec<Source>, Box<dyn Error>> {
    let mut files = Vec::new();
    collect(src, &mut files)?;
    files.sort();
    let mut sources = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)?;
        let relative = file.strip_prefix(src).expect("collected below src").to_owned();
        let name = file.display().to_string();
        sources.push(Source::parse(file, &relative, &text).map_err(|error| {
            format!("{name}:{}: cannot be parsed: {error}", error.span().start().line)
        })?);
    }
    Ok(sources)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn module_of(relative: &Path) -> ModulePath {
    let mut names: ModulePath = relative
        .with_extension("")
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    if matches!(names.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        names.pop();
    }
    names
}

/// What the files say about the crate's modules.
#[derive(Default)]
pub struct Modules {
    pub all: BTreeSet<ModulePath>,
    tests: BTreeSet<ModulePath>,
}

impl Modules {
    pub fn of(sources: &[Source]) -> Self {
        let mut modules = Self::default();
        for source in sources {
            modules.all.insert(source.module.clone());
            modules.declare(&source.module, &source.syntax.items);
        }
        modules
    }

    fn declare(&mut self, parent: &ModulePath, items: &[Item]) {
        for item in items {
            let Item::Mod(inner) = item else { continue };
            let mut path = parent.clone();
            path.push(inner.ident.to_string());
            if is_test_only(&inner.attrs) {
                self.tests.insert(path.clone());
            }
            if let Some((_, items)) = &inner.content {
                self.declare(&path, items);
            }
            self.all.insert(path);
        }
    }

    /// True for a module declared under `#[cfg(test)]`, and for those below it.
    pub fn is_test_only(&self, module: &ModulePath) -> bool {
        (1..=module.len()).any(|length| self.tests.contains(&module[..length]))
    }

    /// The longest part of `path` that is a module.
    pub fn owner_of<'p>(&self, path: &'p [String]) -> &'p [String] {
        (0..=path.len())
            .rev()
            .map(|length| &path[..length])
            .find(|part| self.has(part))
            .unwrap_or(&[])
    }

    pub fn has(&self, path: &[String]) -> bool {
        self.all.contains(path)
    }
}

/// True under `#[cfg(test)]` or `#[cfg(all(test, …))]`: never part of what ships.
pub fn is_test_only(attributes: &[Attribute]) -> bool {
    fn demands_test(meta: &Meta) -> bool {
        match meta {
            Meta::Path(path) => path.is_ident("test"),
            Meta::List(list) if list.path.is_ident("all") => list
                .parse_args_with(
                    syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated,
                )
                .is_ok_and(|parts| parts.iter().any(demands_test)),
            _ => false,
        }
    }
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .any(|attribute| attribute.parse_args::<Meta>().is_ok_and(|meta| demands_test(&meta)))
}
