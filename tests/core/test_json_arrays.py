"""An array is cut into its elements whatever the chunks, and a broken element costs itself alone."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import json_arrays
from core.errors import BadInput
from core.json_arrays import Element, split_array

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def in_chunks(text: str, size: int) -> Iterator[str]:
    return (text[place : place + size] for place in range(0, len(text), size))


def split(text: str, size: int = 65_536) -> list[Element]:
    return list(split_array(in_chunks(text, size)))


@given(st.lists(json_values, max_size=5), st.sampled_from([None, 2]), st.booleans(), st.integers(1, 9))
def test_every_element_comes_out_as_it_went_in_whatever_the_chunks(
    values: list[object], indent: int | None, is_ascii: bool, size: int
) -> None:
    elements = split(json.dumps(values, indent=indent, ensure_ascii=is_ascii), size)
    assert [element.problem for element in elements] == [None] * len(values)
    assert [json.loads(element.raw) for element in elements] == values


@given(st.text(alphabet='[]{},"\\ \nab1', max_size=40), st.integers(1, 7))
def test_any_text_after_the_bracket_is_cut_without_an_error_and_alike_in_any_chunks(text: str, size: int) -> None:
    assert split("[" + text, size) == split("[" + text)


def test_elements_say_the_line_they_begin_on() -> None:
    text = '\n[\n  {"a": 1,\n   "b": "x"},\n\n  {"a":\n 2}, {"c": 3}\n]\n'
    assert [element.line for element in split(text)] == [3, 6, 7]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[]", []),
        (" [ \n ] ", []),
        ('[{"a": x}, {"b": 1}]', [('{"a": x}', None), ('{"b": 1}', None)]),
        ('[{"a": 1} {"b": 2}, 3]', [('{"a": 1} {"b": 2}', None), ("3", None)]),
        ("[1, , 2]", [("1", None), ("", "nothing stands between two commas"), ("2", None)]),
        ("[1,]", [("1", None), ("", "nothing stands between two commas")]),
        ("[1}, 2]", [("1}", None), ("2", None)]),
        ('[1, {"a": "b', [("1", None), ('{"a": "b', "the file ends inside this record")]),
        ("[1, [2", [("1", None), ("[2", "the file ends inside this record")]),
        ("[1", [("1", None), ("", "the file ends before the array does: it is cut off")]),
        ("[1,", [("1", None), ("", "the file ends before the array does: it is cut off")]),
        ("[", [("", "the file ends before the array does: it is cut off")]),
        ("[1] [2]", [("1", None), ("[2]", "text after the end of the array")]),
        ("", []),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 99])
def test_broken_array_is_read_as_far_as_it_goes_and_says_what_is_wrong(
    text: str, found: list[tuple[str, str | None]], size: int
) -> None:
    assert [(element.raw.rstrip(), element.problem) for element in split(text, size)] == found


def test_text_that_is_no_array_is_refused() -> None:
    with pytest.raises(BadInput, match="no JSON array"):
        split('  {"a": 1}')


def test_record_that_is_too_long_costs_itself_and_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_arrays, "MAX_ELEMENT_CHARACTERS", 100)
    first, second = split('[{"a": "' + "x" * 1_000 + '"}, {"b": 1}]', 20)
    assert (first.problem, len(first.raw) <= 120) == ("the record is longer than 16 MB", True)
    assert second == Element(1, '{"b": 1}')


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file() -> None:
    def endless() -> Iterator[str]:
        yield "["
        for number in range(30_000):
            yield json.dumps({"id": number, "text": "字" * 200}, ensure_ascii=False) + ","
        yield "0]"

    tracemalloc.start()
    assert sum(1 for _ in split_array(endless())) == 30_001
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_unclosed_quote_takes_time_in_proportion_and_ends_in_a_problem() -> None:
    (element,) = split('["' + "\\u4e2d," * 200_000)
    assert element.problem == "the file ends inside this record"
