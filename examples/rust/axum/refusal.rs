//! Which error has which status. Who gets a 503 may come again: nothing ran. `may_have_run` says of
//! all others whether that is so.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use snakepit::Error;

/// An error as an answer of the service.
pub struct Refusal {
    status: StatusCode,
    told: String,
    may_have_run: bool,
    /// Where the pool knows when to come again.
    retry_after: Option<Duration>,
}

impl Refusal {
    pub fn bad_header(name: &str, expected: &str) -> Self {
        Self::unasked(StatusCode::BAD_REQUEST, format!("{name}: expected {expected}"))
    }

    pub fn body(&self) -> Value {
        json!({"error": self.told, "may_have_run": self.may_have_run})
    }

    /// Refused before the pool was asked.
    fn unasked(status: StatusCode, told: String) -> Self {
        Self { status, told, may_have_run: false, retry_after: None }
    }
}

/// The request is no JSON, or none that names arguments.
impl From<JsonRejection> for Refusal {
    fn from(error: JsonRejection) -> Self {
        Self::unasked(error.status(), error.body_text())
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::ToolNotFound { .. } => StatusCode::NOT_FOUND,
            Error::Argument { .. } | Error::Config { .. } => StatusCode::BAD_REQUEST,
            Error::TooLarge { .. } if !error.may_have_run() => StatusCode::PAYLOAD_TOO_LARGE,
            // Nothing ran, and later it may.
            Error::QueueFull { .. }
            | Error::CircuitOpen { .. }
            | Error::PoolClosed { .. }
            | Error::NotReady { .. }
            | Error::Start { .. }
            | Error::SessionQuotaExceeded { .. }
            | Error::Timeout { .. }
                if !error.may_have_run() =>
            {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Error::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Error::WorkerDied { .. } | Error::PoisonCall { .. } => StatusCode::BAD_GATEWAY,
            Error::SessionLost { .. } => StatusCode::GONE,
            // By Python's own words for an argument of the right type that will not do.
            Error::Remote { failure, .. } if failure.type_name == "ValueError" => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let (may_have_run, retry_after) = (error.may_have_run(), error.retry_after());
        Self { status, told: error.to_string(), may_have_run, retry_after }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(self.body());
        if self.status != StatusCode::SERVICE_UNAVAILABLE {
            return (self.status, body).into_response();
        }
        // Whole seconds, rounded up: who comes too early is refused again.
        let wait = self.retry_after.unwrap_or(Duration::from_secs(1));
        let seconds = wait.as_secs_f64().ceil().max(1.0).to_string();
        (self.status, [(header::RETRY_AFTER, seconds)], body).into_response()
    }
}
