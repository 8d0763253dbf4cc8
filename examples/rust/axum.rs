//! A web service whose work is done by Python: `cargo run --example axum`, then
//!
//! ```console
//! curl localhost:8000/tools/count -d '{"text": "hello world"}' -H 'content-type: application/json'
//! curl localhost:8000/streams/split -d '{"text": "one two"}' -H 'content-type: application/json'
//! ```
//!
//! What a service owes its callers is here: a full queue is a 503 with `Retry-After`; a client that
//! hangs up cancels its call, since axum drops the handler's future; SIGTERM and Ctrl-C let calls
//! under way end before the workers go.

use std::process::ExitCode;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use snakepit::{Error, Pool};
use snakepit_examples::{FOLDER, Options, ended};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::StreamExt;

const USAGE: &str = "\
A web service whose work is done by Python.

  --port N              on 127.0.0.1, 0: any that is free; default: 8000
  --adapter MOD:CLASS   whose tools are served; default: adapters:Words
  --pythonpath FOLDER   where its module is; default: beside the examples
  --workers N           default: 2
  --max-queue N         calls that may wait; one more is a 503; default: 100
  --python PATH         the workers' interpreter; default: $VIRTUAL_ENV, else .venv of this checkout
";

#[tokio::main]
async fn main() -> ExitCode {
    ended(serve().await)
}

async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::read(USAGE)?;
    let port = options.value("--port")?.unwrap_or(8000_u16);
    // First: a port that is taken is told before workers load their models.
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|error| format!("port {port}: {error}; name another with --port"))?;
    let adapter: Option<String> = options.value("--adapter")?;
    let pool = Pool::builder(adapter.as_deref().unwrap_or("adapters:Words"))
        .name("web")
        .size(options.value("--workers")?.unwrap_or(2_usize))
        .max_queue(options.value("--max-queue")?.unwrap_or(100_usize))
        .timeout(Duration::from_secs(30))
        .drain_timeout(Duration::from_secs(10))
        .python(options.python()?)
        .pythonpath(FOLDER)
        .pythonpath(options.value("--pythonpath")?.unwrap_or_else(|| FOLDER.to_owned()))
        .start()
        .await?;
    pool.await_ready(None).await?;

    println!("listening on http://{}", listener.local_addr()?);
    let server = axum::serve(listener, service(pool.clone())).with_graceful_shutdown(stop());
    let end = async {
        stop().await;
        pool.shutdown().await; // calls under way get the drain timeout
    };
    let (served, ()) = tokio::join!(server, end);
    println!("closed");
    Ok(served?)
}

fn service(pool: Pool) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/tools/{tool}", post(run))
        .route("/streams/{tool}", post(stream))
        .with_state(pool)
}

/// SIGTERM, as service managers send it, or Ctrl-C.
async fn stop() {
    let listen = |kind| signal(kind).expect("a signal that can be caught");
    let (mut terminate, mut interrupt) =
        (listen(SignalKind::terminate()), listen(SignalKind::interrupt()));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn health(State(pool): State<Pool>) -> Json<Value> {
    let stats = pool.stats();
    Json(json!({"ready": stats.ready, "running": stats.running, "queued": stats.queued}))
}

/// JSON in, JSON out.
async fn run(
    State(pool): State<Pool>,
    Path(tool): Path<String>,
    arguments: Result<Json<Map<String, Value>>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let Json(arguments) = arguments?;
    Ok(Json(pool.call(tool).args(&arguments).execute().await?))
}

/// JSON in, a line of JSON for every chunk out.
async fn stream(
    State(pool): State<Pool>,
    Path(tool): Path<String>,
    arguments: Result<Json<Map<String, Value>>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(arguments) = arguments?;
    let mut chunks = pool.call(tool).args(&arguments).stream::<Value>()?;
    // The status is sent with the first chunk: an error before it has one of its own, and a later
    // error is the last line.
    let first = chunks.next().await.transpose()?;
    let lines = tokio_stream::iter(first.map(Ok)).chain(chunks).map(|chunk| {
        let line = chunk.unwrap_or_else(|error| json!({"error": error.to_string()}));
        Ok::<_, std::convert::Infallible>(format!("{line}\n"))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

/// An error as an answer of the service.
struct Refusal {
    status: StatusCode,
    told: String,
    /// Where the pool knows when to come again.
    retry_after: Option<Duration>,
}

/// The request is no JSON, or none that names arguments.
impl From<JsonRejection> for Refusal {
    fn from(error: JsonRejection) -> Self {
        Self { status: error.status(), told: error.body_text(), retry_after: None }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = match &error {
            // Nothing ran, and later it may: the client is told when to come again.
            Error::QueueFull { .. }
            | Error::CircuitOpen { .. }
            | Error::PoolClosed { may_have_run: false, .. } => StatusCode::SERVICE_UNAVAILABLE,
            Error::ToolNotFound { .. } => StatusCode::NOT_FOUND,
            Error::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Error::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Error::Remote { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, told: error.to_string(), retry_after: error.retry_after() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, told, retry_after } = self;
        let told = Json(json!({"error": told}));
        match status {
            StatusCode::SERVICE_UNAVAILABLE => {
                // Whole seconds, rounded up: who comes too early is refused again.
                let wait = retry_after.unwrap_or(Duration::from_secs(1));
                let seconds = wait.as_secs_f64().ceil().max(1.0).to_string();
                (status, [(header::RETRY_AFTER, seconds)], told).into_response()
            }
            _ => (status, told).into_response(),
        }
    }
}
