"""A port of this machine alone where Prometheus asks for metrics."""

from __future__ import annotations

import atexit
import errno
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, ClassVar, Self

from snakepit._checks import positive
from snakepit._metrics import CONTENT_TYPE, CONTENT_TYPE_OPENMETRICS, metrics
from snakepit.errors import ConfigError

HOST = "127.0.0.1"
PORT = 9464
"""The port that exporters of metrics have by default."""

_REQUEST_TIMEOUT = 5.0
_MAX_REQUESTS = 8


class MetricsServer:
    """Answers ``GET /metrics`` on 127.0.0.1 until it is closed; see ``serve_metrics``."""

    _open: ClassVar[set[MetricsServer]] = set()
    """They serve until they are closed, whoever holds them."""

    def __init__(self, port: int) -> None:
        self._server = _Server((HOST, port), _Handler)
        self._owner = os.getpid()
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="snakepit-metrics", daemon=True
        )
        self._thread.start()
        MetricsServer._open.add(self)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """What Prometheus is to be told."""
        return f"http://{HOST}:{self.port}/metrics"

    def close(self) -> None:
        """Stop to listen; the port is free then. Closed already, or in a fork: does nothing."""
        if self not in MetricsServer._open or os.getpid() != self._owner:
            return
        MetricsServer._open.discard(self)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "open" if self in MetricsServer._open else "closed"
        return f"<MetricsServer {self.url} {state}>"


def serve_metrics(port: int = PORT) -> MetricsServer:
    """Answer Prometheus on a port of this machine.

    Whoever may connect to 127.0.0.1 may read them; no other machine can. A thread of its own
    answers, so a program that holds the interpreter for long answers late.

    Args:
        port: Which one; 0: a free one, which the server then tells.

    Raises:
        ConfigError: The port is taken, or is none.

    Example:
        >>> server = snakepit.serve_metrics(0)
        >>> server.url
        'http://127.0.0.1:41075/metrics'
    """
    port = positive("metrics_port", port, least=0, most=65535)
    try:
        return MetricsServer(port)
    except OSError as error:
        why = {
            errno.EADDRINUSE: f"port {port} of {HOST} is in use; choose another one, or 0 for any",
            errno.EACCES: f"this user may not listen on port {port}; choose one above 1023",
        }.get(error.errno or 0, f"cannot listen on port {port} of {HOST}: {error}")
        raise ConfigError(f"metrics_port: {why}", field="metrics_port", suggestion="0") from error


class _Server(ThreadingHTTPServer):
    # One that holds a connection open holds up nobody, and not the end of the program either.
    daemon_threads = True
    block_on_close = False
    # Of two programs on one port each would be asked now and then.
    allow_reuse_port = False

    def __init__(self, *args: Any) -> None:
        self._free = threading.BoundedSemaphore(_MAX_REQUESTS)
        super().__init__(*args)

    def server_bind(self) -> None:
        # Not the one of HTTPServer, which asks for the name of this host.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is none of ours."""


class _Handler(BaseHTTPRequestHandler):
    server_version = "snakepit"
    sys_version = ""
    timeout = _REQUEST_TIMEOUT

    def do_GET(self) -> None:
        if not self._is_local():
            self.send_error(403, "ask for 127.0.0.1 or localhost")
        elif self.path.partition("?")[0] != "/metrics":
            self.send_error(404, "there is /metrics alone")
        else:
            self._tell()

    def _tell(self) -> None:
        wants_open = "application/openmetrics-text" in self.headers.get("Accept", "")
        now = metrics()
        text = now.openmetrics_text() if wants_open else now.prometheus_text()
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE_OPENMETRICS if wants_open else CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _is_local(self) -> bool:
        # A page in a browser may have its own name resolve to 127.0.0.1, but must say that name.
        name = self.headers.get("Host", HOST).rpartition(":")[0] or self.headers.get("Host", HOST)
        return name in (HOST, "localhost")

    def log_message(self, *_: Any) -> None:
        """Being asked is no news."""


def _close_all() -> None:
    for server in list(MetricsServer._open):
        server.close()


def _in_child() -> None:
    # The port is the parent's; a child that kept it open would hold it after the parent's end.
    servers = list(MetricsServer._open)
    MetricsServer._open = set()
    for server in servers:
        server._server.socket.close()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_in_child)
