"""Another host of the same user, with children below its workers; it is killed in the middle.

Ends with a complaint on stderr when one of its calls goes wrong: nobody but itself is to harm it.
"""

from __future__ import annotations

import os
import signal
import sys
from random import Random
from threading import Thread

from snakepit import Pool

from .callers import plain
from .oracle import expected


def end_with_the_storm() -> None:
    """Whoever started this holds the other end of its standard input, and may be killed itself."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    Thread(target=end_with_the_storm, daemon=True).start()
    random = Random(sys.argv[1])
    pool = Pool("chaos.adapter:Chaos", size=2, name="neighbour", worker_output="drop", grace=0.3)
    for kind in ("plain", "session", "below_nobody"):
        pool.execute("children", {"number": 0, "kind": kind})
    pool.submit("seize", {"number": 0, "seconds": 600})
    print("ready", flush=True)
    for number in range(1, 1 << 40):
        tool, args = plain(random)
        args["number"] = number
        value = pool.execute(tool, args)
        assert value == expected(tool, args), f"{tool} answered {value!r:.80}"
