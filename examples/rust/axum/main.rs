//! A web service whose work is done by Python: `cargo run --example axum`; README.md says how to ask
//! it. Here is its life, in `routes.rs` what it answers, in `refusal.rs` which error has which status.
//!
//! ```text
//! bind ─▶ workers start ─▶ ready ─▶ SIGTERM ─▶ linger ─▶ no new connections ─▶ calls end ─▶ workers go
//!         └ /health/ready: 503 ┘ 200 └ 503 ───────────────────────────────────────────────┘
//! ```

mod refusal;
mod routes;

use std::process::ExitCode;
use std::time::Duration;

use snakepit::Pool;
use snakepit_examples::{FOLDER, Options, ended};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

const USAGE: &str = "\
A web service whose work is done by Python.

  --port N              on 127.0.0.1, 0: any that is free; default: 8000
  --adapter MOD:CLASS   whose tools are served; default: adapters:Words
  --pythonpath FOLDER   where its module is; default: beside the examples
  --workers N           default: 2
  --max-queue N         calls that may wait; one more is a 503; default: 100
  --timeout SECONDS     for a call that does not say less; default: 30
  --linger SECONDS      that SIGTERM leaves a load balancer to look elsewhere; default: 0
  --drain SECONDS       that calls under way get then; default: 10
  --python PATH         the workers' interpreter; default: $VIRTUAL_ENV, else .venv of this checkout
";

/// What a client gets to read the end of its answer once its call is over.
const LAST_WORDS: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    ended(serve().await)
}

async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::read(USAGE)?;
    let port = options.value("--port")?.unwrap_or(8000_u16);
    let adapter: Option<String> = options.value("--adapter")?;
    let linger = options.seconds("--linger")?.unwrap_or_default();
    // First: a port that is taken is told before workers load their models.
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|error| format!("port {port}: {error}; name another with --port"))?;
    let mut stop = Stop::listen()?;
    let pool = Pool::builder(adapter.as_deref().unwrap_or("adapters:Words"))
        .name("web")
        .size(options.value("--workers")?.unwrap_or(2_usize))
        .max_queue(options.value("--max-queue")?.unwrap_or(100_usize))
        .timeout(options.seconds("--timeout")?.unwrap_or(Duration::from_secs(30)))
        .drain_timeout(options.seconds("--drain")?.unwrap_or(Duration::from_secs(10)))
        .validate_arguments(true)
        .python(options.python()?)
        .pythonpath(FOLDER)
        .pythonpath(options.value("--pythonpath")?.unwrap_or_else(|| FOLDER.to_owned()))
        .start()
        .await?;

    println!("listening on http://{}", listener.local_addr()?);
    let (leaving, left) = watch::channel(false);
    let (closing, mut closed) = watch::channel(false);
    let service = routes::service(pool.clone(), left);
    let server = tokio::spawn(async move {
        let no_more = async move { drop(closed.wait_for(|closed| *closed).await) };
        axum::serve(listener, service).with_graceful_shutdown(no_more).await
    });

    let failed = tokio::select! {
        () = stop.asked() => None,
        error = cannot_start(&pool) => Some(error),
    };
    // From here on a load balancer is told to send nothing; what it sends meanwhile is served.
    leaving.send_replace(true);
    if failed.is_none() {
        tokio::select! { () = sleep(linger) => {}, () = stop.asked() => {} }
    }
    closing.send_replace(true);
    tokio::select! {
        () = pool.shutdown() => {} // calls under way get the drain timeout
        () = stop.asked() => pool.close(Duration::ZERO).await, // a second signal: at once
    }
    match timeout(LAST_WORDS, server).await {
        Ok(served) => served??,
        Err(_) => eprintln!("some clients did not read their answers"),
    }
    if let Some(error) = failed {
        return Err(error.into());
    }
    println!("closed");
    Ok(())
}

/// SIGTERM, as service managers send it, or Ctrl-C.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// From now on they end nothing by themselves.
    fn listen() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next one of them.
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Returns only when the workers cannot start: a service that never can should say so and end.
async fn cannot_start(pool: &Pool) -> snakepit::Error {
    match pool.await_ready(None).await {
        Err(error) => error,
        Ok(()) => std::future::pending().await,
    }
}
