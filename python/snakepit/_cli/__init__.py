"""The command line. ``app`` knows the commands; each is a module, imported when it is asked for.

.. code-block:: text

    main ──> app: which command? ──> cleanup, config, run …      what it does; returns a status
              │                          │
              │                          ├── outcome: Failed(message, remedy, status)
              │                          └── output: text, JSON, colour or not
              └── every way to end: a status, one line on standard error, quiet on a closed pipe

``import snakepit`` imports nothing of this, and a module imports what its command needs when that
runs: help must be quick.
"""
