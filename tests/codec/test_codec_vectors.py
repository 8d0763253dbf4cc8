"""The corpus that holds the native codec and the pure-Python one together, byte for byte."""

from __future__ import annotations

import json
import sys

import pytest
from codec_values import Codec, same

np = pytest.importorskip("numpy")
vectors = pytest.importorskip("make_vectors", reason="needs msgpack")


VECTORS = json.loads(vectors.VECTORS.read_text(encoding="utf-8"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["value"])
def test_bytes_are_those_of_the_corpus_and_arrive(codec: Codec, vector: dict[str, str]) -> None:
    if sys.version_info < (3, 11) and "HTTPMethod" in vector["value"]:
        pytest.skip("http.HTTPMethod is of Python 3.11")
    value = vectors.evaluate(vector["value"])
    packed = codec.encode(value)
    told = {key: text for key, text in vector.items() if key in ("hex", "sha256")}
    assert vectors.told(packed) == told

    arrives = vectors.evaluate(vector.get("arrives", vector["value"]))
    assert same(arrives, codec.decode(packed))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="http.HTTPMethod is of Python 3.11")
def test_the_corpus_is_what_its_script_makes() -> None:
    assert vectors.build() == VECTORS
