//! The workers' interpreter: where it is, and what can be found in it.
//!
//! One short-lived process of the interpreter itself answers, since only it knows its path, its
//! virtual environment and what it can load. It gets the environment that workers will get.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::task::spawn_blocking;

/// What the interpreter says about itself; parts between NULs, so that any path can be one.
const SCRIPT: &str = include_str!("interpreter/probe.py");
const MARK: &[u8] = b"snakepit-probe\0";

/// As much is read of what it prints: a site's own chatter may come first.
const MOST_OUTPUT: u64 = 1 << 20;

/// Characters that are quoted of a line which it printed instead of an answer.
const MOST_QUOTED: usize = 120;

/// Oldest Python that the SDK knows.
const OLDEST: (u32, u32) = (3, 10);

/// Oldest Python that `snakepit-pool`, which has the native end, can be installed for.
const OLDEST_NATIVE: (u32, u32) = (3, 11);

/// An interpreter that can run workers.
#[derive(Debug)]
pub(crate) struct Interpreter {
    pub(crate) program: PathBuf,
    /// The SDK's directory.
    pub(crate) bridge: PathBuf,
    /// The native extension, where one is installed that this interpreter can load.
    pub(crate) core: Option<PathBuf>,
}

/// Where the interpreter is that `python` names: a file, a name in `PATH`, or the directory of a
/// virtual environment. None: that of `VIRTUAL_ENV`, else `python3` in `PATH`.
///
/// # Errors
/// There is no such file, or it cannot be executed; the text names the way out.
pub(crate) fn locate(python: Option<&Path>) -> Result<PathBuf, String> {
    let active = || std::env::var_os("VIRTUAL_ENV").filter(|value| !value.is_empty());
    let wanted = match python {
        Some(python) => expand_home(python),
        None => active().map_or_else(|| "python3".into(), PathBuf::from),
    };
    let found = match wanted.as_os_str().as_bytes().contains(&b'/') {
        true => None,
        false => in_path(wanted.as_os_str()),
    };
    // Made absolute but not resolved: a virtual environment is known by its link.
    let found = std::path::absolute(found.unwrap_or_else(|| wanted.clone()))
        .map_err(|error| format!("python: {}: {error}", wanted.display()))?;
    let found = if found.is_dir() { found.join("bin/python") } else { found };
    let shown = found.display();
    match std::fs::metadata(&found) {
        Ok(file) if file.is_file() && file.permissions().mode() & 0o111 == 0 => Err(format!(
            "python: {shown} cannot be executed; mend it with `chmod +x {shown}` or name another"
        )),
        Ok(file) if file.is_file() => Ok(found),
        _ => Err(format!(
            "python: there is no interpreter {shown}; make one with `python3 -m venv .venv` or \
             name another with python"
        )),
    }
}

fn expand_home(python: &Path) -> PathBuf {
    match (python.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => python.to_owned(),
    }
}

fn in_path(name: &OsStr) -> Option<PathBuf> {
    let runs = |file: &PathBuf| {
        let found = std::fs::metadata(file);
        found.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(runs)
}

/// Asks the interpreter about itself; no longer than `limit`, and without blocking the runtime.
///
/// # Errors
/// It does not run, is too old, or lacks the SDK; the text names the way out.
pub(crate) async fn probe(
    program: PathBuf,
    env: Vec<(OsString, OsString)>,
    limit: Duration,
) -> Result<Interpreter, String> {
    let shown = program.display().to_string();
    let asked = tokio::time::timeout(limit, ask(&program, env)).await;
    let (said, complaint) = asked
        .map_err(|_| format!("{shown} said nothing within start_timeout ({limit:?})"))?
        .map_err(|error| format!("{shown} cannot be run: {error}"))?;
    let Some(parts) = parts(&said) else {
        let last = complaint.trim_end().lines().last().unwrap_or("it printed nothing");
        return Err(format!("{shown} is no Python that can run workers: {}", shortened(last)));
    };
    judge(program, &parts)
}

/// The start of a line: a program that takes no `-c` may quote all that it was given.
fn shortened(line: &str) -> String {
    match line.char_indices().nth(MOST_QUOTED) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// Implementation, version, directory of the SDK, file of the extension.
type Parts<'a> = [&'a [u8]; 4];

fn parts(said: &[u8]) -> Option<Parts<'_>> {
    let start = said.windows(MARK.len()).rposition(|part| part == MARK)?;
    let mut parts = said[start + MARK.len()..].split(|&byte| byte == 0);
    let found = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    parts.next()?; // behind the last one, too: it is whole
    Some(found)
}

