"""Values of other libraries: ml_dtypes, structured arrays, Arrow, tensors."""

from __future__ import annotations

import contextlib
import json
import struct
import subprocess
import sys
from typing import Any

import pytest
from codec_values import Codec, same

np = pytest.importorskip("numpy")


def both_ways(codec: Codec, value: Any) -> Any:
    """What arrives alone, having arrived deep inside of something too."""
    arrived = codec.there_and_back({"a": [0, (value,)]})["a"][1][0]
    assert type(arrived) is type(codec.there_and_back(value))
    return arrived


SMALL = ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e5m2fnuz", "int4", "uint2"]


@pytest.mark.parametrize("name", SMALL)
def test_small_floats_arrive(codec: Codec, name: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    kind = np.dtype(getattr(ml_dtypes, name))
    array = np.array([[0, 1], [1, 0], [1, 1]]).astype(kind)
    for sent in (array, array.T, array[::-1], array[:0], np.array(1, kind)):
        assert same(sent, both_ways(codec, sent))
    scalar = array[0, 1]
    assert same(scalar, both_ways(codec, scalar))


def test_structures_arrive(codec: Codec) -> None:
    inner = np.dtype([("when", "M8[ns]"), ("名", "U3")])
    kinds = [
        np.dtype("i4,<f8"),
        np.dtype("u1,>i8", align=True),
        np.dtype([("a", "f4", (2, 3)), ("b", inner, (2,)), ("c", inner)]),
        np.dtype(
            {"names": ["y", "x"], "formats": ["i2", "f8"], "offsets": [10, 0], "itemsize": 24}
        ),
    ]
    for kind in kinds:
        array = np.frombuffer(bytes(range(kind.itemsize)) * 6, np.dtype((np.void, kind.itemsize)))
        array = np.zeros(6, kind) if "U3" in str(kind) else array.view(kind)
        for sent in (array.reshape(2, 3), array.reshape(2, 3).T, array[::2], array[:0]):
            arrived = both_ways(codec, sent)
            assert same(sent, arrived)
            assert arrived.dtype.fields == sent.dtype.fields


def test_objects_inside_structures_are_refused_by_name(codec: Codec) -> None:
    array = np.zeros(2, [("a", "i4"), ("b", [("c", "O")])])
    with pytest.raises(codec.EncodeError, match="a field of objects") as caught:
        codec.encode([array], "args")
    assert caught.value.path == 'args[0]["b"]["c"]'


F = ["f", 0, "<i4", []]
DESCRIPTIONS: list[Any] = [
    None,
    [],
    "<i4",
    "|O",
    {},
    {"size": 4},
    {"size": 0, "fields": []},
    {"size": -1, "fields": [F]},
    {"size": 2**31, "fields": [F]},
    {"size": 4.0, "fields": [F]},
    {"size": 4, "fields": 3},
    {"size": 4, "fields": [["f", 0, "<i4"]]},
    {"size": 4, "fields": [["f", 0, "|O", []]]},
    {"size": 4, "fields": [["f", 0, "O", []]]},
    {"size": 4, "fields": [["f", 1, "<i4", []]]},
    {"size": 4, "fields": [["f", -1, "|u1", []]]},
    {"size": 4, "fields": [["f", True, "|u1", []]]},
    {"size": 4, "fields": [["f", 0, "<i4", [2]]]},
    {"size": 4, "fields": [["f", 0, "|u1", [2**30, 2**30, 2**30]]]},
    {"size": 4, "fields": [["f", 0, "|u1", [-1]]]},
    {"size": 4, "fields": [["f", 0, "|u1", "4"]]},
    {"size": 4, "fields": [[1, 0, "<i4", []]]},
    {"size": 4, "fields": [["f", 0, "|u1", []], ["f", 1, "|u1", []]]},
    {"size": 4, "fields": [["f", 0, {"size": 8, "fields": []}, []]]},
]


@pytest.mark.parametrize("described", DESCRIPTIONS, ids=json.dumps)
def test_wrong_structures_are_refused(codec: Codec, described: Any) -> None:
    text = json.dumps(described).encode()
    body = struct.pack(">I", len(text)) + text + b"\x01" + struct.pack(">Q", 2) + bytes(8)
    with pytest.raises(codec.DecodeError):
        codec.decode(b"\xc8" + struct.pack(">Hb", len(body), 13) + body)


def test_structures_without_an_end_are_refused(codec: Codec) -> None:
    for depth in (40, 4000):
        text = b'{"size":1,"fields":[["f",0,' * depth
        body = struct.pack(">I", len(text)) + text + b"\0"
        with pytest.raises(codec.DecodeError):
            codec.decode(b"\xc9" + struct.pack(">Ib", len(body), 13) + body)
    deep: Any = "|u1"
    for _ in range(40):
        deep = {"size": 1, "fields": [["f", 0, deep, []]]}
    text = json.dumps(deep).encode()
    body = struct.pack(">I", len(text)) + text + b"\0\0"
    with pytest.raises(codec.DecodeError, match="more than 32"):
        codec.decode(b"\xc8" + struct.pack(">Hb", len(body), 13) + body)


def arrow_values() -> list[Any]:
    pa = pytest.importorskip("pyarrow")
    words = pa.array(["a", None, "ccc"])
    table = pa.table({"n": [1, 2, None], "w": words, "d": words.dictionary_encode()})
    return [
        table,
        pa.concat_tables([table, table]),
        table.slice(1, 1),
        table.schema.empty_table(),
        table.replace_schema_metadata({"k": "v"}),
        pa.table({"l": [[1], None, []], "s": [{"x": 1}, None, {"x": None}]}),
        table.to_batches()[0],
        words,
        pa.array([], pa.float32()),
        pa.array([[1.5], []]),
        words.dictionary_encode(),
        pa.nulls(3),
        pa.chunked_array([[1], [2, 3]]),
        pa.chunked_array([], pa.int8()),
        table.schema,
        pa.schema([]),
    ]


def test_arrow_arrives(codec: Codec) -> None:
    for value in arrow_values():
        arrived = both_ways(codec, value)
        assert arrived.equals(value)
        if hasattr(value, "num_chunks"):
            assert arrived.num_chunks == value.num_chunks, "chunks stay as they are"


def test_frames_arrive_as_arrow(codec: Codec) -> None:
    pa = pytest.importorskip("pyarrow")
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=[5, 7])
    arrived = both_ways(codec, frame)
    assert isinstance(arrived, pa.Table)
    assert arrived.to_pandas().equals(frame), "with its index"
    assert both_ways(codec, pd.Series([1.5, 2.5])).to_pylist() == [1.5, 2.5]
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    assert pl.from_arrow(both_ways(codec, frame)).equals(frame)
    assert both_ways(codec, pl.Series("s", ["x", None])).to_pylist() == ["x", None]


