"""How a worker ends: drained, with its line, with its host, and without anything left behind."""

from __future__ import annotations

from snakepit.conformance.check import (
    Bench,
    Violation,
    check,
    expect,
    expect_exit,
    expect_started,
    plain_words,
    ready,
)

MANY = 50
BULK = 16 << 20


@check("drain", "it answers what was sent before Drain, and exits with 0", "drain")
def drain(bench: Bench) -> None:
    with bench.fresh() as host, plain_words():
        ready(host)
        started = bench.file()
        running = host.call("wait", started=str(started))
        calls = [host.call("echo", value=number) for number in range(MANY)]
        expect_started(host, started)
        host.send(drain={})
        host.cancel(running)  # which is allowed after Drain, as grants are
        host.outcome(running)
        for number, call in enumerate(calls):
            expect(number, host.result(call), f"the value of call {call}, sent before Drain")
        last = host.frame()
        if last is not None:
            raise Violation("the end of the line after Drain", str(last))
        expect_exit(host, "after Drain", code=0)


@check("drain-bulk", "a large result is out before it exits", "drain")
def drain_bulk(bench: Bench) -> None:
    with bench.fresh(max_message=BULK) as host, plain_words():
        ready(host)
        call = host.call("large", size=BULK - 5)
        host.send(drain={})
        expect(BULK, len(host.value(call)), "bytes of the value before the exit")
        expect_exit(host, "after Drain", code=0)


@check("line-ends", "it exits when its line ends", "end-of-the-line")
def line_ends(bench: Bench) -> None:
    with bench.fresh() as host, plain_words():
        ready(host)
        host.hang_up_line()
        expect_exit(host, "when its line ends")


@check("host-gone", "it exits by itself when its host is gone while a tool runs", "end-of-the-line")
def host_gone(bench: Bench) -> None:
    with bench.fresh() as host, plain_words():
        ready(host)
        started = bench.file()
        host.call("wait", started=str(started))
        expect_started(host, started)
        host.process.stop_shim()
        host.hang_up_line()
        host.control.close()
        expect_exit(host, "when its host is gone, without a shim's help")


@check("host-gone-stream", "so it does while a stream waits for its reader", "end-of-the-line")
def host_gone_stream(bench: Bench) -> None:
    with bench.fresh() as host, plain_words():
        ready(host)
        call = host.stream("count", upto=1 << 40, window_items=10)
        host.chunk(call)
        host.process.stop_shim()
        host.hang_up_line()
        host.control.close()
        expect_exit(host, "when its host is gone, without a shim's help")


@check("nothing-left", "no process of any of its workers is left", "end-of-the-line")
def nothing_left(bench: Bench) -> None:
    bench.drop()
    expect([], bench.left, "processes that are left")
