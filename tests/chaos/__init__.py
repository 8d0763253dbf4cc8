"""A seeded chaos run: random calls and random faults, and an oracle that explains every outcome.

::

    python -m chaos --seed 7 --seconds 60        (from tests/; `make chaos`)

    run.py       rounds: a storm, then a quiet point with the invariants of the whole
    arena.py     one pool after the other under one name, and what must hold of each
    callers.py   what threads ask of a Pool        coroutines.py   what tasks ask of an AsyncPool
    faults.py    who is killed and stopped, and the log of it
    oracle.py    pure: is this outcome right, or explained by a fault?
    ledger.py    every call from its start to its verdict
    census.py    processes, descriptors, threads, memory
    neighbour.py another host process, which is killed
    adapter.py   the tools

The seed fixes what everybody does; when it happens is the machine's affair.
"""
