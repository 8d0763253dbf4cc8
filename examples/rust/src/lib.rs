//! What the example programs share: their command line, which Python their workers run, and how
//! they end.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

#[cfg(doctest)]
mod documents;

/// The folder of the examples and of the adapters beside them.
pub const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

/// What the command line says.
#[derive(Debug)]
pub struct Options(Vec<(String, String)>);

impl Options {
    /// Reads the command line. `usage` is all that is known of the options: a line
    /// `  --name VALUE  meaning` for each, without `VALUE` for those that are just said.
    /// `--help` prints it and ends the program.
    ///
    /// # Errors
    /// An option that `usage` does not have, or one without its value.
    pub fn read(usage: &str) -> Result<Self, String> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        if words.iter().any(|word| word == "--help") {
            print!("{usage}");
            std::process::exit(0);
        }
        Self::parse(usage, words)
    }

    fn parse(usage: &str, words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut words = words.into_iter();
        let mut said = Vec::new();
        while let Some(name) = words.next() {
            let described = |line: &&str| {
                let line = line.strip_prefix("  ").and_then(|line| line.strip_prefix(&*name));
                name.starts_with("--") && line.is_some_and(|line| line.starts_with(' '))
            };
            let Some(line) = usage.lines().find(described) else {
                return Err(format!(
                    "{name}: there is no such option; --help shows those there are"
                ));
            };
            let takes_value = line.trim_start().split(' ').nth(1).is_some_and(|it| !it.is_empty());
            let value = match takes_value {
                true => words.next().ok_or_else(|| format!("{name} needs a value"))?,
                false => String::new(),
            };
            said.push((name, value));
        }
        Ok(Self(said))
    }

    /// The value of an option; the last one counts.
    ///
    /// # Errors
    /// It is none of type `T`.
    pub fn value<T: FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        let Some((_, value)) = self.0.iter().rfind(|(said, _)| said == name) else {
            return Ok(None);
        };
        value.parse().map(Some).map_err(|_| format!("{name}: {value:?} is not what it takes"))
    }

    /// The duration that an option says in seconds.
    ///
    /// # Errors
    /// It is negative, not a number, or longer than can be told.
    pub fn seconds(&self, name: &str) -> Result<Option<Duration>, String> {
        let Some(seconds) = self.value::<f64>(name)? else { return Ok(None) };
        match Duration::try_from_secs_f64(seconds) {
            Ok(duration) => Ok(Some(duration)),
            Err(error) => Err(format!("{name}: {error}")),
        }
    }

    /// Whether an option was given.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(said, _)| said == name)
    }

    /// The interpreter for the workers: `--python`, else the active virtual environment, else the
    /// one that `make build` fills in this checkout.
    ///
    /// # Errors
    /// There is none of them; the text says what to do.
    pub fn python(&self) -> Result<PathBuf, String> {
        if let Some(python) = self.value::<PathBuf>("--python")? {
            return Ok(python);
        }
        if let Some(active) = std::env::var_os("VIRTUAL_ENV").filter(|folder| !folder.is_empty()) {
            return Ok(active.into());
        }
        let checkout = Path::new(FOLDER).join("../../.venv/bin/python");
        match checkout.is_file() {
            true => Ok(checkout),
            false => {
                Err("no Python for the workers: run `make build`, activate a virtual environment \
                          that has snakepit-pool, or name an interpreter with --python"
                    .into())
            }
        }
    }
}

/// How a program ends; what went wrong is shown as a person reads it.
pub fn ended(result: Result<(), Box<dyn Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: &str = "  --seconds N  how long\n  --json       for machines\n";

    fn parse(words: &[&str]) -> Result<Options, String> {
        Options::parse(USAGE, words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn options_are_those_of_the_usage() {
        let options = parse(&["--json", "--seconds", "1", "--seconds", "2"]).expect("known ones");
        assert_eq!((options.value("--seconds"), options.has("--json")), (Ok(Some(2)), true));
        assert_eq!(parse(&[]).expect("none").value::<u8>("--seconds"), Ok(None));
        assert!(parse(&["--seconds", "x"]).expect("a word").value::<u8>("--seconds").is_err());
    }

    #[test]
    fn seconds_are_a_duration_or_told() {
        let said = |value: &str| parse(&["--seconds", value]).expect("a word").seconds("--seconds");
        assert_eq!(said("0.5"), Ok(Some(Duration::from_millis(500))));
        assert_eq!(parse(&[]).expect("none").seconds("--seconds"), Ok(None));
        for wrong in ["-1", "nan", "1e300", "soon"] {
            assert!(said(wrong).expect_err(wrong).starts_with("--seconds: "));
        }
    }

    #[test]
    fn what_is_no_option_is_refused() {
        for word in ["--secnds", "--s", "--", "", "for", "x"] {
            let error = parse(&[word]).expect_err(word);
            assert!(error.contains("--help"), "{error}");
        }
        assert!(parse(&["--seconds"]).expect_err("no value").contains("needs a value"));
    }
}
