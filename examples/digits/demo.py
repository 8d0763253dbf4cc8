"""Train and classify handwritten digits in two worker processes: `make demo`.

One session trains a model (a stream of progress) and classifies 360 scans that the training never
saw; then many small calls show what a call costs. At the end no process is left, and that is
checked.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import snakepit
from leftovers import MARK, marked_processes

WORKERS = 2
EPOCHS = 30
PINGS = 5_000
INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended


def main() -> int:
    mark = uuid.uuid4().hex
    code = 0
    started = time.perf_counter()
    try:
        with snakepit.Pool(
            "digits_adapter:DigitsAdapter", size=WORKERS, name="digits", env={MARK: mark}
        ) as pool:
            pool.await_ready(60)
            print(f"{WORKERS} workers ready after {time.perf_counter() - started:.1f} s")
            classify(pool)
            hurry(pool)
            print_workers(pool.list_workers())
    except KeyboardInterrupt:
        print("\ninterrupted: the call was cancelled and the pool closed")
        code = INTERRUPTED

    left = marked_processes(mark, patience=5.0)
    if left:
        print(f"processes left behind: {left}", file=sys.stderr)
        return 1
    print("closed; no process is left behind")
    return code


def classify(pool: snakepit.Pool) -> None:
    """Train in a session, then classify in the same session: the model lives in its worker."""
    data = pool.execute("scans")
    pixels, labels = data["pixels"], data["labels"]
    with pool.session("demo") as session:
        print(f"training on {data['train']} scans")
        show_progress(session.execute_stream("train", {"epochs": EPOCHS}))

        right = 0
        times = []
        for scan, label in zip(pixels, labels, strict=True):
            start = time.perf_counter()
            digit = session.execute("classify", {"pixels": scan})
            times.append(time.perf_counter() - start)
            right += digit == label
    print(f"classified {len(labels)} scans that the training never saw")
    print(f"accuracy {right / len(labels):.4f}")
    print(f"classify: {latency(times)}")


def hurry(pool: snakepit.Pool) -> None:
    """Many small calls: one after the other, then with several in flight."""
    times = []
    for _ in range(PINGS):
        start = time.perf_counter()
        pool.execute("ping")
        times.append(time.perf_counter() - start)
    print(f"ping:     {latency(times)}")

    start = time.perf_counter()
    answers = sum(1 for _ in pool.map("ping", ({} for _ in range(4 * PINGS)), in_flight=64))
    print(f"ping, 64 in flight: {answers / (time.perf_counter() - start):,.0f} calls/s")


def latency(times: list[float]) -> str:
    """Calls per second and percentiles of calls made one after the other."""
    ordered = sorted(times)
    p50, p99 = (ordered[int(len(ordered) * part)] * 1e6 for part in (0.50, 0.99))
    return f"{len(times) / sum(times):,.0f} calls/s, p50 {p50:,.0f} µs, p99 {p99:,.0f} µs"


def show_progress(chunks: Iterable[dict[str, Any]]) -> None:
    """A bar that moves on a terminal, plain lines elsewhere."""
    terminal = sys.stdout.isatty()
    for chunk in chunks:
        epoch, epochs, loss = chunk["epoch"], chunk["epochs"], chunk["loss"]
        text = f"epoch {epoch:2d}/{epochs}  loss {loss:.4f}"
        if terminal:
            done = 30 * epoch // epochs
            print(f"\r[{'█' * done}{'·' * (30 - done)}] {text}", end="", flush=True)
        elif epoch % 5 == 0 or epoch == epochs:
            print(text, flush=True)
    if terminal:
        print()


def print_workers(workers: list[snakepit.WorkerInfo]) -> None:
    for row in table(workers):
        print(row)


def table(workers: Iterable[snakepit.WorkerInfo]) -> Iterator[str]:
    yield f"{'worker':<12}{'pid':>8}  {'state':<10}{'calls':>8}{'memory':>12}"
    for worker in workers:
        memory = "-" if worker.memory is None else f"{worker.memory / 2**20:.1f} MiB"
        yield (
            f"{worker.ref!s:<12}{worker.pid or '-':>8}  {worker.state:<10}"
            f"{worker.calls:>8}{memory:>12}"
        )


if __name__ == "__main__":
    sys.exit(main())
