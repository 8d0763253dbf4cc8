//! Refuses, in one line and before anything is compiled, a system that cannot keep the promises.
//!
//! Workers are born, watched and ended by what Linux alone has: pidfds, PDEATHSIG, a subreaper,
//! sealed memory. Without this the answer would be pages of missing names.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Cargo's, about the target; `cfg!` would speak of the machine that compiles.
    let system = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if system != "linux" {
        println!(
            "cargo::error=Snakepit runs on Linux only, so far; this is {system}. Use a container \
             or a virtual machine; adapters alone need only the package snakepit-bridge."
        );
    }
}
