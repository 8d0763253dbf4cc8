//! A worker's limits: told in its environment, taken on by itself between its fork and any other
//! code. Not by the host from outside, who would come too late for a program that is executed at
//! once; and not by the shim, which must act when its worker is out of memory or of files.
//!
//! `_grpcio/process/limits.py` does the same where this library cannot be loaded.

use std::fmt::Write;
use std::fs;
use std::io;

use nix::sys::prctl::set_no_new_privs;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};

use super::sys;
use crate::config::{LEAST_ADDRESS_SPACE, Limits};

/// Names the variable: words that may have a number, `nice=5 open_files=4096 no_new_privs`.
pub const LIMITS_VARIABLE: &str = "SNAKEPIT_LIMITS";

/// What the kernel knows as the most inviting victim.
const WORST_SCORE: i32 = 1000;

/// Whether this process may make a file so long. Asked before, since the kernel answers an attempt
/// with SIGXFSZ, which ends a process that does not ignore it.
///
/// # Errors
///
/// `EFBIG`, as the kernel would.
pub(super) fn may_write(bytes: u64) -> io::Result<()> {
    match getrlimit(Resource::RLIMIT_FSIZE) {
        Ok((soft, _)) if soft < bytes => Err(io::Error::from_raw_os_error(libc::EFBIG)),
        _ => Ok(()),
    }
}

/// Why this system cannot grant `limits`; `None`: it can.
pub fn beyond_system(limits: &Limits) -> Option<String> {
    let asked = [
        ("address_space", Resource::RLIMIT_AS, limits.address_space, "v"),
        ("open_files", Resource::RLIMIT_NOFILE, limits.open_files, "n"),
    ];
    let core_files = || {
        let (_, hard) = getrlimit(Resource::RLIMIT_CORE).ok()?;
        (limits.core_files && hard == 0).then(|| {
            "core_files are asked for, and this process's own hard limit of their size is 0; leave \
             them out, or raise that one before the program starts (`ulimit -Hc`)"
                .to_owned()
        })
    };
    let beyond = asked.into_iter().find_map(|(name, resource, wanted, letter)| {
        let (_, hard) = getrlimit(resource).ok()?;
        wanted.filter(|wanted| *wanted > hard).map(|wanted| {
            format!(
                "{name} of {wanted} is above this process's own hard limit of {hard}; lower it, or \
                 raise that one before the program starts (`ulimit -H{letter}`)"
            )
        })
    });
    beyond.or_else(core_files)
}

/// Read by glibc's `malloc` as a process begins.
pub(crate) const ARENAS_VARIABLE: &str = "MALLOC_ARENA_MAX";

/// How many arenas `malloc` may have within a limited address space. It makes one for each thread,
/// up to eight a core, and maps 128 MiB for each to keep 64: with the ten threads of grpcio 700 MiB
/// were mapped where 130 do (glibc 2.36), and then the limit left no room for the stack of a thread.
/// One for each 256 MiB: a quarter of the limit at most.
pub(crate) fn malloc_arenas(limits: &Limits) -> Option<u64> {
    limits.address_space.map(|bytes| (bytes / LEAST_ADDRESS_SPACE).max(1))
}

/// As `take_on` reads them; empty where nothing is asked for.
pub fn told(limits: &Limits) -> String {
    let Limits { nice, address_space, open_files, core_files, umask, no_new_privs, oom_score } =
        *limits;
    let above_zero = |number: u32| Some(u64::from(number)).filter(|number| *number > 0);
    let mut text = String::new();
    for (name, number) in [
        ("nice", above_zero(nice)),
        ("address_space", address_space),
        ("open_files", open_files),
        ("umask", umask.map(u64::from)),
        ("oom_score", above_zero(oom_score)),
    ] {
        if let Some(number) = number {
            let _never_fails = write!(text, "{name}={number} ");
        }
    }
    for (name, asked) in [("core_files", core_files), ("no_new_privs", no_new_privs)] {
        if asked {
            text.push_str(name);
            text.push(' ');
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// Takes on what this process's environment asks for; words of other versions are passed over.
///
/// # Errors
///
/// What the system refused, with the limit's name. A worker must not run without it.
pub(super) fn take_on() -> io::Result<()> {
    let Ok(text) = std::env::var(LIMITS_VARIABLE) else { return Ok(()) };
    // The room for memory comes last: what is yet to be done needs some.
    let (memory, rest): (Vec<_>, Vec<_>) =
        text.split_ascii_whitespace().partition(|word| word.starts_with("address_space="));
    for word in rest.into_iter().chain(memory) {
        let (name, number) = word.split_once('=').unwrap_or((word, "0"));
        let taken = number
            .parse()
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
            .and_then(|number| take_on_one(name, number));
        taken.map_err(|error| {
            io::Error::new(error.kind(), format!("limits: {word} cannot be had: {error}"))
        })?;
    }
    Ok(())
}

fn take_on_one(name: &str, number: u64) -> io::Result<()> {
    let small = || i32::try_from(number).map_err(|_| io::ErrorKind::InvalidInput);
    match name {
        "nice" => sys::be_nicer(small()?)?,
        "address_space" => setrlimit(Resource::RLIMIT_AS, number, number)?,
        "open_files" => setrlimit(Resource::RLIMIT_NOFILE, number, number)?,
        "umask" => {
            umask(Mode::from_bits_truncate(small()? as libc::mode_t));
        }
        "oom_score" => offer_to_oom_killer(small()?),
        "core_files" => {
            let (_, hard) = getrlimit(Resource::RLIMIT_CORE)?;
            setrlimit(Resource::RLIMIT_CORE, hard, hard)?;
        }
        "no_new_privs" => set_no_new_privs()?,
        _ => {}
    }
    Ok(())
}

/// Where `/proc` cannot be written the kernel chooses without this advice.
fn offer_to_oom_killer(more: i32) {
    const FILE: &str = "/proc/self/oom_score_adj";
    let own = fs::read_to_string(FILE).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if let Some(own) = own {
        let _ = fs::write(FILE, own.saturating_add(more).min(WORST_SCORE).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_told() {
        assert_eq!(told(&Limits::default()), "oom_score=500 no_new_privs");
        let none = Limits { oom_score: 0, no_new_privs: false, ..Limits::default() };
        assert_eq!(told(&none), "");
        let all = Limits {
            nice: 3,
            address_space: Some(1 << 30),
            open_files: Some(100),
            core_files: true,
            umask: Some(0o77),
            ..none
        };
        let text = "nice=3 address_space=1073741824 open_files=100 umask=63 core_files";
        assert_eq!(told(&all), text);
    }

    #[test]
    fn more_than_the_hard_limit_is_refused_with_a_remedy() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("every system has it");
        let asking = |files| Limits { open_files: Some(files), ..Limits::default() };
        assert_eq!(beyond_system(&asking(hard)), None);
        let why = beyond_system(&asking(hard + 1)).expect("too many");
        assert!(why.contains("open_files") && why.contains("ulimit -Hn"), "{why}");
    }
}