def test_columns_of_objects_are_refused_by_name(codec: Codec) -> None:
    pytest.importorskip("pyarrow")
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    for frame in (
        pd.DataFrame({"ok": [1], "bad": [object()]}),
        pl.DataFrame({"ok": [1], "bad": pl.Series([object()], dtype=pl.Object)}),
    ):
        with pytest.raises(codec.EncodeError) as caught:
            codec.encode({"f": [frame]}, "args")
        assert caught.value.path == 'args["f"][0]["bad"]'
    with pytest.raises(codec.EncodeError, match="objects in polars"):
        codec.encode(pl.Series([object()], dtype=pl.Object))


def test_damaged_arrow_is_refused_or_read(codec: Codec) -> None:
    pytest.importorskip("pyarrow")
    intact = codec.encode(arrow_values()[0])
    for place in range(0, len(intact), 3):
        for byte in (0, 1, 0x7F, 0xFF):
            with contextlib.suppress(codec.DecodeError):
                codec.decode(intact[:place] + bytes([byte]) + intact[place + 1 :])
        with pytest.raises(codec.DecodeError):
            codec.decode(intact[:place])


class Shown:
    """A tensor of no library, on a device of one's choice."""

    def __init__(self, array: Any, device: int = 1) -> None:
        self.array, self.device = array, device

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device, 0

    def __dlpack__(self, **more: Any) -> Any:
        if self.device != 1 and more.get("dl_device") != (1, 0):
            raise BufferError("it is not here")
        more.pop("dl_device", None)
        return self.array.__dlpack__(**more)


