"""Large values: what arrives, where it lies, how long it stays."""

from __future__ import annotations

import gc
import os
import sys
from typing import Any

import pytest

np = pytest.importorskip("numpy")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from hypothesis.extra import numpy as npst  # noqa: E402

import snakepit  # noqa: E402
from pool.conftest import until  # noqa: E402

DATA = "pool.data_adapters:Data"
LARGE = 1 << 18
"""Items of an array that is above every threshold here."""
LINES = ["native", "grpcio"]
SMALL = {"threshold": 4096}
"""So that small values lie in shared memory too."""


@pytest.fixture(params=LINES)
def data(request: pytest.FixtureRequest, make_pool: Any) -> Any:
    if request.param == "grpcio":
        pytest.importorskip("grpc")
    return make_pool(DATA, size=1, line=request.param)


def same(sent: Any, arrived: Any) -> bool:
    return bool(
        type(arrived) is np.ndarray
        and arrived.dtype == sent.dtype
        and arrived.shape == sent.shape
        and arrived.tobytes() == sent.tobytes()
    )


def test_arrays_arrive_as_views_that_cannot_be_written_to(data: Any) -> None:
    array = np.arange(float(LARGE)).reshape(512, -1)
    for sent in (array, array.T, array[::2, ::-1], array[:, :300]):
        kind, writable, owns, dtype = data.execute("describe", {"value": sent})
        assert (kind, writable, owns, dtype) == ("ndarray", False, False, "float64")
        arrived = data.execute("echo", {"value": sent})
        assert same(np.asarray(sent), arrived)
        assert not arrived.flags.writeable
        assert arrived.copy().flags.writeable


def test_bytes_stay_bytes_and_memory_arrives_as_memory(data: Any) -> None:
    for size in (10, 100_000, 3_000_000):
        plain = os.urandom(size)
        value = data.execute("echo", {"value": {"b": plain, "m": memoryview(plain)}})
        assert (type(value["b"]), value["b"]) == (bytes, plain)
        assert (type(value["m"]), value["m"].readonly, value["m"]) == (memoryview, True, plain)
        assert data.execute("describe", {"value": bytearray(plain)})[:2] == ["memoryview", False]


def test_large_values_are_found_anywhere(data: Any) -> None:
    array = np.arange(float(LARGE))
    value = {"a": [array, {"b": (array[:100], array[1000:])}], "c": bytes(70_000), "d": 1}
    arrived = data.execute("echo", {"value": value})
    assert same(array, arrived["a"][0])
    assert same(array[:100], arrived["a"][1]["b"][0])
    assert same(array[1000:], arrived["a"][1]["b"][1])
    assert (arrived["c"], arrived["d"]) == (bytes(70_000), 1)


def test_chunks_of_a_stream_may_be_large(data: Any) -> None:
    frames = [*data.execute_stream("frames", {"count": 20, "length": LARGE})]
    assert [frame["number"] for frame in frames] == [*range(20)]
    assert all(same(np.full(LARGE, float(frame["number"])), frame["frame"]) for frame in frames)


def arrays() -> st.SearchStrategy[Any]:
    plain = npst.scalar_dtypes() | npst.unicode_string_dtypes(min_len=1, max_len=4)
    structured = npst.array_dtypes(plain, max_size=3).filter(
        lambda dtype: all(len(field) == 2 for field in dtype.fields.values())
    )
    whole = npst.arrays(plain | structured, npst.array_shapes(min_dims=0, max_dims=3, min_side=0))
    return whole.flatmap(
        lambda array: st.sampled_from(
            [array, array.T, np.asfortranarray(array), array[..., None][::-1]]
        )
    )


