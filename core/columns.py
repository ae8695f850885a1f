"""The pool as arrays in files: what is asked about millions of posts at once is answered from here, mapped into memory.

A folder for a state of the pool holds one of the posts (`PostColumns`) and one for each version that is looked at, with
its probabilities in the same order. The names say which state of the database each was made of, so what does not fit is
not found. Written aside and renamed: a killed process leaves none. No words of posts and no authors stand here.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from core.domain import LABEL_NAMES, Side

Ids = npt.NDArray[np.int32]
Pairs = npt.NDArray[np.void]  # of PAIR
Floats32 = npt.NDArray[np.float32]
Selection = npt.NDArray[np.bool_]

PAIR = np.dtype([("first", np.int64), ("second", np.int64)])
SIDES = tuple(Side)
PARTIAL = ".partial"
ABANDONED_AFTER_S = 3_600.0  # a partial folder that nobody has written for so long
WORDS = "words.json"


@dataclass(frozen=True, slots=True)
class PostColumns:
    """Visible posts in order of id; all (n_posts,), but for the words.

    imports: runs that brought them. families: that of the text that each has, with so many posts (family_sizes); a text
    that was split off since stands in its old one. sides: places in SIDES. words: hit words; the posts with word k are
    word_posts[word_starts[k] : word_starts[k + 1]], as ascending positions into the columns, each post once.
    """

    post_ids: Ids
    text_ids: Ids
    imports: Ids
    families: Ids
    family_sizes: Ids
    sides: npt.NDArray[np.int8]
    words: tuple[str, ...]
    word_starts: npt.NDArray[np.int64]  # (n_words + 1,)
    word_posts: Ids

    def __len__(self) -> int:
        return len(self.post_ids)

    def positions(self, post_ids: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], Selection]:
        """(where each of these posts stands, whether it does); the place of one that does not means nothing."""
        asked = np.asarray(post_ids, dtype=np.int64)
        if not len(self):
            return np.zeros(len(asked), dtype=np.int64), np.zeros(len(asked), dtype=np.bool_)
        # Ids beyond the last are clipped before they are looked for as narrow as the column: else it would be widened.
        narrow = np.clip(asked, 0, np.iinfo(np.int32).max).astype(np.int32)
        found = np.minimum(np.searchsorted(self.post_ids, narrow), len(self) - 1)
        return found, np.asarray(self.post_ids[found] == asked)

    def with_word(self, word: str) -> Ids:
        """Ascending positions of posts with that hit word; none for an unknown one."""
        if word not in self.words:
            return np.empty(0, dtype=np.int32)
        place = self.words.index(word)
        return self.word_posts[self.word_starts[place] : self.word_starts[place + 1]]


def assemble_posts(
    texts: Pairs, imports: Pairs, families: Pairs, sides: Pairs, hits: Pairs, words: Sequence[str]
) -> PostColumns:
    """Put columns together that were read apart, in any order.

    texts: (post, text) of visible posts; imports: (post, import); families: (text, family); sides: (text, place in
    SIDES); hits: (place in words, post). But for texts, each may tell more than is needed.
    """
    texts = texts[np.argsort(texts["first"], kind="stable")]
    post_ids, text_ids = texts["first"].astype(np.int32), texts["second"].astype(np.int32)
    most = int(text_ids.max(initial=0)) + 1
    of_text = _by_key(families, most)[text_ids]
    sizes = np.bincount(of_text, minlength=1)
    columns = PostColumns(
        post_ids,
        text_ids,
        _by_key(imports, int(post_ids.max(initial=0)) + 1)[post_ids],
        of_text,
        sizes[of_text].astype(np.int32),
        _by_key(sides, most)[text_ids].astype(np.int8),
        tuple(words),
        np.zeros(len(words) + 1, dtype=np.int64),
        np.empty(0, dtype=np.int32),
    )
    starts, positions = _by_word(columns, hits, len(words))
    return replace(columns, word_starts=starts, word_posts=positions)


COLUMNS = ("post_ids", "text_ids", "imports", "families", "family_sizes", "sides")


def _by_key(pairs: Pairs, most: int) -> Ids:
    """The second of each pair at the place that the first says, (most,); 0 where there is none."""
    found = np.zeros(most, dtype=np.int32)
    known = pairs[pairs["first"] < most]
    found[known["first"]] = known["second"]
    return found


def _by_word(columns: PostColumns, hits: Pairs, count: int) -> tuple[npt.NDArray[np.int64], Ids]:
    positions, is_there = columns.positions(hits["second"])
    packed = np.unique(hits["first"][is_there] << 32 | positions[is_there])
    starts = np.searchsorted(packed, np.arange(count + 1, dtype=np.int64) << 32)
    return starts.astype(np.int64), (packed & 0xFFFFFFFF).astype(np.int32)


def assemble_scores(columns: PostColumns, text_ids: npt.NDArray[np.int64], proba: Floats32) -> Floats32:
    """Probabilities, (n_labels, n_posts), NaN for posts whose text is not scored.

    text_ids: (n_scored,), in any order; proba: (n_scored, n_labels).
    """
    most = int(columns.text_ids.max(initial=0)) + 1
    by_text = np.full((len(LABEL_NAMES), most), np.nan, dtype=np.float32)
    needed = text_ids < most
    by_text[:, text_ids[needed]] = proba[needed].T
    return np.ascontiguousarray(by_text[:, columns.text_ids])


# --- files ------------------------------------------------------------------------------------------------------------


def write_posts(target: Path, columns: PostColumns) -> None:
    arrays = {name: getattr(columns, name) for name in (*COLUMNS, "word_starts", "word_posts")}
    _write(target, arrays, {WORDS: columns.words})


def open_posts(folder: Path) -> PostColumns | None:
    """The columns of the folder, mapped into memory; None where there is no such folder."""
    try:
        arrays = {name: _mapped(folder, name) for name in (*COLUMNS, "word_starts", "word_posts")}
        return PostColumns(words=tuple(json.loads((folder / WORDS).read_text(encoding="utf-8"))), **arrays)
    except FileNotFoundError:  # also of a folder that is removed meanwhile
        return None


def write_scores(target: Path, proba: Floats32) -> None:
    _write(target, {"proba": proba}, {})


def open_scores(folder: Path) -> Floats32 | None:
    """(n_labels, n_posts), mapped into memory; None where there is no such folder."""
    try:
        found: Floats32 = _mapped(folder, "proba")
    except FileNotFoundError:
        return None
    return found


def _mapped(folder: Path, name: str) -> Any:
    # As a plain array: slices of numpy.memmap cost several times as much.
    return np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))


def _write(target: Path, arrays: Mapping[str, npt.NDArray[Any]], values: Mapping[str, object]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f"{target.name}.", suffix=PARTIAL))
    try:
        for name, array in arrays.items():
            with (partial / f"{name}.npy").open("wb") as file:
                np.save(file, array, allow_pickle=False)
                _sync(file)
        for name, value in values.items():
            with (partial / name).open("w", encoding="utf-8") as file:
                json.dump(value, file, ensure_ascii=False)
                _sync(file)
        try:
            partial.rename(target)
        except OSError:
            if not target.is_dir():
                raise  # else another process was quicker, and wrote the same
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sync(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


def sweep(folder: Path, *, kind: str, kept: str) -> None:
    """Remove what stands in the folder by a name that begins like that, but one; and what killed processes left."""
    for each in list(folder.iterdir()) if folder.is_dir() else []:
        if each.name.endswith(PARTIAL):
            is_left = time.time() - each.stat().st_mtime > ABANDONED_AFTER_S
        else:
            is_left = each.name.startswith(kind) and each.name != kept
        if is_left:
            shutil.rmtree(each, ignore_errors=True)
