"""Workers in JavaScript beside workers in Python, in one program.

.. code-block:: console

    npm ci --prefix examples/node-worker
    python examples/node-worker/beside_python.py
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import snakepit
from snakepit_bridge import BaseAdapter, tool

WORKER = Path(__file__).with_name("worker.js")
TITLES = ["Crème brûlée & Co.", "Zwölf Boxkämpfer", "  À la carte  "]


class Numbers(BaseAdapter):
    @tool
    def is_prime(self, number: int) -> bool:
        return number > 1 and all(number % d for d in range(2, math.isqrt(number) + 1))


def main() -> None:
    script = snakepit.Pool(snakepit.Program("node", WORKER), size=2, name="script")
    numbers = snakepit.Pool(Numbers, size=2, name="numbers")
    with script, numbers:
        for slug in script.map("slugify", ({"text": title} for title in TITLES)):
            print(slug)

        # A stream without an end: the worker stops with its reader.
        with script.execute_stream("primes", {"from": 10_000}) as primes:
            first = list(itertools.islice(primes, 5))
        checked = numbers.map("is_prime", ({"number": number} for number in first))
        print(first, "all prime:", all(checked))

        with script.session("basket") as session:
            print("sum:", [session.execute("add", {"number": n}) for n in (1, 2, 3)][-1])

        try:
            script.execute("spin", timeout=0.5)
        except snakepit.CallTimeout as late:
            print("deaf to its deadline:", late.step)
        print("and the pool goes on:", script.execute("echo", {"value": "well"}))


if __name__ == "__main__":
    main()
