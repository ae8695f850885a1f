"""Families: time and memory for finding near-copies, and how many are found, of templates and of edited posts."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.buckets import Ids
from core.families import (
    MIN_JACCARD,
    MIN_SHARED_BANDS,
    NewTexts,
    Representatives,
    family_form,
    is_exact_only,
    jaccard,
    marks_of,
    match,
)
from core.minhash import N_BANDS, bands_of
from tests.benchmarks.aside import call_aside
from tests.benchmarks.cold import FILES, cold_folder, read_examples
from tests.benchmarks.figures import Figure
from tests.benchmarks.workshop import Workshop
from tests.core.near_copies import agreement, edit, templates, vary

SEED = 20260302
COPIES = 0.15  # of all texts
COPIES_EACH = 100  # of one template, on average
KNOWN, PIECE = 1_500_000, 100_000  # representatives to match against, and how many of them are in memory at once
EDITED_POSTS = 1_500
LENGTHS = range(30, 51)
EDITS = range(1, 6)


@dataclass(frozen=True, slots=True)
class Found:
    """Seconds for each step over so many texts, those of them with bands, and how well copies were found."""

    texts: int
    banded: int
    families: int
    form_s: float
    bands_s: float
    match_s: float
    precision: float
    recall: float


def measure(workshop: Workshop) -> list[Figure]:
    rows = workshop.options.rows
    found: Found = call_aside(find, rows).value
    alone = call_aside(match_block, rows, 0)
    beside = call_aside(match_block, rows, KNOWN)
    return [
        Figure("texts", found.texts, "texts", f"{COPIES:.0%} copies of templates; {found.families:,} families found"),
        Figure("form", found.form_s / found.texts * 1e6, "µs/text"),
        Figure("bands", found.bands_s / found.banded * 1e6, "µs/text"),
        Figure("matching, with bands", found.match_s / found.texts * 1e6, "µs/text", f"{found.match_s:.2f} s in all"),
        Figure("pairs of copies: precision", found.precision, ""),
        Figure("pairs of copies: recall", found.recall, ""),
        Figure(f"{rows:,} texts, nothing known: matching", alone.value, "s"),
        Figure(f"{rows:,} texts, nothing known: peak memory", alone.peak_mib, "MiB", "libraries and texts included"),
        Figure(f"{rows:,} texts beside {KNOWN:,}: matching", beside.value, "s"),
        Figure(f"{rows:,} texts beside {KNOWN:,}: peak memory", beside.peak_mib, "MiB", "libraries and texts included"),
    ]


def sent_texts(count: int, rng: random.Random) -> list[tuple[str, int]]:
    """(text, which template it is a copy of) in random order; most are the only one of theirs."""
    copied = templates(rng, count=max(1, int(count * COPIES / COPIES_EACH)))
    sent = [(copied[number], number) for number in (rng.randrange(len(copied)) for _ in range(int(count * COPIES)))]
    sent += [(text, len(copied) + number) for number, text in enumerate(templates(rng, count=count - len(sent)))]
    rng.shuffle(sent)
    return [(vary(template, rng), number) for template, number in sent]


def find(count: int) -> Found:
    """Find the families of so many texts. Called in a process of its own."""
    texts, truth = zip(*sent_texts(count, random.Random(SEED)), strict=True)
    begun = time.perf_counter()
    forms = [family_form(text) for text in texts]
    formed = time.perf_counter()
    long = [form for form in forms if not is_exact_only(form)]
    sifted = time.perf_counter()
    bands_of(long)
    banded = time.perf_counter()
    families = match_new(forms).tolist()
    matched = time.perf_counter()
    return Found(
        count,
        len(long),
        len(set(families)),
        formed - begun,
        banded - sifted,
        matched - banded,
        *agreement(families, truth),
    )


def match_new(forms: Sequence[str]) -> Ids:
    """The families of forms among themselves."""
    new = NewTexts.of(enumerate(marks_of(forms)))
    return match(new, forms_of=lambda ids: [forms[each] for each in ids]).family_ids


def match_block(count: int, known: int) -> float:
    """Seconds for matching so many texts beside so many known ones. Called in a process of its own."""
    forms = [family_form(text) for text, _ in sent_texts(count, random.Random(SEED))]
    samples = [family_form(text) for text, _ in sent_texts(PIECE, random.Random(SEED + 1))] if known else []
    pieces = _Known([form for form in samples if not is_exact_only(form)], known)
    begun = time.perf_counter()
    new = NewTexts.of(enumerate(marks_of(forms), known))
    match(
        new,
        representatives=iter(pieces),
        forms_of=lambda ids: [forms[each - known] if each >= known else pieces.form_of(each) for each in ids],
    )
    return time.perf_counter() - begun - pieces.seconds


class _Known:
    """Representatives that are made up as they are asked for: bands of real forms, each band of another form.

    So keys are as common as they are in real bands, and no two representatives are alike. seconds: spent on it.
    """

    def __init__(self, forms: Sequence[str], count: int) -> None:
        self._forms, self._count = forms, count
        self._bands = bands_of(forms)
        self.seconds = 0.0

    def __iter__(self) -> Iterator[Representatives]:
        rng = np.random.default_rng(SEED)
        for start in range(0, self._count, PIECE):
            begun = time.perf_counter()
            size = min(PIECE, self._count - start)
            bands = np.empty((size, N_BANDS), dtype=np.uint32)
            for band in range(N_BANDS):
                bands[:, band] = self._bands[rng.integers(0, len(self._forms), size), band]
            self.seconds += time.perf_counter() - begun
            yield Representatives(np.arange(start, start + size), bands)

    def form_of(self, identity: int) -> str:
        return self._forms[identity % len(self._forms)]


def measure_edits(_workshop: Workshop) -> list[Figure]:
    """COLD's posts of 30 to 50 characters against themselves with a few random characters changed."""
    texts = [text for text, _ in read_examples(cold_folder() / FILES[0]) if len(text) in LENGTHS]
    rng = random.Random(SEED)
    posts = rng.sample(sorted(set(texts)), EDITED_POSTS)
    figures = [Figure("posts", len(posts), "posts", f"{LENGTHS[0]} to {LENGTHS[-1]} characters")]
    for edits in EDITS:
        figures += _edited(posts, [edit(post, rng, edits=edits) for post in posts], edits)
    return [*figures, *_apart(texts)]


