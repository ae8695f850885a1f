"""Token ids that are kept: what comes back is what went in, whatever became of the process that wrote it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.learning.tokens import TokenCache, key_of
from core.text import text_hash

TEXTS = {text_hash(f"post {n}"): list(range(n, n + n % 7)) for n in range(100)}


def keys_of(hashes: list[str]) -> np.ndarray:
    return np.array([key_of(text_hash) for text_hash in hashes], dtype=np.uint64)


def found_in(folder: Path, hashes: list[str], *, vocabulary: int = 21_128) -> list[list[int] | None]:
    return [
        None if ids is None else ids.tolist() for ids in TokenCache(folder, vocabulary=vocabulary).find(keys_of(hashes))
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cache of TEXTS, written in two sittings."""
    made = tmp_path / "tokens" / "one"
    hashes, ids = list(TEXTS), list(TEXTS.values())
    for some in (slice(0, 60), slice(60, 100)):
        stored = TokenCache(made, vocabulary=21_128).add(keys_of(hashes[some]), ids[some])
        assert [row.tolist() for row in stored] == ids[some]
    return made


def test_what_was_added_is_found_in_any_order_and_what_was_not_is_not(folder: Path) -> None:
    asked = [*reversed(TEXTS), text_hash("never seen")]
    assert found_in(folder, asked) == [*reversed(TEXTS.values()), None]
    assert found_in(folder, []) == []


def test_an_id_takes_two_bytes_or_four_in_a_large_vocabulary(folder: Path, tmp_path: Path) -> None:
    assert (folder / "ids-16").stat().st_size == 2 * sum(map(len, TEXTS.values()))
    wide = tmp_path / "other" / "wide"
    TokenCache(wide, vocabulary=250_002).add(keys_of(["ff" * 16]), [[250_001, 7]])
    assert found_in(wide, ["ff" * 16], vocabulary=250_002) == [[250_001, 7]]


@pytest.mark.parametrize("name", ["ids-16", "ends", "keys"])
@pytest.mark.parametrize("lost", [1, 8, 50])
def test_what_a_killed_process_left_half_is_dropped_and_the_rest_is_right(folder: Path, name: str, lost: int) -> None:
    with (folder / name).open("rb+") as file:
        file.truncate((folder / name).stat().st_size - lost)
    found = found_in(folder, list(TEXTS))
    assert all(ids in (None, TEXTS[text]) for text, ids in zip(TEXTS, found, strict=True))
    assert found.count(None) in range(1, 40)
    again = [text for text, ids in zip(TEXTS, found, strict=True) if ids is None]
    TokenCache(folder, vocabulary=21_128).add(keys_of(again), [TEXTS[text] for text in again])
    assert found_in(folder, list(TEXTS)) == list(TEXTS.values())


def test_tokens_of_another_tokenizer_make_room(folder: Path) -> None:
    TokenCache(folder.with_name("two"), vocabulary=21_128)
    assert [path.name for path in folder.parent.iterdir()] == ["two"]
