"""The interpreter's exit, while daemon threads use a pool and nobody stops them."""

from __future__ import annotations

import pytest

from .conftest import Host

ROUNDS = 5
USES = {
    "successes": "pool.execute('echo', {'value': 1})",
    "failures": "pool.execute('fail', {'kind': 'ValueError', 'text': 'x' * 10})",
    "futures": "pool.submit('fail', {'kind': 'ValueError'}).result()",
    "closed": "pool.execute('echo', {'value': 1})",
}


@pytest.mark.parametrize("use", USES)
def test_daemon_threads_in_tight_loops(host: Host, use: str) -> None:
    script = host.write(
        f"""
import threading, time
import snakepit

pool = snakepit.Pool("pool.adapters:Basic", size=2, grace=0.3, worker_output="drop")
pool.await_ready(60)
if {use!r} == "closed":
    pool.close()
turns = [0] * 6

def work(place):
    while True:
        try:
            {USES[use]}
        except Exception:
            pass
        turns[place] += 1

for place in range(6):
    threading.Thread(target=work, args=(place,), daemon=True).start()
while min(turns) < 50:
    time.sleep(0.005)
"""
    )
    for _ in range(ROUNDS):
        code, out, err = host.run(script)
        assert (code, out, err) == (0, "", "")
