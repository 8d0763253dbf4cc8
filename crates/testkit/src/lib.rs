//! Scripted workers and builders for tests and benchmarks.
