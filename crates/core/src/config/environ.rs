//! The environment that a worker starts with: the rules of `snakepit.Pool` in Python.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::ByPlace;
use crate::error::Error;

/// What a program needs to find itself, its language and its devices; nothing that carries a secret.
pub const STRICT: [&str; 22] = [
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
    "NVIDIA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "XDG_RUNTIME_DIR",
];

/// Families of such variables: of the language, of CUDA and of OpenMP.
pub const STRICT_PREFIXES: [&str; 3] = ["LC_", "CUDA_", "OMP_"];

/// Each of these libraries starts a thread for every core, in every worker, unless it is told.
pub const THREAD_COUNTS: [&str; 11] = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
];

/// They tell one interpreter where its own files are, and would mislead another one.
pub const OF_ONE_INTERPRETER: [&str; 3] = ["PYTHONHOME", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__"];

/// Of what the host tells its workers, and of its own settings.
const OWN_PREFIX: &str = "SNAKEPIT_";

/// How much the logs of adapters say: the one name with that prefix which is a worker's own to read.
const LOG_LEVEL: &str = "SNAKEPIT_LOG_LEVEL";

/// Which variables workers get. `SNAKEPIT_*` is not inherited, and refused where it is given: those
/// names are the host's own, by which it tells a worker what that needs to know;
/// `SNAKEPIT_LOG_LEVEL` alone is the worker's. Thread counts of numeric libraries that nobody has set
/// become cores / workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    strict: bool,
    /// In their order; none removes, several are had in turn.
    changes: Vec<(String, Option<Vec<String>>)>,
}

