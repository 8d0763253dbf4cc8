//! One version everywhere: the workspace's, each crate's, both distributions' and the pin between
//! them.
//!
//! The wheel takes its version from `crates/py`, so the root `pyproject.toml` must not state one.

use std::error::Error;
use std::fs;
use std::path::Path;

use toml::{Table, Value};

/// Checks every place that states a version.
///
/// # Errors
/// When a file cannot be read, or with one line for each place that disagrees.
pub fn run(root: &Path) -> Result<(), Box<dyn Error>> {
    let cargo = read(&root.join("Cargo.toml"))?;
    let version = text(&cargo, &["workspace", "package", "version"])
        .ok_or("Cargo.toml: [workspace.package] states no version")?;

    let mut wrong = path_dependencies(&cargo, version);
    for member in members(&cargo) {
        wrong.extend(of_crate(member, &read(&root.join(member).join("Cargo.toml"))?, version));
    }
    wrong.extend(of_wheel(&read(&root.join("pyproject.toml"))?, version));
    wrong.extend(of_bridge(
        &read(&root.join("python/pyproject.toml"))?,
        &fs::read_to_string(root.join("python/snakepit_bridge/__init__.py"))?,
        version,
    ));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

fn read(path: &Path) -> Result<Table, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.parse().map_err(|error| format!("{}: {error}", path.display()))?)
}

fn at<'t>(table: &'t Table, keys: &[&str]) -> Option<&'t Value> {
    let (first, rest) = keys.split_first()?;
    let found = table.get(*first)?;
    if rest.is_empty() { Some(found) } else { at(found.as_table()?, rest) }
}

fn text<'t>(table: &'t Table, keys: &[&str]) -> Option<&'t str> {
    at(table, keys)?.as_str()
}

fn members(cargo: &Table) -> impl Iterator<Item = &str> {
    let members = at(cargo, &["workspace", "members"]).and_then(Value::as_array);
    members.into_iter().flatten().filter_map(Value::as_str)
}

/// A published crate states the version of its siblings beside their path.
fn path_dependencies(cargo: &Table, version: &str) -> Vec<String> {
    let Some(dependencies) = at(cargo, &["workspace", "dependencies"]).and_then(Value::as_table)
    else {
        return Vec::new();
    };
    dependencies
        .iter()
        .filter_map(|(name, value)| Some((name, value.as_table()?)))
        .filter(|(_, value)| value.contains_key("path"))
        .filter_map(|(name, value)| Some((name, value.get("version")?.as_str()?)))
        .filter(|(_, stated)| *stated != version)
        .map(|(name, stated)| {
            format!("Cargo.toml: dependency {name} states {stated}, the workspace {version}")
        })
        .collect()
}

fn of_crate(member: &str, manifest: &Table, version: &str) -> Option<String> {
    if at(manifest, &["package", "version", "workspace"]).and_then(Value::as_bool) == Some(true) {
        return None;
    }
    match text(manifest, &["package", "version"]) {
        Some(stated) if stated == version => None,
        _ => Some(format!("{member}/Cargo.toml: state `version.workspace = true` ({version})")),
    }
}

fn of_wheel(project: &Table, version: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text(project, &["project", "version"]).is_some_and(|stated| stated != version) {
        wrong.push(format!("pyproject.toml: leave `version` to Cargo ({version})"));
    }
    let pin = format!("snakepit-bridge=={version}");
    let dependencies = at(project, &["project", "dependencies"]).and_then(Value::as_array);
    if !dependencies.into_iter().flatten().any(|value| value.as_str() == Some(pin.as_str())) {
        wrong.push(format!("pyproject.toml: the wheel must depend on exactly `{pin}`"));
    }
    wrong
}

/// The bridge may state its version in one place and let its build backend read it there.
fn of_bridge(project: &Table, package: &str, version: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text(project, &["project", "version"]).is_some_and(|stated| stated != version) {
        wrong.push(format!("python/pyproject.toml: version must be {version}"));
    }
    let stated = package.lines().find(|line| line.starts_with("__version__"));
    if !stated.is_some_and(|line| line.ends_with(&format!("= \"{version}\""))) {
        wrong.push(format!(
            "python/snakepit_bridge/__init__.py: state `__version__ = \"{version}\"`"
        ));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().expect("the test's own TOML")
    }

    #[test]
    fn a_sibling_with_another_version_is_named() {
        let cargo = table(
            "[workspace.dependencies]\nbytes = '1'\nlocal = { path = 'x' }\n\
             snakepit = { path = 'crates/core', version = '0.0.9' }",
        );
        let wrong = path_dependencies(&cargo, "0.1.0");
        assert_eq!(wrong, ["Cargo.toml: dependency snakepit states 0.0.9, the workspace 0.1.0"]);
    }

    #[test]
    fn a_crate_inherits_or_repeats_the_version() {
        let inherits = table("[package]\nversion.workspace = true");
        assert_eq!(of_crate("a", &inherits, "0.1.0"), None);
        assert_eq!(of_crate("a", &table("[package]\nversion = '0.1.0'"), "0.1.0"), None);
        assert!(of_crate("a", &table("[package]\nversion = '0.2.0'"), "0.1.0").is_some());
    }

    #[test]
    fn the_wheel_pins_the_bridge_exactly() {
        let loose = table("[project]\ndependencies = ['snakepit-bridge>=0.1.0']");
        assert_eq!(of_wheel(&loose, "0.1.0").len(), 1);
        let exact = table("[project]\ndependencies = ['snakepit-bridge==0.1.0']");
        assert!(of_wheel(&exact, "0.1.0").is_empty());
    }

    #[test]
    fn the_bridge_says_its_version_in_the_project_and_in_the_package() {
        let project = table("[project]\nversion = '0.1.0'");
        assert!(of_bridge(&project, "__version__ = \"0.1.0\"\n", "0.1.0").is_empty());
        assert_eq!(of_bridge(&project, "", "0.1.0").len(), 1);
        assert_eq!(of_bridge(&project, "__version__ = \"0.1.0\"\n", "0.2.0").len(), 2);
    }
}
