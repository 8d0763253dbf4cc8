"""When a call that failed is made again. What an error is, is said here; the engine decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict

from snakepit import _core
from snakepit._checks import choice, positive
from snakepit._duration import seconds
from snakepit._matching import is_cancel, matcher
from snakepit.errors import (
    CallTimeout,
    CircuitOpen,
    ConfigError,
    PoisonCall,
    QueueFull,
    SnakepitError,
    WorkerDied,
)

if TYPE_CHECKING:
    from snakepit._duration import Duration
    from snakepit._matching import Errors

Jitter = Literal["full", "equal", "none"]

# What the engine counts in.
_MOST = 2**32 - 1

# Seconds, some 30 years: beyond what the engine pauses for, and within what it can read.
_LONGEST = 1e9

_WHY = {
    "may_have_run": "the call may have run, and idempotent=True was not given",
    "deadline": "the next attempt could not have begun in time",
    "budget": "the retry budget is empty",
}


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that grow: ``base`` seconds, each ``multiplier`` times the last, at most ``max``."""

    base: Duration = 0.1
    max: Duration = 30.0
    multiplier: float = 2.0


class RetryBudget:
    """Bounds the retries of all callers that share it, so that they cannot multiply an outage.

    A token bucket: a retry takes ``retry_cost`` tokens and is not made without them, a success
    puts ``deposit`` tokens in. The defaults allow 35 retries at the start and in the long run one
    for 14 successes.

    Args:
        capacity: Tokens that it holds, and begins with.
        retry_cost: Tokens of a retry; at most ``capacity``.
        deposit: Tokens of a success; may be 0.

    Raises:
        ConfigError: A value is wrong.
    """

    __slots__ = ("_native",)

    def __init__(self, *, capacity: int = 500, retry_cost: int = 14, deposit: int = 1) -> None:
        self._native = _core.RetryBudget(
            positive("capacity", capacity, most=_MOST),
            positive("retry_cost", retry_cost, most=_MOST),
            positive("deposit", deposit, least=0, most=_MOST),
        )

    @property
    def tokens(self) -> int:
        """Tokens left."""
        return self._native.tokens

    def __repr__(self) -> str:
        return f"<RetryBudget: {self.tokens} tokens>"


class RetryOptions(TypedDict, total=False):
    """Keywords of ``RetryPolicy``, which the functions of ``snakepit.executor`` take too."""

    max_attempts: int
    backoff: Backoff | Iterable[Duration]
    jitter: bool | Jitter
    retriable: Errors | None
    idempotent: bool
    budget: RetryBudget | None


class RetryPolicy:
    """When a call that failed is made again.

    A call of a pool is run at most once: an error of Snakepit with ``may_have_run`` is not
    answered with another attempt unless ``idempotent`` is true. Other exceptions say nothing
    about that; to hand a function over is to say that it may run again after them.

    Given to a pool (``retry=``) or to one of its calls, it says when a call whose worker died is
    made again there: on another worker, with the same deadline, and only if it is idempotent.

    Args:
        max_attempts: Attempts in all, the first one included.
        backoff: Pauses between them: a ``Backoff``, or seconds in turn, of which the last repeats.
        jitter: Spreads the pauses, so that callers that failed together do not come back
            together. ``True`` or ``"full"``: evenly from 0 to the pause. ``"equal"``: from half of
            it. ``False`` or ``"none"``: not at all.
        retriable: Exceptions after which another attempt can help: a class, some classes, or a
            function of the exception. Default: ``QueueFull``, ``CallTimeout``, ``WorkerDied``,
            and of other exceptions ``ConnectionError`` and ``TimeoutError``.
        idempotent: The call may run twice without harm.
        budget: Every retry is paid for from it, besides.

    Raises:
        ConfigError: A value is wrong.
    """

    __slots__ = ("_budget", "_named", "_native", "_retriable")

    def __init__(
        self,
        *,
        max_attempts: int = 3,
        backoff: Backoff | Iterable[Duration] = Backoff(),
        jitter: bool | Jitter = True,
        retriable: Errors | None = None,
        idempotent: bool = False,
        budget: RetryBudget | None = None,
    ) -> None:
        if isinstance(jitter, bool):
            jitter = "full" if jitter else "none"
        pauses, exponential = _backoff(backoff)
        self._named = retriable is not None
        self._retriable = _transient if retriable is None else matcher("retriable", retriable)
        self._budget = budget
        self._native = _core.RetryPolicy(
            positive("max_attempts", max_attempts, most=_MOST),
            pauses,
            exponential,
            choice("jitter", jitter, ("full", "equal", "none")),
            bool(idempotent),
        )

    def begin(self, timeout: float | None) -> Attempts:
        """Begin the attempts of one call; none begins once ``timeout`` seconds have passed."""
        budget = None if self._budget is None else self._budget._native
        return Attempts(self, self._native.begin(timeout, budget))


