//! Repository chores that need more than a shell line: `cargo xtask <command>`.
//!
//! ```text
//! codegen [--check]   generate the protobuf code; --check: only say whether it is current
//! layers              the onion of crates/core, its library borders, the homes of `unsafe`
//! versions [TAG]      one version in every crate, distribution and changelog; with TAG: it is that
//! ```
//!
//! `make proto` and `make test` call them. Nothing here ships.

use std::path::Path;
use std::process::ExitCode;

mod codegen;
mod layers;
mod versions;

const USAGE: &str = "usage: cargo xtask codegen [--check] | layers | versions [TAG]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/xtask");

    let outcome = match words[..] {
        ["codegen"] => codegen::run(root),
        ["codegen", "--check"] => codegen::check(root),
        ["layers"] => layers::run(root),
        ["versions"] => versions::run(root, None),
        ["versions", tag] => versions::run(root, Some(tag)),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