def test_tensors_arrive_as_arrays(codec: Codec) -> None:
    array = np.arange(6, dtype="f4").reshape(2, 3)
    for sent in (array, array.T, array[:, ::2]):
        assert same(np.asarray(sent), both_ways(codec, Shown(sent)))


def test_tensors_on_devices_are_staged_and_counted(
    codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snakepit_bridge._interop import _tensor

    if np.lib.NumpyVersion(np.__version__) < "2.1.0":
        pytest.skip("this numpy cannot ask for a copy in the host's memory")
    told: list[tuple[str, int]] = []
    monkeypatch.setattr(_tensor, "on_staged", lambda *what: told.append(what))
    before = _tensor.staged.get("cuda", 0)
    assert same(np.arange(3.0), codec.there_and_back(Shown(np.arange(3.0), device=2)))
    assert _tensor.staged["cuda"] == before + 1
    assert told == [("cuda", 24)]


def test_tensors_that_cannot_be_read_are_refused(codec: Codec) -> None:
    class Far(Shown):
        def __dlpack__(self, **more: Any) -> Any:
            raise BufferError("it is on the moon")

    with pytest.raises(codec.EncodeError, match=r"Far; convert it .* it is on the moon"):
        codec.encode(Far(np.arange(3.0), device=2))


def test_jax_arrives_as_arrays(codec: Codec) -> None:
    jnp = pytest.importorskip("jax.numpy")
    assert same(np.arange(3, dtype="i4"), both_ways(codec, jnp.arange(3, dtype="int32")))
    halves = both_ways(codec, jnp.ones(2, "bfloat16"))
    assert halves.dtype.name == "bfloat16"


def torch_values() -> list[Any]:
    torch = pytest.importorskip("torch")
    grid = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    return [
        grid,
        grid.T,
        grid[:, ::2],
        grid[:0],
        torch.tensor(1.5),
        torch.ones(3, dtype=torch.bfloat16),
        torch.tensor([True, False]),
        torch.tensor([1 + 2j]),
        torch.tensor([1 + 2j]).conj(),
        torch.nn.Parameter(grid),
    ]


def test_torch_arrives_as_torch(codec: Codec) -> None:
    torch = pytest.importorskip("torch")
    for value in torch_values():
        arrived = both_ways(codec, value)
        assert (arrived.dtype, arrived.shape) == (value.dtype, value.shape)
        assert torch.equal(arrived, value.detach())
        arrived.zero_()  # it is the receiver's own
        assert not arrived.any()
    for refused in (torch.eye(2).to_sparse(), torch.empty(2, device="meta")):
        with pytest.raises(codec.EncodeError, match=r"torch.Tensor"):
            codec.encode(refused)


def test_cuda_tensors_are_staged(codec: Codec) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    value = torch.arange(6.0, device="cuda")
    assert torch.equal(both_ways(codec, value), value.cpu())


def test_a_tensor_without_torch_arrives_as_an_array(codec: Codec) -> None:
    if "torch" in sys.modules:
        pytest.skip("torch is here")
    head = b"\x03<f4\x02" + struct.pack(">2Q", 2, 1)
    body = head + np.arange(2, dtype="f4").tobytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", None)
        arrived = codec.decode(b"\xc7" + bytes([len(body)]) + b"\x0f" + body)
    assert same(np.arange(2, dtype="f4").reshape(2, 1), arrived)


def test_a_missing_library_is_named(codec: Codec) -> None:
    pytest.importorskip("pyarrow")
    packed = codec.encode(arrow_values()[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(codec.DecodeError, match="install pyarrow"):
            codec.decode(packed)


IMPORTS_NOTHING = """
import sys
from {module} import {encode} as encode, {decode} as decode
class Odd: pass
decode(encode([1, "a", b"b", bytearray(3), {{"k": 2.5}}]))
try:
    encode(Odd())
except ValueError:
    pass
found = {{"numpy", "pyarrow", "torch", "ml_dtypes", "pandas", "polars", "jax"}} & {{*sys.modules}}
assert not found, found
"""


@pytest.mark.parametrize("name", ["native", "pure"])
def test_no_library_is_imported_unasked(name: str) -> None:
    from codec_values import CODECS, load

    load(name)
    (module, encode), (_, decode) = (path.split(":") for path in CODECS[name][:2])
    program = IMPORTS_NOTHING.format(module=module, encode=encode, decode=decode)
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
