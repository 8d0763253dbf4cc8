"""How long the first look at the hardware takes, in fresh processes of the installed wheel. ::

    python benches/hardware.py --runs 20

The budget is for a machine without a GPU: 300 ms. A driver adds what it takes to answer.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

BUDGET = 0.3  # Seconds.

ASK = """
import json, time
begun = time.perf_counter()
from snakepit import hardware
imported = time.perf_counter()
here = hardware.detect()
cold = time.perf_counter()
hardware.detect()
warm = time.perf_counter()
print(json.dumps([here.accelerator, imported - begun, cold - imported, warm - cold]))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    told = []
    for _ in range(runs):
        done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, check=True)
        told.append(json.loads(done.stdout))
    kinds = {accelerator for accelerator, *_ in told}
    columns = list(zip(*(times for _, *times in told), strict=True))
    print(f"{runs} fresh processes; accelerator: {', '.join(sorted(kinds))}")
    for name, times in zip(("import", "detect, cold", "detect, again"), columns, strict=True):
        median, most = statistics.median(times) * 1e3, max(times) * 1e3
        print(f"{name:<16}{median:9.2f} ms median {most:9.2f} ms at most")
    met = max(columns[1]) <= BUDGET
    print(f"budget of a cold look: {BUDGET * 1e3:.0f} ms: {'met' if met else 'MISSED'}")
    return 0 if met or kinds != {"cpu"} else 1


if __name__ == "__main__":
    sys.exit(main())
