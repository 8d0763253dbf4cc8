//! The Rust of the guides in `docs`: `cargo test --doc` compiles each block, and runs those that
//! are programs, in the folder of this crate. Other languages are tried by `tests/repo`.

#[doc = include_str!("../../../docs/opentelemetry.md")]
struct OpenTelemetry;

#[doc = include_str!("../../../docs/embedding-in-rust.md")]
struct Embedding;

#[doc = include_str!("../../../docs/host-tools.md")]
struct HostTools;

#[doc = include_str!("../../../docs/sessions.md")]
struct Sessions;
