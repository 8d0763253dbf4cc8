"""The loop of a pool's host tools that are coroutines, where calls are made from none."""

from __future__ import annotations

import asyncio
import contextlib
import threading


class HostLoop:
    """A loop in a thread, for pools that are used from no loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="snakepit-host-loop", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def stop(self) -> None:
        """Cancel what runs, and end the thread."""
        with contextlib.suppress(RuntimeError):  # It has ended.
            self.loop.call_soon_threadsafe(self.loop.stop)

    def join(self, limit: float) -> None:
        """Wait for the end, so many seconds at most."""
        if threading.current_thread() is not self._thread:
            self._thread.join(limit)
