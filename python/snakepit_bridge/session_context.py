"""``SessionContext`` under the module name that adapters of the original Snakepit import."""

from ._context import SessionContext

__all__ = ["SessionContext"]
