#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| snakepit::fuzzing::run("buffers", bytes));
