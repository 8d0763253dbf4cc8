"""Which layer counts: the order alone decides, however the layers are grouped."""

from __future__ import annotations

from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from snakepit._settings._layers import EMPTY, Leaf, Table, lay, leaves, merge, plain, table
from snakepit._settings._origin import Origin

KEYS = st.sampled_from("abc")
TREES = st.recursive(
    st.integers(0, 9),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.lists(st.dictionaries(KEYS, TREES, max_size=3), max_size=5)


def layer(document: dict[str, Any], number: int) -> Table:
    def tree(it: Any) -> Any:
        if isinstance(it, dict):
            return {key: tree(each) for key, each in it.items()}
        return Leaf(it, Origin("file", str(number)))

    return table(tree(document))


def layers(documents: list[dict[str, Any]]) -> list[Table]:
    return [layer(document, number) for number, document in enumerate(documents)]


@given(DOCUMENTS, st.data())
def test_laying_over_is_associative(documents: list[dict[str, Any]], data: st.DataObject) -> None:
    each = layers(documents)
    grouped = list(each)
    while len(grouped) > 1:
        at = data.draw(st.integers(0, len(grouped) - 2))
        grouped[at : at + 2] = [lay(grouped[at], grouped[at + 1])]
    assert (grouped[0] if grouped else EMPTY) == merge(each)
    assert merge(each) == reduce(lay, each, EMPTY)


@given(st.dictionaries(KEYS, TREES, max_size=3))
def test_nothing_changes_nothing_and_the_same_again_neither(document: dict[str, Any]) -> None:
    one = layer(document, 0)
    assert lay(one, EMPTY) == lay(EMPTY, one) == one
    assert plain(lay(one, one)) == plain(one)


@given(DOCUMENTS)
def test_every_value_is_of_the_first_layer_that_has_a_word_on_it(
    documents: list[dict[str, Any]],
) -> None:
    """Precedence is total: for each value there is one layer, told without looking at the code."""
    merged = merge(layers(documents))

    def at(document: Any, path: tuple[str, ...]) -> Any:
        """What stands at a path: a leaf, "open", or ``None``; a leaf above it is "shut"."""
        for key in path:
            if not isinstance(document, dict):
                return "shut"
            if key not in document:
                return None
            document = document[key]
        return "open" if isinstance(document, dict) else document

    found = dict(leaves(merged))
    for path, leaf in found.items():
        speaks = [number for number, it in enumerate(documents) if at(it, path) is not None]
        assert speaks[0] == int(leaf.origin.file or "")
        assert leaf.value == at(documents[speaks[0]], path)
    # And what is set in the first layer is never lost.
    if documents:
        assert {path for path, _ in leaves(layer(documents[0], 0))} <= found.keys()


@given(DOCUMENTS)
def test_a_layer_below_never_changes_what_is_set_above(documents: list[dict[str, Any]]) -> None:
    each = layers(documents)
    above = merge(each[:-1])
    all_of_them = dict(leaves(merge(each)))
    assert all(all_of_them[path] == leaf for path, leaf in leaves(above))


def test_a_word_in_the_place_of_a_table_hides_the_tables_below_and_the_other_way_round() -> None:
    upper, word, lower = layers([{"a": {"b": 1}}, {"a": 0}, {"a": {"c": 2}}])
    assert plain(merge([upper, word, lower])) == {"a": {"b": 1}}
    assert plain(merge([word, lower])) == {"a": 0}
    assert plain(merge([upper, lower])) == {"a": {"b": 1, "c": 2}}
