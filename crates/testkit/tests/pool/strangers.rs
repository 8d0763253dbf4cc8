//! Who is no worker of this pool is refused, the host's log says so, and nobody else notices
//! (row 27). What a worker itself does with its token is in `violations`.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use snakepit_testkit::{TestPool, pool, scripted_worker, soon};

/// Exit code of a scripted worker that is not let in.
const REFUSED: Option<i32> = Some(71);
/// A user that owns nothing here.
const NOBODY: u32 = 65534;

/// What this thread logs from now on.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    #[track_caller]
    fn says(&self, words: &str) {
        let text = String::from_utf8_lossy(&self.0.lock().expect("no panic")).into_owned();
        assert!(text.contains(words), "{text:?} does not say {words:?}");
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A process that says Hello with `token`; its exit code.
async fn knock(program: &Path, token: &str, path: &str, user: Option<u32>) -> Option<i32> {
    let mut stranger = Command::new(program);
    stranger.args(["borrow", token, path]);
    if let Some(user) = user {
        stranger.uid(user).gid(user);
    }
    let mut stranger = stranger.spawn().expect("a program");
    let ended = tokio::task::spawn_blocking(move || stranger.wait().expect("a child"));
    soon("the stranger is refused", ended).await.expect("no panic").code()
}

async fn nobody_noticed(pool: TestPool, workers: u64) {
    assert_eq!(pool.run("echo", "on").await.expect("the same worker"), "on");
    assert_eq!(pool.generation(0), workers);
    pool.finish().await;
}

#[tokio::test]
async fn a_process_with_a_token_that_nobody_was_given_is_refused_and_logged() {
    let (log, _listening) = Log::listen();
    let pool = pool(1).start().await;
    let path = pool.run("path", "").await.expect("where workers dial");
    for token in ["00".repeat(32), "00".into(), String::new()] {
        assert_eq!(knock(&scripted_worker(), &token, &path, None).await, REFUSED);
    }
    log.says("refused: a process that said Hello");
    log.says("unknown token");
    nobody_noticed(pool, 1).await;
}

#[tokio::test]
async fn the_token_of_a_worker_that_is_gone_lets_nobody_in() {
    let (log, _listening) = Log::listen();
    let pool = pool(1).start().await;
    let path = pool.run("path", "").await.expect("where workers dial");
    let token = pool.run("token", "").await.expect("what let it in");
    pool.run("exit", "3").await.expect_err("a death");
    pool.refilled(2).await;
    assert_eq!(knock(&scripted_worker(), &token, &path, None).await, REFUSED);
    log.says("unknown token");
    nobody_noticed(pool, 2).await;
}

#[tokio::test]
async fn a_token_that_is_used_again_by_another_process_costs_the_worker_that_leaked_it() {
    let (log, _listening) = Log::listen();
    let pool = pool(1).start().await;
    let path = pool.run("path", "").await.expect("where workers dial");
    let token = pool.run("token", "").await.expect("what let it in");
    assert_eq!(knock(&scripted_worker(), &token, &path, None).await, REFUSED);
    pool.refilled(2).await;
    log.says("this token has been used");
    log.says("a second Attach with its token");
    nobody_noticed(pool, 2).await;
}

#[tokio::test]
async fn another_user_is_refused_and_logged_even_where_the_files_would_let_it_in() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let (log, _listening) = Log::listen();
    // Where anybody may run it.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let open = |path: &Path| std::fs::set_permissions(path, PermissionsExt::from_mode(0o777));
    open(folder.path()).expect("our own folder");
    let program = folder.path().join("stranger");
    std::fs::copy(scripted_worker(), &program).expect("room");

    let pool = pool(1).start().await;
    let path = pool.run("path", "").await.expect("where workers dial");
    let token = "00".repeat(32);
    // The run folder is closed to it: it does not even get to the socket.
    assert_eq!(knock(&program, &token, &path, Some(NOBODY)).await, REFUSED);
    open(Path::new(&path)).expect("our own socket");
    open(Path::new(&path).parent().expect("the run folder")).expect("our own folder");
    assert_eq!(knock(&program, &token, &path, Some(NOBODY)).await, REFUSED);
    log.says(&format!("refused: a connection of another user uid={NOBODY}"));
    nobody_noticed(pool, 1).await;
}
