"""Sessions: calls that belong together share one worker, and their state stays there."""

from __future__ import annotations

import os
import time

import snakepit
from snakepit_bridge import BaseAdapter, tool


class Shop(BaseAdapter):
    @tool
    def put(self, item: str) -> list[str]:
        """`state` is the calling session's own, and goes when the session ends."""
        basket: list[str] = self.session_context.state.setdefault("basket", [])
        basket.append(item)
        return basket

    @tool
    def who(self) -> str:
        """`metadata` is what the host said of the session when it opened it."""
        return f"{self.session_context.session_id}, {self.session_context.metadata['plan']}"

    @tool
    def pid(self) -> int:
        return os.getpid()

    @tool
    def work(self) -> None:
        """Until the caller gives up; a tool that looks at this lets go at once."""
        while not self.session_context.cancelled:
            time.sleep(0.01)

    @tool
    def crash(self) -> None:
        os._exit(3)


def main() -> None:
    with snakepit.Pool(Shop, size=2) as pool:
        pool.await_ready()  # with both workers there, sessions spread over both
        with pool.session("ann", metadata={"plan": "free"}) as ann, pool.session("bob") as bob:
            print("ann's basket:", ann.execute("put", {"item": "figs"}))
            print("bob's basket:", bob.execute("put", {"item": "rice"}))
            print("ann's basket:", ann.execute("put", {"item": "salt"}))
            print("asked by:", ann.execute("who"))
            pids = {ann.execute("pid") for _ in range(20)}
            print("20 calls of ann's, workers:", len(pids))
            print("open:", sorted(session.id for session in pool.sessions()))

            # Elsewhere in the program the id will do.
            print("by id:", pool.execute("put", {"item": "tea"}, session="ann"))
            modes(ann)
        print("open after the block:", pool.sessions())

        # A new session of the same name begins with nothing.
        print("ann again:", pool.execute("put", {"item": "milk"}, session="ann"))
        lose(pool)


def modes(session: snakepit.Session) -> None:
    """What a call does whose worker is busy with another one."""
    home = session.execute("pid")
    busy = session.submit("work")
    try:
        session.execute("pid", affinity="strict_fail_fast")
    except snakepit.SessionBusy as error:
        print(f"strict_fail_fast: {type(error).__name__} at once")
    print("hint: another worker:", session.execute("pid", affinity="hint") != home)
    queued = session.submit("pid")  # strict_queue, unless pool, session or call say otherwise
    busy.cancel()
    print("strict_queue: the same worker, later:", queued.result() == home)


def lose(pool: snakepit.Pool) -> None:
    """State that is gone with its worker is never quietly replaced by an empty one."""
    session = pool.session("cid")
    session.execute("put", {"item": "nuts"})
    try:
        session.execute("crash")
    except snakepit.WorkerDied as error:
        print("crash:", error.cause)
    try:
        session.execute("put", {"item": "more nuts"})
    except snakepit.SessionLost as error:
        print(f"then: {type(error).__name__}")


if __name__ == "__main__":
    main()
