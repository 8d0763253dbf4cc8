"""Search by meaning: a trained model in the workers, an index a session, vectors as arrays."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import snakepit

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "embeddings"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("wordllama") is None, reason="needs wordllama (the group `examples`)"
)


@pytest.fixture(scope="module")
def pool() -> Iterator[snakepit.Pool]:
    adapter = "embeddings_adapter:Embeddings"
    with snakepit.Pool(adapter, size=1, pythonpath=[FOLDER]) as pool:
        pool.await_ready(60)
        yield pool


def test_the_program_finds_what_is_meant(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(FOLDER / "search.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    said = ended.stdout
    # Docstrings differ a little from one Python to the next; most answers must not.
    found = re.findall(r"of (\d+) wanted functions (\d+) came first, (\d+) among", said)
    assert len(found) == 2, said
    wanted, first, among = (sum(map(int, numbers)) for numbers in zip(*found, strict=True))
    assert wanted == 12
    assert first >= 7, said
    assert among >= 9, said
    assert re.search(r"^system: (\d+) of \1 texts$", said, re.MULTILINE), said
    assert len(re.findall(r"a call: [\d,]+ texts/s, vectors of \(256,\) float32$", said, re.M)) == 2


def test_vectors_are_arrays_of_length_one_and_like_meanings_are_close(pool: snakepit.Pool) -> None:
    np = pytest.importorskip("numpy")
    texts = ["a cat sat on the mat", "a kitten lay on the rug", "interest rates rose again"]
    vectors = pool.execute("embed", {"texts": texts})
    assert (vectors.shape, vectors.dtype) == ((3, 256), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > likeness[0, 2] + 0.2
    assert pool.execute("embed", {"texts": []}).shape == (0, 256)


def test_each_session_searches_its_own_index(pool: snakepit.Pool) -> None:
    texts = {"pets": ["my dog barks", "cats purr"], "money": ["pay the bill", "a savings account"]}
    for session, own in texts.items():
        steps = pool.execute_stream("index", {"names": own, "texts": own}, session=session)
        assert [*steps] == [{"done": 2, "of": 2}]
    found = pool.execute("search", {"query": "bank", "count": 5}, session="money")
    assert [hit["name"] for hit in found] == ["a savings account", "pay the bill"]
    (best,) = pool.execute("search", {"query": "a kitten", "count": 1}, session="pets")
    assert best["name"] == "cats purr"
    with pytest.raises(LookupError, match="no index yet"):
        pool.execute("search", {"query": "bank"}, session="stranger")
