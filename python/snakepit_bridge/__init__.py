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
from ._thread_safe import ThreadSafeAdapter, require_thread_safe, thread_safe_method
from ._tool import tool

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
