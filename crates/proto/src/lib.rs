//! Messages and service of the worker protocol, generated from `proto/snakepit/v1` by
//! `cargo xtask codegen` (`make proto`) and checked in, so that users need no protobuf compiler.

/// Package `snakepit.v1`.
#[allow(missing_docs, clippy::all, clippy::undocumented_unsafe_blocks)]
pub mod v1 {
    include!("generated/snakepit.v1.rs");
}
