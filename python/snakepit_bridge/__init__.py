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
from ._registry import register_decoder, register_encoder
from ._tool import tool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import telemetry
    from ._interop import empty, writable
    from ._thread_safe import ThreadSafeAdapter, require_thread_safe, thread_safe_method
    from .errors import HostToolError, HostToolNotFound
    from .logging_config import configure_logging, get_logger

__version__ = "0.1.0"
__all__ = [
    "BaseAdapter",
    "HostToolError",
    "HostToolNotFound",
    "SessionContext",
    "ThreadSafeAdapter",
    "WorkerInfo",
    "__version__",
    "configure_logging",
    "empty",
    "get_logger",
    "register_decoder",
    "register_encoder",
    "require_thread_safe",
    "telemetry",
    "thread_safe_method",
    "tool",
    "writable",
]

_LATE = {
    "ThreadSafeAdapter": "_thread_safe",
    "HostToolError": "errors",
    "HostToolNotFound": "errors",
    "configure_logging": "logging_config",
    "empty": "_interop",
    "get_logger": "logging_config",
    "require_thread_safe": "_thread_safe",
    "telemetry": "telemetry",
    "thread_safe_method": "_thread_safe",
    "writable": "_interop",
}
"""Name to the module that has it."""


def __getattr__(name: str) -> object:
    # What few adapters use is imported when it is asked for: each brings modules of its own.
    where = _LATE.get(name)
    if where is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Not `from . import`, which would ask here again.
    module = __import__(f"{__name__}.{where}", fromlist=[name])
    value: object = module if name == where else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
