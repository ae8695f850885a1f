"""The filter of views: what an address says is what is asked, and what says nothing is refused."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import Label, Side
from core.errors import BadInput
from core.post_filter import KEYS, Portion, PostFilter

DAYS = st.dates(min_value=date(2000, 1, 1), max_value=date(2100, 1, 1))
WORDS = st.text(min_size=1, max_size=8)


@st.composite
def filters(draw: st.DrawFn) -> PostFilter:
    days = sorted(draw(st.lists(DAYS, min_size=2, max_size=2)))
    least = draw(st.integers(1, 100))
    most = draw(st.none() | st.integers(least, 1_000))
    some = {
        "imports": tuple(draw(st.lists(st.integers(1, 10**6), max_size=3))),
        "since": days[0],
        "until": days[1],
        "words": tuple(draw(st.lists(WORDS, max_size=3))),
        "author": draw(WORDS),
        "family_sizes": (least, most),
        "labels": tuple(draw(st.lists(st.sampled_from(Label), max_size=3))),
        "predicted": tuple(draw(st.lists(st.sampled_from(Label), max_size=3))),
        "sides": tuple(draw(st.lists(st.sampled_from(Side), max_size=3))),
        "portions": tuple(draw(st.lists(st.sampled_from(Portion), max_size=3))),
    }
    kept = draw(st.sets(st.sampled_from(sorted(some))))
    return PostFilter(**{name: some[name] for name in kept})  # type: ignore[arg-type]


@given(filters())
def test_an_address_brings_the_same_view_back(chosen: PostFilter) -> None:
    said = chosen.to_query()
    assert set(said) <= set(KEYS)
    assert PostFilter.from_query(said) == chosen
    assert chosen.is_empty == (said == {})


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"colour": ["red"]}, "'colour'"),
        ({"label": ["spam"]}, "normal, suspicious, violation"),
        ({"predicted": ["2"]}, "'2' is not known"),
        ({"side": [""]}, "train, evaluation, audit"),
        ({"portion": ["open"]}, "undecided, leased, decided"),
        ({"import": ["x"]}, "import=3"),
        ({"import": ["0"]}, "'0' is no number"),
        ({"import": ["٣"]}, "is no number"),
        ({"since": ["March"]}, "2026-03-01"),
        ({"since": ["2026-03-02"], "until": ["2026-03-01"]}, "before it begins"),
        ({"family": ["3"]}, "family=2-10"),
        ({"family": ["5-2"]}, "family=2-10"),
        ({"family": ["-2"]}, "is no number"),
        ({"author": ["a", "b"]}, "2 times"),
    ],
)
def test_what_says_nothing_is_refused_in_a_sentence(query: dict[str, list[str]], told: str) -> None:
    with pytest.raises(BadInput, match=told.replace("(", r"\(")):
        PostFilter.from_query(query)


def test_parameters_of_the_page_itself_are_no_conditions() -> None:
    asked = {"version": ["v1"], "label": ["violation"]}
    assert PostFilter.from_query(asked, beside=["version"]) == PostFilter(labels=(Label.violation,))
