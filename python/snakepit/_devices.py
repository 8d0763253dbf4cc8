"""Which device each worker of a pool gets: ``devices=``."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from snakepit import _core, hardware
from snakepit.errors import ConfigError

if TYPE_CHECKING:
    from snakepit._environ import BySlot


def assign(
    devices: object,
    told: Collection[str],
    env: dict[str, str],
    by_slot: dict[str, BySlot],
    *,
    inline: bool,
) -> list[str]:
    """Write the variables of ``devices`` into ``env`` and ``by_slot``.

    Args:
        devices: What ``Pool`` takes.
        told: Variables that the user has set, removed or named as secrets.
        env: What all workers have.
        by_slot: What depends on the slot.
        inline: There are no workers.

    Returns:
        The devices that the slots have in turn.

    Raises:
        ConfigError: They are no devices, or not there; or there is another word on the same.
    """
    if inline:
        raise ConfigError(
            "devices: an inline pool runs in this process, which sees what it sees; leave them out",
            field="devices",
        )
    names, variables = _core.assign_devices(_names(devices), hardware.packages())
    for name, values in variables.items():
        if name in told:
            raise ConfigError(
                f"devices: env and secrets may not name {name}, by which devices are told",
                field="devices",
            )
        env.pop(name, None)
        by_slot[name] = values, None
    return names


def _names(devices: object) -> list[str]:
    if isinstance(devices, str | hardware.Device):
        devices = [devices]
    if not isinstance(devices, Iterable):
        raise ConfigError(
            f'devices: a list such as ["cuda:0", "cuda:1"] is needed, not {devices!r:.80}',
            field="devices",
        )
    return [hardware.name(device, "devices") for device in devices]
