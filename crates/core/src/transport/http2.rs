//! How both ends of a line speak HTTP/2, in one place: settings that differ would cost either
//! speed or the connection.
//!
//! The host's end is served by [`super::listener`]. The worker's end is opened here, for whoever is
//! a worker in Rust: the bindings, scripted workers, a benchmark of the line alone.

use tonic::transport::Server;

/// h2 ends a connection whose unread small DATA frames cost more than half its window; a window
/// of 16 MiB leaves room for any burst that our own windows allow (and saves round trips).
const CONNECTION_WINDOW: u32 = 16 << 20;

const STREAM_WINDOW: u32 = 8 << 20;

/// Fewer, larger DATA frames: a third less time for a 60 kB message.
const MAX_FRAME: u32 = 128 << 10;

/// What a frame may add to the value inside it.
const FRAME_OVERHEAD: usize = 64 << 10;

/// Largest frame of a line that carries values of at most `max_message` bytes.
pub const fn frame_limit(max_message: usize) -> usize {
    max_message.saturating_add(FRAME_OVERHEAD)
}

/// A server that speaks as workers expect it; without a service yet.
pub fn server() -> Server {
    Server::builder()
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .max_frame_size(MAX_FRAME)
}

/// The worker's end of the connection that `socket` is. It never dials a second time: that would be
/// another worker to the host.
///
/// # Errors
/// `Unavailable`, with what the system said.
#[cfg(feature = "worker-end")]
pub async fn channel<S>(socket: S) -> Result<tonic::transport::Channel, tonic::Status>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let mut socket = Some(hyper_util::rt::TokioIo::new(socket));
    let connect = move |_| {
        let taken = std::io::Error::from(std::io::ErrorKind::NotConnected);
        std::future::ready(socket.take().ok_or(taken))
    };
    // The address only fills the `:authority` of requests; the connector knows where to go.
    tonic::transport::Endpoint::from_static("http://localhost")
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .max_frame_size(MAX_FRAME)
        .connect_with_connector(tower::service_fn(connect))
        .await
        .map_err(|error| tonic::Status::unavailable(innermost(&error)))
}

/// "No such file or directory" rather than "transport error".
#[cfg(feature = "worker-end")]
fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}
