//! Small crates with one fault each, and the fault that must be named.

use std::path::{Path, PathBuf};

use super::*;

fn sources(files: &[(&str, &str)]) -> Vec<Source> {
    let parse = |(name, text): &(&str, &str)| {
        Source::parse(PathBuf::from("crates/core/src").join(name), Path::new(name), text)
            .expect("the test's own Rust")
    };
    files.iter().map(parse).collect()
}

/// `file:line: what` of each violation of a core made of `files`.
fn broken(files: &[(&str, &str)]) -> Vec<String> {
    onion(&sources(files))
        .iter()
        .map(|found| {
            let file = found.file.strip_prefix("crates/core/src/").expect("a file of the test");
            format!("{file}:{}: {}", found.line, found.what)
        })
        .collect()
}

const TREE: &[(&str, &str)] = &[
    ("lib.rs", "mod error; mod policy; mod process; mod worker; mod pool; pub use pool::Pool;"),
    ("error.rs", "pub struct Error;"),
    ("process/mod.rs", "pub mod spawn; pub struct Child;"),
    ("process/spawn.rs", ""),
    ("worker/mod.rs", "pub struct Worker;"),
    ("pool/mod.rs", "pub mod state; pub mod lease; pub struct Pool;"),
    ("pool/state.rs", "pub struct State;"),
    ("pool/lease.rs", "pub struct Lease;"),
];

fn broken_with(name: &str, text: &str) -> Vec<String> {
    let others = TREE.iter().filter(|(other, _)| *other != name).copied();
    broken(&others.chain([(name, text)]).collect::<Vec<_>>())
}

#[test]
fn a_tree_that_obeys_has_nothing_to_say() {
    assert_eq!(broken(TREE), [""; 0]);
    let down = "use crate::error::Error;\nuse crate::pool::state::State;\nuse super::worker;";
    assert_eq!(broken_with("pool/lease.rs", down), [""; 0]);
}

#[test]
fn using_a_higher_ring_is_named_with_file_line_and_both_rings() {
    let found = broken_with("policy/queue.rs", "\nuse crate::process::Child;\n");
    assert_eq!(
        found,
        ["policy/queue.rs:2: `policy::queue` (ring 1, decisions) uses `crate::process::Child` \
          (ring 2, effects)"]
    );
}

#[test]
fn every_spelling_of_a_path_counts() {
    for text in [
        "use crate::pool::lease::Lease;",
        "use crate::{error::Error, pool::{lease::{self}}};",
        "use super::lease::Lease as L;",
        "use super::lease::*;",
        "fn f() -> crate::pool::lease::Lease { todo() }",
        "fn f(x: Vec<super::lease::Lease>) {}",
        "fn f() { let x = super::super::worker::Worker; }",
        "fn f() { println!(\"{}\", crate::pool::lease::COUNT); }",
        "fn f() { select! { x = a(super::lease::Lease) => {} } }",
        "mod inner { use super::super::lease::Lease; }",
        "fn f() { use crate::worker::Worker; }",
        "#[derive(crate::pool::lease::Derive)] struct S;",
    ] {
        assert_eq!(broken_with("pool/state.rs", text).len(), 1, "{text}");
    }
}

#[test]
fn what_the_root_re_exports_belongs_to_the_top_ring() {
    let found = onion(&sources(&[TREE[0], ("error.rs", "use crate::Pool;"), TREE[5]]));
    assert_eq!(found.len(), 1);
    assert!(found[0].mend.contains("the module that defines it"), "{}", found[0]);
}

#[test]
fn a_visibility_is_no_use() {
    let text = "pub(in crate::pool) struct A; pub(crate) struct B; pub(super) struct C;";
    assert_eq!(broken_with("pool/state.rs", text), [""; 0]);
}

#[test]
fn a_module_without_a_ring_is_named() {
    assert_eq!(broken_with("helpers.rs", ""), ["helpers.rs:1: module `helpers` has no ring"]);
}

