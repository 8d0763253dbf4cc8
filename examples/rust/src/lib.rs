//! What the example programs share: their command line, and which Python their workers run.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The folder of the examples and of the adapters beside them.
pub const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

/// The interpreter for the workers: `--python` on the command line, else the active virtual
/// environment, else the one that `make build` fills in this checkout.
///
/// # Errors
/// There is none of them; the text says what to do.
pub fn python() -> Result<PathBuf, String> {
    if let Some(python) = option::<PathBuf>("--python")? {
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

/// The value behind `name` on the command line.
///
/// # Errors
/// There is no value, or not one of type `T`.
pub fn option<T: FromStr>(name: &str) -> Result<Option<T>, String> {
    let mut words = std::env::args().skip(1).skip_while(|word| word != name);
    if words.next().is_none() {
        return Ok(None);
    }
    let value = words.next().ok_or_else(|| format!("{name} needs a value"))?;
    value.parse().map(Some).map_err(|_| format!("{name}: {value:?} is not what it takes"))
}

/// Whether `name` stands on the command line.
pub fn flag(name: &str) -> bool {
    std::env::args().skip(1).any(|word| word == name)
}
