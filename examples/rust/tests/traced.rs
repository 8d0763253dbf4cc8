//! What a subscriber of `tracing` hears.

mod common;

use std::io;
use std::sync::{Arc, Mutex};

use common::{face, finish};
use snakepit::value::Map;
use snakepit::{OutputMode, Value};
use snakepit_testkit::until;
use tracing_subscriber::fmt::format::FmtSpan;

/// Everything that was written.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic inside")).into_owned()
    }

    /// The line that has all of these.
    fn has(&self, parts: &[&str]) -> bool {
        self.text().lines().any(|line| parts.iter().all(|part| line.contains(part)))
    }
}

impl io::Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic inside").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_call_is_a_span_and_a_worker_has_events() {
    let Some((builder, mark)) = face() else { return };
    let heard = Heard::default();
    let writer = heard.clone();
    // On this thread only, which is the runtime's only one.
    let _listening = tracing::subscriber::set_default(
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_span_events(FmtSpan::CLOSE)
            .with_writer(move || writer.clone())
            .finish(),
    );
    let pool = builder.worker_output(OutputMode::Log).start().await.expect("a pool");
    pool.await_ready(None).await.expect("a worker");
    assert!(heard.has(&["INFO", "worker is ready", "worker=face/0", "generation=1", "pid="]));

    let _: String = pool.call("ping").session("user_42").execute().await.expect("pong");
    let call = ["snakepit.call", "pool=\"face\"", "tool=\"ping\""];
    let known = ["session=\"user_42\"", "worker=face/0", "outcome=\"ok\"", "close"];
    assert!(heard.has(&[&call[..], &known[..]].concat()), "{}", heard.text());

    let _ = pool.execute::<Value>("fail", ()).await;
    assert!(heard.has(&["tool=\"fail\"", "worker=face/0", "outcome=\"remote\""]));
    let _ = pool.execute::<Value>("ping", [1]).await;
    assert!(heard.has(&["tool=\"ping\"", "outcome=\"encode\""]));
    drop(pool.call("silent").stream::<Value>().expect("a stream"));
    assert!(heard.has(&["tool=\"silent\"", "outcome=\"dropped\""]));

    pool.execute::<()>("say", Map::from([("text", "a line")])).await.expect("it prints");
    until("the line is here", || {
        heard.has(&["INFO", "snakepit::worker", "a line", "worker=face/0", "stdout"])
    })
    .await;
    let _ = pool.execute::<Value>("crash", ()).await;
    assert!(heard.has(&["worker is gone", "worker=face/0", "exit code 3"]), "{}", heard.text());
    finish(pool, mark).await;
}
