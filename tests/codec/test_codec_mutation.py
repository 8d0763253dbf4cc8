"""Containers that change while they are encoded: a clean error or a well-formed message."""

from __future__ import annotations

import collections
import datetime
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from codec_values import Codec


class Acting(datetime.tzinfo):
    """Runs a piece of Python in the middle of an encode."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def utcoffset(self, _: datetime.datetime | None) -> datetime.timedelta:
        self.act()
        return datetime.timedelta(0)


def moment(act: Callable[[], object]) -> datetime.datetime:
    return datetime.datetime(2024, 1, 1, tzinfo=Acting(act))


def refill(victim: dict[Any, Any]) -> None:
    victim.clear()
    victim.update({str(n) * 5: [n] for n in range(50)})


DICT_CHANGES: dict[str, Callable[[dict[Any, Any]], object]] = {
    "cleared": lambda victim: victim.clear(),
    "refilled": refill,
    "grown": lambda victim: victim.update(more=1),
    "shrunk": lambda victim: victim.popitem(),
}


@pytest.mark.parametrize("change", DICT_CHANGES.values(), ids=DICT_CHANGES.keys())
def test_a_dict_that_changes_is_an_error(
    codec: Codec, change: Callable[[dict[Any, Any]], object]
) -> None:
    victim: dict[str, Any] = {}
    victim["a"] = ["x" * 50, moment(lambda: change(victim)), "y" * 50]
    victim["b"] = "z" * 100
    with pytest.raises(
        codec.EncodeError, match="dict changed while it was encoded; send a copy"
    ) as info:
        codec.encode({"outer": victim})
    assert (info.value.path, info.value.type_name) == ('value["outer"]', "dict")


LIST_CHANGES: dict[str, Callable[[list[Any]], object]] = {
    "cleared": lambda victim: victim.clear(),
    "grown": lambda victim: victim.append(1),
    "shrunk": lambda victim: victim.pop(),
}


@pytest.mark.parametrize("change", LIST_CHANGES.values(), ids=LIST_CHANGES.keys())
def test_a_list_that_changes_is_an_error(
    codec: Codec, change: Callable[[list[Any]], object]
) -> None:
    victim: list[Any] = []
    victim += [moment(lambda: change(victim)), "y" * 50, ["z"]]
    with pytest.raises(
        codec.EncodeError, match="list changed while it was encoded; send a copy"
    ) as info:
        codec.encode({"outer": victim})
    assert info.value.path == 'value["outer"]'


def test_items_replaced_in_place_do_no_harm(codec: Codec) -> None:
    victim: dict[str, Any] = {}
    victim["a"] = [moment(lambda: victim.update(a=None, b=None)), "kept alive " * 20]
    victim["b"] = ["also " * 20]
    assert [*codec.decode(codec.encode(victim))] == ["a", "b"]


def test_an_encode_and_a_decode_inside_an_encode(codec: Codec) -> None:
    inner = {"nested": [1, "two"]}
    seen = []
    act = moment(lambda: seen.append(codec.decode(codec.encode(inner))))
    arrived = codec.decode(codec.encode({"a": [1, act, 2], "b": "after"}))
    assert (arrived["a"][0], arrived["a"][2], arrived["b"]) == (1, 2, "after")
    assert seen == [inner]


@pytest.fixture
def eager_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("eager_switches")
def test_threads_that_change_what_others_encode(codec: Codec) -> None:
    pause = moment(lambda: [None for _ in range(20)])
    shared: dict[str, Any] = {
        "dict": {str(n): [n, pause, "v" * n] for n in range(30)},
        "list": [pause, *range(30)],
    }
    done = threading.Event()
    outcomes: collections.Counter[str] = collections.Counter()

    def change() -> None:
        step = 0
        while not done.is_set():
            step += 1
            shared["dict"][str(step % 60)] = [step, pause, "v" * (step % 90)]
            shared["dict"].pop(str(step * 7 % 60), None)
            shared["list"].append("q" * 40)
            if len(shared["list"]) > 60:
                del shared["list"][1:]

    def encode() -> None:
        for _ in range(400):
            try:
                arrived = codec.decode(codec.encode(shared))
            except codec.EncodeError as error:
                outcomes[str(error).split(": ")[1]] += 1
            else:
                assert all(item[1] == arrived["list"][0] for item in arrived["dict"].values())
                outcomes["arrived"] += 1

    changers = [threading.Thread(target=change) for _ in range(2)]
    encoders = [threading.Thread(target=encode) for _ in range(2)]
    for thread in changers + encoders:
        thread.start()
    for thread in encoders:
        thread.join()
    done.set()
    for thread in changers:
        thread.join()

    changed = {f"{kind} changed while it was encoded; send a copy" for kind in ("dict", "list")}
    assert set(outcomes) <= {"arrived", *changed}
    assert outcomes.total() == 800


def test_threads_that_decode_at_once_share_keys_safely(codec: Codec) -> None:
    messages = [codec.encode({f"key{n}-{m}": m for m in range(40)}) for n in range(40)]
    wrong: list[Any] = []

    def decode() -> None:
        for _ in range(30):
            for n, message in enumerate(messages):
                value = codec.decode(message)
                if value != {f"key{n}-{m}": m for m in range(40)}:
                    wrong.append(value)

    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
