"""What a program is told about its pools: files, variables, code; read, checked, laid together.

.. code-block:: text

    _files, _variables, code ─▶ _document ─▶ _resolve ─▶ Settings ─▶ Pool, snakepit.start, _explain
       where it is written     key by key    _layers: which one counts

Pure but for ``_files``, which reads, and ``settings``, which asks for the working directory and the
environment. Loaded by whoever configures something; ``import snakepit`` does without it.
"""

from __future__ import annotations

from snakepit._settings._explain import Row, explain
from snakepit._settings._origin import Origin
from snakepit._settings._resolve import PoolSettings, Settings, chosen, settings

__all__ = ["Origin", "PoolSettings", "Row", "Settings", "chosen", "explain", "settings"]
