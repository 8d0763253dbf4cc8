//! The environment that a worker starts with: the rules of `snakepit.Pool` in Python.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::error::Error;

/// What a program needs to find itself, its language and its devices; nothing that carries a secret.
pub const STRICT: [&str; 23] = [
    "PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "TEMP",
    "TMP",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "XDG_RUNTIME_DIR",
];

/// Each of these libraries starts a thread for every core, in every worker, unless it is told.
pub const THREAD_COUNTS: [&str; 6] = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
];

/// They tell one interpreter where its own files are, and would mislead another one.
pub const OF_ONE_INTERPRETER: [&str; 3] = ["PYTHONHOME", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__"];

/// Which variables workers get. `SNAKEPIT_*` never passes; thread counts of numeric libraries that
/// nobody has set become cores / workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    strict: bool,
    /// In their order; None removes.
    changes: Vec<(String, Option<String>)>,
}

impl Env {
    /// This process's variables.
    pub fn inherit() -> Self {
        Self::default()
    }

    /// Only what names paths, language and devices.
    pub fn strict() -> Self {
        Self { strict: true, ..Self::default() }
    }

    /// Sets a variable.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.changes.push((name.into(), Some(value.into())));
        self
    }

    /// Removes a variable.
    #[must_use]
    pub fn remove(mut self, name: impl Into<String>) -> Self {
        self.changes.push((name.into(), None));
        self
    }

    /// The whole environment of a worker, made from that of this process.
    pub(crate) fn of_worker(
        &self,
        inherited: impl IntoIterator<Item = (OsString, OsString)>,
        secrets: &[String],
        pythonpath: &[PathBuf],
        threads: usize,
    ) -> Result<Vec<(OsString, OsString)>, Error> {
        let mut result: BTreeMap<OsString, OsString> =
            inherited.into_iter().filter(|(name, _)| self.passes(name)).collect();
        for name in OF_ONE_INTERPRETER {
            result.remove(OsStr::new(name));
        }
        for (name, value) in &self.changes {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(wrong("env", format!("{name:?} is no name of a variable")));
            }
            match value {
                Some(value) if value.contains('\0') => {
                    return Err(wrong("env", format!("the value of {name} holds a NUL")));
                }
                Some(value) => result.insert(name.into(), value.into()),
                None => result.remove(OsStr::new(name)),
            };
        }
        for name in secrets {
            result.remove(OsStr::new(name));
        }
        if !pythonpath.is_empty() {
            let before = result.remove(OsStr::new("PYTHONPATH")).filter(|path| !path.is_empty());
            let behind = before.iter().flat_map(std::env::split_paths);
            let joined = std::env::join_paths(pythonpath.iter().cloned().chain(behind));
            let joined = joined.map_err(|error| wrong("pythonpath", error.to_string()))?;
            result.insert("PYTHONPATH".into(), joined);
        }
        for name in THREAD_COUNTS {
            result.entry(name.into()).or_insert_with(|| threads.to_string().into());
        }
        Ok(result.into_iter().collect())
    }

    /// The host's own settings are no business of a worker, which gets them by its control socket.
    fn passes(&self, name: &OsStr) -> bool {
        let bytes = name.as_encoded_bytes();
        if bytes.starts_with(b"SNAKEPIT_") {
            return false;
        }
        !self.strict || bytes.starts_with(b"LC_") || STRICT.iter().any(|known| name == *known)
    }
}

fn wrong(field: &'static str, message: String) -> Error {
    Error::Config { field, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(env: Env, secrets: &[&str], pythonpath: &[&str]) -> BTreeMap<String, String> {
        let inherited = [
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("TOKEN", "secret"),
            ("SNAKEPIT_LINE", "native"),
            ("PYTHONHOME", "/opt"),
            ("PYTHONPATH", "/old"),
            ("OMP_NUM_THREADS", "7"),
        ];
        let inherited = inherited.map(|(name, value)| (name.into(), value.into()));
        let secrets: Vec<String> = secrets.iter().map(ToString::to_string).collect();
        let pythonpath: Vec<PathBuf> = pythonpath.iter().map(Into::into).collect();
        let made = env.of_worker(inherited, &secrets, &pythonpath, 2).expect("good names");
        let text = |text: OsString| text.into_string().expect("UTF-8");
        made.into_iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    #[test]
    fn what_is_of_the_host_or_of_its_interpreter_does_not_pass() {
        let env = made(Env::inherit(), &[], &[]);
        assert_eq!(env["TOKEN"], "secret");
        assert!(!env.contains_key("SNAKEPIT_LINE") && !env.contains_key("PYTHONHOME"));
        assert_eq!((&*env["OMP_NUM_THREADS"], &*env["MKL_NUM_THREADS"]), ("7", "2"));
    }

    #[test]
    fn strict_keeps_paths_and_language_alone() {
        let env = made(Env::strict().set("EXTRA", "1"), &[], &[]);
        assert!(env.contains_key("PATH") && env.contains_key("LC_ALL"));
        assert!(env.contains_key("EXTRA") && !env.contains_key("TOKEN"));
    }

    #[test]
    fn secrets_go_in_any_case_and_changes_are_laid_over() {
        let env = Env::inherit().set("TOKEN", "again").remove("PATH");
        let env = made(env, &["TOKEN"], &["/first", "/second"]);
        assert!(!env.contains_key("TOKEN") && !env.contains_key("PATH"));
        assert_eq!(env["PYTHONPATH"], "/first:/second:/old");
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        for env in [Env::inherit().set("A=B", "1"), Env::inherit().set("A", "\0")] {
            assert!(env.of_worker([], &[], &[], 1).is_err());
        }
    }
}
