"""The side of a text is drawn from its content alone."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import Side
from core.markup import read_markup
from core.splits import AUDIT_PER_10_000, EVALUATION_PER_10_000, side_of
from core.text import model_text, normalised


@given(st.text(alphabet=st.characters()))
def test_any_text_has_one_side_whatever_it_holds(text: str) -> None:
    assert side_of(text) is side_of(text)
    assert side_of(text) in Side


@pytest.mark.parametrize("text", ["", "\ud800", "\x00", "字" * 100_000])
def test_odd_texts_have_a_side(text: str) -> None:
    assert side_of(text) in Side


def test_bounds_between_the_sides_lie_where_the_shares_say() -> None:
    sides: dict[int, Side] = {}
    for n in range(30_000):
        digest = hashlib.sha256(b"tiebreak split\x00" + str(n).encode()).digest()
        sides[int.from_bytes(digest[:8], "big") % 10_000] = side_of(str(n))
    assert max(place for place, side in sides.items() if side is Side.audit) < AUDIT_PER_10_000
    evaluation = [place for place, side in sides.items() if side is Side.evaluation]
    assert min(evaluation) >= AUDIT_PER_10_000
    assert max(evaluation) < AUDIT_PER_10_000 + EVALUATION_PER_10_000
    assert min(place for place, side in sides.items() if side is Side.train) >= AUDIT_PER_10_000 + EVALUATION_PER_10_000


def test_copies_in_other_width_case_and_punctuation_stand_on_the_same_side() -> None:
    copies = ("加 WeChat：ABC{n}！", "加wechat abc{n}", "[b]加ＷｅＣｈａｔ[/b]，Ａｂｃ{n}。")
    for n in range(300):
        texts = [normalised(model_text(read_markup(copy.format(n=n)))) for copy in copies]
        assert len(set(texts)) == 1
        assert len({side_of(text) for text in texts}) == 1


def test_texts_that_differ_in_one_character_are_drawn_apart() -> None:
    drawn = Counter((side_of(f"text {n}"), side_of(f"text {n}!")) for n in range(5_000))
    assert drawn[Side.audit, Side.audit] < 20  # 2 of 5,000 are expected by chance
