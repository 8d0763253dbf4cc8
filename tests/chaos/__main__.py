"""``python -m chaos --seed 7 --seconds 600``; see the package."""

from __future__ import annotations

import argparse
import logging
import sys
import time

import control_groups

from .run import Run


def main() -> int:
    parser = argparse.ArgumentParser(description="A seeded chaos run.")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--seconds", type=float, default=600)
    asked = parser.parse_args()
    again = f"make chaos SEED={asked.seed} SECONDS={asked.seconds:g}"
    print(again, flush=True)
    # Where a worker was that had to be killed: there are hundreds.
    logging.getLogger("snakepit").addHandler(logging.NullHandler())
    run = Run(asked.seed, asked.seconds, lambda text: print(text, flush=True))
    try:
        with control_groups.apart():
            run.go()
    except BaseException:
        print(f"\nthe run itself failed; once more: {again}", file=sys.stderr)
        raise
    if run.wrong:
        print(f"\n{run.ledger.told()}\n\nonce more: {again}", file=sys.stderr)
        return 1
    print(f"every call ended once and rightly: {run.told()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