@pytest.mark.parametrize("line", LINES)
def test_arrays_of_all_kinds_arrive(make_pool: Any, line: str) -> None:
    if line == "grpcio":
        pytest.importorskip("grpc")
    pool = make_pool(DATA, size=1, line=line, shared_memory=SMALL)
    # Large enough to lie outside of the message, whatever is drawn.
    filler = np.zeros(5000, "u1")

    @given(st.recursive(arrays(), lambda inner: st.lists(inner, max_size=3), max_leaves=4))
    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    def check(value: Any) -> None:
        arrived, same_filler = pool.execute("echo", {"value": [value, filler]})
        assert same(filler, same_filler)
        assert_same(value, arrived)

    def assert_same(value: Any, arrived: Any) -> None:
        if isinstance(value, list):
            assert len(value) == len(arrived)
            for one, other in zip(value, arrived, strict=True):
                assert_same(one, other)
        else:
            assert same(np.asarray(value), np.asarray(arrived))

    check()


def test_small_arrays_in_shared_memory(make_pool: Any) -> None:
    pool = make_pool(DATA, size=1, shared_memory=SMALL)
    for length in (511, 512, 513, 4096, 262_144, 262_145):
        array = np.arange(float(length))
        assert same(array, pool.execute("echo", {"value": array}))
    assert pool.stats().shared_memory.in_use >= 0


# --- what is kept ---------------------------------------------------------------------------------


def test_a_put_value_is_sent_again_and_again(make_pool: Any) -> None:
    pool = make_pool(DATA, size=2)
    weights = {"w": np.arange(float(LARGE)), "name": "first", "raw": bytes(100_000)}
    with pool.put(weights) as ref:
        assert ref.nbytes > weights["w"].nbytes + 100_000
        made = pool.stats().shared_memory.made
        for _ in range(20):
            value = pool.execute("echo", {"value": [ref, {"again": ref}]})
            assert same(weights["w"], value[0]["w"])
            assert value[1]["again"]["raw"] == bytes(100_000)
            assert value[0]["name"] == "first"
        stats = pool.stats().shared_memory
        assert (stats.made, stats.fallbacks) == (made, 0), "nothing was put a second time"
        assert same(weights["w"], ref.value()["w"])
    assert ref.closed
    with pytest.raises(snakepit.EncodeError, match=r'args\["value"\]\[0\]: .*closed; put\(\)'):
        pool.execute("echo", {"value": [ref]})


def test_a_reference_works_with_other_pools_and_both_lines(make_pool: Any) -> None:
    array = np.arange(float(LARGE))
    ref = make_pool(DATA, size=1).put(array)
    others = [make_pool(DATA, name="other", size=1), make_pool(DATA, name="in", inline=True)]
    others.append(make_pool(DATA, name="none", size=1, shared_memory=None))
    if "grpc" in sys.modules or pytest.importorskip("grpc"):
        others.append(make_pool(DATA, name="pure", size=1, line="grpcio"))
    for pool in others:
        assert pool.execute("total", {"array": ref}) == array.sum()


def test_references_in_references(make_pool: Any) -> None:
    pool = make_pool(DATA, size=1)
    array = np.arange(float(LARGE))
    inner = pool.put(array)
    outer = pool.put({"first": bytes(70_000), "inner": inner, "last": array[::-1]})
    inner.close()
    value = pool.execute("echo", {"value": [bytes(80_000), outer]})[1]
    assert same(array, value["inner"])
    assert same(array[::-1], value["last"])


def test_a_view_stays_when_everything_else_is_gone(make_pool: Any) -> None:
    pool = make_pool(DATA, size=1)
    ref = pool.put(np.arange(float(LARGE)))
    mine, result = ref.value(), pool.execute("make", {"length": LARGE})
    part = result[10:20]
    ref.close()
    pool.close(drain=0)
    del ref, pool, result
    gc.collect()
    assert mine.sum() == np.arange(float(LARGE)).sum()
    assert part.tolist() == [*map(float, range(10, 20))]


def test_a_worker_keeps_what_it_was_sent(make_pool: Any) -> None:
    pool = make_pool(DATA, size=1)
    for number in range(5):
        pool.execute("keep", {"value": np.full(LARGE, float(number))})
    for _ in range(50):  # would be put where the kept ones lie, if those were free
        pool.execute("total", {"array": np.full(LARGE, 99.0)})
    assert pool.execute("kept_total") == LARGE * 10.0


