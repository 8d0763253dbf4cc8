"""A program that owns a pool with two busy workers, and waits for a result, until it is killed."""

from __future__ import annotations

import sys
from pathlib import Path

from .cells import Stage


def main() -> None:
    contender, task, directory = sys.argv[1:]
    stage = Stage(contender, Path(directory))
    stage.start()
    calls = [stage.run(task) for _ in range(2)]
    (Path(directory) / "workers").write_text(" ".join(str(pid) for _, pid in calls))
    print("busy", flush=True)
    try:
        calls[0][0].result()
    finally:
        # As leaving a `with` block in which an exception was raised.
        stage.rival.close()


if __name__ == "__main__":
    main()
