"""What a tool raises, as its caller meets it: over both ends of the line, and inline."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

import snakepit
from snakepit import errors

from .broken_adapters import DiskQuotaError, Opaque, QuotaError

BROKEN = "pool.broken_adapters:Broken"


def line(name: str) -> dict[str, Any]:
    if name == "inline":
        return {"inline": True}
    if name == "grpcio":
        pytest.importorskip("grpc")
        pytest.importorskip("msgpack")
    return {"line": name}


@pytest.fixture(params=["native", "grpcio", "inline"])
def pool(request: pytest.FixtureRequest, make_pool: Any) -> Any:
    return make_pool(BROKEN, size=1, errors=[QuotaError], **line(request.param))


def raised(pool: Any, tool: str, **args: Any) -> Any:
    with pytest.raises(snakepit.RemoteError) as caught:
        pool.execute(tool, args)
    return caught.value


def test_a_chain_arrives(pool: Any) -> None:
    error = raised(pool, "chain")
    assert isinstance(error, OSError)
    assert isinstance(error.cause, KeyError)
    assert (error.cause.remote_message, error.cause.notes) == ("'first'", ["a note of the first"])
    assert error.cause.tool == error.tool == "chain"
    assert error.cause.worker == error.worker
    text = "".join(traceback.format_exception(error))
    assert "a note of the first" in text
    assert "broken_adapters.py" in text


def test_a_context_arrives(pool: Any) -> None:
    error = raised(pool, "handled")
    assert error.cause is None
    assert isinstance(error.context, KeyError)


def test_a_chain_is_printed_once(make_pool: Any) -> None:
    error = raised(make_pool(BROKEN, size=1), "chain")
    assert error.__cause__ is error.cause
    text = "".join(traceback.format_exception(error))
    assert text.index("errors.RemoteKeyError: KeyError: 'first'") < text.index("direct cause")
    assert text.count('{}["first"]') == 1


def test_a_group_is_taken_apart(pool: Any) -> None:
    quotas: list[Any] = []
    rest: Any = None
    try:
        try:
            pool.execute("group")
        except* QuotaError as part:
            quotas = [*part.exceptions]
    except snakepit.RemoteExceptionGroup as error:
        rest = error
    (inner,) = quotas
    assert (inner.exceptions[0].user, inner.exceptions[0].limit) == ("ann", 5)
    assert [type(member) for member in rest.exceptions] == [
        errors.RemoteTypeError,
        errors.RemoteKeyError,
    ]
    assert rest.tool == "group"


def test_a_listed_class_is_caught_as_such(pool: Any) -> None:
    with pytest.raises(QuotaError) as caught:
        pool.execute("quota", {"user": "ann", "limit": 5})
    error: Any = caught.value
    assert isinstance(error, snakepit.RemoteError)
    assert not isinstance(error, DiskQuotaError), "only what is listed"
    assert error.type_name.endswith(".DiskQuotaError")
    assert (error.user, error.limit, error.remote_args) == ("ann", 5, ("ann", 5))
    assert str(error).startswith("quota: ")
    assert "ann is over 5" in str(error)


def test_arguments_that_cannot_travel_are_left_out(make_pool: Any) -> None:
    pool = make_pool(BROKEN, size=1, errors=["pool.broken_adapters:QuotaError"])
    with pytest.raises(QuotaError) as caught:
        pool.execute("quota", {"user": "x" * 10_000, "limit": 5})
    assert caught.value.remote_args is None  # type: ignore[attr-defined]
    assert not hasattr(caught.value, "user")


def test_what_is_not_listed_is_plain(make_pool: Any) -> None:
    error = raised(make_pool(BROKEN, size=1), "quota", user="ann", limit=5)
    assert not isinstance(error, QuotaError)
    assert error.remote_args is None


def test_shapes_devices_and_memory_are_read(pool: Any) -> None:
    shape = raised(pool, "diagnosed", what="shape")
    assert isinstance(shape, snakepit.ShapeMismatch)
    assert isinstance(shape, RuntimeError)
    assert (shape.expected, shape.got) == ((2, 3), (4, 5))

    device = raised(pool, "diagnosed", what="device")
    assert isinstance(device, snakepit.DeviceMismatch)
    assert (device.expected, device.got) == ("cuda:0", "cpu")
    assert device.operation == "wrapper_CUDA_addmm"

    memory = raised(pool, "diagnosed", what="memory")
    assert isinstance(memory, snakepit.OutOfMemory)
    assert (memory.device, memory.requested_bytes) == ("cuda:0", 2 << 30)
    assert memory.free_bytes == round(1.31 * (1 << 30))
    assert memory.suggestions


def test_numpy_is_read(pool: Any) -> None:
    pytest.importorskip("numpy")
    error = raised(pool, "multiply")
    assert isinstance(error, snakepit.ShapeMismatch)
    assert isinstance(error, ValueError)
    assert (error.operation, error.expected_dim, error.got_dim) == ("matmul", 3, 4)


MODEL = {
    "layers": [3],
    "inner": {
        "__ffi_unserializable__": True,
        "__type__": "pool.broken_adapters.Opaque",
        "__repr__": "Opaque(password='<REDACTED>')",
    },
}
A_SET = {
    "__ffi_unserializable__": True,
    "__type__": "builtins.set",
    "__repr__": "{1}",
}


@pytest.fixture(params=["native", "grpcio", "inline"])
def graceful(request: pytest.FixtureRequest, make_pool: Any) -> Any:
    rule = {"detail": "repr_redacted_truncated"}
    return make_pool(BROKEN, size=1, unserializable=rule, **line(request.param))


def test_markers_go_both_ways(graceful: Any) -> None:
    assert graceful.execute("model") == [MODEL, A_SET]
    assert list(graceful.execute_stream("models")) == [MODEL, A_SET]
    arrived = graceful.execute("describe", {"value": Opaque()})
    assert "<REDACTED>" in arrived
    assert "hidden" not in arrived
    assert snakepit.unserializable_info(graceful.execute("model")[1]) == ("builtins.set", "{1}")


def test_each_direction_has_its_rule(make_pool: Any) -> None:
    results = make_pool(BROKEN, size=1, name="results", unserializable={"arguments": "error"})
    assert results.execute("model")[0]["layers"] == [3]
    with pytest.raises(snakepit.EncodeError):
        results.execute("describe", {"value": Opaque()})
    arguments = make_pool(BROKEN, size=1, name="arguments", unserializable={"results": "error"})
    assert "Opaque" in arguments.execute("describe", {"value": Opaque()})
    with pytest.raises(snakepit.EncodeError) as caught:
        arguments.execute("model")
    assert caught.value.path == "result[0]"


def test_types_of_the_program_travel(pool: Any) -> None:
    from .broken_adapters import Money

    assert pool.execute("pay", {"money": Money(5, "EUR")}) == [Money(10, "EUR")]
