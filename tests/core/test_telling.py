"""Pieces that tell violations from other posts: found where they were planted, and not where chance put them."""

from __future__ import annotations

import numpy as np

from core.telling import ENOUGH, telling_pieces

CHARACTERS = [chr(place) for place in range(0x4E00, 0x4E00 + 400)]


def texts(count: int, *, seed: int, planted: str = "", of_them: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    made = ["".join(rng.choice(CHARACTERS, size=30)) for _ in range(count)]
    return [f"{text[:10]}{planted}{text[10:]}" if n < of_them else text for n, text in enumerate(made)]


def test_what_was_planted_is_found_whole_and_nothing_else() -> None:
    found = telling_pieces(
        texts(400, seed=1, planted="刷单返利", of_them=80),
        texts(800, seed=2, planted="刷单返利", of_them=3),
        listed=["微信"],
    )
    assert [(each.piece, each.violations, each.others) for each in found] == [("刷单返利", 80, 3)]


def test_what_both_have_as_often_tells_nothing() -> None:
    common = texts(400, seed=1, planted="今天天气", of_them=200), texts(400, seed=2, planted="今天天气", of_them=200)
    assert telling_pieces(*common, listed=[]) == []
    assert telling_pieces(texts(1_000, seed=3), texts(2_000, seed=4), listed=[]) == []


def test_what_the_list_has_is_not_told_again() -> None:
    given = texts(400, seed=1, planted="刷单返利", of_them=80), texts(400, seed=2)
    for listed in ("刷单", "刷单返利", "想刷单返利吗"):
        assert all(
            listed not in each.piece and each.piece not in listed for each in telling_pieces(*given, listed=[listed])
        )
    assert telling_pieces(*given, listed=["想刷单返利吗"]) == []


def test_numbers_and_punctuation_are_no_pieces_and_latin_letters_are_alike_in_both_cases() -> None:
    bad = [f"{text} QQ{('wX', 'Wx')[n % 2]}群!! 12345" for n, text in enumerate(texts(200, seed=1))]
    found = [each.piece for each in telling_pieces(bad, texts(200, seed=2), listed=[])]
    assert "wx群" in found or "qqwx" in found
    assert not any("!" in piece or piece.isdigit() or piece != piece.casefold() for piece in found)


def test_a_few_texts_say_nothing() -> None:
    few = texts(ENOUGH - 1, seed=1, planted="刷单返利", of_them=ENOUGH - 1)
    assert telling_pieces(few, texts(500, seed=2), listed=[]) == []


def test_what_every_text_has_tells_nothing() -> None:
    every = texts(30, seed=1, planted="帖子", of_them=30), texts(30, seed=2, planted="帖子", of_them=30)
    assert telling_pieces(*every, listed=[]) == []
