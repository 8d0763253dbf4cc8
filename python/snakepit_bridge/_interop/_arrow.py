"""Arrow: tables, batches, arrays and schemas of pyarrow, and what others show as Arrow data.

What travels is an IPC stream: a file's reader would copy all columns to read one. It is read in
place. The C data interface is a contract inside one process; here it is only how the data of
pandas, polars and others come to pyarrow, as which they arrive.
"""

from __future__ import annotations

import sys
from typing import Any

from ._part import Part, UnfitError, bulk, library, take

ARROW = 14
_TABLE, _BATCH, _ARRAY, _CHUNKED, _SCHEMA = b"t", b"b", b"a", b"c", b"s"


def encode(kind: type[Any], value: Any) -> Part | None:
    """None: it shows no Arrow data."""
    pyarrow: Any = sys.modules.get("pyarrow")
    if pyarrow is not None and (part := _own(pyarrow, kind, value)) is not None:
        return part
    pandas = _pandas_way(kind)
    shows_stream, shows_array = _has(kind, "__arrow_c_stream__"), _has(kind, "__arrow_c_array__")
    if not (pandas or shows_stream or shows_array):
        return None
    name = f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"
    try:
        pyarrow = library("pyarrow")
    except UnfitError:
        way = pandas or "to plain values"
        raise UnfitError(f"cannot encode {name}; install pyarrow, or convert it {way}") from None
    if pandas:
        shown = _of_pandas(pyarrow, name, value)
    else:
        _refuse_objects(name, value)
        makers = (pyarrow.table, pyarrow.chunked_array)
        if not shows_stream:
            makers = (pyarrow.record_batch, pyarrow.array)
        shown = _first(pyarrow, name, value, makers)
    return _own(pyarrow, type(shown), shown)


def shows_arrow(kind: type[Any]) -> bool:
    """Whether values of this type travel as Arrow data."""
    shows = ("__arrow_c_stream__", "__arrow_c_array__", "__arrow_c_schema__")
    return _pandas_way(kind) is not None or any(_has(kind, name) for name in shows)


def _own(pyarrow: Any, kind: type[Any], value: Any) -> Part | None:
    """A value of pyarrow itself."""
    if not getattr(pyarrow, "Table", None):
        return None  # it is being imported
    if issubclass(kind, pyarrow.Table):
        return Part(ARROW, _TABLE, _Stream(pyarrow, value.schema, value))
    if issubclass(kind, pyarrow.RecordBatch):
        return Part(ARROW, _BATCH, _Stream(pyarrow, value.schema, value))
    if issubclass(kind, pyarrow.Array):
        batch = pyarrow.RecordBatch.from_arrays([value], [""])
        return Part(ARROW, _ARRAY, _Stream(pyarrow, batch.schema, batch))
    if issubclass(kind, pyarrow.ChunkedArray):
        table = pyarrow.table([value], [""])
        return Part(ARROW, _CHUNKED, _Stream(pyarrow, table.schema, table))
    if issubclass(kind, pyarrow.Schema):
        return Part(ARROW, _SCHEMA, _Stream(pyarrow, value, None))
    return None


def _pandas_way(kind: type[Any]) -> str | None:
    """How else a frame or series of pandas may be sent; None: it is neither."""
    pandas: Any = sys.modules.get("pandas")
    for name, way in (
        ("DataFrame", "with .to_dict('list')"),
        ("Series", "with .to_numpy() or .tolist()"),
    ):
        known = getattr(pandas, name, None)
        if isinstance(known, type) and issubclass(kind, known):
            return way
    return None


def _refuse_objects(name: str, value: Any) -> None:
    """polars shows its columns of Python objects as what they are: addresses."""
    polars: Any = sys.modules.get("polars")
    if polars is None or not name.startswith("polars."):
        return
    columns = value.schema if hasattr(value, "schema") else {"": value.dtype}
    for column, kind in columns.items():
        if kind == polars.Object:
            path = (column,) if column else ()
            raise UnfitError(f"cannot encode objects in {name}; convert them with .cast()", path)


def _of_pandas(pyarrow: Any, name: str, value: Any) -> Any:
    """A frame with its index, a series without."""
    if not _has(type(value), "columns"):
        return _first(pyarrow, name, value, (lambda it: pyarrow.Array.from_pandas(it),))
    try:
        return pyarrow.Table.from_pandas(value)
    except Exception as error:
        for place, column in enumerate(value.columns):
            try:
                pyarrow.Array.from_pandas(value.iloc[:, place])
            except Exception as reason:
                raise _unfit(f"a column of {name}", reason, (str(column),)) from error
        raise _unfit(name, error) from error


def _first(pyarrow: Any, name: str, value: Any, makers: tuple[Any, ...]) -> Any:
    """What the first of these makes of it; the first error is the one that tells."""
    told: Exception | None = None
    for make in makers:
        try:
            return make(value)
        except Exception as error:
            told = told or error
    raise _unfit(name, told)


def _unfit(name: str, error: Exception | None, path: tuple[str | int, ...] = ()) -> UnfitError:
    why = f"{type(error).__name__}: {error}"
    return UnfitError(f"cannot encode {name}; it is no Arrow data: {why}", path)


class _Stream:
    """Data that is laid out as an IPC stream when it is written; its chunks stay as they are."""

    def __init__(self, pyarrow: Any, schema: Any, data: Any) -> None:
        self._pyarrow, self._schema, self._data = pyarrow, schema, data
        sink = pyarrow.MockOutputStream()
        try:
            self._write(sink)
        except pyarrow.ArrowException as error:
            raise _unfit("Arrow data", error) from error
        self.nbytes: int = sink.size()

    def write_into(self, buffer: Any) -> None:
        sink = self._pyarrow.FixedSizeBufferWriter(self._pyarrow.py_buffer(buffer))
        self._write(sink)
        if sink.tell() != self.nbytes:
            raise ValueError("Arrow data changed while it was encoded; send a copy")
        sink.close()

    def _write(self, sink: Any) -> None:
        with self._pyarrow.ipc.new_stream(sink, self._schema) as stream:
            if self._data is not None:
                stream.write(self._data)


def decode(body: memoryview, data: Any) -> Any:
    """What was sent; of its data only what costs no look at each item is checked."""
    kind, rest = take(body, 1)
    pyarrow = library("pyarrow")
    reader = pyarrow.ipc.open_stream(pyarrow.py_buffer(bulk(rest, data)))
    made = _read(pyarrow, bytes(kind), reader)
    if made is None:
        raise UnfitError("no Arrow data of a known kind")
    if bytes(kind) != _SCHEMA:
        made.validate()
    return made


def _read(pyarrow: Any, kind: bytes, reader: Any) -> Any:
    if kind == _SCHEMA:
        return reader.schema
    if kind == _TABLE:
        return reader.read_all()
    if kind == _CHUNKED:
        table = reader.read_all()
        return table.column(0) if table.num_columns == 1 else None
    if kind in (_BATCH, _ARRAY):
        batch = reader.read_next_batch()
        if kind == _BATCH:
            return batch
        return batch.column(0) if batch.num_columns == 1 else None
    return None


def _has(kind: type[Any], name: str) -> bool:
    try:
        return hasattr(kind, name)
    except Exception:  # of a metaclass
        return False
