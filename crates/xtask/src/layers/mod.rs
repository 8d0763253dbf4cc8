//! The layer check: `crates/core` is an onion, some libraries have one door, `unsafe` has homes.
//!
//! ```text
//! files ──source──▶ modules ──mention──▶ paths and `unsafe` ──here, with the tables of rules──▶
//!                                                     file:line, what, why, and how to mend it
//! ```
//!
//! It reads syntax, not types: a re-export in a lower ring could carry a name around it. The
//! tables in `rules` are the part to edit.

use std::error::Error;
use std::fmt;
use std::path::Path;

mod mention;
mod rules;
mod source;
#[cfg(test)]
mod tests;

use mention::{Mention, Target, mentions};
use source::{ModulePath, Modules, Source, read_crate};

/// One broken rule.
#[derive(Debug)]
struct Violation {
    file: String,
    line: usize,
    what: String,
    why: String,
    mend: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, what, why, mend } = self;
        write!(f, "{file}:{line}: {what}\n  why:  {why}\n  mend: {mend}")
    }
}

/// Checks every crate under `root`.
///
/// # Errors
/// When a file cannot be read or parsed, or with the list of all broken rules.
pub fn run(root: &Path) -> Result<(), Box<dyn Error>> {
    let crates = root.join("crates");
    let mut violations = onion(&read_crate(&crates.join("core/src"))?);
    let mut folders: Vec<_> = std::fs::read_dir(&crates)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    folders.sort();
    for folder in folders.iter().filter(|folder| folder.join("src").is_dir()) {
        violations.extend(unsafety(&read_crate(&folder.join("src"))?, &crates));
    }
    if violations.is_empty() {
        return Ok(());
    }
    let count = violations.len();
    let mut lines: Vec<String> = violations.iter().map(Violation::to_string).collect();
    lines.push(format!(
        "{count} broken layer rule(s); the tables: crates/xtask/src/layers/rules.rs"
    ));
    let prefix = format!("{}/", root.display());
    Err(lines.join("\n").replace(&prefix, "").into())
}

/// Rings and library borders of the core.
fn onion(sources: &[Source]) -> Vec<Violation> {
    let modules = Modules::of(sources);
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| !modules.is_test_only(&source.module)) {
        let violation = |line, (what, why, mend)| Violation {
            file: source.file.display().to_string(),
            line,
            what,
            why,
            mend,
        };
        let Some(ring) = rules::ring_of(&source.module) else {
            violations.push(violation(1, no_ring(&source.module)));
            continue;
        };
        for mention in mentions(source, &modules) {
            let (line, broken) = match mention {
                Mention::Path { target: Target::Here(path), line } => {
                    (line, inward(ring, source, modules.owner_of(&path), &path))
                }
                Mention::Path { target: Target::Library(path), line } => {
                    (line, outward(ring, source, &path))
                }
                Mention::MovedModule { line } => (line, Some(moved())),
                Mention::Unsafe { .. } => continue, // every crate's, see `unsafety`
            };
            violations.extend(broken.map(|broken| violation(line, broken)));
        }
    }
    violations
}

/// `unsafe` outside its homes, in any crate.
fn unsafety(sources: &[Source], crates: &Path) -> Vec<Violation> {
    let modules = Modules::of(sources);
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| !modules.is_test_only(&source.module)) {
        let file = source.file.strip_prefix(crates).unwrap_or(&source.file);
        if rules::may_be_unsafe(&file.to_string_lossy()) {
            continue;
        }
        for mention in mentions(source, &modules) {
            if let Mention::Unsafe { line } = mention {
                violations.push(Violation {
                    file: source.file.display().to_string(),
                    line,
                    what: "`unsafe` outside its homes".into(),
                    why: "a reader must know every file where the compiler does not check".into(),
                    mend: format!("move it to one of {}", rules::UNSAFE_HOMES.join(", ")),
                });
            }
        }
    }
    violations
}

type Broken = (String, String, String);

fn no_ring(module: &ModulePath) -> Broken {
    (
        format!("module `{}` has no ring", module.join("::")),
        "a module outside the onion may use anything, and anything may use it".into(),
        "give it a ring in RINGS, or move it into a module that has one".into(),
    )
}

fn moved() -> Broken {
    (
        "a module is moved by `#[path = …]`".into(),
        "the tree of files is the tree of modules; readers and this check rely on it".into(),
        "put the file where the module's name says".into(),
    )
}

/// A path of this crate: only the own ring and lower ones.
fn inward(ring: usize, source: &Source, owner: &[String], path: &[String]) -> Option<Broken> {
    let target = rules::ring_of(owner)?; // without a ring: said once, at its own file
    if target <= ring {
        return None;
    }
    let (own, other) = (&rules::RINGS[ring], &rules::RINGS[target]);
    let module = source.module.join("::");
    let mend = if owner.is_empty() {
        "name the module that defines it, not the crate root that re-exports it".into()
    } else {
        format!(
            "move what both need to ring {ring} or below, or let `{}` pass it in",
            owner.join("::")
        )
    };
    Some((
        format!(
            "`{module}` (ring {ring}, {}) uses `crate::{}` (ring {target}, {})",
            own.word,
            path.join("::"),
            other.word
        ),
        format!("a ring knows only itself and those below; {}", own.rule),
        mend,
    ))
}

/// A path of a library: some have few homes, and the low rings have no runtime and no clock.
fn outward(ring: usize, source: &Source, path: &[String]) -> Option<Broken> {
    let (name, module) = (path.join("::"), source.module.join("::"));
    let rule = rules::RINGS[ring].rule;
    for library in rules::LIBRARIES {
        if library.crates.contains(&path[0].as_str())
            && !rules::lives_in(library.homes, &source.module)
        {
            let mend = match library.homes {
                [] => "keep it in crates/py and hand the core plain values".into(),
                homes => format!("wrap it in `{}` and use that", homes.join("` or `")),
            };
            return Some((format!("`{module}` names `{name}`"), library.why.into(), mend));
        }
    }
    if ring < rules::RINGS_WITHOUT_TOKIO && path[0] == "tokio" {
        let allowed = path.len() >= rules::TOKIO_ALLOWED.len()
            && path.iter().zip(rules::TOKIO_ALLOWED).all(|(name, want)| name == want);
        if !allowed {
            return Some((
                format!("`{module}` (ring {ring}) names `{name}`"),
                format!("{rule}; of tokio only `tokio::time::Instant` is allowed here"),
                "return an effect and let ring 2 or 3 carry it out".into(),
            ));
        }
    }
    if ring == rules::RING_WITHOUT_CLOCK && path.ends_with(&["Instant".into(), "now".into()]) {
        return Some((
            format!("`{module}` reads a clock (`{name}`)"),
            rule.into(),
            "take `now: Instant` as a parameter; the owner of the task reads the clock".into(),
        ));
    }
    None
}
