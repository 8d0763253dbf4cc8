"""``python -m snakepit cleanup``: end what killed hosts have left."""

from __future__ import annotations

import argparse
import sys


def main() -> int:
    """Run one command and return the exit status: 1 where something could not be ended."""
    parser = argparse.ArgumentParser(prog="python -m snakepit")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "cleanup", help="end what killed hosts of this user have left, remove their run folders"
    )
    parser.parse_args()
    from snakepit._cleanup import cleanup

    done = cleanup()
    print(
        f"{len(done.hosts)} dead hosts, {len(done.ended)} processes ended, "
        f"{done.folders} run folders removed"
    )
    for pid in done.refused:
        print(f"process {pid} belongs to another user now: end it as that user", file=sys.stderr)
    return 1 if done.refused else 0


if __name__ == "__main__":
    sys.exit(main())