class Attempts:
    """The attempts of one call; ``snakepit.executor`` makes them."""

    __slots__ = ("_last", "_native", "_policy")

    def __init__(self, policy: RetryPolicy, native: _core.Attempts) -> None:
        self._policy = policy
        self._native = native
        self._last: Exception | None = None

    def failed(self, error: Exception) -> float | None:
        """Return the seconds to pause before another attempt; ``None``: the caller gets ``error``.

        Raises:
            Exception: What the attempt before failed with, where a breaker refused this one: the
                caller must not be told by ``CircuitOpen`` that nothing ran.
        """
        retriable = not is_cancel(error) and bool(self._policy._retriable(error))
        if not retriable and self._last is not None and isinstance(error, CircuitOpen):
            raise self._last from error
        may_have_run = isinstance(error, SnakepitError) and error.may_have_run
        answer = self._native.failed(retriable, may_have_run, _retry_after(error))
        if isinstance(answer, float):
            if not isinstance(error, CircuitOpen):
                self._last = error
            return answer
        if answer in _WHY:
            error.add_note(f"snakepit: not tried again: {_WHY[answer]}")
        elif answer == "attempts" and self._native.made > 1:
            error.add_note(f"snakepit: given up after {self._native.made} attempts")
        return None

    def succeeded(self) -> None:
        """Tell the budget that the call succeeded."""
        self._native.succeeded()

    def forget(self) -> None:
        """Let go of the last error, whose traceback holds frames that hold this object."""
        self._last = None


def _retry_after(error: Exception) -> float | None:
    """Return the least pause that the error asks for, in seconds.

    A foreign exception may mean anything by that name, and may raise when it is asked. Whatever is
    no number of seconds is no wish: the caller must get the error itself.
    """
    try:
        pause = getattr(error, "retry_after", None)
        if isinstance(pause, bool) or not isinstance(pause, int | float) or not pause >= 0:
            return None
        # Compared first: an int may be too large for a float.
        return _LONGEST if pause > _LONGEST else float(pause)
    except Exception:
        return None


def _transient(error: Exception) -> bool:
    if isinstance(error, SnakepitError):
        known = isinstance(error, QueueFull | CallTimeout | WorkerDied)
        return known and not isinstance(error, PoisonCall)
    return isinstance(error, ConnectionError | TimeoutError)


def _backoff(
    backoff: Backoff | Iterable[Duration],
) -> tuple[list[float] | None, tuple[float, float, float]]:
    if isinstance(backoff, Backoff):
        if isinstance(backoff.multiplier, bool) or not isinstance(backoff.multiplier, int | float):
            raise ConfigError(
                f"multiplier: a number is needed, not {backoff.multiplier!r}", field="multiplier"
            )
        figures = seconds("base", backoff.base), seconds("max", backoff.max), backoff.multiplier
        return None, figures
    if isinstance(backoff, str | bytes) or not isinstance(backoff, Iterable):
        raise ConfigError(
            f"backoff: a Backoff or pauses in seconds are needed, not {backoff!r}", field="backoff"
        )
    return [seconds("backoff", pause) for pause in backoff], (0.0, 0.0, 1.0)
