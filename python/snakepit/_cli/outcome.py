"""How a command ends: its exit status, and what is said where it could not do what it should."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """Exit statuses, those of every command."""

    DONE = 0
    """Done; also where whoever read standard output has closed it."""
    FAILED = 1
    """Something could not be done, and standard error says what."""
    USAGE = 2
    """The command line is wrong; nothing was done."""
    NO_HOST = 3
    """The command asks a running host, and there is none."""
    TIMED_OUT = 4
    """What was waited for did not come in the time that was given; it may come still."""
    INTERRUPTED = 130
    """Ctrl-C."""
    TERMINATED = 143
    """SIGTERM, as a shell tells it."""


class Failed(Exception):  # noqa: N818 (says what happened, as our errors do)
    """A command could not do what it should.

    Args:
        message: One line for people; more where somebody else's words are quoted.
        remedy: What mends it, best a command that can be pasted.
        status: The exit status.
    """

    def __init__(
        self, message: str, remedy: str | None = None, status: Status = Status.FAILED
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.status = status
