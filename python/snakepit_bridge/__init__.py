"""What adapters import: the class to derive from, the mark of a tool, and the words around them.

An adapter is the class that lives in a Snakepit worker; its tools are what the host calls:

.. code-block:: python

    from snakepit_bridge import BaseAdapter, tool

    class Model(BaseAdapter):
        async def initialize(self):
            self.model = load_model()

        @tool(description="Run inference")
        def predict(self, text: str) -> dict:
            return {"label": self.model(text)}

Pure Python without dependencies. Importing it must stay cheap, since every worker does so before
its adapter: no asyncio, typing or inspect up here.
"""

from ._adapter import BaseAdapter, WorkerInfo
from ._context import SessionContext
from ._tool import tool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._thread_safe import ThreadSafeAdapter, require_thread_safe, thread_safe_method

__version__ = "0.1.0"
__all__ = [
    "BaseAdapter",
    "SessionContext",
    "ThreadSafeAdapter",
    "WorkerInfo",
    "__version__",
    "require_thread_safe",
    "thread_safe_method",
    "tool",
]


def __getattr__(name: str) -> object:
    # What few adapters use is imported when it is asked for.
    if name in ("ThreadSafeAdapter", "require_thread_safe", "thread_safe_method"):
        from . import _thread_safe

        value: object = getattr(_thread_safe, name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