#[test]
fn libraries_stay_behind_their_doors() {
    for (file, text, ok) in [
        ("process/spawn.rs", "use nix::sys::signal::kill;", true),
        ("blocking/mod.rs", "fn f() { libc::getpid(); }", true),
        ("worker/mod.rs", "use nix::unistd::Pid;", false),
        ("worker/mod.rs", "fn f() { ::libc::getpid(); }", false),
        ("pool/mod.rs", "use sysinfo::System;", false),
        ("transport/wire.rs", "use snakepit_proto::v1::HostFrame;", true),
        ("process/spawn.rs", "use prost::Message;", false),
        ("pool/mod.rs", "use tonic::{Request, Status as S};", false),
        ("transport/wire.rs", "use pyo3::Python;", false),
        ("error.rs", "fn f(x: pyo3::Py<u8>) {}", false),
    ] {
        let count = usize::from(!ok) * text.matches("tonic").count().max(1);
        let found = broken_with(file, text).len();
        assert!(if ok { found == 0 } else { found >= count }, "{file}: {text}");
    }
}

#[test]
fn the_low_rings_know_of_tokio_only_the_clock_type() {
    for (file, text, ok) in [
        ("policy/queue.rs", "use tokio::time::Instant;", true),
        ("pool/state.rs", "fn f(now: tokio::time::Instant) {}", true),
        ("policy/queue.rs", "use tokio::sync::Notify;", false),
        ("policy/queue.rs", "use tokio::time::*;", false),
        ("error.rs", "use tokio::time::{Instant, sleep};", false),
        ("worker/mod.rs", "use tokio::sync::Notify;", true),
        ("policy/queue.rs", "fn f() { let now = Instant::now(); }", false),
        ("call.rs", "fn f() { let now = tokio::time::Instant::now(); }", true),
    ] {
        assert_eq!(broken_with(file, text).is_empty(), ok, "{file}: {text}");
    }
}

#[test]
fn tests_may_use_what_they_like() {
    let inline = "#[cfg(test)] mod tests { use crate::pool::Pool; use tokio::time::sleep; }";
    assert_eq!(broken_with("policy/queue.rs", inline), [""; 0]);
    let both = "#[cfg(all(test, unix))] use crate::pool::Pool;";
    assert_eq!(broken_with("policy/queue.rs", both), [""; 0]);
    let any = "#[cfg(any(test, feature = \"testkit\"))] use crate::pool::Pool;";
    assert_eq!(broken_with("policy/queue.rs", any).len(), 1, "this one can ship");

    let outside = [
        ("policy/mod.rs", "#[cfg(test)] mod tests;"),
        ("policy/tests.rs", "use crate::pool::Pool;"),
    ];
    assert_eq!(broken(&[TREE, &outside].concat()), [""; 0]);
}

#[test]
fn a_moved_module_is_refused() {
    let found = broken_with("pool/mod.rs", "#[path = \"elsewhere.rs\"]\nmod state;");
    assert_eq!(found, ["pool/mod.rs:1: a module is moved by `#[path = …]`"]);
}

#[test]
fn unsafe_is_found_in_each_form_and_allowed_at_home() {
    let crates = Path::new("crates");
    for text in [
        "fn f() { unsafe { g() } }",
        "unsafe fn f() {}",
        "unsafe impl Send for X {}",
        "unsafe trait T {}",
        "unsafe extern \"C\" { fn f(); }",
        "#[unsafe(no_mangle)] fn f() {}",
        "fn f() { select! { x = unsafe { g() } => {} } }",
    ] {
        assert!(!unsafety(&sources(&[("worker/mod.rs", text)]), crates).is_empty(), "{text}");
        assert!(unsafety(&sources(&[("process/sys.rs", text)]), crates).is_empty(), "{text}");
    }
}

#[test]
fn a_message_names_place_reason_and_mend() {
    let found = onion(&sources(&[TREE[1], ("worker/mod.rs", "use nix::unistd::Pid;")]));
    assert_eq!(
        found[0].to_string(),
        "crates/core/src/worker/mod.rs:1: `worker` names `nix::unistd::Pid`\n  \
         why:  operating system calls stay behind `process` and `blocking`\n  \
         mend: wrap it in `process` or `blocking` and use that"
    );
}
