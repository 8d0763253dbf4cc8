"""A circuit breaker for any function. Its states and counts are the engine's."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, TypeVar, cast

from snakepit import _core
from snakepit._calling import WrongTwinError, awaitable, plain
from snakepit._checks import positive
from snakepit._duration import seconds
from snakepit._matching import is_cancel, matcher
from snakepit.errors import CircuitOpen, ConfigError

if TYPE_CHECKING:
    from types import TracebackType

    from snakepit._duration import Duration
    from snakepit._matching import Errors

State = Literal["closed", "open", "half_open"]
P = ParamSpec("P")
T = TypeVar("T")

# What the engine counts in.
_MOST = 2**32 - 1


@dataclass(frozen=True, slots=True)
class BreakerStats:
    """Counts of one circuit breaker."""

    state: State
    failures: int
    """Failures that count now: in a row, or in the window; 0 unless it is closed."""
    calls: int
    """Calls in the window; without one, as ``failures``."""
    probes: int
    """Probes under way while it is half open."""
    total_successes: int
    """Calls that succeeded, ever."""
    total_failures: int
    """Calls that failed, ever."""
    total_refused: int
    """Calls that were refused, ever."""
    total_opened: int
    """How often it opened."""


class CircuitBreaker:
    """Refuses calls for a while after calls have failed, then lets a few try.

    *Closed*, it admits every call and counts failures. With enough of them it *opens* and raises
    ``CircuitOpen`` at once. ``reset_timeout`` later it is *half open* and admits at most
    ``half_open_max_calls`` probes at a time: the first that succeeds closes it, the first that
    fails opens it again. Any thread and any task may use it.

    A failure is an ``Exception``. Who gives up says nothing about what was called, so
    ``KeyboardInterrupt``, ``SystemExit`` and every ``CancelledError`` are neither failure nor
    success; a probe that ends so frees its place for another. A probe that never ends keeps it:
    give calls a timeout. Results of calls from before the last change of state do not count.

    Given to a pool (``circuit_breaker=``), it decides about the pool's calls: deaths of workers,
    deadlines that passed and workers that cannot start are failures. Pools that are given one
    breaker share it.

    Args:
        failure_threshold: Failures in a row that open it. Not used with ``window``.
        reset_timeout: Seconds from its opening until it is half open.
        half_open_max_calls: Probes under way at once.
        window: Look at this many of the last calls instead, up to 65536, and open at
            ``failure_rate``.
        minimum_calls: With fewer calls than this in the window it stays closed. Default: 20, or
            ``window`` where that is smaller.
        failure_rate: Share of failures in the window that opens it; above 0, at most 1.
        exclude: Exceptions that are neither failure nor success: a class, some classes, or a
            function of the exception.
        count_remote_errors: For a pool's breaker: what tools raise is a failure, too. A breaker of
            functions counts every exception that is not excluded.
        name: Shown in errors.

    Raises:
        ConfigError: A value is wrong.

    Example:
        >>> breaker = snakepit.CircuitBreaker(failure_threshold=5, reset_timeout=30)
        >>> breaker.call(fetch, "https://example.org")
        >>> await breaker.acall(client.get, "https://example.org")
        >>> with breaker.permit():
        ...     fetch("https://example.org")
        >>> @breaker
        ... def guarded(url): ...
    """

    __slots__ = ("_count_remote_errors", "_exclude", "_excludes", "_name", "_native")

    def __init__(
        self,
        *,
        failure_threshold: int = 5,
        reset_timeout: Duration = 30.0,
        half_open_max_calls: int = 1,
        window: int | None = None,
        minimum_calls: int | None = None,
        failure_rate: float = 0.5,
        exclude: Errors = (),
        count_remote_errors: bool = False,
        name: str | None = None,
    ) -> None:
        if window is not None:
            window = positive("window", window, most=_MOST)
        if minimum_calls is None:
            minimum_calls = 20 if window is None else min(20, window)
        if isinstance(failure_rate, bool) or not isinstance(failure_rate, int | float):
            raise ConfigError(
                f"failure_rate: a number is needed, not {failure_rate!r}", field="failure_rate"
            )
        self._exclude = matcher("exclude", exclude)
        self._excludes = exclude != ()
        self._count_remote_errors = bool(count_remote_errors)
        self._name = name
        self._native = _core.CircuitBreaker(
            positive("failure_threshold", failure_threshold, most=_MOST),
            seconds("reset_timeout", reset_timeout),
            positive("half_open_max_calls", half_open_max_calls, most=_MOST),
            window,
            positive("minimum_calls", minimum_calls, most=_MOST),
            failure_rate,
        )

    def call(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` if the breaker admits it, and count how it ended.

        Raises:
            CircuitOpen: It is refused; ``error.retry_after``. Nothing ran.
            TypeError: ``fn`` returned a coroutine; that is for ``acall``.
        """
        with self.permit():
            return plain(fn(*args, **kwargs), "CircuitBreaker.acall")

    async def acall(self, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Like ``call``, for a function whose result is awaited. A cancel is no failure."""
        with self.permit():
            return await awaitable(lambda: fn(*args, **kwargs), "CircuitBreaker.call")

    def permit(self) -> Permit:
        """Ask for the right to make one call, for a ``with`` block around it.

        The block's end is the verdict: success, or failure where an exception leaves it.

        Raises:
            CircuitOpen: The breaker refuses; ``error.retry_after``.
        """
        answer = self._native.acquire()
        if isinstance(answer, float):
            raise self._refusal(answer)
        return Permit(answer, self._exclude)

    def __call__(self, fn: Callable[P, T]) -> Callable[P, T]:
        """Return ``fn`` behind this breaker: a decorator, for plain and coroutine functions.

        Raises:
            TypeError: ``fn`` is a generator function, whose call runs nothing yet.
        """
        import inspect

        if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
            raise TypeError(f"{fn!r} is a generator function: use `with breaker.permit():` in it")
        if inspect.iscoroutinefunction(fn):

            @functools.wraps(fn)
            async def guarded_coroutine(*args: Any, **kwargs: Any) -> Any:
                return await self.acall(fn, *args, **kwargs)

            return cast("Callable[P, T]", guarded_coroutine)

        @functools.wraps(fn)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            return self.call(fn, *args, **kwargs)

        return guarded

    @property
    def state(self) -> State:
        """``"closed"``, ``"open"`` or ``"half_open"``, now."""
        return self._native.state

    def allows(self) -> bool:
        """Whether a call would be admitted now. Takes no place, so the next may be refused."""
        return self._native.allows()

    def reset(self) -> None:
        """Close it and forget the failures that counted. Calls under way count no more."""
        self._native.reset()

    def stats(self) -> BreakerStats:
        """Return its counts."""
        return BreakerStats(**self._native.stats())

    def __repr__(self) -> str:
        name = "" if self._name is None else f" {self._name!r}"
        return f"<CircuitBreaker{name}: {self.state}>"

    def _refusal(self, retry_after: float) -> CircuitOpen:
        name = "" if self._name is None else f" {self._name!r}"
        when = f"asking again can help after {retry_after:.3g} s"
        if not retry_after:
            when = "half open, and as many calls as may are trying"
        return CircuitOpen(
            f"the circuit breaker{name} refuses calls: {when}", retry_after=retry_after
        )


class Permit:
    """The right to make one call. Dropped without a verdict it says nothing and frees its place."""

    __slots__ = ("_exclude", "_native")

    def __init__(self, native: _core.Permit, exclude: Callable[[Exception], object]) -> None:
        self._native = native
        self._exclude = exclude

    def success(self) -> None:
        """The call succeeded. The first verdict counts; later ones do nothing."""
        self._native.success()

    def failure(self) -> None:
        """The call failed, for functions that say so by what they return."""
        self._native.failure()

    def release(self) -> None:
        """The call says nothing: it was not made, or given up."""
        self._native.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._native.success()
            return
        try:
            if not self._says_nothing(error):
                self._native.failure()
        finally:
            # Also where `exclude` itself raises: a place that is kept would never be free again.
            self._native.release()

    def _says_nothing(self, error: BaseException) -> object:
        if (
            not isinstance(error, Exception)
            or is_cancel(error)
            or isinstance(error, WrongTwinError)
        ):
            return True
        return self._exclude(error)
