//! Generates `crates/proto/src/generated` from `proto/`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

const GENERATED: &str = "crates/proto/src/generated";

/// Compiles every file of the protocol and writes the Rust messages under `root`.
///
/// # Errors
/// When a proto file does not compile or the output cannot be written.
pub fn run(root: &Path) -> Result<(), Box<dyn Error>> {
    generate(root, &root.join(GENERATED))
}

/// Compares what is checked in with what `run` would write; touches nothing.
///
/// # Errors
/// As `run`, and when a file differs: it is named, with the command that mends it.
pub fn check(root: &Path) -> Result<(), Box<dyn Error>> {
    let fresh = tempfile::tempdir()?;
    generate(root, fresh.path())?;
    let (fresh, kept) = (contents(fresh.path())?, contents(&root.join(GENERATED))?);
    let names: Vec<&String> = fresh.keys().chain(kept.keys()).collect();
    match names.into_iter().find(|name| fresh.get(*name) != kept.get(*name)) {
        None => Ok(()),
        Some(name) => {
            Err(format!("{GENERATED}/{name} is not what proto/ says: run `make proto`").into())
        }
    }
}

fn generate(root: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let include = root.join("proto");
    let descriptors = protox::compile(proto_files(&include.join("snakepit/v1"))?, [&include])?;
    fs::create_dir_all(out)?;
    tonic_prost_build::configure()
        .bytes(".") // payloads are slices of the receive buffer, not copies of it
        .out_dir(out)
        .compile_fds(descriptors)?;
    Ok(())
}

/// Sorted, so that the output does not depend on the file system.
fn proto_files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn contents(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, Box<dyn Error>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?);
    }
    Ok(files)
}