/// The whole environment of a pool's workers.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    pub(crate) everywhere: Vec<(OsString, OsString)>,
    pub(crate) by_place: Vec<(OsString, ByPlace)>,
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

    /// Sets a variable. `{slot}` in the value stands for the worker's place in the pool, from 0;
    /// a worker that replaces another has its place. `{{name}}` stands for `{name}`.
    ///
    /// ```
    /// // Four workers, each with a GPU of its own.
    /// let env = snakepit::Env::inherit().set("CUDA_VISIBLE_DEVICES", "{slot}");
    /// # let _ = snakepit::Pool::builder("my_app:Model").size(4).env(env);
    /// ```
    #[must_use]
    pub fn set(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.set_in_turn(name, [value])
    }

    /// Sets a variable to one of several values: the places of the pool have them in turn.
    ///
    /// ```
    /// // Four workers on two GPUs.
    /// let env = snakepit::Env::strict().set_in_turn("CUDA_VISIBLE_DEVICES", ["0", "1"]);
    /// # let _ = snakepit::Pool::builder("my_app:Model").size(4).env(env);
    /// ```
    #[must_use]
    pub fn set_in_turn(
        mut self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        self.changes.push((name.into(), Some(values)));
        self
    }

    /// Removes a variable.
    #[must_use]
    pub fn remove(mut self, name: impl Into<String>) -> Self {
        self.changes.push((name.into(), None));
        self
    }

    /// Whether it sets or removes a variable.
    pub(crate) fn changes(&self, name: &str) -> bool {
        self.changes.iter().any(|(changed, _)| changed == name)
    }

    /// Lays the changes of `over` over this.
    pub(super) fn merge(mut self, over: Self) -> Self {
        self.changes.extend(over.changes);
        self
    }

    /// The whole environment of a worker, made from that of this process.
    pub(crate) fn of_worker(
        &self,
        inherited: impl IntoIterator<Item = (OsString, OsString)>,
        secrets: &[String],
        pythonpath: &[PathBuf],
        threads: usize,
    ) -> Result<Environment, Error> {
        let mut by_place = BTreeMap::new();
        let mut result: BTreeMap<OsString, OsString> =
            inherited.into_iter().filter(|(name, _)| self.passes(name)).collect();
        for name in OF_ONE_INTERPRETER {
            result.remove(OsStr::new(name));
        }
        for (name, value) in &self.changes {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(wrong("env", format!("{name:?} is no name of a variable")));
            }
            if name.starts_with(OWN_PREFIX) && name != LOG_LEVEL {
                let message = format!(
                    "{name}: names that begin with {OWN_PREFIX} are the host's own, and workers \
                     get none but those that it sets; leave it out, or take another name"
                );
                return Err(wrong("env", message));
            }
            let key = OsString::from(name);
            result.remove(&key);
            by_place.remove(&key);
            let Some(values) = value else { continue };
            if values.iter().any(|value| value.contains('\0')) {
                return Err(wrong("env", format!("the value of {name} holds a NUL")));
            }
            let values = ByPlace::new(values.clone())
                .map_err(|message| wrong("env", format!("{name}: {message}")))?;
            match values.everywhere() {
                Some(value) => drop(result.insert(key, value)),
                None => drop(by_place.insert(key, values)),
            }
        }
        for name in secrets {
            result.remove(OsStr::new(name));
            by_place.remove(OsStr::new(name));
        }
        if !pythonpath.is_empty() {
            let name = OsStr::new("PYTHONPATH");
            let before = result.remove(name).filter(|path| !path.is_empty());
            let behind = before.iter().flat_map(std::env::split_paths);
            let joined = std::env::join_paths(pythonpath.iter().cloned().chain(behind));
            let joined = joined.map_err(|error| wrong("pythonpath", error.to_string()))?;
            match by_place.get_mut(name) {
                Some(values) => values.put_in_front(&joined),
                None => drop(result.insert(name.into(), joined)),
            }
        }
        let told: BTreeSet<OsString> = by_place.keys().cloned().collect();
        for name in THREAD_COUNTS.map(OsString::from).into_iter().filter(|it| !told.contains(it)) {
            result.entry(name).or_insert_with(|| threads.to_string().into());
        }
        let (everywhere, by_place) = (result.into_iter().collect(), by_place.into_iter().collect());
        Ok(Environment { everywhere, by_place })
    }

    /// The host's own settings are no business of a worker, which gets them by its control socket.
    fn passes(&self, name: &OsStr) -> bool {
        let bytes = name.as_encoded_bytes();
        if bytes.starts_with(OWN_PREFIX.as_bytes()) && name != LOG_LEVEL {
            return false;
        }
        !self.strict
            || STRICT_PREFIXES.iter().any(|prefix| bytes.starts_with(prefix.as_bytes()))
            || STRICT.iter().chain(&THREAD_COUNTS).any(|known| name == *known)
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
            ("SNAKEPIT_LOG_LEVEL", "debug"),
            ("PYTHONHOME", "/opt"),
            ("PYTHONPATH", "/old"),
            ("OMP_NUM_THREADS", "7"),
            ("CUDA_DEVICE_ORDER", "PCI_BUS_ID"),
            ("PROMPT", "{slot}"),
        ];
        let inherited = inherited.map(|(name, value)| (name.into(), value.into()));
        let secrets: Vec<String> = secrets.iter().map(ToString::to_string).collect();
        let pythonpath: Vec<PathBuf> = pythonpath.iter().map(Into::into).collect();
        let made = env.of_worker(inherited, &secrets, &pythonpath, 2).expect("good names");
        let text = |text: OsString| text.into_string().expect("UTF-8");
        let mut env: BTreeMap<_, _> =
            made.everywhere.into_iter().map(|(name, value)| (text(name), text(value))).collect();
        env.extend(made.by_place.into_iter().map(|(name, it)| (text(name), text(it.at(5)))));
        env
    }

    #[test]
    fn what_is_of_the_host_or_of_its_interpreter_does_not_pass() {
        let env = made(Env::inherit(), &[], &[]);
        assert_eq!(env["TOKEN"], "secret");
        assert!(!env.contains_key("SNAKEPIT_LINE") && !env.contains_key("PYTHONHOME"));
        assert_eq!(env["SNAKEPIT_LOG_LEVEL"], "debug", "which the adapters' logging reads");
        let given = made(Env::strict().set("SNAKEPIT_LOG_LEVEL", "info"), &[], &[]);
        assert_eq!(given["SNAKEPIT_LOG_LEVEL"], "info");
        assert_eq!((&*env["OMP_NUM_THREADS"], &*env["MKL_NUM_THREADS"]), ("7", "2"));
    }

    #[test]
    fn strict_keeps_paths_and_language_alone() {
        let env = made(Env::strict().set("EXTRA", "1"), &[], &[]);
        assert!(env.contains_key("PATH") && env.contains_key("LC_ALL"));
        assert!(env.contains_key("EXTRA") && !env.contains_key("TOKEN"));
        assert_eq!((&*env["CUDA_DEVICE_ORDER"], &*env["OMP_NUM_THREADS"]), ("PCI_BUS_ID", "7"));
    }

    #[test]
    fn a_place_is_written_into_what_is_set_and_into_nothing_else() {
        let env = Env::inherit()
            .set("CUDA_VISIBLE_DEVICES", "{slot}")
            .set_in_turn("HALF", ["a", "b"])
            .set_in_turn("MKL_NUM_THREADS", ["1", "2"])
            .set("TOKEN", "{slot}");
        let env = made(env, &["TOKEN"], &[]);
        assert_eq!((&*env["CUDA_VISIBLE_DEVICES"], &*env["HALF"]), ("5", "b"));
        assert_eq!((&*env["MKL_NUM_THREADS"], &*env["PROMPT"]), ("2", "{slot}"));
        assert!(!env.contains_key("TOKEN"));
        let over = Env::inherit().set("A", "{slot}").set("A", "1");
        assert_eq!(made(over, &[], &[])["A"], "1");
    }

    #[test]
    fn secrets_go_in_any_case_and_changes_are_laid_over() {
        let env = Env::inherit().set("TOKEN", "again").remove("PATH");
        let env = made(env, &["TOKEN"], &["/first", "/second"]);
        assert!(!env.contains_key("TOKEN") && !env.contains_key("PATH"));
        assert_eq!(env["PYTHONPATH"], "/first:/second:/old");
    }

    #[test]
    fn directories_come_before_a_pythonpath_by_place_too() {
        let env = Env::inherit().set_in_turn("PYTHONPATH", ["/even{slot}", ""]);
        let path = [PathBuf::from("/{slot}")];
        let made = env.of_worker([("PYTHONPATH".into(), "/old".into())], &[], &path, 1);
        let made = made.expect("good values");
        assert!(made.everywhere.iter().all(|(name, _)| name != "PYTHONPATH"));
        let [(name, values)] = &*made.by_place else { panic!("{:?}", made.by_place) };
        assert_eq!(name, "PYTHONPATH");
        assert_eq!([values.at(0), values.at(1)], ["/{slot}:/even0", "/{slot}"]);
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        for env in [
            Env::inherit().set("A=B", "1"),
            Env::inherit().set("A", "\0"),
            Env::inherit().set("A", "{place}"),
            Env::inherit().set("SNAKEPIT_LIMITS", ""),
            Env::inherit().set_in_turn("SNAKEPIT_RUN", ["a", "b"]),
            Env::strict().remove("SNAKEPIT_LINE"),
            Env::inherit().set_in_turn("A", [""; 0]),
        ] {
            let error = env.of_worker([], &[], &[], 1).expect_err("refused");
            assert!(matches!(error, Error::Config { field: "env", .. }), "{error}");
        }
    }
}