def _edited(posts: Sequence[str], copies: Sequence[str], edits: int) -> list[Figure]:
    pairs = [(family_form(post), family_form(copy)) for post, copy in zip(posts, copies, strict=True)]
    pairs = [pair for pair in pairs if not any(map(is_exact_only, pair))]
    forms = [form for pair in pairs for form in pair]
    bands = bands_of(forms)
    shared = (bands[::2] == bands[1::2]).sum(axis=1)
    alike = np.array([jaccard(post, copy) for post, copy in pairs])
    families = match_new(forms)
    joined = families[::2] == families[1::2]
    name = f"{edits} edit{'s' * (edits > 1)}"
    return [
        Figure(
            f"{name}: similarity", float(alike.mean()), "", f"{(alike >= MIN_JACCARD).mean():.1%} reach {MIN_JACCARD}"
        ),
        Figure(f"{name}: share a band", float((shared >= 1).mean()), ""),
        Figure(f"{name}: share {MIN_SHARED_BANDS} bands", float((shared >= MIN_SHARED_BANDS).mean()), ""),
        Figure(
            f"{name}: in one family", float(joined.mean()), "", f"{joined[alike >= MIN_JACCARD].mean():.2%} of similar"
        ),
    ]


def _apart(texts: Sequence[str]) -> list[Figure]:
    """Families among the posts as they are: whoever writes comments rarely copies."""
    forms = [family_form(text) for text in texts]
    families = match_new(forms)
    together = len(forms) - len(np.unique(families))
    return [
        Figure("posts in another's family", together, "posts", f"of {len(forms):,} as they are, equal ones included")
    ]
