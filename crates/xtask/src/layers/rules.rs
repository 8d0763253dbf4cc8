//! The tables of the layer check. Edit these; the code beside them only applies them.

/// Rings of `crates/core/src`, lowest first: a module may use its own ring and those below.
/// A module belongs to the longest entry that fits; `*` stands for the rest of a name.
pub const RINGS: &[Ring] = &[
    Ring {
        word: "words",
        modules: &[
            "id",
            "error",
            "call",
            "config",
            "payload",
            "value",
            "schema",
            "operator::answer",
        ],
        rule: "words do no I/O and know no runtime",
    },
    Ring {
        word: "decisions",
        modules: &[
            "policy",
            "pool::state*",
            // What the hardware's report means; how it is made is an effect.
            "hardware::report",
            "hardware::device",
            "hardware::visible",
            "hardware::select",
            "hardware::assign",
            "hardware::identity",
            "hardware::cpu::info",
            "hardware::cpu::list",
            "hardware::nvidia::smi",
            "hardware::amd::kfd",
            "hardware::amd::smi",
            "operator::request",
        ],
        rule: "decisions are pure state machines: event in, effects out, `now` passed in",
    },
    Ring {
        word: "effects",
        modules: &[
            "process",
            "transport",
            "telemetry",
            "blocking",
            "interpreter",
            "hardware",
            "operator",
            "failpoint",
        ],
        rule: "effects touch the world and decide nothing",
    },
    Ring {
        word: "owners",
        modules: &["worker", "session", "tool"],
        rule: "owners run tasks and serve the pool; they do not know it",
    },
    Ring {
        word: "promise",
        modules: &["pool", "host", "breaker", "budget", "health", "executor", "fuzzing", ""], // "": the crate root
        rule: "the promise is what embedders see",
    },
];

/// Libraries that only some modules may name: what they are for stays behind one door.
pub const LIBRARIES: &[Library] = &[
    Library {
        crates: &["nix", "libc", "sysinfo", "process_wrap"],
        homes: &["process", "blocking"],
        why: "operating system calls stay behind `process` and `blocking`",
    },
    Library {
        crates: &["tonic", "tonic_prost", "prost", "prost_types", "snakepit_proto"],
        homes: &["transport"],
        why: "what the wire looks like stays behind `transport`",
    },
    Library {
        crates: &["rmp"],
        homes: &["value"],
        why: "what a value's bytes look like stays behind `value`",
    },
    Library {
        crates: &["arrow_array", "arrow_buffer", "arrow_ipc", "arrow_schema"],
        homes: &["value::arrow"],
        why: "the bytes of a value know no library; batches are made of them in one place",
    },
    Library {
        crates: &["ndarray", "bytemuck"],
        homes: &["value"],
        why: "arrays of other libraries stay behind `value`",
    },
    Library {
        crates: &["serde_json"],
        homes: &["schema", "hardware", "operator", "process::record"],
        why: "values travel as msgpack; JSON is for schemas, lock files, what tools print or are told, and adapters log",
    },
    Library {
        crates: &["nvml_wrapper"],
        homes: &["hardware::nvidia::nvml"],
        why: "the driver's library is loaded where it can hang alone, and nowhere else",
    },
    Library { crates: &["pyo3"], homes: &[], why: "the core is embeddable without Python" },
];

/// In these rings tokio is named for one type only: the clock that tests can pause.
pub const RINGS_WITHOUT_TOKIO: usize = 2;
pub const TOKIO_ALLOWED: &[&str] = &["tokio", "time", "Instant"];

/// The ring whose modules may not read a clock: they are given `now`.
pub const RING_WITHOUT_CLOCK: usize = 1;

/// Files under `crates/` where `unsafe` may stand, one a border; `/**` is a whole folder.
pub const UNSAFE_HOMES: &[&str] = &[
    "core/src/process/sys.rs",          // system calls that nix does not wrap
    "core/src/process/arena/memory/**", // segments that one side writes and the other reads
    "core/src/process/page.rs",         // the page that a host and its worker both write
    "core/src/process/shim.rs",         // the fork that makes a worker
    "py/src/worker/boot.rs",            // the interpreter's hooks around that fork
    "py/src/codec/**",                  // values, read through the C API
    "py/src/memory/**",                 // what Python reads and writes by the buffer protocol
    "testkit/src/bin/scripted-worker/boot.rs", // the fork again, in a worker without Python
];

/// One ring of the onion.
pub struct Ring {
    pub word: &'static str,
    pub modules: &'static [&'static str],
    pub rule: &'static str,
}

/// A group of libraries and the modules that may name them.
pub struct Library {
    pub crates: &'static [&'static str],
    pub homes: &'static [&'static str],
    pub why: &'static str,
}

/// The ring of a module given as `a::b::c`; `None` where no entry covers it.
pub fn ring_of(module: &[String]) -> Option<usize> {
    let fitting = RINGS.iter().enumerate().flat_map(|(ring, entry)| {
        entry.modules.iter().filter_map(move |pattern| Some((fit(pattern, module)?, ring)))
    });
    fitting.max_by_key(|(length, _)| *length).map(|(_, ring)| ring)
}

/// Whether `module` is one of `homes` or below one.
pub fn lives_in(homes: &[&str], module: &[String]) -> bool {
    homes.iter().any(|home| fit(home, module).is_some())
}

/// Whether `unsafe` may stand in a file, given relative to `crates/`.
pub fn may_be_unsafe(file: &str) -> bool {
    UNSAFE_HOMES.iter().any(|home| match home.strip_suffix("**") {
        Some(folder) => file.starts_with(folder),
        None => file == *home,
    })
}

/// How many segments of `module` the pattern covers; `None` when it does not fit.
fn fit(pattern: &str, module: &[String]) -> Option<usize> {
    if pattern.is_empty() {
        return module.is_empty().then_some(0); // the root alone, not all that is below it
    }
    let wanted: Vec<&str> = pattern.split("::").collect();
    let fits = wanted.len() <= module.len()
        && wanted.iter().zip(module).all(|(want, name)| match want.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == want,
        });
    fits.then_some(wanted.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(module: &str) -> Option<usize> {
        let names: Vec<String> =
            module.split("::").filter(|name| !name.is_empty()).map(String::from).collect();
        ring_of(&names)
    }

    #[test]
    fn the_longest_entry_decides() {
        assert_eq!(ring("pool"), Some(4));
        assert_eq!(ring("pool::lease"), Some(4));
        assert_eq!(ring("pool::state"), Some(1));
        assert_eq!(ring("pool::state_effect"), Some(1));
        assert_eq!(ring("pool::state::effect"), Some(1));
    }

    #[test]
    fn the_root_covers_itself_only() {
        assert_eq!(ring(""), Some(4));
        assert_eq!(ring("unlisted"), None);
    }

    #[test]
    fn unsafe_homes_are_files_or_folders() {
        assert!(may_be_unsafe("py/src/codec/encode.rs"));
        assert!(may_be_unsafe("core/src/process/page.rs"));
        assert!(!may_be_unsafe("core/src/process/spawn.rs"));
        assert!(!may_be_unsafe("py/src/codecs.rs"));
    }
}