fn judge(program: PathBuf, parts: &Parts<'_>) -> Result<Interpreter, String> {
    let [implementation, version, bridge, core] = *parts;
    let shown = program.display();
    let (name, version) =
        (String::from_utf8_lossy(implementation), String::from_utf8_lossy(version));
    let mut numbers = version.split('.').map_while(|part| part.parse::<u32>().ok());
    let numbers = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if numbers < OLDEST {
        let (major, minor) = OLDEST;
        return Err(format!(
            "{shown} is {name} {version}; a worker needs {major}.{minor} or newer"
        ));
    }
    if bridge.is_empty() {
        let slower = format!("`{shown} -m pip install 'snakepit-bridge[grpc]'`");
        let remedy = match numbers < OLDEST_NATIVE {
            true => slower,
            false => format!(
                "`{shown} -m pip install snakepit-pool`, which brings the native end of the line \
                 too, or {slower}"
            ),
        };
        return Err(format!(
            "{shown} ({name} {version}) has no snakepit_bridge; mend it with {remedy}"
        ));
    }
    let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
    let core = (!core.is_empty()).then(|| path(core));
    Ok(Interpreter { bridge: path(bridge), core, program })
}

/// What the script printed, and the complaints beside it.
async fn ask(program: &Path, env: Vec<(OsString, OsString)>) -> std::io::Result<(Vec<u8>, String)> {
    let mut command = Command::new(program);
    command.args(["-c", SCRIPT]).env_clear().envs(env);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Spawning may wait for a disk.
    let child = spawn_blocking(move || command.spawn()).await.map_err(std::io::Error::other)??;
    let mut running = Running(Some(child));
    let (stdout, stderr) = running.outputs();
    let (said, complaint) = tokio::join!(read(stdout?), read(stderr?));
    running.reap().await;
    Ok((said?, String::from_utf8_lossy(&complaint?).into_owned()))
}

async fn read(output: pipe::Receiver) -> std::io::Result<Vec<u8>> {
    let mut said = Vec::new();
    output.take(MOST_OUTPUT).read_to_end(&mut said).await?;
    Ok(said)
}

/// The process that answers; ended and reaped whatever becomes of who asked.
struct Running(Option<Child>);

impl Running {
    fn outputs(&mut self) -> (std::io::Result<pipe::Receiver>, std::io::Result<pipe::Receiver>) {
        let child = self.0.as_mut();
        let (stdout, stderr) =
            child.map_or((None, None), |child| (child.stdout.take(), child.stderr.take()));
        let open = |fd: Option<OwnedFd>| {
            let fd = fd.ok_or_else(|| std::io::Error::other("no pipe"))?;
            pipe::Receiver::from_owned_fd(fd)
        };
        (open(stdout.map(Into::into)), open(stderr.map(Into::into)))
    }

