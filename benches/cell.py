"""One measurement in a process of its own: `cell.py CONTENDER WORKLOAD full|quick` prints JSON.

A fresh process, so that neither imports nor leftovers of one contender touch the next. This is also
the main module that spawned rivals import, so it imports nothing at its top but the standard
library.
"""

from __future__ import annotations

import json
import sys


def main(contender: str, workload: str, size: str) -> None:
    import workloads
    from contenders import CONTENDERS

    sizes = {"full": workloads.FULL, "quick": workloads.QUICK}[size]
    pool = CONTENDERS[contender]()
    name, _, number = workload.partition(" ")
    if name == "start":
        figures = workloads.start(pool, sizes, int(number))
    else:
        figures = getattr(workloads, name)(pool, sizes)
    print(json.dumps(figures), flush=True)
    pool.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
