//! Which cuDNN a program would load: by its files, since to load it takes seconds and a gigabyte.

use std::path::{Path, PathBuf};

use crate::hardware::machine::Machine;

/// The newest first.
const MAJORS: [u32; 4] = [10, 9, 8, 7];

/// Where the loader looks, and where CUDA and distributions put it.
const FOLDERS: [&str; 9] = [
    "usr/local/cuda/lib64",
    "usr/local/cuda/lib",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "lib/x86_64-linux-gnu",
    "usr/lib64",
    "usr/lib",
    "usr/local/lib",
    "opt/cuda/lib64",
];

/// Of the first one that is found: Python's packages come first, as they do for PyTorch.
pub(super) fn version(machine: &Machine) -> Option<String> {
    folders(machine).iter().find_map(|folder| in_folder(machine, folder))
}

fn folders(machine: &Machine) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        machine.packages.iter().map(|packages| packages.join("nvidia/cudnn/lib")).collect();
    if let Some(path) = machine.variable("LD_LIBRARY_PATH") {
        folders.extend(path.split(':').filter(|it| it.starts_with('/')).map(PathBuf::from));
    }
    for (name, inside) in [("CONDA_PREFIX", "lib"), ("CUDA_HOME", "lib64"), ("CUDA_PATH", "lib64")]
    {
        if let Some(folder) = machine.variable(name).filter(|it| it.starts_with('/')) {
            folders.push(Path::new(folder).join(inside));
        }
    }
    folders.extend(FOLDERS.map(PathBuf::from));
    folders
}

fn in_folder(machine: &Machine, folder: &Path) -> Option<String> {
    MAJORS.into_iter().find_map(|major| {
        let name = format!("libcudnn.so.{major}");
        let file = machine.resolved(folder.join(&name))?;
        // Distributions link it to a file with the whole version in its name.
        let whole = file.file_name()?.to_str()?.strip_prefix("libcudnn.so.")?.to_owned();
        let header = || {
            let beside = folder.parent()?.join("include/cudnn_version.h");
            let text =
                machine.read(beside).or_else(|| machine.read("usr/include/cudnn_version.h"))?;
            of_header(&text).filter(|version| version.starts_with(&format!("{major}.")))
        };
        Some(if whole.contains('.') { whole } else { header().unwrap_or(whole) })
    })
}

/// As the header defines it.
fn of_header(text: &str) -> Option<String> {
    let number = |name: &str| {
        text.lines().find_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let fits = words.next() == Some("#define") && words.next() == Some(name);
            words.next().filter(|_| fits)?.parse::<u32>().ok()
        })
    };
    let [major, minor, patch] = ["CUDNN_MAJOR", "CUDNN_MINOR", "CUDNN_PATCHLEVEL"].map(number);
    Some(format!("{}.{}.{}", major?, minor?, patch?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const HEADER: &str = "\
#ifndef CUDNN_VERSION_H_
#define CUDNN_VERSION_H_
#define CUDNN_MAJOR 9
#define CUDNN_MINOR 1
#define CUDNN_PATCHLEVEL 0
#define CUDNN_VERSION (CUDNN_MAJOR * 10000 + CUDNN_MINOR * 100 + CUDNN_PATCHLEVEL)
#endif
";

    #[test]
    fn a_package_of_python_has_it_in_its_header() {
        let (_root, mut machine) = Machine::of_files(&[
            ("site/nvidia/cudnn/lib/libcudnn.so.9", ""),
            ("site/nvidia/cudnn/include/cudnn_version.h", HEADER),
            ("usr/lib64/libcudnn.so.8", ""),
        ]);
        assert_eq!(version(&machine).as_deref(), Some("8"), "no package was told of");
        machine.packages.push("/site".into());
        assert_eq!(version(&machine).as_deref(), Some("9.1.0"));
    }

    #[test]
    fn a_distribution_has_it_in_the_name_of_the_file() {
        let (root, machine) = Machine::of_files(&[("opt/conda/lib/libcudnn.so.8.9.7", "")]);
        symlink("libcudnn.so.8.9.7", root.path().join("opt/conda/lib/libcudnn.so.8")).unwrap();
        assert_eq!(version(&machine), None);
        let machine = machine.with_variable("CONDA_PREFIX", "/opt/conda");
        assert_eq!(version(&machine).as_deref(), Some("8.9.7"));
    }

    #[test]
    fn a_header_that_is_garbled_or_of_another_tells_nothing() {
        assert_eq!(of_header("#define CUDNN_MAJOR\n#define CUDNN_MINOR x\n"), None);
        let (_root, machine) = Machine::of_files(&[
            ("usr/lib/libcudnn.so.8", ""),
            ("usr/include/cudnn_version.h", HEADER),
        ]);
        assert_eq!(version(&machine).as_deref(), Some("8"));
    }
}
