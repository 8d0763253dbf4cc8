"""Where what an adapter tells leaves for the host; None: it does not, here.

Apart from ``telemetry``, so that a worker whose adapter tells nothing need not import that.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._native import Outlet

outlet: Outlet | None = None
"""Set once, before the adapter is loaded."""
