"""Ten times more calls than the workers can do: the function of the soak, for two seconds."""

from __future__ import annotations

from .overload import overloaded


def test_whoever_is_let_in_is_served_in_bounded_time_and_the_rest_is_told_at_once() -> None:
    told = overloaded(2.0)
    assert told.refused > told.offered / 2, "no overload"
    assert told.refused + told.served == told.offered
    assert told.most_queued <= told.max_queue
    # Bounds are those of a machine that is busy with other things, too.
    assert told.p99 < 3 * told.wait + 1, told
    assert told.recovered < told.wait + 5, told
    assert told.goodput > 0.1, told
    assert told.memory_grown < 32 << 20, told
