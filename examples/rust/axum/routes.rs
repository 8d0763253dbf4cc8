//! What the service answers. A client that hangs up cancels its call: axum drops the handler's future,
//! or the stream that is its answer.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use snakepit::{Call, Pool};
use tokio::sync::watch;
use tokio_stream::StreamExt;

use crate::refusal::Refusal;

type Arguments = Result<Json<Map<String, Value>>, JsonRejection>;

#[derive(Clone)]
struct Service {
    pool: Pool,
    /// Whether the service is about to end.
    leaving: watch::Receiver<bool>,
}

pub fn service(pool: Pool, leaving: watch::Receiver<bool>) -> Router {
    Router::new()
        .route("/health/live", get(|| async { "ok\n" }))
        .route("/health/ready", get(ready))
        .route("/tools/{tool}", post(run))
        .route("/streams/{tool}", post(stream))
        .with_state(Service { pool, leaving })
}

/// Whether to send requests here: some worker serves, and the service is not about to end.
async fn ready(State(Service { pool, leaving }): State<Service>) -> (StatusCode, Json<Value>) {
    let stats = pool.stats();
    let status = match stats.ready > 0 && !*leaving.borrow() && !pool.is_closed() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let (ready, workers) = (stats.ready, stats.workers);
    let told = json!({"ready": ready, "workers": workers, "running": stats.running,
                      "queued": stats.queued});
    (status, Json(told))
}

/// JSON in, JSON out.
async fn run(
    State(Service { pool, .. }): State<Service>,
    Path(tool): Path<String>,
    headers: HeaderMap,
    arguments: Arguments,
) -> Result<Json<Value>, Refusal> {
    let call = call(&pool, tool, &headers, arguments)?;
    Ok(Json(call.execute().await?))
}

/// JSON in; out comes a line of JSON for every chunk, or an event for whoever accepts such.
async fn stream(
    State(Service { pool, .. }): State<Service>,
    Path(tool): Path<String>,
    headers: HeaderMap,
    arguments: Arguments,
) -> Result<Response, Refusal> {
    let mut chunks = call(&pool, tool, &headers, arguments)?.stream::<Value>()?;
    // The status is sent with the first chunk: an error before it has one of its own, and a later
    // error is the last line, or the last event.
    let first = chunks.next().await.transpose()?;
    let chunks = tokio_stream::iter(first.map(Ok)).chain(chunks);
    let events = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if events.is_some_and(|accept| accept.contains("text/event-stream")) {
        let events = chunks.map(|chunk| match chunk {
            Ok(chunk) => Event::default().json_data(chunk),
            Err(error) => Event::default().event("error").json_data(Refusal::from(error).body()),
        });
        // Comments now and then keep proxies from closing what is silent, and notice who hung up.
        return Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response());
    }
    let lines = chunks.map(|chunk| {
        let line = chunk.unwrap_or_else(|error| Refusal::from(error).body());
        Ok::<_, Infallible>(format!("{line}\n"))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

/// The call that a request asks for: `x-timeout: 2.5` limits it, `x-session: ID` says where it
/// belongs.
fn call<'p>(
    pool: &'p Pool,
    tool: String,
    headers: &HeaderMap,
    arguments: Arguments,
) -> Result<Call<'p>, Refusal> {
    let Json(arguments) = arguments?;
    let mut call = pool.call(tool).args(&arguments);
    if let Some(limit) = headers.get("x-timeout") {
        let seconds = limit.to_str().ok().and_then(|seconds| seconds.parse().ok());
        let limit = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        call = call.timeout(limit.ok_or_else(|| Refusal::bad_header("x-timeout", "seconds"))?);
    }
    if let Some(session) = headers.get("x-session") {
        let id = session.to_str().map_err(|_| Refusal::bad_header("x-session", "ASCII text"))?;
        call = call.session(id);
    }
    Ok(call)
}
