//! One version everywhere: the workspace's, each crate's, the pins between crates, both
//! distributions' and the pin between them, the changelog's newest release, and its tag.
//!
//! The wheel takes its version from `crates/py`, so the root `pyproject.toml` must not state one.
//! What is built and installed is compared by `tests/repo/test_versions.py` and
//! `scripts/check_dist.py`.

use std::error::Error;
use std::fs;
use std::path::Path;

use toml::{Table, Value};

/// Checks every place that states a version; with a tag, also that this version is being released.
///
/// # Errors
/// When a file cannot be read, or with one line for each place that disagrees.
pub fn run(root: &Path, tag: Option<&str>) -> Result<(), Box<dyn Error>> {
    let cargo = read(&root.join("Cargo.toml"))?;
    let version = text(&cargo, &["workspace", "package", "version"])
        .ok_or("Cargo.toml: [workspace.package] states no version")?;

    let mut wrong = path_dependencies(&cargo, version);
    for member in members(&cargo) {
        let manifest = read(&root.join(member).join("Cargo.toml"))?;
        wrong.extend(of_crate(member, &manifest, version));
        wrong.extend(own_path_dependencies(member, &manifest, version));
        wrong.extend(published_without_version(&cargo, &manifest));
    }
    wrong.extend(of_wheel(&read(&root.join("pyproject.toml"))?, version));
    wrong.extend(of_bridge(
        &read(&root.join("python/pyproject.toml"))?,
        &fs::read_to_string(root.join("python/snakepit_bridge/__init__.py"))?,
        version,
    ));
    wrong.extend(of_changelog(&fs::read_to_string(root.join("CHANGELOG.md"))?, version, tag));
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

/// The workspace's table, from which members take their siblings.
fn path_dependencies(cargo: &Table, version: &str) -> Vec<String> {
    let table = at(cargo, &["workspace", "dependencies"]).and_then(Value::as_table);
    table.map_or_else(Vec::new, |table| disagreeing("Cargo.toml", table, version))
}

/// Siblings that a member names by path itself.
fn own_path_dependencies(member: &str, manifest: &Table, version: &str) -> Vec<String> {
    let file = format!("{member}/Cargo.toml");
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|kind| manifest.get(*kind)?.as_table())
        .flat_map(|table| disagreeing(&file, table, version))
        .collect()
}

fn disagreeing(file: &str, dependencies: &Table, version: &str) -> Vec<String> {
    dependencies
        .iter()
        .filter_map(|(name, value)| Some((name, value.as_table()?)))
        .filter(|(_, value)| value.contains_key("path"))
        .filter_map(|(name, value)| Some((name, value.get("version")?.as_str()?)))
        .filter(|(_, stated)| *stated != version)
        .map(|(name, stated)| {
            format!("{file}: dependency {name} states {stated}, the workspace {version}")
        })
        .collect()
}

/// An index knows no paths: a crate that is published has its siblings state their version.
fn published_without_version(cargo: &Table, manifest: &Table) -> Option<String> {
    if at(manifest, &["package", "publish"]).and_then(Value::as_bool) == Some(false) {
        return None;
    }
    let name = text(manifest, &["package", "name"])?;
    let entry = at(cargo, &["workspace", "dependencies", name])?.as_table()?;
    (!entry.contains_key("version"))
        .then(|| format!("Cargo.toml: dependency {name} is published and must state its version"))
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

/// The newest release of the changelog is this version, if there was a release; a tag is one.
fn of_changelog(changelog: &str, version: &str, tag: Option<&str>) -> Vec<String> {
    let mut releases = changelog
        .lines()
        .filter_map(|line| line.strip_prefix("## ["))
        .filter(|heading| !heading.starts_with("Unreleased]"));
    let (newest, dated) = match releases.next().map(|heading| heading.split_once("] - ")) {
        None => (None, false),
        Some(None) => return vec!["CHANGELOG.md: head a release `## [X.Y.Z] - YYYY-MM-DD`".into()],
        Some(Some((newest, date))) => (Some(newest), is_date(date)),
    };
    let mut wrong = Vec::new();
    if newest.is_some_and(|newest| newest != version || !dated) {
        wrong.push(format!("CHANGELOG.md: head the newest release `## [{version}] - YYYY-MM-DD`"));
    }
    if let Some(tag) = tag {
        if tag.strip_prefix('v') != Some(version) {
            wrong.push(format!("the tag is {tag}, the workspace {version}: tag v{version}"));
        }
        if newest.is_none() {
            wrong.push(format!("CHANGELOG.md: no heading `## [{version}] - YYYY-MM-DD` for {tag}"));
        }
    }
    wrong
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(place, byte)| match place {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
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

    #[test]
    fn a_sibling_that_a_member_names_itself_is_compared_too() {
        let manifest = table("[dev-dependencies]\nsnakepit = { path = '../core', version = '1' }");
        let wrong = own_path_dependencies("crates/x", &manifest, "0.1.0");
        assert_eq!(
            wrong,
            ["crates/x/Cargo.toml: dependency snakepit states 1, the workspace 0.1.0"]
        );
    }

    #[test]
    fn a_published_crate_is_depended_on_by_version() {
        let cargo = table("[workspace.dependencies]\na = { path = 'a' }\nb = { path = 'b' }");
        let published = table("[package]\nname = 'a'");
        assert!(published_without_version(&cargo, &published).is_some());
        let private = table("[package]\nname = 'b'\npublish = false");
        assert_eq!(published_without_version(&cargo, &private), None);
    }

    #[test]
    fn the_changelogs_newest_release_is_the_workspaces() {
        let changelog = "## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n## [0.1.0] - 2026-11-24\n";
        assert!(of_changelog(changelog, "0.2.0", None).is_empty());
        assert_eq!(of_changelog(changelog, "0.1.0", None).len(), 1);
        assert_eq!(of_changelog("## [0.2.0] - soon\n", "0.2.0", None).len(), 1);
        assert_eq!(of_changelog("## [0.2.0]\n", "0.2.0", None).len(), 1);
        assert!(of_changelog("## [Unreleased]\n", "0.1.0", None).is_empty());
    }

    #[test]
    fn a_tag_is_the_version_and_has_a_heading() {
        let changelog = "## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n";
        assert!(of_changelog(changelog, "0.2.0", Some("v0.2.0")).is_empty());
        assert_eq!(of_changelog(changelog, "0.2.0", Some("v0.2.1")).len(), 1);
        assert_eq!(of_changelog(changelog, "0.2.0", Some("0.2.0")).len(), 1);
        assert_eq!(of_changelog("## [Unreleased]\n", "0.2.0", Some("v0.2.0")).len(), 1);
    }
}