def test_arrays_are_born_in_shared_memory(make_pool: Any) -> None:
    pool = make_pool(DATA, size=1)
    array = pool.empty((4, LARGE))
    assert (array.shape, array.dtype, array.flags.writeable) == ((4, LARGE), np.float64, True)
    array[:] = np.arange(4.0)[:, None]
    before = pool.stats().shared_memory
    assert pool.execute("total", {"array": array}) == 6.0 * LARGE
    assert pool.execute("total", {"array": array[1:3]}) == 3.0 * LARGE
    after = pool.stats().shared_memory
    assert (after.made, after.reused) == (before.made, before.reused), "nothing was copied"
    like = pool.arena_like(array)
    assert (like.shape, like.dtype) == (array.shape, array.dtype)
    assert pool.empty(0).shape == (0,)
    assert pool.empty((), "u1").shape == ()


@pytest.mark.parametrize(
    ("shape", "dtype", "error"),
    [((-1,), float, ValueError), (3, object, TypeError), (3, "nonsense", TypeError)],
)
def test_arrays_that_cannot_be_born(make_pool: Any, shape: Any, dtype: Any, error: Any) -> None:
    with pytest.raises(error):
        make_pool(DATA, size=1).empty(shape, dtype)


def test_results_are_born_in_the_workers_memory(data: Any, make_pool: Any) -> None:
    value = data.execute("born", {"length": 50_000})
    assert same(np.arange(50_000.0), value["whole"])
    assert same(np.arange(25_000.0, 50_000.0), value["part"])
    native = data._config.arguments[-1] if hasattr(data._config, "arguments") else ""
    if "grpcio" not in str(native):
        assert np.shares_memory(value["whole"], value["part"]) or value["kind"] == "NoneType"


# --- room -----------------------------------------------------------------------------------------


def test_a_full_memory_sends_over_the_line(make_pool: Any) -> None:
    memory = snakepit.SharedMemory(max_bytes=4 << 20, wait=0.0)
    pool = make_pool(DATA, size=1, shared_memory=memory)
    array = np.arange(float(1 << 20))
    assert same(array, pool.execute("echo", {"value": array}))
    assert pool.stats().shared_memory.fallbacks >= 1


def test_a_full_memory_may_be_an_error(make_pool: Any) -> None:
    memory = snakepit.SharedMemory(max_bytes=4 << 20, wait=0.0, when_full="error")
    pool = make_pool(DATA, size=1, shared_memory=memory)
    array = np.arange(float(1 << 20))
    with pytest.raises(snakepit.EncodeError, match="do not fit into shared memory") as caught:
        pool.execute("echo", {"value": array})
    assert caught.value.path == "args"
    with pytest.raises(snakepit.EncodeError, match="do not fit"):
        pool.put(array)
    with pytest.raises(MemoryError, match="do not fit"):
        pool.empty(1 << 20)
    with pytest.raises(snakepit.EncodeError, match="do not fit") as caught:
        pool.execute("make", {"length": 1 << 20})
    assert caught.value.path == "result"
    assert pool.execute("total", {"array": array[:10]}) == 45.0


def test_ten_thousand_references_come_and_go(make_pool: Any) -> None:
    pool = make_pool(DATA, size=1, shared_memory={"max_bytes": 64 << 20, "wait": 0.0})
    array = np.arange(20_000.0)
    for number in range(10_000):
        with pool.put(array) as ref:
            if number % 500 == 0:
                assert pool.execute("total", {"array": ref}) == array.sum()
    stats = pool.stats().shared_memory
    assert stats.made < 500
    assert stats.bytes <= 64 << 20


