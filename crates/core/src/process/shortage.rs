//! Which limit stands behind an error of the system, and what would lift it.

use std::io;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use crate::error::Shortage;

/// What this system is short of, where an error says so, and the remedy.
pub fn shortage_of(error: &io::Error) -> Option<(Shortage, String)> {
    explain(errno_of(error)?)
}

/// The same, where the error is another process's, told as text by a shim.
pub fn shortage_told(text: &str) -> Option<(Shortage, String)> {
    let (_, rest) = text.rsplit_once("(os error ")?;
    explain(rest.strip_suffix(')')?.parse().ok()?)
}

fn errno_of(error: &io::Error) -> Option<i32> {
    let inner = || error.get_ref()?.source()?.downcast_ref::<io::Error>()?.raw_os_error();
    error.raw_os_error().or_else(inner)
}

fn explain(errno: i32) -> Option<(Shortage, String)> {
    let (shortage, remedy) = match errno {
        libc::EAGAIN => (
            Shortage::Processes,
            format!(
                "this user may have {} processes and threads (`ulimit -u`), and the control group \
                 may have a pids.max of its own; end some of them or raise the limit",
                soft(Resource::RLIMIT_NPROC)
            ),
        ),
        libc::EMFILE => (
            Shortage::OpenFiles,
            format!(
                "this process may have {} files open (`ulimit -n`); close some of them or raise \
                 the limit",
                soft(Resource::RLIMIT_NOFILE)
            ),
        ),
        libc::ENFILE => (
            Shortage::OpenFiles,
            "the whole system has as many files open as it may; raise fs.file-max".into(),
        ),
        libc::ENOMEM => (
            Shortage::Memory,
            "the system or this control group has no memory left, or the address space is limited \
             (`ulimit -v`); make the pool smaller or give it more"
                .into(),
        ),
        libc::ENOSPC | libc::EDQUOT => (
            Shortage::Space,
            "free some space, or name a folder that has some by XDG_RUNTIME_DIR".into(),
        ),
        libc::EFBIG => (
            Shortage::FileSize,
            format!(
                "this process may write files of {} bytes (RLIMIT_FSIZE, `ulimit -f`); raise the \
                 limit",
                soft(Resource::RLIMIT_FSIZE)
            ),
        ),
        _ => return None,
    };
    Some((shortage, remedy))
}

fn soft(resource: Resource) -> String {
    match getrlimit(resource) {
        Ok((RLIM_INFINITY, _)) => "any number of".into(),
        Ok((soft, _)) => soft.to_string(),
        Err(_) => "so many".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_named_wherever_the_error_comes_from() {
        let named = |error: &io::Error| shortage_of(error).map(|(shortage, _)| shortage);
        for (errno, shortage) in [
            (libc::EMFILE, Shortage::OpenFiles),
            (libc::ENFILE, Shortage::OpenFiles),
            (libc::EAGAIN, Shortage::Processes),
            (libc::ENOMEM, Shortage::Memory),
            (libc::ENOSPC, Shortage::Space),
            (libc::EDQUOT, Shortage::Space),
            (libc::EFBIG, Shortage::FileSize),
        ] {
            assert_eq!(named(&io::Error::from_raw_os_error(errno)), Some(shortage));
        }
        assert_eq!(named(&io::Error::from_raw_os_error(libc::ENOENT)), None);
        assert_eq!(named(&io::Error::other("no errno")), None);
        let told = |text: &str| shortage_told(text).map(|(shortage, _)| shortage);
        let fork = io::Error::from_raw_os_error(libc::EAGAIN);
        assert_eq!(told(&format!("cannot fork: {fork}")), Some(Shortage::Processes));
        assert_eq!(told("cannot fork"), None);
    }
}
