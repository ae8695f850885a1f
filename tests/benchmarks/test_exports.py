"""The synthetic export: what it promises to the benchmarks, and to the tests of imports and families."""

from __future__ import annotations

import random
import re
import statistics
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.markup import BETWEEN_EXCERPTS, read_markup
from core.text import join_excerpts, model_text
from core.tsv import ExportRow, RejectedRow, open_export
from db.tables import post, reject
from tests.benchmarks.exports import Damage, Export, read_templates, write_export
from tests.benchmarks.importing import read_bare
from tests.benchmarks.spam import CYRILLIC, LOOK_ALIKES, TRADITIONAL
from tests.conftest import rows as rows_of
from tests.core.services.conftest import import_file

ROWS = 3_000
LONGER = 20_000
REASONS = {
    Damage.fields: " where the header has 6",
    Damage.text: "no text",
    Damage.no_pid: "no pid",
    Damage.odd_pid: "is not a number",
    Damage.bytes: "bytes that are not UTF-8",
}
NEAR = 0.7  # Jaccard index from which on two texts count as near-copies


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    return write_export(tmp_path_factory.mktemp("exports") / "forum.tsv", rows=ROWS)


@pytest.fixture(scope="module")
def longer(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Long enough for shares and lengths to be told."""
    return write_export(tmp_path_factory.mktemp("exports") / "longer.tsv", rows=LONGER)


def good_rows(export: Export) -> Iterator[ExportRow]:
    with export.path.open("rb") as stream:
        yield from (row for row in open_export(stream) if isinstance(row, ExportRow))


def test_same_seed_gives_the_same_bytes_and_another_seed_others(export: Export, tmp_path: Path) -> None:
    again = write_export(tmp_path / "again.tsv", rows=ROWS)
    other = write_export(tmp_path / "other.tsv", rows=ROWS, seed=1)
    assert again.path.read_bytes() == export.path.read_bytes() != other.path.read_bytes()
    assert again.templates.read_bytes() == export.templates.read_bytes()


def test_shorter_export_is_a_prefix_of_a_longer_one(export: Export, tmp_path: Path) -> None:
    shorter = write_export(tmp_path / "shorter.tsv", rows=ROWS // 7)
    assert export.path.read_bytes().startswith(shorter.path.read_bytes())
    assert export.templates.read_bytes().startswith(shorter.templates.read_bytes())


def test_import_takes_all_but_the_broken_rows(engine: Engine, export: Export) -> None:
    result = import_file(engine, export.path).result
    assert (result["rows"], result["rejected"], result["posts_added"]) == (ROWS, export.rejected, export.posts)
    pids = {found["pid"] for found in rows_of(engine, post)}
    assert pids == set(read_templates(export.templates))
    reasons = [found["reason"] for found in rows_of(engine, reject)]
    found = {damage: sum(words in reason for reason in reasons) for damage, words in REASONS.items()}
    assert found == dict(export.broken)


@pytest.mark.parametrize("rows", [500, 1_000, 2_900])
def test_one_row_in_a_hundred_is_broken(tmp_path: Path, rows: int) -> None:
    assert write_export(tmp_path / "forum.tsv", rows=rows).rejected == rows // 100


def test_file_with_windows_line_ends_holds_the_same_rows(export: Export, tmp_path: Path) -> None:
    windows = write_export(tmp_path / "windows.tsv", rows=ROWS, line_end="\r\n")
    assert b"\n" not in windows.path.read_bytes().replace(b"\r\n", b"")
    assert [(row.pid, row.text) for row in good_rows(windows)] == [(row.pid, row.text) for row in good_rows(export)]


def test_bare_reader_finds_every_row_with_six_fields(export: Export, tmp_path: Path) -> None:
    assert read_bare(export.path, tmp_path / "bare.db") == ROWS - export.broken[Damage.fields]


def test_shapes_are_those_of_the_reference_forum(longer: Export) -> None:
    rows = list(good_rows(longer))
    lengths = sorted(len(row.text) for row in rows)
    assert lengths[len(lengths) // 2] == 39
    assert lengths[len(lengths) * 9 // 10] < 43
    assert 2_000 < lengths[-1] <= 3_062
    assert 3.4 < longer.rows / longer.posts < 3.8
    assert 165 < longer.path.stat().st_size / longer.rows < 185
    assert 0.01 < sum(row.author is None for row in rows) / len(rows) < 0.03
    texts = "".join(row.text for row in rows)
    for shape in "[quote] [url= [attach] [/color] &quot; &amp; :curse: {:4_112:}".split():
        assert shape in texts, shape
    assert {"\n", "\t", "\\"} <= set(texts)
    raw = longer.path.read_bytes()
    assert (b"\r\n" in raw, b"\\\n" in raw, b"\\\t" in raw, b"\t\\N\t" in raw) == (True,) * 4


def test_rows_of_a_post_stand_together_but_for_some(longer: Export) -> None:
    places = defaultdict(list)
    for place, row in enumerate(good_rows(longer)):
        places[row.pid].append(place)
    apart = [seen[-1] - seen[0] for seen in places.values() if seen[-1] - seen[0] > len(seen)]
    assert 0.003 < len(apart) / len(places) < 0.012  # the last strays would come after the end
    assert max(apart) > 5_000


# --- near-copies -----------------------------------------------------------------------------------------------------


def texts_of(export: Export) -> dict[str, str]:
    excerpts = defaultdict(list)
    for row in good_rows(export):
        excerpts[row.pid or ""].append(row.text)
    joined = {pid: BETWEEN_EXCERPTS.join(join_excerpts(found)) for pid, found in excerpts.items()}
    return {pid: model_text(read_markup(original)) for pid, original in joined.items()}


def grams_of(text: str) -> frozenset[str]:
    """Character 2-grams after every disguise is taken off that the generator knows."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    plain = plain.translate({ord(pair[1]): pair[0] for pair in TRADITIONAL})
    plain = plain.translate({ord(other): own for own, others in LOOK_ALIKES.items() for other in others})
    plain = plain.translate({cyrillic: chr(latin) for latin, cyrillic in CYRILLIC.items()})
    plain = re.sub(r"\d", "0", re.sub(r"[\W_]+", "", plain))
    return frozenset(plain[place : place + 2] for place in range(len(plain) - 1))


def jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    return len(left & right) / len(left | right)


@pytest.mark.slow
def test_copies_of_a_template_are_near_copies_and_nothing_else_is(longer: Export) -> None:
    templates = read_templates(longer.templates)
    by_template = defaultdict(list)
    for pid, text in texts_of(longer).items():
        by_template[templates[pid]].append(grams_of(text))
    ordinary = by_template.pop(None)
    assert 0.1 < 1 - len(ordinary) / longer.posts < 0.14
    assert 150 < len(by_template) <= 300
    within = [jaccard(copies[0], copy) for copies in by_template.values() for copy in copies[1:]]
    assert statistics.mean(found >= NEAR for found in within) > 0.99
    assert statistics.mean(found < 1 for found in within) > 0.2  # or exact comparison would do
    firsts = [copies[0] for copies in by_template.values()]
    assert max(jaccard(*pair) for pair in combinations(firsts, 2)) < NEAR - 0.1
    some = random.Random(1).sample(ordinary, 600)
    assert max(jaccard(*pair) for pair in combinations([*some, *firsts[:100]], 2)) < NEAR - 0.1


def test_copies_come_in_every_disguise(longer: Export) -> None:
    templates = read_templates(longer.templates)
    copies = [text for pid, text in texts_of(longer).items() if templates[pid] is not None]
    disguises = {
        "traditional": {pair[1] for pair in TRADITIONAL},
        "wide": set("０１２３４５６７８９"),
        "circled": set("①②③④⑤⑥⑦⑧⑨"),
        "cyrillic": {chr(code) for code in CYRILLIC.values()},
        "look-alike": {other for others in LOOK_ALIKES.values() for other in others},
    }
    met = Counter(name for text in copies for name, characters in disguises.items() if characters & set(text))
    assert min(met[name] / len(copies) for name in disguises) > 0.01, met
    assert sum(bool(re.search(r"(\w[·*_/-]){3}", text)) for text in copies) > len(copies) * 0.02


def test_two_seeds_bring_copies_of_the_same_templates(tmp_path: Path) -> None:
    first = write_export(tmp_path / "first.tsv", rows=ROWS)
    second = write_export(tmp_path / "second.tsv", rows=ROWS, seed=1, first_pid=8_000_001)
    ours, theirs = read_templates(first.templates), read_templates(second.templates)
    assert not ours.keys() & theirs.keys()
    texts = texts_of(first) | texts_of(second)
    both = set(ours.values()) & set(theirs.values()) - {None}
    assert len(both) > 10
    for template in both:
        pids = [next(pid for pid, number in known.items() if number == template) for known in (ours, theirs)]
        assert jaccard(*(grams_of(texts[pid]) for pid in pids)) >= NEAR


def test_no_row_is_broken_unawares(export: Export) -> None:
    with export.path.open("rb") as stream:
        broken = [row for row in open_export(stream) if isinstance(row, RejectedRow)]
    assert len(broken) == export.rejected