    async fn reap(&mut self) {
        if let Some(mut child) = self.0.take() {
            // A host that ignores SIGCHLD has nothing to reap; what was said counts.
            let _ = spawn_blocking(move || child.wait()).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            // Not here: a thread of the runtime must not wait for a process.
            std::thread::spawn(move || child.wait());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PYTHON: &str = "/venv/bin/python";

    fn judged(parts: Parts<'_>) -> Result<Interpreter, String> {
        judge(PYTHON.into(), &parts)
    }

    #[test]
    fn what_a_site_prints_first_is_passed_over() {
        let said = b"welcome\0to this site\nsnakepit-probe\0cpython\x003.13.0\0/b\0\0\n";
        let found = judged(parts(said).expect("all parts")).expect("fit");
        assert_eq!((found.bridge, found.core), (PathBuf::from("/b"), None));
        assert!(parts(b"snakepit-probe\0cpython\x003.13.0\0/b\0/c").is_none(), "cut off");
        assert!(parts(b"").is_none());
    }

    #[test]
    fn an_interpreter_that_does_not_fit_gets_a_way_out() {
        let old = judged([b"cpython", b"3.9.2", b"/b", b""]).expect_err("too old");
        assert!(old.contains("3.9.2; a worker needs 3.10 or newer"), "{old}");
        assert!(judged([b"cpython", b"3.10.0", b"/b", b""]).is_ok());

        let bare = judged([b"cpython", b"3.12.1", b"", b""]).expect_err("no SDK");
        assert!(bare.contains("/venv/bin/python -m pip install snakepit-pool"), "{bare}");

        let slow = judged([b"cpython", b"3.10.13", b"", b""]).expect_err("no SDK");
        assert!(slow.contains("-m pip install 'snakepit-bridge[grpc]'"), "{slow}");
        assert!(!slow.contains("snakepit-pool"), "it cannot be installed there: {slow}");
    }

    #[test]
    fn a_file_that_is_not_there_or_does_not_run_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = locate(Some(&folder.path().join("none"))).expect_err("no file");
        assert!(missing.contains("there is no interpreter"), "{missing}");
        let file = folder.path().join("python");
        std::fs::write(&file, "").expect("a file");
        let idle = locate(Some(&file)).expect_err("not executable");
        assert!(idle.contains("chmod +x"), "{idle}");
        let environment = locate(Some(folder.path())).expect_err("no environment");
        assert!(environment.contains("bin/python"), "{environment}");
        assert!(locate(Some(Path::new("sh"))).expect("in PATH").is_absolute());
    }

    fn script(body: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("python");
        std::fs::write(&file, format!("#!/bin/sh\n{body}\n")).expect("a script");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).expect("its owner");
        (folder, file)
    }

    #[tokio::test]
    async fn a_program_that_is_no_python_is_quoted() {
        let (_folder, file) = script("echo 'no such option' >&2; exit 3");
        let error = probe(file, Vec::new(), Duration::from_secs(60)).await.expect_err("no Python");
        assert!(error.contains("no such option"), "{error}");
    }

    #[tokio::test]
    async fn one_that_quotes_the_question_is_cut_short() {
        let (_folder, file) =
            script("printf 'cannot access %s' \"$(echo \"$2\" | tr '\\n' ' ')\" >&2");
        let env = vec![("PATH".into(), "/usr/bin:/bin".into())];
        let error = probe(file, env, Duration::from_secs(60)).await.expect_err("no Python");
        assert!(error.contains("cannot access import sys") && error.ends_with('…'), "{error}");
        assert!(error.len() < 400, "{error}");
    }

    #[tokio::test]
    async fn one_that_hangs_is_given_up_and_ended() {
        let (folder, file) = script("echo $$ >\"${0%/*}/pid\"; exec sleep 600");
        let env = vec![("PATH".into(), "/usr/bin:/bin".into())];
        let error = probe(file, env, Duration::from_secs(1)).await.expect_err("it hangs");
        assert!(error.contains("start_timeout"), "{error}");
        let pid = std::fs::read_to_string(folder.path().join("pid")).expect("it had begun");
        let process = PathBuf::from(format!("/proc/{}", pid.trim()));
        let limit = std::time::Instant::now() + Duration::from_secs(60);
        while process.exists() {
            assert!(std::time::Instant::now() < limit, "it is still there");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