def test_memory_comes_back_from_workers_that_die(make_pool: Any) -> None:
    memory = {"max_bytes": 32 << 20, "wait": 10.0, "when_full": "error"}
    pool = make_pool(DATA, size=1, shared_memory=memory)
    array = np.zeros(1 << 20)
    for _ in range(6):  # 48 MiB in all
        with pytest.raises(snakepit.WorkerDied):
            pool.execute("die", {"array": array})
    assert pool.execute("total", {"array": array}) == 0.0
    until(lambda: pool.stats().shared_memory.in_use <= 16 << 20, "it is given back")


def test_pools_may_do_without(make_pool: Any) -> None:
    pool = make_pool(DATA, size=1, shared_memory=None)
    array = np.arange(float(LARGE))
    assert pool.stats().shared_memory is None
    assert same(array, pool.execute("echo", {"value": array}))
    assert pool.execute("total", {"array": pool.put(array)}) == array.sum()
    assert pool.empty(3).shape == (3,)
    assert same(np.arange(10.0), pool.execute("born", {"length": 10})["whole"])


@pytest.mark.parametrize(
    ("memory", "field"),
    [
        ({"max_bytes": 1}, "shared_memory.max_bytes"),
        ({"threshold": 0}, "shared_memory.threshold"),
        ({"threshold": "64K"}, "shared_memory.threshold"),
        ({"wait": -1}, "shared_memory.wait"),
        ({"when_full": "wait"}, "shared_memory.when_full"),
        ({"maxbytes": 1 << 30}, "shared_memory"),
        (True, "shared_memory"),
        (1 << 30, "shared_memory"),
    ],
    ids=repr,
)
def test_wrong_memory_is_refused(memory: Any, field: str) -> None:
    with pytest.raises(snakepit.ConfigError) as caught:
        snakepit.Pool(DATA, size=1, shared_memory=memory)
    assert caught.value.field == field


# --- other libraries ------------------------------------------------------------------------------


def test_arrow_is_read_where_it_lies(make_pool: Any) -> None:
    pa = pytest.importorskip("pyarrow")
    pool = make_pool(DATA, size=1)
    columns = {name: np.arange(2_000_000.0) for name in "abcd"}
    table = pa.table(columns)  # 64 MB
    pool.execute("column", {"table": pa.table({"a": [1.0]}), "name": "a"})  # imports pyarrow
    total, grown = pool.execute("column", {"table": table, "name": "c"})
    assert total == columns["c"].sum()
    assert grown <= 5 << 20
    assert pool.execute("echo", {"value": {"t": [table]}})["t"][0].equals(table)


def test_the_names_of_the_original(make_pool: Any) -> None:
    pool = make_pool(DATA, size=1)
    zero_copy = snakepit.zero_copy
    array = np.arange(float(LARGE))
    ref = zero_copy.to_dlpack(array, pool)
    assert pool.execute("total", {"array": ref}) == array.sum()
    assert same(array, zero_copy.from_dlpack(ref))
    zero_copy.close(ref)
    assert ref.closed
    with pytest.raises(TypeError, match="an array or a tensor is needed, not list"):
        zero_copy.to_dlpack([1], pool)
    assert same(array, zero_copy.from_dlpack(array))
    pytest.importorskip("pyarrow")
    ref = zero_copy.to_arrow({"n": array}, pool)
    assert zero_copy.from_arrow(ref).column("n").to_pylist()[:3] == [0.0, 1.0, 2.0]
    assert pool.execute("column", {"table": ref, "name": "n"})[0] == array.sum()
    assert zero_copy.from_arrow({"n": [1]}).num_rows == 1


def test_coroutines_put_and_send(make_pool: Any) -> None:
    import asyncio

    async def main() -> None:
        async with snakepit.AsyncPool(DATA, size=1, grace=0.3) as pool:
            array = pool.empty(LARGE)
            array[:] = 1.0
            ref = await pool.put(np.full(LARGE, 2.0))
            totals = [pool.execute("total", {"array": item}) for item in (array, ref)]
            assert await asyncio.gather(*totals) == [LARGE, 2.0 * LARGE]
            async for chunk in pool.execute_stream("frames", {"count": 3, "length": LARGE}):
                assert chunk["frame"][0] == chunk["number"]

    asyncio.run(main())
