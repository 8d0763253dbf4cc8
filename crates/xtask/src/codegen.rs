//! Generates from `proto/`: the Rust messages, and the description from which the SDK's grpcio end
//! makes its own at run time.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;

const GENERATED: &str = "crates/proto/src/generated";
/// A `FileDescriptorSet`.
const DESCRIBED: &str = "python/snakepit_bridge/_grpcio/protocol.binpb";
const MEND: &str = "is not what proto/ says: run `make proto`";

/// Compiles every file of the protocol and writes what is made of it under `root`.
///
/// # Errors
/// When a proto file does not compile or the output cannot be written.
pub fn run(root: &Path) -> Result<(), Box<dyn Error>> {
    let description = generate(root, &root.join(GENERATED))?;
    fs::write(root.join(DESCRIBED), description)?;
    Ok(())
}

/// Compares what is checked in with what `run` would write; touches nothing.
///
/// # Errors
/// As `run`, and when a file differs: it is named, with the command that mends it.
pub fn check(root: &Path) -> Result<(), Box<dyn Error>> {
    let fresh = tempfile::tempdir()?;
    let description = generate(root, fresh.path())?;
    if fs::read(root.join(DESCRIBED)).ok().as_ref() != Some(&description) {
        return Err(format!("{DESCRIBED} {MEND}").into());
    }
    let (fresh, kept) = (contents(fresh.path())?, contents(&root.join(GENERATED))?);
    let names: Vec<&String> = fresh.keys().chain(kept.keys()).collect();
    match names.into_iter().find(|name| fresh.get(*name) != kept.get(*name)) {
        None => Ok(()),
        Some(name) => Err(format!("{GENERATED}/{name} {MEND}").into()),
    }
}

/// Writes the Rust messages to `out` and returns the description.
fn generate(root: &Path, out: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let include = root.join("proto");
    let descriptors = protox::compile(proto_files(&include.join("snakepit/v1"))?, [&include])?;
    let mut description = descriptors.clone();
    for file in &mut description.file {
        file.source_code_info = None; // comments and line numbers mean nothing to a worker
    }
    fs::create_dir_all(out)?;
    tonic_prost_build::configure()
        .bytes(".") // payloads are slices of the receive buffer, not copies of it
        // Rare, and large: what travels is moved a lot, as much of it as the largest may be.
        .boxed(".snakepit.v1.Result.outcome.failure")
        .boxed(".snakepit.v1.HostToolResult.outcome.failure")
        .boxed(".snakepit.v1.HostFrame.frame.initialize")
        .boxed(".snakepit.v1.WorkerFrame.frame.start_failed")
        .out_dir(out)
        .compile_fds(descriptors)?;
    Ok(description.encode_to_vec())
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
