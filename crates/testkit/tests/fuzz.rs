//! What `make fuzz` looks for, in each run of the tests: the seeds of `fuzz/`, all that a fuzzer has
//! found, and some thousands of inputs that are made of them, the same ones each time.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use snakepit::fuzzing::{TARGETS, Target};
use snakepit_testkit::Random;

/// Inputs made for each target; where one takes long (a connection each), fewer.
const MADE: usize = 3000;
const ENOUGH: Duration = Duration::from_millis(1500);

/// Another input, near some that make sense.
fn near(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut below = |limit: usize| random.below(limit as u64) as usize;
    let mut bytes = seeds[below(seeds.len())].clone();
    for _ in 0..=below(4) {
        let at = below(bytes.len() + 1);
        match below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, below(256) as u8),
            2 if at < bytes.len() => bytes[at] ^= 1 << below(8),
            3 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][below(5)],
            4 => {
                let end = at + below(bytes.len() + 1 - at);
                bytes.extend_from_within(at..end);
            }
            _ => {
                let other = &seeds[below(seeds.len())];
                bytes.truncate(at);
                bytes.extend_from_slice(&other[below(other.len() + 1)..]);
            }
        }
    }
    bytes
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    let own = std::fs::read_to_string(folder.join(format!("{target}.txt"))).expect("its seeds");
    let found = std::fs::read_to_string(folder.join(format!("found-{target}.txt")));
    let text = own + &found.unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(bytes).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks_exact(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(|pair| byte(pair).expect("hexadecimal digits")).collect()
}

fn replay(target: Target) {
    let seeds = seeds(target.name);
    let shown = |bytes: &[u8]| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let run = std::panic::AssertUnwindSafe(|| (target.run)(bytes));
        if std::panic::catch_unwind(run).is_err() {
            panic!("{} fails; a line for fuzz/seeds/found-{0}.txt: {hex}", target.name);
        }
    };
    seeds.iter().for_each(|seed| shown(seed));
    let (mut random, begun) = (Random::new(1), Instant::now());
    for _ in (0..MADE).take_while(|_| begun.elapsed() < ENOUGH) {
        shown(&near(&mut random, &seeds));
    }
}

macro_rules! targets {
    ($($name:ident)+) => {
        $(
            #[test]
            fn $name() {
                let target = TARGETS.iter().find(|target| target.name == stringify!($name));
                replay(*target.expect("a target of that name"));
            }
        )+

        #[test]
        fn each_target_is_replayed_and_has_a_program() {
            let here = [$(stringify!($name)),+];
            assert_eq!(here.as_slice(), TARGETS.map(|target| target.name));
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
            for name in here {
                assert!(root.join(format!("{name}.rs")).is_file(), "no program of {name}");
            }
        }
    };
}

targets! { buffers control frame ledger line opening options roundtrip value }

/// A connection that breaks off behind any byte of a whole conversation.
#[test]
fn a_conversation_that_is_cut_off_anywhere_ends_that_line_alone() {
    let whole = seeds("line").swap_remove(0);
    for end in 0..=whole.len() {
        snakepit::fuzzing::run("line", &whole[..end]);
    }
}
