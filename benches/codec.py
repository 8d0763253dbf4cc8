"""The codec against other encoders, in one process: ratios, which survive a slow machine.

Rounds interleave the libraries, so that a drift of the machine hits all of them; each figure is a
median over rounds, with the cost of the Python loop around it in it. Absolute times depend on the
interpreter's build; the budgets are those of the design. ::

    python benches/codec.py
    python benches/codec.py --module my_build._core --rounds 25
"""

from __future__ import annotations

import argparse
import importlib
import json
import pickle
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes], Any]


@dataclass(frozen=True)
class Case:
    """One value, how often a round repeats it, and its budget in µs both ways, if any."""

    name: str
    value: Any
    repeats: int
    budget: float | None = None


def cases() -> list[Case]:
    """Arguments and results as calls have them, then the extremes."""
    dice = random.Random(1)
    mixed = {"name": "alpha beta", "score": 0.25, "flag": True, "none": None}
    rows = [{"id": n, "name": f"item{n}", "ok": True} for n in range(1000)]
    return [
        Case('{"x": 1}', {"x": 1}, 30_000, 0.3),
        Case("5 keys", {**mixed, "items": [*range(1, 11)]}, 15_000, 0.8),
        Case("1000 small dicts", rows, 60, 300.0),
        Case("10 kB str", "x" * 10_240, 10_000),
        Case("1000 floats", [dice.random() for _ in range(1000)], 600),
        Case("100 keys", {f"key_{n:03d}": n for n in range(100)}, 2_000),
    ]


def libraries(module: str) -> dict[str, tuple[Encode, Decode]]:
    """Ours first, then the pure one of the grpcio end and whichever of the others can be had."""
    ours = importlib.import_module(module)
    found: dict[str, tuple[Encode, Decode]] = {"ours": (ours.encode, ours.decode)}
    for name in ("snakepit_bridge._values", "msgspec", "ormsgpack", "msgpack"):
        try:
            library = importlib.import_module(name)
        except ImportError:
            continue
        if name == "snakepit_bridge._values":
            found["pure"] = (library.encode, library.decode)
        elif name == "msgspec":
            msgpack = importlib.import_module("msgspec.msgpack")
            found[name] = (msgpack.Encoder().encode, msgpack.Decoder().decode)
        else:
            found[name] = (library.packb, library.unpackb)
    found["pickle"] = (lambda value: pickle.dumps(value, 5), pickle.loads)
    found["json"] = (lambda value: json.dumps(value).encode(), json.loads)
    return found


def nanoseconds(function: Callable[[Any], Any], argument: Any, repeats: int) -> float:
    """Of one call, loop included."""
    start = time.perf_counter_ns()
    for _ in range(repeats):
        function(argument)
    return (time.perf_counter_ns() - start) / repeats


def measure(
    case: Case, codecs: dict[str, tuple[Encode, Decode]], rounds: int
) -> dict[str, tuple[float, float]]:
    """Medians of encode and decode in nanoseconds, by library."""
    packed = {name: encode(case.value) for name, (encode, _) in codecs.items()}
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in codecs}
    for turn in range(rounds + 1):
        for name, (encode, decode) in codecs.items():
            there = nanoseconds(encode, case.value, case.repeats)
            back = nanoseconds(decode, packed[name], case.repeats)
            if turn:  # the first round warms caches
                times[name][0].append(there)
                times[name][1].append(back)
    return {
        name: (statistics.median(there), statistics.median(back))
        for name, (there, back) in times.items()
    }


def main() -> None:
    """Print the table; budgets are told, never enforced: this machine may be anyone's."""
    parser = argparse.ArgumentParser(description="Measure the codec against other encoders.")
    parser.add_argument("--module", default="snakepit._core", help="where encode and decode are")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    codecs = libraries(options.module)

    print(
        f"Python {sys.version.split()[0]}, {options.module}; ns to encode + decode, and ours / it"
    )
    for case in cases():
        medians = measure(case, codecs, options.rounds)
        total = sum(medians["ours"])
        print(f"\n{case.name}")
        for name, (there, back) in medians.items():
            ratio = "" if name == "ours" else f"{total / (there + back):8.2f} ×"
            print(f"  {name:<10}{there:12,.0f} +{back:12,.0f}{ratio}")
        if case.budget is not None:
            verdict = "met" if total <= case.budget * 1000 else "MISSED"
            print(f"  budget {case.budget} µs both ways: {verdict} ({total / 1000:.2f})")
            if "msgspec" in medians:
                ratio_of_budget = total / sum(medians["msgspec"])
                verdict = "met" if ratio_of_budget <= 1.5 else "MISSED"
                print(f"  budget 1.5 × msgspec: {verdict} ({ratio_of_budget:.2f})")


if __name__ == "__main__":
    main()
