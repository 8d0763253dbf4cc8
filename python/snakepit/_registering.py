"""The part of a pool that registers host tools: functions that its adapter may call back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from snakepit import _nesting
from snakepit._duration import limit
from snakepit._session import BoundSession
from snakepit._sessions import identifier
from snakepit.errors import ConfigError, SessionClosed

if TYPE_CHECKING:
    from snakepit._duration import Duration
    from snakepit._engine import Engine
    from snakepit._host_tools import HostTool, Toolbox
    from snakepit._tracing._tracing import Tracing

Function = TypeVar("Function", bound=Callable[..., Any])

_making = threading.Lock()


class RegistersTools:
    """What ``Pool`` and ``AsyncPool`` share of host tools."""

    _engine: Engine
    _toolbox: Toolbox | None = None
    _tracing: Tracing | None = None

    @overload
    def tool(self, function: Function, /) -> Function: ...
    @overload
    def tool(
        self,
        /,
        *,
        name: str | None = None,
        session: BoundSession | str | None = None,
        params: Literal["keywords", "mapping"] = "keywords",
        description: str | None = None,
        timeout: Duration | None = None,
    ) -> Callable[[Function], Function]: ...
    def tool(
        self,
        function: Any = None,
        /,
        *,
        name: str | None = None,
        session: BoundSession | str | None = None,
        params: Literal["keywords", "mapping"] = "keywords",
        description: str | None = None,
        timeout: Duration | None = None,
    ) -> Any:
        """Let the adapter call a function, as a decorator: ``@pool.tool``, or with arguments.

        The function itself stays what it is.

        Args:
            function: The function.
            name: What adapters call it by. Default: the function's own name.
            session: As in ``register_tool``.
            params: As in ``register_tool``.
            description: As in ``register_tool``.
            timeout: As in ``register_tool``.

        Raises:
            ConfigError: As ``register_tool``.

        Example:
            >>> @pool.tool
            ... def lookup(key: str) -> str:
            ...     return table[key]
        """

        def register(function: Function) -> Function:
            self.register_tool(
                getattr(function, "__name__", "") if name is None else name,
                function,
                session=session,
                params=params,
                description=description,
                timeout=timeout,
            )
            return function

        return register if function is None else register(function)

    def register_tool(
        self,
        name: str,
        fn: Callable[..., Any],
        *,
        session: BoundSession | str | None = None,
        params: Literal["keywords", "mapping"] = "keywords",
        description: str | None = None,
        timeout: Duration | None = None,
    ) -> None:
        """Let the adapter call a function: ``self.session_context.call_host_tool(name, …)``.

        A plain function runs on a thread of the pool's. A coroutine function runs on the loop that
        made the call (``AsyncPool``), or on one of the pool's own. What a generator yields, plain
        or asynchronous, is iterated over in the adapter. Inside of it ``snakepit.current_call()``
        tells who calls, and calls of pools belong to the call that it serves: they end with it.

        Args:
            name: ``[A-Za-z0-9][A-Za-z0-9_.-]{0,63}``.
            fn: The function.
            session: Only the calls of that session may use it, and find it instead of one for all
                calls of the same name; it is gone when the session was closed or has expired.
                Default: every call of this pool may.
            params: ``"keywords"``: the function gets the adapter's arguments as keywords;
                ``"mapping"``: as one dict.
            description: One line for people and agents. Default: the docstring's first.
            timeout: Seconds that one call of it may take. Default, and at most: as long as the
                call that calls it.

        Raises:
            ConfigError: The name cannot be one or is taken in that scope, the session's id cannot
                be one or it is another pool's, or ``fn`` cannot be called.
            SessionClosed: The session object has ended.
            ForkedPool: The pool belongs to the parent of this process.
        """
        if params not in ("keywords", "mapping"):
            raise ConfigError(
                f'params: "keywords" or "mapping" is needed, not {params!r}', field="params"
            )
        if not isinstance(name, str):
            raise ConfigError(f"name: a string is needed, not {name!r}", field="name")
        if not callable(fn):
            raise ConfigError(f"fn: {fn!r} cannot be called", field="fn")
        seconds = limit("timeout", timeout)
        scope = self._scope(session)
        if isinstance(session, BoundSession) and session.closed:
            raise SessionClosed(
                f"session {session.id!r} has ended: open it anew",
                session=session.id,
            )
        from snakepit._host_tools import Bound, Toolbox, describe_function

        with _making:
            if self._toolbox is None:
                self._toolbox = Toolbox(self._engine)
        text = describe_function(fn) if description is None else description
        self._toolbox.register(name, Bound(name, fn, params), scope, text, seconds)

    def unregister_tool(self, name: str, *, session: BoundSession | str | None = None) -> bool:
        """Take a host tool away. Calls of it that run go on.

        Args:
            name: Its name.
            session: The session that it was registered for, if it was for one.

        Returns:
            Whether there was one.
        """
        scope = self._scope(session)
        return self._toolbox is not None and self._toolbox.unregister(name, scope)

    def host_tools(self) -> list[HostTool]:
        """Return the functions that the adapter may call, by name."""
        return [] if self._toolbox is None else self._toolbox.listing()

    def _within(self, tool: str) -> tuple[Any, ...]:
        """What a call tells the engine of where it comes from; as a rule nothing."""
        if not _nesting.seen:
            return ()
        within, origin = _nesting.running.get(), self._origin()
        if self._tracing is not None:
            return (within, origin, self._tracing.begun(tool))
        if origin is not None:
            return (within, origin)
        return () if within is None else (within,)

    def _origin(self) -> object:
        """What coroutines among the host tools are given back."""
        return None

    def _scope(self, session: BoundSession | str | None) -> str | None:
        if session is None:
            return None
        if not isinstance(session, BoundSession):
            return identifier(session)
        if session._pool is not self:
            raise ConfigError(f"session: {session!r} belongs to another pool", field="session")
        return session.id

    def _close_tools(self) -> None:
        if self._toolbox is not None:
            self._toolbox.close()
        if self._tracing is not None:
            self._tracing.catch_up()
