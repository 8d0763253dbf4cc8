"""Tools both ways: your program calls adapters, and they call functions of your program back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import snakepit
from snakepit_bridge import BaseAdapter, HostToolNotFound, tool


class Assistant(BaseAdapter):
    @tool
    def fingerprint(self, text: str) -> list[str]:
        """Three ways to say the same."""
        context = self.session_context
        return [
            context.call_host_tool("sha256", {"text": text}),
            context.call_host_tool("sha256", text=text),
            context.host_tools["sha256"](text=text),
        ]

    @tool
    def greet(self) -> str:
        """What the host knows of the session that calls, and of no other."""
        try:
            return f"hello {self.session_context.call_host_tool('whoami')}"
        except HostToolNotFound:
            return "hello stranger"

    @tool
    def order(self, item: str, count: int) -> str:
        """What the function raises arrives as what it is."""
        try:
            left = self.session_context.call_host_tool("take", item=item, count=count)
        except ValueError as error:
            return f"no: {error}"
        return f"ordered {count} {item}, {left} left"

    @tool
    def total(self, since: int) -> int:
        """A function that yields is a stream, read as far as one likes."""
        rows = self.session_context.stream_host_tool("rows", {"since": since})
        return sum(row["amount"] for row in rows)

    @tool
    def factorial(self, n: int) -> int:
        """The host calls the pool again, which takes another worker."""
        return 1 if n < 2 else n * self.session_context.call_host_tool("factorial", n=n - 1)


def main() -> None:
    stock = {"figs": 5}
    with snakepit.Pool(Assistant, size=2) as pool:

        @pool.tool
        def sha256(text: str) -> str:
            """Hex digest of a text."""
            return hashlib.sha256(text.encode()).hexdigest()[:12]

        @pool.tool
        def take(item: str, count: int) -> int:
            if count > stock[item]:
                raise ValueError(f"only {stock[item]} {item} left")
            stock[item] -= count  # the state is here, in your program
            return stock[item]

        @pool.tool
        def rows(since: int) -> Iterator[dict[str, Any]]:
            call = snakepit.current_call()  # the call that this runs for
            assert call is not None
            print(f"  ({call.name} asked for by {call.caller})")
            yield from ({"day": day, "amount": 10 * day} for day in range(since, 8))

        @pool.tool
        def factorial(n: int) -> int:
            return int(pool.execute("factorial", {"n": n}))

        print("host tools:", [f"{it.name}: {it.description or '-'}" for it in pool.host_tools()])
        print("fingerprint:", pool.execute("fingerprint", {"text": "hello"}))
        for count in (3, 4):
            print("order:", pool.execute("order", {"item": "figs", "count": count}))
        print("total:", pool.execute("total", {"since": 5}))

        # Two workers are enough for two calls inside each other. A third would wait for ever, and
        # is refused at once.
        print("2! =", pool.execute("factorial", {"n": 2}))
        try:
            pool.execute("factorial", {"n": 3})
        except snakepit.RemoteError as error:
            print("3! =", str(error).splitlines()[0].rpartition("snakepit.errors.")[2])

        with pool.session("user_42") as session:
            pool.register_tool("whoami", lambda: "user 42", session=session)
            print("in the session:", session.execute("greet"))
            print("outside of it:", pool.execute("greet"))
        print("host tools:", [it.name for it in pool.host_tools()])


if __name__ == "__main__":
    main()
