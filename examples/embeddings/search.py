"""Search Python's own library by meaning, with a trained model in two worker processes.

Two sessions have an index each, in the worker that is theirs: one of functions for files and
processes, one of those for numbers and texts. Needs `pip install wordllama` (MIT, 19 MB, the model
included; no network at run time).
"""

from __future__ import annotations

import inspect
import sys
import time
from importlib import import_module

import snakepit

SYSTEM = "glob os pathlib platform shutil signal socket subprocess tempfile threading time zipfile"
VALUES = "copy heapq itertools json math random re secrets statistics string textwrap urllib.parse"
# What somebody wants, and what it is called.
WANTED = {
    "remove a directory and everything in it": "shutil.rmtree",
    "free disk space": "shutil.disk_usage",
    "find files whose names match a pattern": "glob.glob",
    "run another program and wait for it": "subprocess.run",
    "make a zip archive of a directory": "shutil.make_archive",
    "who is logged in": "os.getlogin",
    "wrap a paragraph to lines of some width": "textwrap.wrap",
    "the middle value of a list of numbers": "statistics.median",
    "greatest common divisor": "math.gcd",
    "copy a list with all that is in it": "copy.deepcopy",
    "a token for a URL that nobody can guess": "secrets.token_urlsafe",
    "turn a Python object into JSON text": "json.dumps",
}
BATCH = 64


def main() -> None:
    with snakepit.Pool("embeddings_adapter:Embeddings", size=2) as pool:
        started = time.perf_counter()
        pool.await_ready()
        print(f"2 workers have loaded the model after {time.perf_counter() - started:.2f} s")
        with pool.session("system") as system, pool.session("values") as values:
            search(system, described(SYSTEM))
            search(values, described(VALUES))
        compare(pool, list(described(f"{SYSTEM} {VALUES}").values()))


def described(modules: str) -> dict[str, str]:
    """The public functions and classes of these modules, with the beginnings of their docs."""
    found = {}
    for module in map(import_module, modules.split()):
        for name in getattr(module, "__all__", dir(module)):
            value = getattr(module, name)
            text = inspect.getdoc(value) if callable(value) and not name.startswith("_") else None
            if text:
                first = text.partition("\n\n")[0].replace("\n", " ")
                found[f"{module.__name__}.{name}"] = f"{module.__name__}.{name}: {first[:200]}"
    return found


def search(session: snakepit.Session, texts: dict[str, str]) -> None:
    """Index in one stream of progress, then ask; all of it in the session's worker."""
    for progress in session.execute_stream(
        "index", {"names": [*texts], "texts": [*texts.values()]}
    ):
        if progress["done"] == progress["of"] or sys.stdout.isatty():
            print(f"\r{session.id}: {progress['done']} of {progress['of']} texts", end="")
    print()

    first = among = 0
    wanted = {query: name for query, name in WANTED.items() if name in texts}
    for query, name in wanted.items():
        answers = [found["name"] for found in session.execute("search", {"query": query})]
        first += answers[0] == name
        among += name in answers
        print(f"  {query}: {', '.join(answers)}")
    print(f"  of {len(wanted)} wanted functions {first} came first, {among} among the first three")


def compare(pool: snakepit.Pool, texts: list[str]) -> None:
    """Many small calls and few large ones: what the way costs is paid once a call."""
    for size in (1, BATCH):
        batches = [{"texts": texts[at : at + size]} for at in range(0, len(texts), size)]
        started = time.perf_counter()
        vectors = [row for rows in pool.map("embed", batches, in_flight=8) for row in rows]
        rate = len(vectors) / (time.perf_counter() - started)
        print(
            f"{size} a call: {rate:,.0f} texts/s, vectors of {vectors[0].shape} {vectors[0].dtype}"
        )


if __name__ == "__main__":
    main()
